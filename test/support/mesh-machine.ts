/**
 * A small machine for tests of the scheduler: every host talks UDP and TCP to every other one, at times and with
 * sizes drawn from its own random stream, and reports what it hears.
 */
import { parseIpv4 } from "../../src/base/addr.ts";
import { KernelError } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { MS, SEC } from "../../src/base/time.ts";
import type { TcpSocket } from "../../src/kernel/socket-types.ts";
import { acceptTcp, connectTcp, recvFrom, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import type { HostMachine, MachineFactory } from "../../src/scheduler/machine.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";

/** Configuration of one host of the mesh. */
export interface MeshConfig {
  /** Own address, /24. */
  readonly address: string;
  readonly peers: readonly string[];
  /** Messages that each chatter sends. */
  readonly messages: number;
  /** A program throws at this virtual time; 0 = never; negative: the worker's thread ends at minus that time. */
  readonly throwAt: number;
}

/** What a mesh host emits. */
export interface MeshEvent {
  readonly what: string;
  readonly detail?: unknown;
}

const PORT = 5000;

export const createMachine: MachineFactory = (os, config, emit, disk) =>
  new MeshMachine(os, config as MeshConfig, emit as (event: MeshEvent) => void, disk);

class MeshMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #config: MeshConfig;
  readonly #emit: (event: MeshEvent) => void;
  readonly #disk: Map<string, unknown>;

  constructor(os: HostOs, config: MeshConfig, emit: (event: MeshEvent) => void, disk: Map<string, unknown>) {
    this.#os = os;
    this.#config = config;
    this.#emit = emit;
    this.#disk = disk;
  }

  start(): void {
    const { root } = this.#os.kernel;
    root.link.set("lo", { up: true });
    root.link.set("eth0", { up: true });
    root.addr.add("eth0", { ip: ip(this.#config.address), prefix: 24 });
    const boots = ((this.#disk.get("boots") as number | undefined) ?? 0) + 1;
    this.#disk.set("boots", boots);
    this.#emit({ what: "boot", detail: boots });
    this.#os.spawn("udp-server", this.#udpServer());
    this.#os.spawn("tcp-server", this.#tcpServer());
    for (const peer of this.#config.peers) {
      this.#os.spawn(`udp-${peer}`, this.#udpChatter(peer, this.#os.random.fork(`udp ${peer}`)));
      this.#os.spawn(`tcp-${peer}`, this.#tcpChatter(peer, this.#os.random.fork(`tcp ${peer}`)));
    }
    if (this.#config.throwAt !== 0) this.#os.spawn("bomb", this.#bomb());
  }

  command(id: number, request: unknown): void {
    this.#emit({ what: "command", detail: { id, request, at: this.#os.now() } });
  }

  *#bomb(): Proc {
    yield* sleep(this.#os, Math.abs(this.#config.throwAt));
    if (this.#config.throwAt < 0) process.exit(3);
    throw new Error("the bomb went off");
  }

  *#udpServer(): Proc {
    const socket = this.#os.kernel.root.socket.udp();
    socket.bind(0, PORT);
    for (;;) {
      const got = yield* recvFrom(socket);
      if (got === undefined) continue;
      this.#emit({ what: "udp", detail: [got.src, got.data.length, sum(got.data)] });
      if (got.data.length % 2 === 0) this.#sendUdp(socket, got.data.subarray(1), got.src, got.srcPort);
    }
  }

  *#udpChatter(peer: string, random: Random): Proc {
    const socket = this.#os.kernel.root.socket.udp();
    for (let i = 0; i < this.#config.messages; i++) {
      yield* sleep(this.#os, random.below(10 * MS));
      this.#sendUdp(socket, random.bytes(1 + random.below(2000)), ip(peer), PORT);
      const answer = yield* recvFrom(socket, this.#os.now() + 2 * MS);
      if (answer !== undefined) this.#emit({ what: "answer", detail: answer.data.length });
    }
    socket.close();
  }

  #sendUdp(
    socket: { sendTo(data: Uint8Array, ip: number, port: number): void },
    data: Uint8Array,
    to: number,
    port: number,
  ): void {
    try {
      socket.sendTo(data, to, port);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#emit({ what: "send failed", detail: error.code });
    }
  }

  *#tcpServer(): Proc {
    const listener = this.#os.kernel.root.socket.tcp();
    listener.bind(0, PORT);
    listener.listen(16);
    for (;;) {
      const socket = yield* acceptTcp(listener);
      if (socket !== undefined) this.#os.spawn("echo", this.#echo(socket));
    }
  }

  *#echo(socket: TcpSocket): Proc {
    try {
      for (;;) {
        const data = yield* recvTcp(socket, 65_536);
        if (data === undefined || data.length === 0) break;
        yield* sendTcp(socket, data);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#emit({ what: "echo failed", detail: error.code });
    }
    socket.close();
  }

  *#tcpChatter(peer: string, random: Random): Proc {
    for (let i = 0; i < Math.ceil(this.#config.messages / 4); i++) {
      yield* sleep(this.#os, random.below(20 * MS));
      try {
        const socket = yield* connectTcp(this.#os.kernel.root, ip(peer), PORT, this.#os.now() + 10 * SEC);
        const data = random.bytes(1 + random.below(30_000));
        yield* sendTcp(socket, data);
        socket.shutdown();
        const back = yield* readAll(socket, this.#os.now() + 30 * SEC);
        this.#emit({ what: "echoed", detail: [data.length, back.length, sum(data) === sum(back)] });
        socket.close();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        this.#emit({ what: "tcp failed", detail: error.code });
      }
    }
  }
}

function* readAll(socket: TcpSocket, until: number): Proc<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const data = yield* recvTcp(socket, 65_536, until);
    if (data === undefined || data.length === 0) break;
    parts.push(data);
  }
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function ip(text: string): number {
  return parseIpv4(text) as number;
}

function sum(data: Uint8Array): number {
  return data.reduce((total, byte) => (total * 31 + byte) >>> 0, 7);
}
