/** What the areas of the session's worker share: the emulation that is open. */
import { UserError } from "../../src/base/errors.ts";
import type { Emulation, Ground } from "./emulation.ts";

/** Holds the emulation. */
export class SessionContext {
  readonly ground: Ground;
  /** The speed of time that the user chose, for each lab that is opened. */
  speed = Number.POSITIVE_INFINITY;
  /** Threads that hosts are shared out to, for each lab that is opened. */
  workers = 1;
  #emulation: Emulation | undefined;
  /** What is being put in its place. */
  #replacing: Promise<unknown> = Promise.resolve();

  constructor(ground: Ground) {
    this.ground = ground;
  }

  /** Whether there is one. */
  get open(): boolean {
    return this.#emulation !== undefined;
  }

  /** @throws UserError while no lab was opened */
  get emulation(): Emulation {
    if (this.#emulation === undefined) throw new UserError("no lab is open");
    return this.#emulation;
  }

  /** Puts another one in its place, once that has booted; until then the one that is open stands, and can be looked at. */
  replace(start: () => Promise<Emulation>): Promise<Emulation> {
    const replaced = this.#replacing.then(async () => {
      const last = this.#emulation;
      last?.go(undefined);
      const emulation = await start();
      this.#emulation = emulation;
      await last?.close();
      return emulation;
    });
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }
}
