/**
 * One worker's part of the cluster: a kernel, the scheduler of programs, and the hosts that the worker owns.
 *
 * Order at one instant T, on every host alike: faults, then packets and kernel timers (a packet that wakes a
 * program lets it run before the next packet), then commands from outside, then deadlines of programs. Nothing
 * that a host sees depends on which other hosts share its worker.
 */

import { assert, UserError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { FOREVER, type Time } from "../base/time.ts";
import { CAP_HOP } from "../kernel/capture-records.ts";
import type { Host, PacketCounters } from "../kernel/host.ts";
import { Kernel } from "../kernel/kernel.ts";
import type { LinkInfo, NetNs } from "../kernel/types.ts";
import type { PortSettings } from "../kernel/underlay.ts";
import type { WasmModule } from "../kernel/wasm.ts";
import type { XfrmEvent } from "../kernel/xfrm-types.ts";
import type { BatchOrder } from "./batch.ts";
import {
  type CaptureBatch,
  type CapturedSa,
  CapturePatterns,
  type CapturePoint,
  type MarkedNamespace,
} from "./captures.ts";
import { Fabrics, type LinkCounters } from "./fabric.ts";
import type { PortChange, ResolvedFault } from "./faults.ts";
import type { Disk, HostEvent, HostMachine, MachineFactory, PostedCommand } from "./machine.ts";
import type { HostOs } from "./os.ts";
import { type Clock, type Profile, profiledExports } from "./profile.ts";
import type { HostState, QuietReport, SkipOrder, Upkeep } from "./quiet.ts";
import { HostScheduler, type ScheduledHost } from "./runtime.ts";
import { type HostConfig, type NicConfig, type Topology, wireBytes } from "./topology.ts";

/** Captured points of one host at most: the lower half of a point's id, less CAP_HOP. */
const MAX_POINTS = 0x7fff;

/** What is captured, and how many bytes of a frame. */
export interface CaptureConfig {
  /** Patterns over `host/namespace/device`. */
  readonly patterns: readonly string[];
  /** Bytes kept of each frame. */
  readonly snaplen: number;
  /**
   * Whether every other device is captured, too, and marks are written of what happens between devices (CaptureSink.mark).
   * Not bridges: one that is captured is promiscuous, as its counters show, and nothing may change by being watched.
   * Default false.
   */
  readonly hops?: boolean;
}

/** What all workers are told alike, and which of them this is. Plain data. */
export interface PartitionConfig {
  readonly worker: number;
  /** Worker of each host, by host index. */
  readonly owner: readonly number[];
  readonly topology: Topology;
  readonly capture: CaptureConfig | undefined;
}

/** Counters of one host. */
export interface HostCounters {
  readonly host: number;
  readonly packets: PacketCounters;
  readonly drops: Record<string, number>;
}

/** Counters of a partition. */
export interface PartitionCounters {
  /** Kernel events handled. */
  readonly events: number;
  /** Frames that crossed a veth pair. */
  readonly vethHops: number;
  /** Bytes that the kernel has in use, and those that it has taken from the system. */
  readonly memory: number;
  readonly memoryHeld: number;
  readonly hosts: readonly HostCounters[];
  /** Links of the leaves whose hosts are in this worker. */
  readonly links: readonly LinkCounters[];
}

/** Emitted for a command that came to a host which is switched off. */
export interface RefusedCommand {
  readonly type: "powered-off";
  readonly id: number;
}

/** A host of this worker. */
interface LocalHost {
  readonly config: HostConfig;
  readonly index: number;
  readonly kernel: Host;
  readonly random: Random;
  readonly disk: Disk;
  programs: ScheduledHost | undefined;
  machine: HostMachine | undefined;
  boots: number;
  nextEvent: number;
}

/** The hosts of one worker: their kernel, programs, and the windows in which they run. */
export class Partition {
  readonly kernel: Kernel;
  readonly profile: Profile | undefined;
  readonly #config: PartitionConfig;
  readonly #factory: MachineFactory;
  readonly #scheduler: HostScheduler;
  readonly #hosts = new Map<number, LocalHost>();
  readonly #ports: { settings: PortSettings; readonly host: number; readonly nic: NicConfig }[] = [];
  /** Of each host: number of its first NIC's port, which those of its other NICs follow. */
  readonly #firstPorts: number[] = [];
  readonly #fabrics: Fabrics;
  readonly #patterns: CapturePatterns | undefined;
  /** Points by `host index/namespace/device/mac`. */
  readonly #pointIds = new Map<string, number>();
  /** Points made so far, by host index. */
  readonly #pointCounts = new Map<number, number>();
  #commands: PostedCommand[] = [];
  #events: HostEvent[] = [];
  #emitted = false;
  #points: CapturePoint[] = [];
  #associations: CapturedSa[] = [];
  #namespaces: MarkedNamespace[] = [];
  /** Their last names, by `host index/number`; only while marks are written. */
  readonly #namespaceNames = new Map<string, string>();
  /** Associations made so far, by host index. */
  readonly #associationCounts = new Map<number, number>();
  #chunks: Uint8Array[] = [];
  #capturedBytes = 0;
  #failure: Error | undefined;
  readonly #clock: Clock | undefined;
  /** Whether the kernel watches for something. */
  #watching = false;
  /** Wall time at which this part shall end. */
  #deadline = Number.POSITIVE_INFINITY;

  /**
   * @param profile of the thread that it runs in
   * @param clock wall time in that thread, for parts that end by it
   */
  constructor(module: WasmModule, config: PartitionConfig, factory: MachineFactory, profile?: Profile, clock?: Clock) {
    this.profile = profile;
    this.#clock = clock;
    this.#config = config;
    this.#factory = factory;
    const wrap = profile === undefined ? undefined : profiledExports.bind(undefined, profile);
    this.kernel = Kernel.create(module, config.worker, wrap);
    this.#scheduler = new HostScheduler((host, process, error) => this.#programFailed(host, process.name, error));
    this.#patterns = config.capture === undefined ? undefined : new CapturePatterns(config.capture.patterns);
    // Without a capture nobody listens, and no link needs describing: a million containers have millions of links.
    if (config.capture !== undefined) {
      this.kernel.onLink((ns, link, kind) => {
        if (kind === "del") return;
        if (config.capture?.hops === true) this.#nameNamespace(ns);
        this.#selectCapture(ns, link);
      });
      this.kernel.onXfrm((ns, event) => this.#noteAssociation(ns, event));
      this.kernel.setMarks(config.capture.hops === true);
    }
    this.#fabrics = new Fabrics(this.kernel.underlay, config.topology, config.worker);
    this.#makePorts();
    config.topology.hosts.forEach((host, index) => {
      if (config.owner[index] === config.worker) this.#makeHost(host, index);
    });
  }

  /** Switches every host on, in order. */
  start(): void {
    for (const host of this.#hosts.values()) this.#boot(host);
  }

  // ------------------------------------------------------------------------------------------------ hosts

  #makePorts(): void {
    const segments = new Map<string, number>();
    this.#config.topology.hosts.forEach((host, index) => {
      this.#firstPorts.push(this.#ports.length);
      for (const nic of host.nics) {
        if (!segments.has(nic.segment)) {
          segments.set(nic.segment, segments.size + 1);
          this.#fabrics.addSegment(nic.segment, segments.size);
        }
        const settings = {
          down: false,
          latency: nic.latency,
          bandwidth: nic.bandwidth,
          loss: nic.loss,
          queueBytes: wireBytes(nic.queue, nic.mtu),
          group: 0,
        };
        const worker = this.#config.owner[index] as number;
        const port = this.kernel.underlay.addPort(
          segments.get(nic.segment) as number,
          index,
          worker,
          nic.mac,
          settings,
        );
        assert(port === this.#ports.length, "ports are numbered in the order of the topology", port);
        this.#ports.push({ settings, host: index, nic });
        this.#fabrics.plug(nic, port, worker);
      }
    });
  }

  #makeHost(config: HostConfig, index: number): void {
    const random = new Random(`${this.#config.topology.seed}/${config.name}`);
    const kernel = this.kernel.addHost(config.name, index, random);
    const local: LocalHost = {
      config,
      index,
      kernel,
      random,
      disk: new Map(),
      programs: undefined,
      machine: undefined,
      boots: 0,
      nextEvent: 0,
    };
    this.#hosts.set(index, local);
    this.#plugNics(local);
  }

  #plugNics(host: LocalHost): void {
    const first = this.#firstPorts[host.index] as number;
    host.config.nics.forEach(({ device, mtu }, i) => {
      host.kernel.addNic(first + i, device, mtu);
    });
  }

  /** Each boot has chances of its own: a machine that is reset does not repeat its random numbers. */
  #boot(host: LocalHost): void {
    const random = host.random.fork(`boot ${++host.boots}`);
    const programs = this.#scheduler.createHost(host.config.name, host.index, random);
    const os: HostOs = Object.assign(programs, { kernel: host.kernel });
    host.programs = programs;
    host.machine = this.#factory(os, host.config.machine, (payload) => this.#emit(host, payload), host.disk);
    host.machine.start();
  }

  #powerOff(host: LocalHost): void {
    if (!host.kernel.poweredOn) return;
    host.machine = undefined;
    host.programs?.crash();
    host.programs = undefined;
    host.kernel.powerOff();
  }

  #emit(host: LocalHost, payload: unknown): void {
    this.#emitted = true;
    this.#events.push({ time: this.#scheduler.now, host: host.index, seq: host.nextEvent++, payload });
  }

  #programFailed(host: ScheduledHost, program: string, error: unknown): void {
    if (error instanceof UserError) {
      // Such as a kernel that is out of memory: no program's fault.
      this.#failure ??= error;
      return;
    }
    const what = `${program} on ${host.hostName} at ${this.#scheduler.now} ns: ${error instanceof Error ? error.message : String(error)}`;
    this.#failure ??= new Error(what, { cause: error });
    if (error instanceof Error && error.stack !== undefined) this.#failure.stack = `${what}\n${error.stack}`;
  }

  // ------------------------------------------------------------------------------------------------ time

  /** The earliest thing this worker has to do; FOREVER when there is nothing. */
  nextEvent(): Time {
    if (this.#scheduler.hasReady || this.kernel.exports.wakesPending() > 0) return this.#scheduler.now;
    return Math.min(this.kernel.nextEvent(), this.#scheduler.nextTimer(), this.#commands[0]?.time ?? FOREVER);
  }

  /** Moves the clocks to a time before which nothing is due. */
  setClock(time: Time): void {
    this.kernel.setClock(time);
    this.#scheduler.setClock(time);
  }

  /**
   * Runs everything before `end`, or before an earlier time when a frame was sent that can have an effect here at that
   * time (Underlay.windowEnd). Frames for other workers stand in the kernel's outboxes afterwards.
   * @returns where the window ended
   */
  runWindow(end: Time): Time {
    let last = end - 1;
    const { profile, kernel } = this;
    const timed = this.#deadline !== Number.POSITIVE_INFINITY;
    for (;;) {
      profile?.enter("programs");
      this.#scheduler.runReady();
      if (this.#failure !== undefined) throw this.#failure;
      const until = Math.min(this.#scheduler.nextTimer(), this.#commands[0]?.time ?? FOREVER, last);
      profile?.enter("kernel");
      const stop = kernel.run(until, timed);
      if (this.#patterns !== undefined) profile?.enter("capture");
      this.#drainCapture(); // packet sockets of programs have their frames from it, too
      profile?.enter("programs");
      if (stop !== "done") {
        this.#scheduler.setClock(kernel.now);
        if (timed && this.#late) last = Math.min(last, kernel.now);
        continue;
      }
      last = Math.min(last, kernel.underlay.windowEnd() - 1);
      const reached = Math.min(until, last);
      this.#scheduler.advance(reached);
      this.#runCommands(reached);
      if (reached === last && !this.#scheduler.hasReady && this.nextEvent() > last) return last + 1;
    }
  }

  #runCommands(time: Time): void {
    if (this.#commands.length > 0 && (this.#commands[0] as PostedCommand).time <= time) this.#scheduler.disturb();
    while (this.#commands.length > 0 && (this.#commands[0] as PostedCommand).time <= time) {
      const command = this.#commands.shift() as PostedCommand;
      const host = this.#hosts.get(command.host) as LocalHost;
      if (host.machine !== undefined) host.machine.command(command.id, command.request);
      else this.#emit(host, { type: "powered-off", id: command.id } satisfies RefusedCommand);
    }
  }

  /** At the start of a batch: sets the clock, applies faults, takes this worker's commands. */
  startBatch({ time, faults, commands, watch, holdMs }: Omit<BatchOrder, "delays" | "end">): void {
    if (watch !== 0 || this.#watching) this.kernel.watch(watch);
    this.#watching = watch !== 0;
    this.#deadline = holdMs > 0 ? (this.#clock?.() ?? FOREVER) + holdMs : Number.POSITIVE_INFINITY;
    this.setClock(time);
    if (faults.length > 0) this.#scheduler.disturb();
    for (const fault of faults) this.#applyFault(fault);
    const own = commands.filter((command) => this.#hosts.has(command.host));
    if (own.length === 0) return;
    for (const command of own) assert(command.time >= time, "commands are posted ahead of time", command.time, time);
    this.#commands = [...this.#commands, ...own].sort((a, b) => a.time - b.time || a.id - b.id);
  }

  /** The wall time of this part is over. */
  get #late(): boolean {
    return this.#clock !== undefined && this.#clock() >= this.#deadline;
  }

  /** This part shall end: what is watched for has happened, or its wall time is over. */
  get wantsPause(): boolean {
    return this.seen !== 0 || (this.#deadline !== Number.POSITIVE_INFINITY && this.#late);
  }

  /** What was watched for and has happened since the part began. */
  get seen(): number {
    return this.#watching ? this.kernel.watched() : 0;
  }

  /** When something happened last on hosts of this worker. */
  get last(): Time {
    return Math.max(this.kernel.lastEvent(), this.#scheduler.lastRun);
  }

  // ------------------------------------------------------------------------------------------------ quiet time

  /** Whether this worker's hosts are at rest, see quiet.ts. Called between batches. */
  quiet(): QuietReport {
    const frames = [...this.#hosts.values()].reduce((sum, host) => sum + host.kernel.packets().sent, 0);
    const { disturbed } = this.#scheduler;
    const kernelUntil = this.kernel.quietUntil();
    const unrest = kernelUntil === undefined ? "a frame is on a wire" : this.#unrest();
    const until = Math.min(kernelUntil ?? 0, this.#scheduler.nextAppointment(), this.#commands[0]?.time ?? FOREVER);
    const upkeep: Record<string, HostState[]> = {};
    if (unrest === undefined) {
      for (const [part, host] of this.#upkeep()) {
        upkeep[part.kind] ??= [];
        upkeep[part.kind]?.push({ host, state: part.state() });
      }
    }
    return { unrest, until, disturbed, frames, upkeep };
  }

  *#upkeep(): Generator<[Upkeep, number]> {
    for (const host of this.#hosts.values()) for (const part of host.programs?.upkeep ?? []) yield [part, host.index];
  }

  #unrest(): string | undefined {
    if (this.#scheduler.hasReady || this.kernel.exports.wakesPending() > 0) return "a program runs";
    if (this.#fabrics.lossy || this.#ports.some((port) => port.settings.loss > 0)) return "a wire loses frames";
    for (const [part, host] of this.#upkeep()) {
      const unrest = part.unrest();
      if (unrest !== undefined) return `${this.#config.topology.hosts[host]?.name}, ${part.kind}: ${unrest}`;
    }
    return undefined;
  }

  /** Skips quiet time: all hosts were at rest at `from`. */
  skip(order: SkipOrder): void {
    const own = new Map<string, Upkeep[]>();
    for (const [part] of this.#upkeep()) own.set(part.kind, [...(own.get(part.kind) ?? []), part]);
    this.kernel.skip(order.to - order.from);
    this.#scheduler.setClock(order.to);
    for (const [kind, states] of Object.entries(order.upkeep)) {
      const parts = own.get(kind) ?? [];
      if (parts.length === 0) continue;
      const after = (parts[0] as Upkeep).replay(states, order.from, order.to);
      let next = 0;
      states.forEach(({ host }, i) => {
        if (this.#hosts.has(host)) (parts[next++] as Upkeep).resume(after[i]);
      });
      assert(next === parts.length, "every part of upkeep has its state", kind, next);
    }
    this.#scheduler.skipTo(order.to);
  }

  // ------------------------------------------------------------------------------------------------ faults

  #applyFault(fault: ResolvedFault): void {
    for (const change of fault.ports) this.#changePort(change);
    for (const change of fault.links ?? []) this.#fabrics.change(change);
    if (fault.power === undefined) return;
    const host = this.#hosts.get(fault.power.host);
    if (host === undefined) return;
    this.#powerOff(host);
    if (!fault.power.on) return;
    host.kernel.powerOn();
    this.#plugNics(host);
    this.#boot(host);
  }

  #changePort(change: PortChange): void {
    const port = this.#ports[change.port];
    assert(port !== undefined, "port of a fault", change.port);
    const { underlay } = this.kernel;
    if (change.addFilter !== undefined) underlay.addFilter(change.port, change.addFilter);
    if (change.clearFilters === true) underlay.clearFilters(change.port);
    port.settings = {
      ...port.settings,
      down: change.down ?? port.settings.down,
      latency: change.latency ?? port.settings.latency,
      loss: change.loss ?? port.settings.loss,
      group: change.group ?? port.settings.group,
    };
    underlay.setPort(change.port, port.settings);
  }

  // ------------------------------------------------------------------------------------------------ results

  /** What the machine of a host of this worker answers (HostMachine.inspect); undefined while it is switched off. */
  inspect(host: number, query: unknown): unknown {
    return this.#hosts.get(host)?.machine?.inspect?.(query);
  }

  /** Whether an event was emitted since the last call. */
  takeEmitted(): boolean {
    const emitted = this.#emitted;
    this.#emitted = false;
    return emitted;
  }

  takeEvents(): HostEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  get capturedBytes(): number {
    return this.#capturedBytes;
  }

  takeCaptures(): CaptureBatch {
    const [chunks, points] = [this.#chunks, this.#points];
    const batch = { chunks, points, associations: this.#associations, namespaces: this.#namespaces };
    this.#chunks = [];
    this.#namespaces = [];
    this.#points = [];
    this.#associations = [];
    this.#capturedBytes = 0;
    return batch;
  }

  counters(): PartitionCounters {
    const { events, vethHops, memoryInUse, memoryHeld } = this.kernel.counters();
    const hosts = [...this.#hosts.values()].map((host) => ({
      host: host.index,
      packets: host.kernel.packets(),
      drops: host.kernel.drops(),
    }));
    return { events, vethHops, memory: memoryInUse, memoryHeld, hosts, links: this.#fabrics.counters() };
  }

  #drainCapture(): void {
    const chunk = this.kernel.takeCapture();
    if (chunk === undefined) return;
    this.#chunks.push(chunk);
    this.#capturedBytes += chunk.length;
  }

  #noteAssociation(ns: NetNs, event: XfrmEvent): void {
    if (event.kind !== "newsa" && event.kind !== "updsa") return;
    const hostIndex = ns.host.index;
    const seq = this.#associationCounts.get(hostIndex) ?? 0;
    this.#associationCounts.set(hostIndex, seq + 1);
    const { src: source, dst: destination, spi, aead } = event.state;
    const [key, icvBytes] = [aead.key.slice(), aead.icvBits / 8];
    this.#associations.push({ time: this.#scheduler.now, hostIndex, seq, source, destination, spi, key, icvBytes });
  }

  #nameNamespace(ns: NetNs): void {
    const { number } = this.kernel.namespaceOf(ns);
    const hostIndex = ns.host.index;
    const key = `${hostIndex}/${number}`;
    if (this.#namespaceNames.get(key) === ns.name) return;
    this.#namespaceNames.set(key, ns.name);
    this.#namespaces.push({ hostIndex, number, name: ns.name, since: this.#scheduler.now });
  }

  /** Starts or stops capturing on a link that is new or goes by another name. */
  #selectCapture(ns: NetNs, link: LinkInfo): void {
    if (this.#patterns === undefined || this.#config.capture === undefined) return;
    const matches = this.#patterns.matches(ns.host.name, ns.name, link.name);
    const watched = this.#config.capture.hops === true && link.kind !== "bridge";
    const id = matches || watched ? this.#pointOf(ns, link, matches ? 0 : CAP_HOP) : 0;
    this.kernel.setCapture(ns, link.index, id, this.#config.capture.snaplen);
  }

  /** @param flag CAP_HOP or 0; without a number left, a device that is captured for its hops only is not */
  #pointOf(ns: NetNs, link: LinkInfo, flag: number): number {
    const key = `${flag}/${ns.host.index}/${ns.name}/${link.name}/${link.mac}/${link.mtu}`;
    const known = this.#pointIds.get(key);
    if (known !== undefined) return known;
    const number = (this.#pointCounts.get(ns.host.index) ?? 0) + 1;
    if (number > MAX_POINTS && flag !== 0) return 0;
    if (number > MAX_POINTS) throw new UserError(`host ${ns.host.name}: more than ${MAX_POINTS} capture points`);
    this.#pointCounts.set(ns.host.index, number);
    const id = ns.host.index * 0x10000 + flag + number;
    this.#pointIds.set(key, id);
    this.#points.push({
      id,
      hostIndex: ns.host.index,
      host: ns.host.name,
      namespace: ns.name,
      device: link.name,
      mac: link.mac,
      mtu: link.mtu,
      speed: this.#ports.find((port) => port.host === ns.host.index && port.nic.mac === link.mac)?.nic.bandwidth ?? 0,
      since: this.#scheduler.now,
      ...(flag === 0 ? {} : { hop: true }),
    });
    return id;
  }
}
