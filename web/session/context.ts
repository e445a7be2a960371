/** What the areas of the session's worker share: the emulation that is open. */
import { UserError } from "../../src/base/errors.ts";
import type { Emulation } from "./emulation.ts";

/** Holds the emulation. */
export class SessionContext {
  #emulation: Emulation | undefined;
  /** The last one that was to come has come, or failed to. */
  #replaced: Promise<unknown> = Promise.resolve();

  /** @throws UserError while no lab is open */
  get emulation(): Emulation {
    if (this.#emulation === undefined) throw new UserError("no lab is open");
    return this.#emulation;
  }

  /** Puts another one in its place, once that which is open has ended; one after the other. */
  replace(start: () => Promise<Emulation>): Promise<Emulation> {
    const done = this.#replaced.then(() => this.#replace(start));
    this.#replaced = done.catch(() => {});
    return done;
  }

  async #replace(start: () => Promise<Emulation>): Promise<Emulation> {
    const last = this.#emulation;
    this.#emulation = undefined;
    await last?.close();
    const emulation = await start();
    this.#emulation = emulation;
    return emulation;
  }
}
