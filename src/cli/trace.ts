/** A lab's trace in a file. A full disk ends the capture with one clear message; the run goes on. */
import { closeSync, openSync, writeSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { LabPlan } from "../lab/plan.ts";
import { LabTrace } from "../lab/trace.ts";

export class TraceFile extends LabTrace {
  readonly path: string;
  readonly #fd: number;

  /** @throws UserError when the file can't be opened */
  constructor(path: string, plan: LabPlan, seed: string) {
    let fd: number;
    try {
      fd = openSync(path, "w");
    } catch (error) {
      throw new UserError(`${path}: ${(error as Error).message}`);
    }
    const sink = {
      write(chunk: Uint8Array): void {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      },
    };
    super(sink, plan, seed);
    this.path = path;
    this.#fd = fd;
  }

  override close(time: Time): void {
    super.close(time);
    closeSync(this.#fd);
  }
}
