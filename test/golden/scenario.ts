/**
 * The captured lab again, typed command by command: hosts manager (.11) and worker-1 (.12), every device captured. And the capture's
 * side of it: its commands with their times, and the frames of one command.
 */
import { pathToFileURL } from "node:url";
import { formatMac } from "../../src/base/addr.ts";
import { SEC, type Time } from "../../src/base/time.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { LabSession } from "../../src/lab/run.ts";
import type { CapturePoint, CaptureSink } from "../../src/scheduler/captures.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { goldenPackets, goldenText } from "../support/golden.ts";
import { labOf } from "../support/lab.ts";
import { type Frame, parseFrame } from "./frames.ts";

/** The two networks' hosts; worker-2 of the capture only watches. */
export const HOSTS = "hosts: { manager: {}, worker-1: {} }";

export interface Ran {
  readonly host: string;
  readonly command: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number | undefined;
  readonly start: Time;
  readonly end: Time;
}

class Recorder implements CaptureSink {
  readonly points = new Map<number, CapturePoint>();
  readonly frames: { readonly point: string; readonly frame: Frame }[] = [];

  point(point: CapturePoint): void {
    this.points.set(point.id, point);
  }

  frame(captured: Parameters<CaptureSink["frame"]>[0]): void {
    const point = this.points.get(captured.point);
    if (point === undefined) throw new Error("a frame of an unknown point");
    const name = `${point.host}/${point.namespace}/${point.device}`;
    this.frames.push({ point: name, frame: parseFrame(captured.data.slice(), captured.time / SEC) });
  }
}

/** A running lab of two hosts. */
export class Scenario {
  readonly #session: LabSession;
  readonly #recorder: Recorder;
  /** Each host's operating system, for a look into its kernel. */
  readonly hosts: ReadonlyMap<string, HostOs>;
  readonly commands: Ran[] = [];

  private constructor(session: LabSession, recorder: Recorder, hosts: ReadonlyMap<string, HostOs>) {
    this.#session = session;
    this.#recorder = recorder;
    this.hosts = hosts;
  }

  static async start(lab = HOSTS): Promise<Scenario> {
    const recorder = new Recorder();
    const hosts = new Map<string, HostOs>();
    const kernel = process.env["KERNEL_WASM"];
    const session = await LabSession.start(labOf(lab), {
      module: await loadKernel(kernel === undefined ? undefined : pathToFileURL(kernel)),
      machines: (...parts) => {
        hosts.set(parts[0].hostName, parts[0]);
        return createMachine(...parts);
      },
      capture: { patterns: ["*"], snaplen: 262_144, sink: recorder },
    });
    return new Scenario(session, recorder, hosts);
  }

  /**
   * Types a command; a second of virtual time passes afterwards. @throws when it ends with another status
   * @param stdin what it reads, to the end of file; undefined: an open terminal
   */
  async run(host: string, command: string, exit = 0, stdin?: string): Promise<Ran> {
    const { cluster } = this.#session;
    const start = cluster.now;
    const typed = stdin === undefined ? { command } : { command, stdin };
    const outcome = await this.#session.command(host, typed, start + 120 * SEC, () => {});
    const ran = { host, command, start, end: cluster.now, ...outcome };
    this.commands.push(ran);
    if (outcome.exit !== exit)
      throw new Error(`${host}$ ${command}: status ${outcome.exit}\n${outcome.stdout}${outcome.stderr}`);
    await this.#session.wait(SEC);
    return ran;
  }

  async wait(seconds: number): Promise<void> {
    await this.#session.wait(seconds * SEC);
  }

  get now(): Time {
    return this.#session.cluster.now;
  }

  /** Swarm of two, as A-swarm-init has it. */
  async swarm(): Promise<void> {
    await this.run("manager", "docker swarm init");
    const token = (await this.run("manager", "docker swarm join-token -q worker")).stdout.trim();
    await this.run("worker-1", `docker swarm join --token ${token} 192.168.77.11:2377`);
    await this.wait(5);
  }

  /** test-net with alpine1 on manager and alpine2 on worker-1, as B-standalone-attachable has it. */
  async containers(): Promise<void> {
    await this.run("manager", "docker network create --driver=overlay --attachable test-net");
    await this.run("manager", "docker run -dit --name alpine1 --network test-net alpine");
    await this.run("worker-1", "docker run -dit --name alpine2 --network test-net alpine");
    await this.wait(5);
  }

  /** A network namespace by the name that capture points use. @throws when there is none */
  namespace(host: string, name: string): NetNs {
    const found = this.hosts
      .get(host)
      ?.kernel.namespaces()
      .find((ns) => ns.name === name);
    if (found === undefined) throw new Error(`${host} has no namespace ${name}`);
    return found;
  }

  /** The process id of a container, for nsenter. */
  async pid(host: string, container: string): Promise<string> {
    return (await this.run(host, `docker inspect -f '{{.State.Pid}}' ${container}`)).stdout.trim();
  }

  /** Frames of a capture point, `host/namespace/device`, from a command's start to the next one's. */
  frames(point: string, ran?: Ran): Frame[] {
    const next = ran === undefined ? undefined : this.commands[this.commands.indexOf(ran) + 1]?.start;
    const [from, to] = [(ran?.start ?? 0) / SEC, (next ?? this.now) / SEC];
    return this.#recorder.frames
      .filter(({ point: at, frame }) => at === point && frame.time >= from && frame.time < to)
      .map(({ frame }) => frame);
  }

  /** MACs of the hosts' eth0 by host name, for a describer. */
  macs(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [name, os] of this.hosts) found[formatMac(os.kernel.root.link.get("eth0").mac)] = name;
    return found;
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

/** MACs of the captured machines. */
export const GOLDEN_MACS: Readonly<Record<string, string>> = {
  "52:54:00:77:00:11": "manager",
  "52:54:00:77:00:12": "worker-1",
  "52:54:00:77:00:13": "worker-2",
};

export interface GoldenCommand {
  readonly host: string;
  readonly command: string;
  readonly output: string;
  readonly exit: number;
  /** Seconds of the day. */
  readonly start: number;
  readonly end: number;
}

function secondsOfDay(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.split(":").map(Number);
  return hours * 3600 + minutes * 60 + seconds;
}

/** The commands of a transcript, in order. @param path e.g. `B-standalone-attachable/manager/traffic-alpine1.txt` */
export function goldenCommands(path: string): GoldenCommand[] {
  const blocks = goldenText(path)
    .split(/^(?=\[\d\d:\d\d:\d\d\.\d+\] \S+\$ )/m)
    .map((block) => /^\[(\S+)\] (\S+)\$ (.*)\n([\s\S]*?)\[rc=(\d+)\]/.exec(block))
    .filter((found) => found !== null);
  return blocks.map(([, time = "", host = "", command = "", output = "", status], at) => ({
    host,
    command,
    output,
    exit: Number(status),
    start: secondsOfDay(time),
    end: blocks[at + 1] === undefined ? Number.POSITIVE_INFINITY : secondsOfDay(blocks[at + 1]?.[1] ?? ""),
  }));
}

/** A golden command by its text. @throws when there is none */
export function goldenCommand(path: string, command: string): GoldenCommand {
  const found = goldenCommands(path).find((candidate) => candidate.command === command);
  if (found === undefined) throw new Error(`${path} has no command ${command}`);
  return found;
}

const captures = new Map<string, Frame[]>();

/** Frames of a golden capture, all of them or those of a command. Frames that are neither IPv4 nor ARP are left out: IPv6 isn't emulated. */
export function goldenFrames(path: string, during?: GoldenCommand): Frame[] {
  let frames = captures.get(path);
  if (frames === undefined) {
    frames = goldenPackets(path)
      .filter(({ data }) => data.length >= 14 && [0x0800, 0x0806].includes(((data[12] ?? 0) << 8) | (data[13] ?? 0)))
      // IGMP reports carry an IP option, which nothing here sends.
      .filter(({ data }) => data[12] !== 8 || data[13] !== 0 || data[14] === 0x45)
      .map(({ data, seconds, nanos }) => parseFrame(data, (seconds % 86400) + nanos / 1e9));
    captures.set(path, frames);
  }
  if (during === undefined) return frames;
  return frames.filter(({ time }) => time >= during.start && time < during.end);
}
