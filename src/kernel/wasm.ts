/**
 * The kernel module: its exports as TypeScript sees them, and its instantiation.
 *
 * The module is instantiated through `@assemblyscript/loader`. Its wrapped exports are not used: each wrapper costs
 * more than the call, and the kernel exchanges numbers only. So the raw exports of the instance are taken. A failed
 * `assert` of the kernel becomes an Error with its source position; a kernel out of memory a UserError that says what it
 * holds.
 *
 * The types of the WebAssembly namespace are declared here as far as they are needed, since TypeScript has
 * them in its DOM library only and this folder knows no DOM.
 */
import { instantiateSync } from "@assemblyscript/loader";

/** A compiled module: an opaque value that can be posted to workers. */
export type WasmModule = object;

/** A shared memory; can be posted to workers. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

interface WasmNamespace {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
  compile(bytes: Uint8Array): Promise<WasmModule>;
}

const wasm = (globalThis as unknown as { WebAssembly: WasmNamespace }).WebAssembly;

/** Bytes of a page of Wasm memory. */
export const PAGE_BYTES = 65_536;
/** Limits of the kernel's memory in pages; asconfig.json has the same. 2 GiB less a page, so that addresses stay positive. */
const INITIAL_PAGES = 256;
/** Most pages that one kernel, so one worker, can have. */
export const MAXIMUM_PAGES = 32_767;

/** Compiles the kernel once; workers are given the module and share its code. */
export function compileKernel(bytes: Uint8Array): Promise<WasmModule> {
  return wasm.compile(bytes);
}

/** The exports of assembly/index.ts: plain functions of numbers. */
export interface KernelExports
  extends LinkExports,
    InetExports,
    NetfilterExports,
    XfrmExports,
    IpvsExports,
    UdpExports,
    MeterExports,
    TcpExports,
    SctpExports,
    CryptoExports {
  boot(worker: number): void;
  run(until: number, budget: number): number;
  time(): number;
  setTime(to: number): void;
  nextEvent(): number;
  lastEvent(): number;
  watch(what: number): void;
  watched(): number;
  quietUntil(): number;
  quietSkip(span: number): void;
  eventCount(): number;
  eventsPending(): number;
  wakesPending(): number;
  memoryInUse(): number;
  blocksHeld(): number;
  namespaceCount(): number;
  scratch(): number;
  sockTakeError(socket: number): number;
  wakeList(): number;
  clearWakes(): void;
  captureBuffer(): number;
  captureUsed(): number;
  captureLost(): number;
  captureClear(): void;
  dropLog(): number;
  marksSet(on: number): void;
  outboxFlip(): void;
  outboxRecords(worker: number): number;
  outboxCount(worker: number): number;
  outboxBytes(worker: number): number;
  outboxUsed(worker: number): number;
  outboxEarliest(worker: number): number;
  outboxReturn(worker: number, delay: number): void;
  windowEnd(): number;
  inboxReserve(size: number): number;
  inboxTake(count: number, from: number, notBefore: number): void;
  wireImport(
    port: number,
    arrivalHigh: number,
    arrivalLow: number,
    tieHigh: number,
    tieLow: number,
    len: number,
    flags: number,
    via: number,
    from: number,
    late: number,
  ): number;
}

/** assembly/crypto/border.ts */
interface CryptoExports {
  aeadNew(keyLength: number): number;
  aeadFree(key: number): void;
  aeadBuffer(aadLength: number, length: number): number;
  aeadSeal(key: number, aadLength: number, length: number): void;
  aeadOpen(key: number, aadLength: number, length: number): number;
}

/** assembly/link/border.ts */
interface LinkExports {
  hostNew(index: number, a: number, b: number, c: number, d: number): number;
  hostRoot(host: number): number;
  hostSetRoot(host: number, ns: number): void;
  hostDrops(host: number): number;
  hostPackets(host: number): number;
  vethHopCount(): number;
  netnsNumber(ns: number): number;
  netnsNew(host: number): number;
  netnsDel(ns: number): void;
  netnsPark(ns: number, length: number): void;
  netnsUnpark(ns: number): void;
  netnsParkedName(ns: number): number;
  netnsParkedFirst(host: number): number;
  netnsParkedNext(ns: number): number;
  netnsSetBrNf(ns: number, on: number): void;
  netnsGetBrNf(ns: number): number;
  linkFirst(ns: number): number;
  linkNextOf(dev: number): number;
  linkByIndex(ns: number, ifindex: number): number;
  linkByName(ns: number): number;
  linkSetName(dev: number): number;
  linkNewVeth(ns: number, peerNs: number): number;
  linkNewBridge(ns: number, ageing: number): number;
  linkNewVxlan(ns: number, vni: number, port: number, flags: number, ttl: number, tos: number, ageing: number): number;
  linkNewNic(ns: number, port: number): number;
  linkDel(dev: number): void;
  linkSetUp(dev: number, up: number): void;
  linkSetMtu(dev: number, mtu: number): number;
  linkSetMac(dev: number, high: number, low: number): void;
  linkSetMaster(dev: number, master: number): number;
  linkSetHairpin(dev: number, on: number): void;
  linkSetNs(dev: number, ns: number): number;
  linkSetCapture(dev: number, point: number, snaplen: number): void;
  linkInfo(dev: number): number;
  fdbAdd(dev: number, macHigh: number, macLow: number, vtep: number, mode: number, master: number): number;
  fdbDel(dev: number, macHigh: number, macLow: number, vtep: number, master: number): number;
  fdbDump(dev: number, skip: number): number;
  portNew(
    segment: number,
    host: number,
    worker: number,
    macHigh: number,
    macLow: number,
    delay: number,
    rate: number,
  ): number;
  portSet(port: number, down: number, delay: number, rate: number, loss: number, queue: number, group: number): void;
  portFilterAdd(port: number, ethertype: number, protocol: number, transportPort: number, ip: number): void;
  portFilterClear(port: number): void;
  fabricNew(segment: number, seed: number, spines: number, delay: number, rate: number, queue: number): void;
  portPlug(port: number, leaf: number, ip: number): void;
  fabricLinkChange(segment: number, leaf: number, spine: number, down: number, delay: number, loss: number): void;
  fabricLinkCounters(segment: number, leaf: number, spine: number, way: number): number;
}

/** assembly/netfilter/border.ts */
interface NetfilterExports {
  nfTableUsed(ns: number, table: number): number;
  nfChainNew(ns: number, table: number): number;
  nfChainDel(ns: number, table: number): number;
  nfChainFlush(ns: number, table: number): number;
  nfChainPolicy(ns: number, table: number, policy: number): number;
  nfRuleInsert(ns: number, table: number, position: number, len: number): number;
  nfRuleDelete(ns: number, table: number, len: number): number;
  nfRuleCheck(ns: number, table: number, len: number): number;
  nfChainFirst(ns: number, table: number): number;
  nfChainNext(chain: number): number;
  nfChainInfo(chain: number): void;
  nfRuleInfo(rule: number): void;
  nfChainZero(chain: number): void;
  nfRuleZero(rule: number): void;
  nfCtDump(ns: number, skip: number): number;
  nfCtFlush(ns: number): void;
  nfCtDel(connection: number): void;
  nfCtCount(ns: number): number;
  nfCtSysctlGet(ns: number, index: number): number;
  nfCtSysctlSet(ns: number, index: number, value: number): number;
}

/** assembly/xfrm/border.ts */
interface XfrmExports {
  xfrmStateAdd(ns: number): number;
  xfrmStateUpdate(ns: number): number;
  xfrmStateDel(ns: number): number;
  xfrmStateFlush(ns: number): void;
  xfrmStateDump(ns: number, skip: number): number;
  xfrmPolicyInsert(ns: number, exclusive: number): number;
  xfrmPolicyDel(ns: number): number;
  xfrmPolicyFlush(ns: number): void;
  xfrmPolicyDump(ns: number, skip: number): number;
  xfrmDefaultGet(ns: number, dir: number): number;
  xfrmDefaultSet(ns: number, dir: number, action: number): number;
  xfrmStat(ns: number): number;
}

/** assembly/ipvs/border.ts */
interface IpvsExports {
  ipvsServiceAdd(ns: number): number;
  ipvsServiceSet(ns: number): number;
  ipvsServiceDel(ns: number): number;
  ipvsDestAdd(ns: number): number;
  ipvsDestSet(ns: number): number;
  ipvsDestDel(ns: number): number;
  ipvsFlush(ns: number): void;
  ipvsZeroAll(ns: number): void;
  ipvsZero(ns: number): number;
  ipvsServiceDump(ns: number, skip: number): number;
  ipvsDestDump(service: number, skip: number): number;
  ipvsConnDump(ns: number, skip: number): number;
  ipvsStats(ns: number): number;
  ipvsTimeoutsSet(ns: number, tcp: number, tcpFin: number, udp: number): number;
  ipvsTimeout(ns: number, which: number): number;
  ipvsSysctlGet(ns: number, index: number): number;
  ipvsSysctlSet(ns: number, index: number, value: number): number;
}

/** assembly/inet/border.ts */
interface InetExports {
  addressAdd(dev: number, ip: number, prefix: number, broadcast: number, scope: number): number;
  addressDel(dev: number, ip: number, prefix: number): number;
  addressDump(ns: number, skip: number): number;
  routeAdd(
    ns: number,
    dst: number,
    prefix: number,
    via: number,
    dev: number,
    src: number,
    metric: number,
    type: number,
    protocol: number,
    scope: number,
    table: number,
    mode: number,
  ): number;
  routeDel(
    ns: number,
    dst: number,
    prefix: number,
    via: number,
    dev: number,
    src: number,
    metric: number,
    type: number,
    protocol: number,
    scope: number,
    table: number,
  ): number;
  routeDump(ns: number, table: number, skip: number): number;
  routeGet(ns: number, dst: number, src: number, oif: number): number;
  routePathMtu(ns: number, dst: number): number;
  inetLinkChanged(dev: number): void;
  neighAdd(dev: number, ip: number, macHigh: number, macLow: number, state: number, replace: number): number;
  neighDel(dev: number, ip: number): number;
  neighDump(ns: number, skip: number): number;
  inetSysctlGet(ns: number, id: number): number;
  inetSysctlSet(ns: number, id: number, value: number): number;
  inetConfGet(ns: number, which: number, id: number): number;
  inetConfSet(ns: number, which: number, id: number, value: number): number;
  snmpCounters(ns: number): number;
  snmpCount(): number;
  snmpStray(): number;
}

/** assembly/socket/udp-border.ts: UDP, ping and raw sockets, and options that all sockets have. */
interface UdpExports {
  udpOpen(ns: number): number;
  udpBind(socket: number, ip: number, port: number): number;
  udpConnect(socket: number, ip: number, port: number): number;
  udpSendTo(socket: number, ip: number, port: number, length: number): number;
  udpSendConnected(socket: number, length: number): number;
  udpRecv(socket: number): number;
  dgramDone(socket: number): void;
  dgramClose(socket: number): void;
  sockSetBroadcast(socket: number, on: number): void;
  sockSetTtl(socket: number, ttl: number): void;
  sockSetPmtuDisc(socket: number, mode: number): void;
  sockSetSink(socket: number, on: number): void;
  sockReceived(socket: number): number;
  udpFlowStart(socket: number, ip: number, port: number, length: number, interval: number, count: number): number;
  udpFlowStats(flow: number): number;
  sockLocal(socket: number): number;
  socketDump(ns: number, skip: number): number;
  icmpOpen(ns: number, id: number): number;
  icmpSendEcho(socket: number, ip: number, seq: number, length: number): number;
  icmpRecv(socket: number): number;
  rawOpen(ns: number, protocol: number): number;
  rawSendTo(socket: number, ip: number, length: number): number;
  rawRecv(socket: number): number;
}

/** assembly/socket/meter-border.ts */
interface MeterExports {
  meterNew(host: number): number;
  meterFree(meter: number): void;
  meterListen(meter: number, ns: number, port: number, tag: number): number;
  meterGenerate(
    meter: number,
    ns: number,
    flow: number,
    group: number,
    port: number,
    to: number,
    toPort: number,
    length: number,
    startIn: number,
    endIn: number,
    interval: number,
    poisson: number,
    seedHigh: number,
    seedLow: number,
  ): number;
  meterSent(meter: number, skip: number): number;
  meterSeen(meter: number, skip: number): number;
  meterDelays(meter: number, group: number): number;
  meterStrays(meter: number): number;
  meterServe(meter: number, ns: number, port: number, tag: number, response: number): number;
  meterRequest(
    meter: number,
    ns: number,
    flow: number,
    group: number,
    firstPort: number,
    portStep: number,
    ports: number,
    to: number,
    toPort: number,
    response: number,
    startIn: number,
    endIn: number,
    interval: number,
    seedHigh: number,
    seedLow: number,
  ): void;
  meterFailures(meter: number): number;
  exponentialAt(seedHigh: number, seedLow: number, n: number): number;
}

/** assembly/socket/sctp-border.ts */
interface SctpExports {
  sctpOpen(ns: number): number;
  sctpBind(socket: number, ip: number, port: number): number;
  sctpListen(socket: number, backlog: number): number;
  sctpConnect(socket: number, ip: number, port: number): number;
  sctpAccept(socket: number): number;
  sctpSend(socket: number, from: number, length: number, stream: number, ppid: number, unordered: number): number;
  sctpRecv(socket: number, max: number): number;
  sctpShutdown(socket: number): number;
  sctpClose(socket: number): void;
  sctpAbort(socket: number): void;
  sctpState(socket: number): number;
  sctpNames(socket: number): number;
  sctpUnacked(socket: number): number;
  sctpSetNoDelay(socket: number, on: number): void;
  sctpInfo(socket: number): number;
  sctpDump(ns: number, cursor: number): number;
}

/** assembly/socket/tcp-border.ts */
interface TcpExports {
  tcpOpen(ns: number): number;
  tcpBind(socket: number, ip: number, port: number): number;
  tcpListen(socket: number, backlog: number): number;
  tcpConnect(socket: number, ip: number, port: number): number;
  tcpAccept(socket: number): number;
  tcpSend(socket: number, from: number, length: number): number;
  tcpRecv(socket: number, into: number, max: number): number;
  tcpShutdown(socket: number): number;
  tcpClose(socket: number): void;
  tcpAbort(socket: number): void;
  tcpState(socket: number): number;
  tcpLocalIp(socket: number): number;
  tcpLocalPort(socket: number): number;
  tcpRemoteIp(socket: number): number;
  tcpRemotePort(socket: number): number;
  tcpUnacked(socket: number): number;
  tcpSetNoDelay(socket: number, on: number): void;
  tcpSetKeepalive(socket: number, on: number, idle: number, interval: number, probes: number): void;
  tcpSetSink(socket: number, on: number, wakeAt: number): void;
  tcpBytesReceived(socket: number): number;
  tcpSendPattern(socket: number, length: number): number;
  tcpInfo(socket: number): number;
  tcpDump(ns: number, cursor: number): number;
}

/** Text of a failed assertion of the module: UTF-16, its bytes counted in the word before it. */
function textAt(memory: WasmMemory, at: number): string {
  if (at === 0) return "";
  const view = new DataView(memory.buffer);
  const length = view.getUint32(at - 4, true) >>> 1;
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(view.getUint16(at + 2 * i, true));
  return text;
}

/**
 * Makes an instance with a memory of its own.
 * @param pages most pages that it may have
 * @param exhausted makes the error of a kernel that gets no more memory, when the instance holds so many bytes
 */
export function instantiateKernel(
  module: WasmModule,
  pages: number,
  exhausted: (held: number) => Error,
): { exports: KernelExports; memory: WasmMemory } {
  const memory = new wasm.Memory({ initial: Math.min(INITIAL_PAGES, pages), maximum: pages, shared: true });
  const abort = (message: number, file: number, line: number, column: number): never => {
    const text = textAt(memory, message);
    if (text === "out of memory") throw exhausted(memory.buffer.byteLength);
    throw new Error(`kernel: ${text} at ${textAt(memory, file)}:${line}:${column}`);
  };
  const { instance } = instantiateSync(module as never, { env: { memory, abort } } as never);
  return { exports: (instance as { exports: unknown }).exports as KernelExports, memory };
}
