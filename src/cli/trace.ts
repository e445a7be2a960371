/** A lab's trace in a file. A full disk ends the capture with one clear message; the run goes on. */
import { closeSync, openSync, writeSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { LabPlan } from "../lab/plan.ts";
import { LabTrace } from "../lab/trace.ts";
import type { ParsedArgs } from "./args.ts";

/** What is captured where nothing is said: the wire of every host. */
const DEFAULT_PATTERN = "*/host/eth0";
/** Bytes kept of a frame where nothing is said: all of any frame. */
const FULL_FRAME = 262_144;

/** A trace that goes to a file as it is made. */
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

  /** What is wrong with the trace, for standard error; undefined when all is well. */
  problem(patterns: readonly string[]): string | undefined {
    if (this.error !== undefined) return `the trace ${this.path} is not whole: ${causeOf(this.error)}`;
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
    help: `capture points host/namespace/device (default ${DEFAULT_PATTERN}); may be repeated`,
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
  const patterns = args.all("capture").length > 0 ? args.all("capture") : [DEFAULT_PATTERN];
  return { file: new TraceFile(path, plan, seed), patterns, snaplen: snaplen ?? FULL_FRAME };
}
