/**
 * Feeds mutated and random frames to every device of two Docker hosts, and checks after each batch that nothing is
 * lost, leaked or overwritten. A trap of the module ends it with the frame that did it.
 *
 *   node test/fuzz/fuzz.mjs [seed] [frames] [encrypted] [watched]
 *
 * With `encrypted` the overlay between the hosts is: what passes there is ESP, and a part of the frames has right ICVs
 * around payloads that are not right. With `watched` marks are written (assembly/link/marks.ts), and read.
 *
 * KERNEL_WASM names the module. One that exports kmalloc (assembly/units.ts) is also watched by canaries: blocks between
 * those that packets get, whose bytes must never change.
 */
import { abi, ip, Kernel, twoHosts } from "../bench/kernel.mjs";
import { collect } from "./corpus.mjs";
import { sealed, secure, secureOverlay, unsealed } from "./ipsec.mjs";
import { balance, change, request, VIP } from "./ipvs.mjs";
import { Mutator, repair } from "./mutate.mjs";
import { Associations } from "./sctp.mjs";

const REASONS = Object.entries(abi).filter(([name]) => name.startsWith("DROP_") && name !== "DROP_REASONS");
const BATCH = 2000;
const CANARY = 0x5a;

const seed = Number(process.argv[2] ?? 1);
const total = Number(process.argv[3] ?? 200_000);
const encrypted = process.argv.slice(4).includes("encrypted");
const marked = process.argv.slice(4).includes("watched");

function fail(what) {
  console.error(`fuzz: seed ${seed}, after ${done} frames: ${what}`);
  process.exit(1);
}

const kernel = new Kernel();
const { x } = kernel;
let done = 0;
/** Marks that were read, by kind. */
const marks = new Map();

/** Reads the marks and takes them away: whole records, of packets that have a journey. */
function readMarks() {
  const view = kernel.view();
  let at = x.captureBuffer();
  const end = at + x.captureUsed();
  while (at < end) {
    const kind = view.getUint32(at + abi.CAP_DIR, true);
    const bytes = view.getUint32(at + abi.CAP_CAPLEN, true);
    const extra = bytes - abi.MARK_BODY;
    if (view.getUint32(at + abi.CAP_POINT, true) !== 0 || kind < 1 || kind > abi.MARK_DELIVER)
      fail("a record is no mark");
    if (extra < 0 || extra > abi.MARK_PACKET) fail(`a mark of ${bytes} bytes`);
    if (view.getUint32(at + abi.CAP_JOURNEY, true) === 0) fail("a mark of no packet");
    marks.set(kind, (marks.get(kind) ?? 0) + 1);
    at += (abi.CAP_HEADER + bytes + 7) & ~7;
  }
  if (at !== end) fail("marks end in the middle");
  x.captureClear();
}

if (marked) x.marksSet(1);

// ---------------------------------------------------------------------------------------------- topology

const sides = twoHosts(kernel, { delay: 20_000, ...(encrypted ? { mtu: 1424 } : {}) });

/** What a busy machine has beside its overlay: listeners, a NAT rule, a second tunnel that floods, a filtered bridge. */
function furnish(side, index) {
  for (const [ns, port] of [
    [side.ns, 7946],
    [side.container, 53],
    [side.container, 58374],
  ]) {
    const sk = x.udpOpen(ns);
    x.udpBind(sk, 0, port);
    side.datagrams.push(sk);
  }
  const connected = x.udpOpen(side.container);
  x.udpBind(connected, 0, 4000);
  x.udpConnect(connected, sides[1 - index].ip, 4000);
  side.datagrams.push(connected, x.icmpOpen(side.container, 77), x.rawOpen(side.container, 89), x.rawOpen(side.ns, 1));
  for (const [ns, port] of [
    [side.ns, 2377],
    [side.container, 80],
  ]) {
    const sk = x.tcpOpen(ns);
    x.tcpBind(sk, 0, port);
    x.tcpListen(sk, 16);
    side.listeners.push(sk);
  }
  // A tunnel with a default destination, not a bridge port, with an address of its own.
  const second = kernel.called(
    x.linkNewVxlan(side.ns, 5000, 4789, 1 | 16, 0, 1, 300e9),
    "vxlan1",
    0x02dd00000001 + index,
  );
  x.fdbAdd(second, 0, 0, ip(`192.168.77.1${2 - index}`), 0, 0);
  x.fdbAdd(second, 0, 0, ip("192.168.77.99"), 2, 0);
  kernel.address(second, `10.5.0.${1 + index}/24`);
  side.second = second;
  // The overlay's bridge is filtered and tracked too on the second host.
  if (index === 1) x.nfCtEnable(side.overlay, 1);
  x.nfCtSysctlSet(side.ns, abi.CTL_MAX, 4096);
  x.inetConfSet(side.container, abi.CONF_ALL, abi.CONF_RP_FILTER, index);
}

for (const [index, side] of sides.entries()) {
  side.datagrams = [];
  side.listeners = [];
  side.streams = [];
  furnish(side, index);
}
secure(kernel, sides);
const servers = sides.map((side) => side.ip);
const balancers = sides.map((side, index) => balance(kernel, side, servers, index, index === 0));
const associations = new Associations(kernel, sides, seed);
const devices = sides.flatMap((side, index) => [
  ...[balancers[index].veth, balancers[index].eth0],
  ...[side.nic, side.nic, side.bridge, side.vxlan, side.vxlan, side.veth, side.eth0, side.eth0, side.eth1],
  ...[side.gateway, side.gwPort, side.second, x.linkFirst(side.container)],
]);
const hosts = sides.map((side) => side.host);

// ---------------------------------------------------------------------------------------------- programs

function connect(from, to, port) {
  const sk = x.tcpOpen(from.container);
  x.tcpConnect(sk, to.ip, port);
  from.streams.push(sk);
}

/** Programs that read what comes, answer a little, and close after a while. */
function serve() {
  for (const side of sides) {
    for (const sk of side.datagrams) {
      x.sockTakeError(sk);
      while (x.udpRecv(sk) >= 0) x.dgramDone(sk);
    }
    for (const listener of side.listeners) {
      for (let sk = x.tcpAccept(listener); sk > 0; sk = x.tcpAccept(listener)) side.streams.push(sk);
    }
    for (const sk of side.streams) {
      if (mutator.below(2) === 0) x.tcpSend(sk, kernel.scratch, 1 + mutator.below(3000));
      while (x.tcpRecv(sk, kernel.scratch, 65536) > 0);
    }
    while (side.streams.length > 12 || (side.streams.length > 0 && mutator.below(20) === 0)) {
      const [sk] = side.streams.splice(mutator.below(side.streams.length), 1);
      if (mutator.below(3) === 0) x.tcpAbort(sk);
      else x.tcpClose(sk);
    }
  }
  if (mutator.below(3) === 0) connect(sides[0], sides[1], 80);
  if (mutator.below(3) === 0) connect(sides[1], sides[0], mutator.below(4) === 0 ? 81 : 80);
  connect(sides[mutator.below(2)], { ip: VIP }, 80 + mutator.below(2));
  for (const side of sides) {
    const to = mutator.below(4) === 0 ? ip("10.0.1.77") : sides[side === sides[0] ? 1 : 0].ip;
    x.udpSendTo(side.datagrams[1], to, 53, mutator.below(4000));
    x.udpSendTo(side.datagrams[1], VIP, 53 + mutator.below(6), mutator.below(3000));
  }
}

/** The administrator at work. */
function disturb() {
  const side = sides[mutator.below(2)];
  const dev = [side.vxlan, side.veth, side.eth0, side.gwPort, side.eth1, side.second][mutator.below(6)];
  switch (mutator.below(10)) {
    case 0:
      x.linkSetUp(dev, 0);
      kernel.run(x.time() + 1e6);
      x.linkSetUp(dev, 1);
      break;
    case 1:
      x.linkSetMtu(dev, 600 + mutator.below(1000));
      x.inetLinkChanged(dev);
      break;
    case 2:
      x.neighDel(side.eth0, sides[1 - sides.indexOf(side)].ip);
      break;
    case 3:
      x.nfCtFlush(side.container);
      break;
    case 4:
      x.linkSetMtu(side.nic, mutator.below(2) === 0 ? 1500 : 1300);
      x.inetLinkChanged(side.nic);
      break;
    case 5:
      x.linkSetMaster(side.veth, 0);
      x.linkSetMaster(side.veth, side.bridge);
      break;
    case 6:
      x.routeFlushCache(side.container);
      break;
    case 7:
      // New states, the counters of sequence numbers at their beginning; some live for a few packets only.
      secure(kernel, sides, mutator.below(2) === 0 ? 1 + mutator.below(20) : Infinity);
      break;
    case 8:
      x.xfrmDefaultSet(side.container, mutator.below(3), mutator.below(2));
      break;
    default:
      kernel.run(x.time() + 40e9);
  }
}

// ---------------------------------------------------------------------------------------------- canaries

const canaries = [];

/** Takes runs of blocks of a packet's size and frees every second one, so that packets lie between canaries. */
function plant(size) {
  const blocks = Array.from({ length: 128 }, () => x.kmallocRaw(size));
  for (const [i, block] of blocks.entries()) {
    if (i % 2 === 0) {
      kernel.u8().fill(CANARY, block, block + size);
      canaries.push({ block, size });
    } else x.kfree(block, size);
  }
}

function checkMemory() {
  const bytes = kernel.u8();
  for (const { block, size } of canaries) {
    for (let at = block; at < block + size; at++)
      if (bytes[at] !== CANARY) fail(`byte ${at - block} behind a packet was written`);
  }
  // Nothing lives below 1024: a store through a null handle would show there.
  for (let at = 0; at < 1024; at++) if (bytes[at] !== lowest[at]) fail(`a store through a null pointer, offset ${at}`);
}

function checkPackets() {
  for (const host of hosts) {
    const p = kernel.packets(host);
    if (p.made + p.arrived !== p.done + p.dropped + p.sent + p.live) fail(`packets don't add up: ${JSON.stringify(p)}`);
    if (p.live < 0) fail(`${p.live} live packets`);
    const drops = kernel.drops(host).reduce((sum, count) => sum + count, 0);
    if (drops !== p.dropped) fail(`${drops} drops by reason, ${p.dropped} in all`);
  }
}

// ---------------------------------------------------------------------------------------------- the run

const mutator = new Mutator(seed);
const corpus = collect(kernel, sides, connect);
if (encrypted) {
  secureOverlay(kernel, sides);
  corpus.push(...collect(kernel, sides, connect));
}
if (x.kmallocRaw !== undefined) for (const size of [512, 2048]) plant(size);
const lowest = kernel.u8().slice(0, 1024);
const baseline = x.memoryInUse();
const started = process.cpuUsage();
let most = 0;
const peaks = [];

function inject(dev, frame) {
  kernel.put(frame);
  try {
    x.linkInject(dev, frame.length);
  } catch (error) {
    const hex = Buffer.from(frame).toString("hex");
    fail(`${error.stack}\ndevice ${devices.indexOf(dev)}, frame ${hex}`);
  }
}

function macOf(dev) {
  const at = x.linkInfo(dev);
  return kernel.view().getBigUint64(at + 16, true);
}

const macs = devices.map(macOf);
while (done < total) {
  for (let i = 0; i < BATCH && done < total; i++, done++) {
    if (mutator.below(encrypted ? 4 : 16) === 0) {
      const { side, frame } = mutator.below(8) === 0 ? unsealed(mutator, sides) : sealed(mutator, sides, corpus);
      new DataView(frame.buffer).setBigUint64(0, macs[devices.indexOf(side.nic)] << 16n);
      frame[6] = 2;
      inject(side.nic, frame);
    } else if (mutator.below(16) === 0) {
      const balancer = balancers[mutator.below(2)];
      const at = mutator.below(4) === 0 ? devices.indexOf(balancer.veth) : devices.indexOf(balancer.eth0);
      const frame = request(mutator, balancer, macs[at]);
      if (mutator.below(4) !== 0) repair(frame);
      inject(devices[at], frame);
    } else {
      const { which, bytes } = mutator.frame(corpus, devices, macs);
      inject(devices[which], bytes);
    }
    if ((i & 7) === 7) {
      const { side, frame } = associations.frame();
      new DataView(frame.buffer).setBigUint64(0, macs[devices.indexOf(side.eth0)] << 16n);
      frame[6] = 2;
      inject(side.eth0, frame);
    }
    if (i % 400 === 399) associations.serve();
    if ((i & 63) === 63) kernel.run(x.time() + mutator.below(200_000));
    if (marked && (i & 15) === 15) readMarks();
  }
  serve();
  if (mutator.below(10) === 0) disturb();
  for (let i = mutator.below(6); i > 0; i--) change(kernel, balancers[mutator.below(2)], mutator);
  kernel.run(x.time() + mutator.below(20_000_000));
  x.clearWakes();
  if (marked) readMarks();
  checkPackets();
  if (done % 20_000 < BATCH) checkMemory();
  most = Math.max(most, x.memoryInUse());
  if (done % Math.ceil(total / 10) < BATCH) {
    peaks.push(most);
    most = 0;
  }
}
const cpu = process.cpuUsage(started);
const balanced = balancers.map(({ ns }) => {
  const at = x.ipvsStats(ns);
  return [0, 8, 16].map((offset) => Number(kernel.view().getBigUint64(at + offset, true)));
});

// Everything that still waits ends: sockets close, timers run out.
for (const side of sides) {
  for (const sk of side.datagrams) x.dgramClose(sk);
  associations.close();
  for (const sk of [...side.streams, ...side.listeners]) x.tcpClose(sk);
}
for (let i = 0; i < 40; i++) {
  kernel.run(x.time() + 60e9);
  if (marked) readMarks();
}
for (const side of sides) for (const ns of [side.ns, side.overlay, side.container]) x.nfCtFlush(ns);
for (const { ns } of balancers) x.nfCtFlush(ns);
checkPackets();
checkMemory();
for (const host of hosts) {
  const { live } = kernel.packets(host);
  if (live !== 0) fail(`${live} packets are still somewhere`);
}
const rest = x.memoryInUse();
if (peaks.length > 3 && Math.max(...peaks.slice(-3)) > 2 * Math.max(...peaks.slice(0, 3)) + 4e6)
  fail(`memory grows: ${peaks}`);
// What is left are rate limits by address, which Linux too keeps up to inet_peer_threshold (65664, here of 32 bytes) in each of
// eight namespaces.
if (rest > baseline + 8 * 65664 * 32 + 4e6) fail(`${rest} bytes are held at the end, ${baseline} at the beginning`);

const heldAtEnd = x.blocksHeld();
for (const { ns } of balancers) x.netnsDel(ns);
for (const side of sides) {
  for (const ns of [side.container, side.overlay]) x.netnsDel(ns);
  x.linkDel(side.nic);
  x.netnsDel(side.ns);
  x.hostSetRoot(side.host, 0);
}
// Without its namespaces a kernel holds tables that it keeps for good, some sixty blocks, and of each host the 64 pages of its
// counters of IP identification, however long it ran.
const bare = x.blocksHeld() - canaries.length;
if (bare > 60 + 64 * sides.length) fail(`${bare} blocks are held without any namespace`);

const seconds = (cpu.user + cpu.system) / 1e6;
console.log(
  `seed ${seed}: ${done} frames, ${Math.round(done / seconds)} a second, ${x.eventCount()} events, ${corpus.length} seeds`,
);
for (const [connections, into, out] of balanced) {
  console.log(`ipvs: ${connections} connections, ${into} packets in, ${out} out`);
  if (done >= 100_000 && Math.min(connections, into) < 100) fail("the load balancers had nothing to do");
}
console.log(associations.summary());
console.log(
  `memory: ${baseline} bytes at first, peaks ${peaks.join(" ")}, ${rest} at the end; blocks: ${heldAtEnd}, without namespaces ${bare}; canaries: ${canaries.length}`,
);
const table = hosts.map((host) => kernel.drops(host));
for (const [name, reason] of REASONS) {
  const [a, b] = table.map((counts) => counts[reason]);
  if (a + b > 0) console.log(`  ${name.slice(5).padEnd(28)} ${String(a).padStart(9)} ${String(b).padStart(9)}`);
}
for (const host of hosts) console.log(JSON.stringify(kernel.packets(host)));
if (marked)
  console.log(
    `marks: ${[...marks]
      .sort(([a], [b]) => a - b)
      .map(([kind, count]) => `${kind}:${count}`)
      .join(" ")}`,
  );
