/**
 * The emulated Linux kernel of one worker: one Wasm instance that carries all the worker's hosts and their
 * network namespaces. This folder is the only one that touches the instance or its memory; programs see the
 * types of types.ts. Records in the kernel are known by their addresses (handles).
 */
import { RUN_DONE, RUN_WAKES } from "../../assembly/abi.ts";
import { assert, UserError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { FOREVER, type Time } from "../base/time.ts";
import { type CapturedFrame, RecordCursor } from "./capture-records.ts";
import { Host } from "./host.ts";
import { deviceOf } from "./links.ts";
import { KernelMemory } from "./memory.ts";
import { Namespace } from "./netns.ts";
import type { SocketBase } from "./socket.ts";
import { PacketTaps } from "./taps.ts";
import type { LinkInfo, NetNs } from "./types.ts";
import { Underlay } from "./underlay.ts";
import { instantiateKernel, type KernelExports, MAXIMUM_PAGES, PAGE_BYTES, type WasmModule } from "./wasm.ts";
import type { XfrmEvent } from "./xfrm-types.ts";

/** Events handled in one call of run(), so that a run that never rests is noticed and can be interrupted. */
const EVENT_BUDGET = 1 << 20;
/** And where somebody wants to look up now and then: some hundred microseconds of work. */
const SMALL_BUDGET = 1 << 9;

/** What happened to a link; "change" is a new name, MAC, MTU or namespace (the link's or its namespace's own name). */
export type LinkEventKind = "add" | "del" | "change";

/** Hears of links that come, change and go. `ns` is where the link is now. */
export type LinkListener = (ns: NetNs, link: LinkInfo, kind: LinkEventKind) => void;

/** Hears of IPsec states and policies that come, change and go in any namespace, as `ip xfrm monitor` does. */
export type XfrmListener = (ns: NetNs, event: XfrmEvent) => void;

/** Why run() returned. */
export type RunStop =
  /** The clock stands at `until`; nothing is due up to it. */
  | "done"
  /** A socket has news: its waiters were told; the clock stands at the instant of the event. */
  | "wakes"
  /** The capture buffer is more than half full, or many events were handled: drain it and call again. */
  | "pause";

/** Counters of one worker's kernel. */
export interface KernelCounters {
  /** Events handled: frames that arrived, timers. */
  readonly events: number;
  readonly pendingEvents: number;
  /** Frames that one end of a veth pair sent and the other received, of all hosts. */
  readonly vethHops: number;
  /** Bytes of blocks that are held. */
  readonly memoryInUse: number;
  /** Bytes of the instance's memory: what the operating system sees, at most 2 GiB less 64 KiB. */
  readonly memoryHeld: number;
  readonly blocks: number;
}

/** One instance of the Wasm module with its memory: all hosts of one worker. */
export class Kernel {
  readonly exports: KernelExports;
  readonly mem: KernelMemory;
  readonly underlay: Underlay;
  /** Packet sockets of programs. */
  readonly taps: PacketTaps;
  readonly #hosts: Host[] = [];
  readonly #indices = new Set<number>();
  readonly #namespaces = new Map<number, Namespace>();
  readonly #sockets = new Map<number, SocketBase>();
  /** Sockets that have news, while their waiters are told. */
  #wakes = new Uint32Array(64);
  readonly #listeners: LinkListener[] = [];
  readonly #xfrmListeners: XfrmListener[] = [];

  readonly #worker: number;

  private constructor(
    module: WasmModule,
    worker: number,
    wrap: ((exports: KernelExports) => KernelExports) | undefined,
    pages: number,
  ) {
    this.#worker = worker;
    const { exports: raw, memory } = instantiateKernel(module, pages, (held) => this.#exhausted(held, pages));
    const exports = wrap === undefined ? raw : wrap(raw);
    this.exports = exports;
    this.mem = new KernelMemory(memory);
    this.underlay = new Underlay(this);
    this.taps = new PacketTaps(exports);
    exports.boot(worker);
  }

  /**
   * Starts a kernel.
   * @param worker this worker's number, as ports name it
   * @param wrap what stands between the module's functions and everybody who calls them: a profile's clock
   * @param pages most memory that it may take, in PAGE_BYTES. Whoever makes it need more gets a UserError; the kernel is
   *   of no use afterwards.
   */
  static create(
    module: WasmModule,
    worker = 0,
    wrap?: (exports: KernelExports) => KernelExports,
    pages = MAXIMUM_PAGES,
  ): Kernel {
    return new Kernel(module, worker, wrap, pages);
  }

  /** What is said when the kernel gets no more memory: which worker's it is, what it holds, what helps. */
  #exhausted(held: number, pages: number): UserError {
    const mib = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
    const hosts = this.#hosts.length;
    const limit = pages * PAGE_BYTES;
    const why =
      limit - held < 2 ** 20 ? "which is its limit" : `and the system gives it no more (its limit is ${mib(limit)})`;
    return new UserError(
      `worker ${this.#worker} is out of memory: its kernel holds ${mib(held)}, ${why}, ` +
        `for ${hosts} ${hosts === 1 ? "host" : "hosts"} with ${this.exports.namespaceCount()} network namespaces ` +
        `and ${this.exports.eventsPending()} pending events; spread the hosts over more workers, or make the run smaller`,
    );
  }

  /**
   * Adds a machine, with its root namespace.
   * @param index position of the host in the lab: part of the order of events, so it must be the same in every run
   * @param random the host's stream; the kernel's own random numbers and MAC addresses are forks of it
   */
  addHost(name: string, index: number, random: Random): Host {
    assert(!this.#indices.has(index), "host index is unique", index);
    this.#indices.add(index);
    const host = new Host(this, name, index, random.fork("kernel"));
    this.#hosts.push(host);
    return host;
  }

  hosts(): readonly Host[] {
    return this.#hosts;
  }

  // -------------------------------------------------------------------------------------------- time

  /** The kernel's clock. */
  get now(): Time {
    return this.exports.time();
  }

  /** Moves the clock forward to a time before which nothing is due. */
  setClock(time: Time): void {
    this.exports.setTime(time);
  }

  /** When the next event is due; FOREVER when there is none. */
  nextEvent(): Time {
    return Math.min(this.exports.nextEvent(), FOREVER);
  }

  /** Until when no timer is due but those of upkeep, see assembly/quiet.ts; undefined while a frame is on a wire. */
  quietUntil(): Time | undefined {
    const until = this.exports.quietUntil();
    return until < 0 ? undefined : Math.min(until, FOREVER);
  }

  /** Sets the clock forward by quiet time: upkeep goes on from where it was, what it doesn't refresh ages. */
  skip(span: Time): void {
    this.exports.quietSkip(span);
  }

  /** When the last event was handled. */
  lastEvent(): Time {
    return this.exports.lastEvent();
  }

  /**
   * Ends the present window, and each one from now on, after the instant at which something happens.
   * @param what WATCH_* of assembly/abi.ts, or-ed; 0 for nothing
   */
  watch(what: number): void {
    this.exports.watch(what);
  }

  /** What of it has happened, WATCH_*. */
  watched(): number {
    return this.exports.watched();
  }

  /**
   * Handles events up to and including `until`, unless it has reason to stop before. Sockets that have news tell their waiters.
   * @param often it stops after few events, too
   */
  run(until: Time, often = false): RunStop {
    if (this.deliverWakes()) return "wakes";
    const stop = this.exports.run(until, often ? SMALL_BUDGET : EVENT_BUDGET);
    if (stop === RUN_DONE) return "done";
    if (stop !== RUN_WAKES) return "pause";
    this.deliverWakes();
    return "wakes";
  }

  /** Tells the waiters of sockets that have news; true when there were any. A system call can cause news as well as a packet. */
  deliverWakes(): boolean {
    const count = this.exports.wakesPending();
    if (count === 0) return false;
    const list = this.exports.wakeList();
    if (count > this.#wakes.length) this.#wakes = new Uint32Array(2 * count);
    const wakes = this.#wakes;
    const { view } = this.mem;
    for (let i = 0; i < count; i++) wakes[i] = view.getUint32(list + 4 * i, true);
    this.exports.clearWakes();
    // A handle of 0 is a socket that was freed since; one without an object is a connection not accepted yet.
    for (let i = 0; i < count; i++) this.#sockets.get(wakes[i] as number)?.notify();
    return true;
  }

  // -------------------------------------------------------------------------------------------- handles

  /** The namespace with that handle; undefined for 0 and for one that is parked. */
  namespaceAt(handle: number): Namespace | undefined {
    return this.#namespaces.get(handle);
  }

  /** The kernel's own object behind a NetNs. */
  namespaceOf(ns: NetNs): Namespace {
    assert(ns instanceof Namespace, "a namespace of this kernel", ns.name);
    return ns;
  }

  addNamespace(ns: Namespace): void {
    this.#namespaces.set(ns.handle, ns);
  }

  removeNamespace(ns: Namespace): void {
    this.#namespaces.delete(ns.handle);
  }

  addSocket(socket: SocketBase): void {
    this.#sockets.set(socket.handle, socket);
    socket.ns.adopt(socket);
  }

  removeSocket(socket: SocketBase): void {
    if (this.#sockets.get(socket.handle) === socket) this.#sockets.delete(socket.handle);
    socket.ns.release(socket);
  }

  socketAt(handle: number): SocketBase | undefined {
    return this.#sockets.get(handle);
  }

  // -------------------------------------------------------------------------------------------- links and captures

  /** Calls back for every link that is added, changed or deleted from now on. */
  onLink(listener: LinkListener): void {
    this.#listeners.push(listener);
  }

  /** Called by the link layer. */
  linkEvent(ns: Namespace, dev: number, kind: LinkEventKind): void {
    ns.owner.linkChanged();
    if (kind === "del") this.taps.forget(dev);
    if (this.#listeners.length === 0) return;
    const info = ns.readLink(dev);
    for (const listener of this.#listeners) listener(ns, info, kind);
  }

  /** Calls back for every IPsec state or policy that is added, changed or deleted from now on. */
  onXfrm(listener: XfrmListener): void {
    this.#xfrmListeners.push(listener);
  }

  /** Called by NETLINK_XFRM after a state or policy was added, replaced or deleted, one event each. */
  xfrmEvent(ns: Namespace, event: XfrmEvent): void {
    for (const listener of this.#xfrmListeners) listener(ns, event);
  }

  /**
   * Captures on a device, or stops (`pointId` 0).
   * @param pointId stands in the device's records
   * @param snaplen bytes kept of a frame
   */
  setCapture(ns: NetNs, ifindex: number, pointId: number, snaplen: number): void {
    this.taps.setTrace(deviceOf(this.namespaceOf(ns), ifindex, "capture"), pointId, snaplen);
  }

  /** Switches marks on or off (marks.ts): what happens to packets between devices. */
  setMarks(on: boolean): void {
    this.exports.marksSet(on ? 1 : 0);
  }

  /** Takes the records captured so far for traces as one chunk of raw bytes (CAP_* in abi.ts), or undefined when there are none. */
  takeCapture(): Uint8Array<ArrayBuffer> | undefined {
    const used = this.exports.captureUsed();
    if (used === 0) return undefined;
    const chunk = this.mem.copy(this.exports.captureBuffer(), used);
    this.exports.captureClear();
    assert(this.exports.captureLost() === 0, "captured frames fit the buffer", this.exports.captureLost());
    return this.taps.divide(chunk);
  }

  /** The frames captured so far, in the kernel's order; takes them out of the buffer. */
  *captured(): Generator<CapturedFrame> {
    const cursor = new RecordCursor([this.takeCapture() ?? new Uint8Array(0)]);
    while (cursor.next()) if (!cursor.isMark) yield cursor.frame();
  }

  counters(): KernelCounters {
    assert(this.exports.snmpStray() === 0, "a namespace that counts has counters", this.exports.snmpStray());
    return {
      events: this.exports.eventCount(),
      pendingEvents: this.exports.eventsPending(),
      vethHops: this.exports.vethHopCount(),
      memoryInUse: this.exports.memoryInUse(),
      memoryHeld: this.mem.memory.buffer.byteLength,
      blocks: this.exports.blocksHeld(),
    };
  }
}
