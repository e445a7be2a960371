/**
 * A machine for a test of what waiting costs: hosts send each other datagrams at constant rates, and say how much CPU time
 * the thread that they run in has used.
 */
import { readFileSync } from "node:fs";
import { MS, SEC } from "../../src/base/time.ts";
import type { UdpSocket } from "../../src/kernel/socket-types.ts";
import type { HostMachine, MachineFactory } from "../../src/scheduler/machine.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { sleep } from "../../src/scheduler/process.ts";

/** Configuration of a host: to whom it sends, and how many datagrams a second. */
export interface CpuConfig {
  readonly address: number;
  readonly flows: readonly { readonly to: number; readonly rate: number }[];
}

/** What a host says of itself when it is given a command. */
export interface CpuReport {
  readonly cpuMs: number;
  readonly received: number;
}

const PORT = 7;

export const createMachine: MachineFactory = (os, config, emit) => new CpuMachine(os, config as CpuConfig, emit);

class CpuMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #config: CpuConfig;
  readonly #emit: (event: CpuReport) => void;
  #sink: UdpSocket | undefined;

  constructor(os: HostOs, config: CpuConfig, emit: (event: CpuReport) => void) {
    this.#os = os;
    this.#config = config;
    this.#emit = emit;
  }

  start(): void {
    const { root } = this.#os.kernel;
    root.link.set("lo", { up: true });
    root.link.set("eth0", { up: true });
    root.addr.add("eth0", { ip: this.#config.address, prefix: 24 });
    this.#sink = root.socket.udp();
    this.#sink.bind(0, PORT);
    this.#sink.setSink(true);
    const { flows } = this.#config;
    const os = this.#os;
    os.spawn(
      "flows",
      (function* () {
        yield* sleep(os, MS);
        for (const { to, rate } of flows) root.socket.udp().generate(to, PORT, 100, Math.round(SEC / rate), 1e9);
      })(),
    );
  }

  command(): void {
    const cpuMs = Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]) / 1e6;
    this.#emit({ cpuMs, received: this.#sink?.received().packets ?? 0 });
  }
}
