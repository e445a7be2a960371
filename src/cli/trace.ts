/** A lab's trace in a file. A full disk ends the capture with one clear message; the run goes on. */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { LabPlan } from "../lab/plan.ts";
import { DEFAULT_CAPTURE, LabTrace } from "../lab/trace.ts";
import type { ParsedArgs } from "./args.ts";

/** Bytes kept of a frame where nothing is said: all of any frame. */
const FULL_FRAME = 262_144;

/** A trace that goes to a file as it is made. */
export class TraceFile extends LabTrace {
  readonly path: string;
  /** Wireshark's table of the trace's ESP keys. It is there as soon as there is one, so that a run that is cut has it too. */
  readonly keysPath: string;
  readonly #fd: number;
  #keysFd: number | undefined;
  #keysError: Error | undefined;

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
    this.keysPath = `${path}.esp_sa`;
    this.#fd = fd;
    // Keys of an earlier trace of that name fit nothing any more.
    this.#tryKeys(() => rmSync(this.keysPath, { force: true }));
  }

  protected override newKeyRow(row: string): void {
    this.#tryKeys(() => {
      this.#keysFd ??= openSync(this.keysPath, "w");
      writeSync(this.#keysFd, `${row}\n`);
    });
  }

  #tryKeys(write: () => void): void {
    if (this.#keysError !== undefined) return;
    try {
      write();
    } catch (error) {
      this.#keysError = error as Error;
    }
  }

  override close(time: Time): void {
    super.close(time);
    closeSync(this.#fd);
    if (this.#keysFd !== undefined) closeSync(this.#keysFd);
  }

  /** What is wrong with the trace, for standard error; undefined when all is well. */
  problem(patterns: readonly string[]): string | undefined {
    if (this.error !== undefined) return `the trace ${this.path} is not whole: ${causeOf(this.error)}`;
    if (this.#keysError !== undefined && this.espSa.size > 0)
      return `the keys ${this.keysPath} are not whole: ${this.#keysError.message}`;
    if (this.points > 0) return undefined;
    return `the trace ${this.path} is empty: no device is called ${patterns.join(" or ")}; names are host/namespace/device, for example host1/host/eth0`;
  }
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** The flags of a trace, for commands that can write one. */
export const TRACE_FLAGS = {
  pcap: { value: "FILE", help: "write a pcapng trace" },
  capture: {
    value: "PATTERN",
    repeat: true,
    help: `capture points host/namespace/device (default ${DEFAULT_CAPTURE.join(" and ")}); may be repeated`,
  },
  snaplen: { value: "BYTES", help: "keep at most this much of a frame (default all)" },
} as const;

/** What a command's flags say of its trace. @throws UserError */
export function openTrace(
  command: string,
  args: ParsedArgs,
  snaplen: number | undefined,
  plan: LabPlan,
  seed: string,
): { readonly file: TraceFile; readonly patterns: readonly string[]; readonly snaplen: number } | undefined {
  const path = args.get("pcap");
  if (path === undefined) {
    const useless = ["capture", "snaplen"].find((name) => args.has(name));
    if (useless !== undefined) throw new UserError(`swarmwire ${command}: --${useless} needs --pcap FILE`);
    return undefined;
  }
  const patterns = args.all("capture").length > 0 ? args.all("capture") : DEFAULT_CAPTURE;
  return { file: new TraceFile(path, plan, seed), patterns, snaplen: snaplen ?? FULL_FRAME };
}
