/** What is measured; each variant has its own kernel, so that they don't share caches of routes or connections. */
import { abi, CONTAINER_RULES, ip, iptablesRestore, Kernel, twoHosts } from "./kernel.mjs";
import { ObjectHeap } from "./object-heap.mjs";
import { encryptOverlay, overlayKey, sealedPackets } from "./xfrm.mjs";

/**
 * Figures of others, ns per packet, not measured in this run: ns-3's and Linux's are what `bench ns3` and `bench linux`
 * measured on two cores of an EPYC with Node 20, the rest is the prototype's (facts/performance.md).
 */
export const PEERS = {
  goal: { name: "of the aim of 1 M packets/s", ns: 1000 },
  ns3: { name: "ns-3.37 optimised (star of 16, CSMA, no checksums, no VXLAN)", ns: 3900 },
  linux: { name: "Linux 6.18's own CPU for the same road", ns: 2600 },
  skeleton: { name: "a bare skeleton of the road (a ceiling)", ns: 110 },
  tunnel: { name: "the prototype without a UDP checksum", ns: 14 },
};

const INTERVAL = 1000;

/** A container on one host sends datagrams to a sink in a container on the other. */
export function road(name, length, options = {}) {
  const kernel = new Kernel();
  const [a, b] = twoHosts(kernel, options);
  const sink = listen(kernel, b.container, a.ip);
  options.prepare?.(kernel, a, b);
  flow(kernel, a.container, b.ip, length);
  return variant(name, kernel, sink, options);
}

/** A sink, which has sent one datagram back, so that all on the way know both ends as after any real exchange. */
function listen(kernel, ns, other) {
  const { x } = kernel;
  const sink = x.udpOpen(ns);
  x.udpBind(sink, 0, 5000);
  x.udpSendTo(sink, other, 5000, 10);
  kernel.run(x.time() + 1e6);
  x.sockSetSink(sink, 1);
  return sink;
}

function flow(kernel, ns, to, length) {
  const { x } = kernel;
  const sk = x.udpOpen(ns);
  x.udpConnect(sk, to, 5000);
  x.udpFlowStart(sk, to, 5000, length, INTERVAL, 0xffffffff);
}

function received(kernel, sink) {
  return kernel.view().getFloat64(kernel.x.sockReceived(sink), true);
}

function variant(name, kernel, sink, options = {}) {
  const { x } = kernel;
  let asked = 0;
  const first = received(kernel, sink);
  return {
    name,
    step: 2000,
    goal: options.goal,
    peers: options.peers ?? [],
    run(count) {
      asked += count;
      kernel.run(x.time() + count * INTERVAL);
    },
    // Nothing was lost: a fast road that drops is not fast.
    check() {
      const got = received(kernel, sink) - first;
      if (Math.abs(got - asked) > 200) throw new Error(`${name}: ${got} of ${asked} datagrams arrived`);
    },
  };
}

/** The same road encrypted: the associations have sealed and opened each datagram. */
function encryptedRoad(name, length, goal) {
  let sides;
  const made = road(name, length, {
    goal,
    mtu: 1424,
    prepare: (kernel, a, b) => {
      sides = [kernel, a, b];
      encryptOverlay(kernel, [a, b]);
    },
  });
  return {
    ...made,
    check() {
      made.check();
      const [kernel, a, b] = sides;
      const got = kernel.packets(b.host).arrived;
      const [sealed, opened] = [a, b].map(({ ns }) => sealedPackets(kernel, ns, 0));
      if (Math.abs(sealed - opened) > 200 || Math.abs(opened - got) > 10)
        throw new Error(`${name}: ${sealed} packets sealed, ${opened} of ${got} opened`);
    },
  };
}

/** What ESP seals of a datagram of `length` bytes: UDP, VXLAN, Ethernet, IP, UDP; pad, its length, the protocol. */
const sealedLength = (length) => (length + 8 + 8 + 14 + 20 + 8 + 2 + 3) & ~3;

/** The cipher's part of that: a packet of that length sealed and opened, headers and all else left out. */
function cipherOnly(length) {
  const kernel = new Kernel();
  const { x } = kernel;
  const bytes = sealedLength(length);
  kernel.put(overlayKey(0, 1));
  const context = x.gcmKeyNew(kernel.scratch, 16);
  const at = (x.kmalloc(2048) + 15) & ~15;
  let sequence = 0;
  return {
    name: `${length} bytes, AES-GCM alone`,
    step: 2000,
    run(count) {
      const view = kernel.view();
      for (let i = 0; i < count; i++) {
        view.setUint32(at + 8, ++sequence);
        x.gcmSeal(context, at, at + 16, 8, at + 32, bytes, at + 32 + bytes, 8);
        if (!x.gcmOpen(context, at, at + 16, 8, at + 32, bytes, at + 32 + bytes, 8)) throw new Error("not opened");
      }
    },
  };
}

const ROAD_SIZES = [64, 256, 576, 1024, 1350];

/** A line a size: what encryption costs on the whole road. */
function penalties(results) {
  const rate = (ns) => `${(1e6 / ns).toFixed(0)} k/s`;
  const row = (...cells) => cells.map((cell, i) => cell.padStart(i === 0 ? 6 : 13)).join("");
  return [
    row("bytes", "clear ns", "packets", "encrypted ns", "packets", "penalty", "of it cipher"),
    ...ROAD_SIZES.map((size, i) => {
      const [clear, sealed, cipher] = results.slice(3 * i, 3 * i + 3).map(({ ns }) => ns);
      const penalty = `-${(100 * (1 - clear / sealed)).toFixed(0)} %`;
      const share = `${((100 * cipher) / (sealed - clear)).toFixed(0)} %`;
      return row(String(size), clear.toFixed(0), rate(clear), sealed.toFixed(0), rate(sealed), penalty, share);
    }),
    "(penalty: how many packets fewer a second; of it cipher: AES-GCM's share of the nanoseconds that encryption adds)",
  ];
}

/** Both hosts' eth0, read when the buffer asks for it as the writer of a trace would: one pass over the records. */
function capturing(name, length) {
  let frames = 0;
  const kernel = new Kernel();
  const { x } = kernel;
  const drain = () => {
    const view = kernel.view();
    let at = x.captureBuffer();
    const end = at + x.captureUsed();
    while (at < end) {
      frames++;
      at += (abi.CAP_HEADER + view.getUint32(at + abi.CAP_CAPLEN, true) + 7) & ~7;
    }
    x.captureClear();
  };
  const [a, b] = twoHosts(kernel);
  const sink = listen(kernel, b.container, a.ip);
  for (const [i, side] of [a, b].entries()) x.linkSetCapture(side.nic, i + 1, 65535);
  flow(kernel, a.container, b.ip, length);
  let asked = 0;
  return {
    ...variant(name, kernel, sink, { peers: ["ns3"] }),
    run(count) {
      asked += count;
      const until = x.time() + count * INTERVAL;
      while (x.run(until, 0xffffffff) !== abi.RUN_DONE) drain();
      drain();
    },
    check() {
      if (frames < 2 * asked - 200) throw new Error(`${name}: ${frames} of ${2 * asked} frames captured`);
      if (x.captureLost() !== 0) throw new Error(`${name}: ${x.captureLost()} records lost`);
    },
  };
}

/** One veth pair between two namespaces of a host. */
export function vethOnly(name, rules, length = 64) {
  const kernel = new Kernel();
  const { x } = kernel;
  const host = x.hostNew(0, 1, 2, 3, 4);
  const [one, two] = [x.netnsNew(host), x.netnsNew(host)];
  const [a, b] = kernel.veth(one, two);
  kernel.called(a, "eth0", 0x02420a000102);
  kernel.called(b, "eth0", 0x02420a000104);
  kernel.address(a, "10.0.1.2/24");
  kernel.address(b, "10.0.1.4/24");
  if (rules) for (const ns of [one, two]) iptablesRestore(kernel, ns, CONTAINER_RULES);
  const sink = listen(kernel, two, ip("10.0.1.2"));
  flow(kernel, one, ip("10.0.1.4"), length);
  return variant(name, kernel, sink);
}

/** Two containers on one bridge. */
function bridged(name) {
  const kernel = new Kernel();
  const { x } = kernel;
  const host = x.hostNew(0, 1, 2, 3, 4);
  const middle = x.netnsNew(host);
  const bridge = kernel.called(x.linkNewBridge(middle, -1), "br0");
  x.linkSetUp(bridge, 1);
  const ends = [2, 4].map((last) => {
    const ns = x.netnsNew(host);
    const [port, eth0] = kernel.veth(middle, ns);
    kernel.called(port, `veth${last}`, 0x02bb00000000 + last);
    kernel.called(eth0, "eth0", 0x02420a000100 + last);
    x.linkSetMaster(port, bridge);
    x.linkSetUp(port, 1);
    kernel.address(eth0, `10.0.1.${last}/24`);
    return ns;
  });
  const sink = listen(kernel, ends[1], ip("10.0.1.2"));
  flow(kernel, ends[0], ip("10.0.1.4"), 64);
  return variant(name, kernel, sink);
}

/** Two hosts on a wire, nothing else. */
function wire(name) {
  const kernel = new Kernel();
  const [a, b] = twoHosts(kernel, { rules: false });
  const sink = listen(kernel, b.ns, ip("192.168.77.11"));
  flow(kernel, a.ns, ip("192.168.77.12"), 64);
  return variant(name, kernel, sink);
}

/** A UDP frame in an Ethernet frame, checksums right, with `length` bytes of payload. */
function innerFrame(length) {
  const frame = new Uint8Array(42 + length);
  const view = new DataView(frame.buffer);
  frame.set([0x02, 0x42, 10, 0, 1, 4, 0x02, 0x42, 10, 0, 1, 2, 8, 0]);
  view.setUint32(14, 0x45000000 + 28 + length);
  view.setUint32(18, 0x12344000);
  view.setUint32(22, 0x40110000);
  view.setUint32(26, ip("10.0.1.2"));
  view.setUint32(30, ip("10.0.1.4"));
  view.setUint16(34, 40_000);
  view.setUint16(36, 5000);
  view.setUint16(38, 8 + length);
  const sum = (from, to, start) => {
    let total = start;
    for (let i = from; i < to; i += 2) total += view.getUint16(i);
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return ~total & 0xffff;
  };
  view.setUint16(24, sum(14, 34, 0));
  view.setUint16(40, sum(34, 42 + length, 17 + 8 + length + 4 * 2570 - 4 * 2570 + 0x0a00 + 0x0102 + 0x0a00 + 0x0104));
  return frame;
}

function tunnel(name, length, { hash = 0, verify = 0, goal } = {}) {
  const kernel = new Kernel();
  const { x } = kernel;
  const [a, b] = twoHosts(kernel, { rules: false });
  const frame = innerFrame(length);
  return {
    name,
    step: 10_000,
    goal,
    peers: ["tunnel"],
    run(count) {
      kernel.put(frame);
      const through = x.vxlanLoop(a.vxlan, b.nic, frame.length, count, hash, verify);
      if (through !== count) throw new Error(`${name}: ${through} of ${count} came through`);
    },
  };
}

function events(pending, goal) {
  const kernel = new Kernel();
  kernel.x.eventFill(pending);
  return { name: `kernel, ${pending} pending`, step: 100_000, goal, run: (count) => kernel.x.eventTurn(count) };
}

function objects(pending) {
  const heap = new ObjectHeap(pending);
  return { name: `object heap in JavaScript, ${pending} pending`, step: 100_000, run: (count) => heap.turn(count) };
}

/** A connection between containers that sends as fast as its window lets it, over 10 Gbit/s. */
function bulk(name) {
  const kernel = new Kernel();
  const { x } = kernel;
  const [a, b] = twoHosts(kernel, { rate: 1e10, delay: 10_000 });
  const listener = x.tcpOpen(b.container);
  x.tcpBind(listener, 0, 80);
  x.tcpListen(listener, 8);
  const sk = x.tcpOpen(a.container);
  x.tcpConnect(sk, b.ip, 80);
  kernel.run(x.time() + 1e7);
  const peer = x.tcpAccept(listener);
  x.tcpSetSink(peer, 1, Infinity);
  const push = () => {
    while (x.tcpSend(sk, kernel.scratch, 65536) > 0);
  };
  push();
  kernel.run(x.time() + 5e8, push); // out of slow start
  const segments = () => kernel.packets(b.host).arrived + kernel.packets(a.host).arrived;
  const first = segments();
  const began = x.tcpBytesReceived(peer);
  const start = x.time();
  let asked = 0;
  return {
    name,
    step: 2000,
    peers: ["ns3"],
    run(count) {
      // Counted in packets on the wire, both directions.
      asked += count;
      while (segments() - first < asked) kernel.run(x.time() + 1e6, push);
    },
    check() {
      const gigabits = ((x.tcpBytesReceived(peer) - began) * 8) / (x.time() - start);
      this.note = `${gigabits.toFixed(2)} Gbit/s of virtual goodput`;
      if (gigabits < 5) throw new Error(`${name}: ${this.note}`);
    },
  };
}

export const BENCHES = {
  road: {
    title: "Container to container over VXLAN, Docker's rules, conntrack and NAT hooks on both hosts, one worker",
    unit: "packet",
    variants: () => [
      road("UDP, 64 bytes", 64, { goal: 1000, peers: ["ns3", "linux", "skeleton"] }),
      road("UDP, 1400 bytes", 1400, { goal: 1000, peers: ["ns3", "linux", "skeleton"] }),
      capturing("UDP, 64 bytes, both eth0 captured", 64),
      capturing("UDP, 1400 bytes, both eth0 captured", 1400),
    ],
  },
  encrypted: {
    title: "The same road, unencrypted and encrypted as dockerd sets it up: mark, policy, ESP both ways, firewall; UDP",
    unit: "packet",
    variants: () =>
      ROAD_SIZES.flatMap((size) => [
        road(`${size} bytes`, size, { mtu: 1424 }),
        encryptedRoad(`${size} bytes, encrypted`, size, size === 1024 ? 5556 : undefined),
        cipherOnly(size),
      ]),
    comment: penalties,
  },
  parts: {
    title: "Parts of that road, 64 bytes of UDP",
    unit: "packet",
    variants: () => [
      vethOnly("socket, veth, socket", false),
      vethOnly("… with conntrack and NAT in both namespaces", true),
      bridged("socket, veth, bridge, veth, socket"),
      wire("socket, NIC, wire, NIC, socket"),
      road("the whole road without a rule, bridge-nf off", 64, { rules: false, bridgeNf: false }),
      road("… bridge-nf on", 64, { rules: false }),
      road("… rules in the containers", 64, {
        rules: false,
        prepare: (kernel, a, b) => {
          for (const side of [a, b]) iptablesRestore(kernel, side.container, CONTAINER_RULES);
        },
      }),
      road("… and on the hosts: the whole road", 64),
    ],
    comment: (results) => {
      const by = Object.fromEntries(results.map((result, i) => [i, result.ns]));
      const line = (what, value) => `${what.padEnd(60)} ${value.toFixed(1).padStart(7)} ns`;
      return [
        line("so: a bridge and a second veth", by[2] - by[0]),
        line("so: both bridges, VXLAN and the outer IP, over the wire", by[4] - by[3]),
        line("so: bridge-nf without rules", by[5] - by[4]),
        line("so: conntrack and NAT hooks in the containers", by[6] - by[5]),
        line("so: conntrack, NAT and filter hooks on the hosts", by[7] - by[6]),
      ];
    },
  },
  tunnel: {
    title: "VXLAN alone: 50 bytes on, checksums of IP and UDP; off again with all checks",
    unit: "packet",
    variants: () => [
      tunnel("64 bytes, flow hash at hand", 64, { hash: 0x12345678, goal: 30 }),
      tunnel("1400 bytes, flow hash at hand", 1400, { hash: 0x12345678, goal: 30 }),
      tunnel("1400 bytes, flow hash computed (SipHash)", 1400),
      tunnel("1400 bytes, outer checksum verified over all bytes", 1400, { hash: 0x12345678, verify: 1 }),
    ],
  },
  events: {
    title: "Event queue: take the first, put one back",
    unit: "pair",
    variants: () => [
      events(10),
      events(1000, 50),
      events(100_000, 100),
      events(1_000_000, 250),
      objects(1000),
      objects(100_000),
    ],
    comment: (results) => [
      `against the object heap: ${(results[4].ns / results[1].ns).toFixed(1)}x at 1000, ${(results[5].ns / results[2].ns).toFixed(1)}x at 100000`,
    ],
  },
  tcp: {
    title: "A TCP connection between containers over the same road, 10 Gbit/s, per packet on the wire (ACKs too)",
    unit: "packet",
    variants: () => [bulk("bulk, 1398 bytes a segment")],
  },
};
