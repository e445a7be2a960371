/** A machine for tests of what happens when a worker dies: every host does a little each millisecond, one of them ends its worker. */
import { MS, SEC } from "../../src/base/time.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { HostMachine, MachineFactory } from "../../src/scheduler/machine.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";

/** How it ends. */
export type Death =
  | "throw"
  | "trap"
  | "exit"
  | "memory"
  | "throw at boot"
  | "exit at boot"
  | "throw in a callback"
  | "no";

/** Configuration of a host. */
export interface DyingConfig {
  readonly death: Death;
}

/** When it happens. */
export const DEATH_AT = 20 * MS;

export const createMachine: MachineFactory = (os, config) => new DyingMachine(os, (config as DyingConfig).death);

class DyingMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #death: Death;

  constructor(os: HostOs, death: Death) {
    this.#os = os;
    this.#death = death;
  }

  start(): void {
    if (this.#death === "throw at boot") throw new Error("no bootable device");
    if (this.#death === "exit at boot") process.exit(4);
    this.#os.spawn("tick", this.#tick());
    if (this.#death !== "no") this.#os.spawn("reaper", this.#reaper());
  }

  command(): void {}

  *#tick(): Proc {
    for (;;) yield* sleep(this.#os, MS);
  }

  *#reaper(): Proc {
    yield* sleep(this.#os, DEATH_AT);
    if (this.#death === "exit") process.exit(3);
    if (this.#death === "throw") throw new Error("the program threw");
    if (this.#death === "trap") {
      const { kernel } = this.#os.kernel as unknown as { kernel: Kernel };
      kernel.exports.linkInfo(0xffff_fff0);
    }
    if (this.#death === "memory") {
      const hoard: number[][] = [];
      for (;;) hoard.push(new Array<number>(1 << 16).fill(hoard.length));
    }
    if (this.#death === "throw in a callback") {
      setTimeout(() => {
        throw new Error("nobody caught it");
      }, 0);
    }
    yield* sleep(this.#os, 3600 * SEC);
  }
}
