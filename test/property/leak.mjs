/** The kernel's leak test, a program so that it may also run long: node test/property/leak.mjs [rounds] */

import { abi, CONTAINER_RULES, HOST_RULES, ip, iptablesRestore, Kernel } from "../bench/kernel.mjs";
import { balance, VIP } from "../fuzz/ipvs.mjs";

const rounds = Number(process.argv[2] ?? 1000);
const kernel = new Kernel();
const { x } = kernel;

/** Two machines that stay; all else comes and goes. */
const machines = [0, 1].map((index) => {
  const host = x.hostNew(index, 5 + index, 6, 7, 8);
  const ns = x.hostRoot(host);
  const port = x.portNew(0, index, 0, 0x5254, 0x770011 + index, 20_000, 1e10);
  const nic = kernel.called(x.linkNewNic(ns, port), "eth0");
  kernel.address(nic, `192.168.77.1${1 + index}/24`);
  x.inetSysctlSet(ns, abi.SYS_IP_FORWARD, 1);
  return { host, ns, nic };
});

/** A container on an overlay and on a bridge of the host, as libnetwork builds it. */
function build(machine, index) {
  const { host, ns } = machine;
  const overlay = x.netnsNew(host);
  const vxlan = kernel.called(x.linkNewVxlan(ns, 4097, 4789, 31, 0, 0, 300e9), "vxlan0", 0x02aa00000001 + index);
  x.linkSetNs(vxlan, overlay);
  x.linkSetMtu(vxlan, 1450);
  const bridge = kernel.called(x.linkNewBridge(overlay, -1), "br0");
  const container = x.netnsNew(host);
  kernel.address(x.linkFirst(container), "127.0.0.1/8");
  const [veth, eth0] = kernel.veth(overlay, container);
  kernel.called(veth, "veth0", 0x02bb00000001 + index);
  const last = 2 + 2 * index;
  kernel.called(eth0, "eth0", 0x02420a000100 + last);
  for (const dev of [veth, eth0]) x.linkSetMtu(dev, 1450);
  for (const dev of [vxlan, veth]) {
    x.linkSetMaster(dev, bridge);
    x.linkSetUp(dev, 1);
  }
  kernel.address(bridge, "10.0.1.1/24");
  kernel.address(eth0, `10.0.1.${last}/24`);
  const gateway = kernel.called(x.linkNewBridge(ns, -1), "docker_gwbridge");
  const [gwPort, eth1] = kernel.veth(ns, container);
  kernel.called(gwPort, "vethgw", 0x02cc00000001 + index);
  kernel.called(eth1, "eth1", 0x0242ac120002);
  x.linkSetMaster(gwPort, gateway);
  x.linkSetUp(gwPort, 1);
  kernel.address(gateway, "172.18.0.1/16");
  kernel.address(eth1, "172.18.0.2/16");
  x.routeAdd(container, 0, 0, ip("172.18.0.1"), 0, 0, 0, abi.RTN_UNICAST, abi.RTPROT_BOOT, 0xffffffff, 0, 0);
  const far = 0x0a000100 + (6 - last);
  x.neighAdd(vxlan, far, 0x0242, far, abi.NUD_PERMANENT, 1);
  x.fdbAdd(vxlan, 0x0242, far, ip(`192.168.77.1${2 - index}`), 0, 0);
  x.fdbAdd(vxlan, 0, 0, ip("192.168.77.99"), 0, 0);
  x.fdbAdd(vxlan, 0, 0, ip("192.168.77.98"), 2, 0);
  iptablesRestore(kernel, ns, HOST_RULES);
  iptablesRestore(kernel, container, CONTAINER_RULES);
  const own = ip(`10.0.1.${last}`);
  const lb = balance(kernel, { host, overlay, bridge }, [own, far], index, index === 0);
  return { overlay, vxlan, bridge, container, eth0, gateway, far, lb };
}

/** Traffic of all kinds; much of it is still on its way, waiting or unread when the namespaces go. */
function use(round, sides) {
  const sockets = [];
  for (const [index, side] of sides.entries()) {
    const listener = x.tcpOpen(side.container);
    x.tcpBind(listener, 0, 80);
    x.tcpListen(listener, 8);
    const server = x.udpOpen(side.container);
    x.udpBind(server, 0, 53);
    sockets.push({ listener, server, ping: x.icmpOpen(side.container, 0), index });
  }
  for (const [index, side] of sides.entries()) {
    const { server, ping } = sockets[index];
    x.icmpSendEcho(ping, side.far, 1, 56);
    x.udpSendTo(server, side.far, 53, 3000); // fragments
    x.udpSendTo(server, ip("10.0.1.77"), 53, 30); // waits for a neighbour
    x.udpSendTo(server, ip("192.168.77.12"), 9999, 30); // masqueraded, refused
    // Through IPVS: connections, templates of persistence, a tunnel, entries of schedulers.
    for (let port = 53; port <= 58; port++) x.udpSendTo(server, VIP, port, 30);
    sockets[index].streams = [80, 81].map((port) => {
      const sk = x.tcpOpen(side.container);
      x.tcpConnect(sk, VIP, port);
      return sk;
    });
    const stream = x.tcpOpen(side.container);
    x.tcpConnect(stream, side.far, 80);
    kernel.run(x.time() + 1e6);
    x.tcpSend(stream, kernel.scratch, 20_000);
    sockets[index].stream = stream;
  }
  kernel.run(x.time() + (round % 7) * 3e7);
  for (const { listener, stream } of sockets) {
    const accepted = x.tcpAccept(listener);
    if (accepted > 0 && round % 3 === 0) x.tcpRecv(accepted, kernel.scratch, 65536);
    if (round % 5 === 0) x.tcpClose(stream);
    if (round % 5 === 1) x.tcpAbort(stream);
  }
  kernel.run(x.time() + (round % 4) * 1e5);
}

function tear(machine, side, round) {
  // In one order or the other: sockets are left open, devices with ports, addresses and neighbours on them.
  const namespaces = round % 2 === 0 ? [side.container, side.overlay] : [side.overlay, side.container];
  if (round % 4 === 0) x.ipvsFlush(side.lb.ns);
  namespaces.splice(round % 3, 0, side.lb.ns);
  if (round % 3 === 0) x.linkDel(side.vxlan);
  for (const ns of namespaces) x.netnsDel(ns);
  x.linkDel(side.gateway);
  for (const table of ["raw", "mangle", "nat", "filter"].keys()) {
    kernel.name("", abi.CHAIN_NAME);
    x.nfChainFlush(machine.ns, table);
    for (const chain of ["DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"]) {
      kernel.name(chain, abi.CHAIN_NAME);
      x.nfChainDel(machine.ns, table);
    }
  }
  x.nfCtFlush(machine.ns);
}

function once(round) {
  const sides = machines.map(build);
  use(round, sides);
  for (const [index, side] of sides.entries()) tear(machines[index], side, round);
  // What the machines themselves still know of it runs out.
  kernel.run(x.time() + 700e9);
  x.clearWakes();
  for (const machine of machines) {
    x.nfCtFlush(machine.ns);
    const { live } = kernel.packets(machine.host);
    if (live !== 0) throw new Error(`round ${round}: ${live} packets live`);
  }
}

// The first round warms up: tables come into being.
once(0);
const blocks = x.blocksHeld();
let bytes = x.memoryInUse();
let steps = 0;
let round = 1;
for (; round <= rounds && x.blocksHeld() === blocks; round++) {
  once(round);
  if (x.memoryInUse() !== bytes) steps++;
  bytes = x.memoryInUse();
}
console.log(
  `after ${round - 1} rounds: ${blocks} blocks at first, ${x.blocksHeld()} now; ${bytes} bytes, changed ${steps} times`,
);
// Blocks must be as many as before. Their size may grow where a cache of the machines' own namespaces does: input and
// output routes, each from 1 entry to 256 in four steps, two machines.
if (x.blocksHeld() !== blocks || steps > 16) process.exitCode = 1;
