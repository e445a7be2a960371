/** A load balancer's namespace on each of the fuzzer's overlays: services of all kinds, and an administrator who changes them. */
import { abi, ip, iptablesRestore } from "../bench/kernel.mjs";

export const VIP = ip("10.0.1.250");
const SCTP = 132;

/** Protocol, port, scheduler, flags, method; the last two on every port, and by mark. */
const SERVICES = [
  [6, 80, abi.VS_SCHED_WLC, 0, abi.VS_CONN_F_MASQ],
  [17, 53, abi.VS_SCHED_SH, abi.VS_SVC_F_SCHED1 | abi.VS_SVC_F_SCHED2, abi.VS_CONN_F_MASQ],
  [17, 54, abi.VS_SCHED_RR, 0, abi.VS_CONN_F_DROUTE],
  [17, 55, abi.VS_SCHED_MH, abi.VS_SVC_F_SCHED1, abi.VS_CONN_F_TUNNEL],
  [17, 56, abi.VS_SCHED_LBLCR, abi.VS_SVC_F_ONEPACKET | abi.VS_SVC_F_PERSISTENT, abi.VS_CONN_F_MASQ],
  [6, 81, abi.VS_SCHED_LBLC, abi.VS_SVC_F_PERSISTENT, abi.VS_CONN_F_MASQ],
  [SCTP, 5000, abi.VS_SCHED_WRR, 0, abi.VS_CONN_F_MASQ],
  [17, 0, abi.VS_SCHED_DH, abi.VS_SVC_F_PERSISTENT, abi.VS_CONN_F_MASQ],
  [0, 0, abi.VS_SCHED_NQ, 0, abi.VS_CONN_F_MASQ],
];
const MARK = 0x101;

const RULES = `
*mangle
-A INPUT -p udp -m udp --dport 57 -j MARK --set-mark 257
*nat
-A POSTROUTING -d 10.0.1.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.1.200
`;

function words(kernel, at, values) {
  for (const [offset, value] of values) kernel.view().setUint32(kernel.scratch + at + offset, value >>> 0, true);
}

function id(kernel, [protocol, port]) {
  kernel.u8().fill(0, kernel.scratch, kernel.scratch + abi.VS_RECORD + abi.VD_RECORD);
  if (protocol === 0) words(kernel, 0, [[abi.VS_FWMARK, MARK]]);
  else
    words(kernel, 0, [
      [abi.VS_PROTO, protocol],
      [abi.VS_ADDR, VIP],
      [abi.VS_PORT, port],
    ]);
}

function addService(kernel, ns, service) {
  id(kernel, service);
  words(kernel, 0, [
    [abi.VS_SCHED, service[2]],
    [abi.VS_FLAGS, service[3]],
    [abi.VS_TIMEOUT, 60],
    [abi.VS_NETMASK, 0xffffffff],
  ]);
  kernel.x.ipvsServiceAdd(ns);
}

function destination(kernel, ns, service, address, weight, upper, call) {
  id(kernel, service);
  words(kernel, abi.VS_RECORD, [
    [abi.VD_ADDR, address],
    [abi.VD_PORT, service[0] === 0 ? 0 : service[1]],
    [abi.VD_METHOD, service[4]],
    [abi.VD_WEIGHT, weight],
    [abi.VD_UPPER, upper],
  ]);
  kernel.x[call](ns);
}

/** Makes the namespace: 10.0.1.200 (or .201) and the VIP, on the overlay's bridge. */
export function balance(kernel, { host, overlay, bridge }, servers, index, tracked) {
  const { x } = kernel;
  const ns = x.netnsNew(host);
  kernel.address(x.linkFirst(ns), "127.0.0.1/8");
  const [veth, eth0] = kernel.veth(overlay, ns);
  kernel.called(veth, "vethlb", 0x02bb00000021 + index);
  kernel.called(eth0, "eth0", 0x02420a0001c8 + index);
  for (const dev of [veth, eth0]) x.linkSetMtu(dev, 1450);
  x.linkSetMaster(veth, bridge);
  x.linkSetUp(veth, 1);
  kernel.address(eth0, `10.0.1.${200 + index}/24`);
  kernel.address(eth0, "10.0.1.250/32");
  x.inetSysctlSet(ns, abi.SYS_IP_FORWARD, 1);
  if (tracked) {
    iptablesRestore(kernel, ns, RULES);
    x.ipvsSysctlSet(ns, abi.VSCTL_CONNTRACK, 1);
    x.ipvsSysctlSet(ns, abi.VSCTL_EXPIRE_NODEST_CONN, 1);
  }
  for (const service of SERVICES) {
    addService(kernel, ns, service);
    for (const address of [...servers, ip("10.0.1.77")])
      destination(kernel, ns, service, address, 1 + (address & 3), 0, "ipvsDestAdd");
  }
  return { ns, veth, eth0, servers };
}

/** One change: a weight, a threshold, a destination that goes or comes, a service, a setting, all connections' time-outs. */
export function change(kernel, { ns, servers }, mutator) {
  const { x } = kernel;
  const service = SERVICES[mutator.below(SERVICES.length)];
  const address = [...servers, ip("10.0.1.77")][mutator.below(servers.length + 1)];
  switch (mutator.below(8)) {
    case 0:
      destination(kernel, ns, service, address, 0, 0, "ipvsDestDel");
      break;
    case 1:
      destination(kernel, ns, service, address, mutator.below(6), 0, "ipvsDestAdd");
      break;
    case 2:
      id(kernel, service);
      x.ipvsServiceDel(ns);
      break;
    case 3:
      addService(kernel, ns, service);
      destination(kernel, ns, service, address, 1, 0, "ipvsDestAdd");
      break;
    case 4: {
      const which = [
        abi.VSCTL_CONN_REUSE_MODE,
        abi.VSCTL_SLOPPY_TCP,
        abi.VSCTL_SLOPPY_SCTP,
        abi.VSCTL_EXPIRE_NODEST_CONN,
        abi.VSCTL_EXPIRE_QUIESCENT_TEMPLATE,
        abi.VSCTL_NAT_ICMP_SEND,
        abi.VSCTL_SNAT_REROUTE,
        abi.VSCTL_PMTU_DISC,
        abi.VSCTL_CONNTRACK,
        abi.VSCTL_SECURE_TCP,
      ];
      x.ipvsSysctlSet(ns, which[mutator.below(which.length)], mutator.below(4));
      break;
    }
    case 5:
      id(kernel, service);
      words(kernel, 0, [
        [abi.VS_SCHED, mutator.below(abi.VS_SCHEDS)],
        [abi.VS_FLAGS, mutator.below(32)],
        [abi.VS_TIMEOUT, 1 + mutator.below(100)],
        [abi.VS_NETMASK, 0xffffff00],
      ]);
      x.ipvsServiceSet(ns);
      break;
    default:
      destination(kernel, ns, service, address, mutator.below(4), mutator.below(3) * 5, "ipvsDestSet");
  }
}

/** A frame for the load balancer: of any protocol, to any of its services, to be mutated or not; also SCTP's first chunks. */
export function request(mutator, { servers }, mac) {
  const [protocol, port] = SERVICES[mutator.below(SERVICES.length)];
  const number = protocol === 0 ? 17 : protocol;
  const payload = new Uint8Array(20 + mutator.below(200));
  const view = new DataView(payload.buffer);
  view.setUint16(0, 1024 + mutator.below(40));
  view.setUint16(2, port === 0 ? mutator.below(65536) : port);
  if (number === 6) {
    view.setUint8(12, 0x50);
    view.setUint8(13, [2, 16, 17, 4, 18, 0][mutator.below(6)]);
  } else if (number === SCTP) {
    view.setUint8(12, mutator.below(16));
    view.setUint16(14, mutator.below(12));
  } else view.setUint16(4, payload.length);
  const frame = new Uint8Array(34 + payload.length);
  const packet = new DataView(frame.buffer);
  packet.setBigUint64(0, mac << 16n);
  frame[6] = 2;
  packet.setUint16(12, 0x0800);
  packet.setUint16(14, 0x4500);
  packet.setUint16(16, 20 + payload.length);
  packet.setUint16(20, mutator.below(16) === 0 ? 0x2000 | mutator.below(3) : 0);
  packet.setUint16(22, ((1 + mutator.below(64)) << 8) | number);
  packet.setUint32(26, servers[mutator.below(servers.length)]);
  packet.setUint32(30, VIP);
  frame.set(payload, 34);
  return frame;
}
