/**
 * Hosts behind one switch, each of which sends UDP datagrams of one size to the next at a constant rate: over the
 * underlay from host to host, or from container to container over VXLAN, in clear or encrypted. The same as ns3/star.cc.
 */
import { ip, Kernel, overlayHosts } from "./kernel.mjs";
import { cpuNs } from "./measure.mjs";
import { encryptOverlay, sealedPackets } from "./xfrm.mjs";

const PORT = 5000;
/** The switch's ports: 10 Gbit/s; from host to host 2 µs (ns-3: 1 µs on each side of the switch). */
const RATE = 1e10;
const DELAY = 2000;

/** The star, ready to run: `over` is "plain", "vxlan" or "esp"; `interval` is in ns, for each host. */
export function star(over, hosts, size, interval) {
  const kernel = new Kernel();
  const { x } = kernel;
  const sides = overlayHosts(kernel, hosts, { rate: RATE, delay: DELAY, mtu: over === "esp" ? 1424 : 1450 });
  if (over === "esp") encryptOverlay(kernel, sides);
  const ends = sides.map((side, i) =>
    over === "plain" ? { ns: side.ns, ip: ip(`192.168.77.${11 + i}`) } : { ns: side.container, ip: side.ip },
  );
  const next = (i) => (i + 1) % hosts;
  const sinks = ends.map(({ ns }) => {
    const sink = x.udpOpen(ns);
    x.udpBind(sink, 0, PORT);
    return sink;
  });
  // A datagram back first, so that all on the way know both ends, as after any real exchange.
  for (const [i, { ip: address }] of ends.entries()) {
    x.udpSendTo(sinks[next(i)], address, PORT, 10);
    kernel.run(x.time() + 1e6);
  }
  for (const [i, { ns }] of ends.entries()) {
    x.sockSetSink(sinks[i], 1);
    const to = ends[next(i)].ip;
    const sk = x.udpOpen(ns);
    x.udpConnect(sk, to, PORT);
    x.udpFlowStart(sk, to, PORT, size, interval, 0xffffffff);
    kernel.run(x.time() + interval / hosts);
  }
  const received = () => sinks.reduce((sum, sk) => sum + kernel.view().getFloat64(x.sockReceived(sk), true), 0);
  return {
    received,
    /** Runs until about `count` datagrams were sent; returns how many arrived in that time. */
    run(count) {
      const before = received();
      kernel.run(x.time() + (count / hosts) * interval);
      return received() - before;
    },
    hops: () => sides.reduce((sum, side) => sum + hopsAt(kernel, side), 0),
    opened: () => sides.reduce((sum, { ns }, i) => sum + opened(kernel, ns, (i + hosts - 1) % hosts), 0),
    dropped: () => sides.reduce((sum, { host }) => sum + kernel.packets(host).dropped, 0),
  };
}

/** What a host's devices that have a peer (NIC, both ends of the container's veth) have received from it. */
function hopsAt(kernel, { nic, veth, eth0 }) {
  const packets = (dev) => Number(kernel.view().getBigUint64(kernel.x.linkInfo(dev) + 64, true));
  return packets(nic) + packets(veth) + packets(eth0);
}

/** Packets from a host that were opened in a namespace. */
function opened(kernel, ns, from) {
  return kernel.x.xfrmStateDump(ns, 0) === 0 ? 0 : sealedPackets(kernel, ns, from);
}

/**
 * A variant to measure. Each sample checks that what was sent arrived and that nothing was dropped, and that the
 * hops are as many as the road has.
 */
export function starVariant(name, over, hosts, size, interval, count) {
  const hopsEach = over === "plain" ? 1 : 3;
  const made = star(over, hosts, size, interval);
  for (const end = cpuNs() + 3e8; cpuNs() < end; ) made.run(count / 8);
  return {
    name,
    hops: hopsEach,
    sample() {
      const [hops, opens, drops] = [made.hops(), made.opened(), made.dropped()];
      const start = cpuNs();
      const got = made.run(count);
      const ns = (cpuNs() - start) / got;
      const slack = 2 * hosts;
      const wrong = (value, expected) => Math.abs(value - expected) > slack * hopsEach;
      if (wrong(got, count)) throw new Error(`${name}: ${got} of ${count} datagrams arrived`);
      if (wrong(made.hops() - hops, got * hopsEach)) throw new Error(`${name}: ${made.hops() - hops} hops of ${got}`);
      if (made.dropped() !== drops) throw new Error(`${name}: ${made.dropped() - drops} dropped`);
      if (over === "esp" && wrong(made.opened() - opens, got)) throw new Error(`${name}: ${made.opened()} opened`);
      return ns;
    },
  };
}
