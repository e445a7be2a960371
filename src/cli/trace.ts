/** A lab's trace in a file. A full disk ends the capture with one clear message; the run goes on. */
import { closeSync, openSync, rmSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import type { LabPlan } from "../lab/plan.ts";
import { DEFAULT_CAPTURE, LabTrace } from "../lab/trace.ts";
import type { CaptureWriteError, Sink } from "../pcap-writer/index.ts";
import type { ParsedArgs } from "./args.ts";
import { BROKEN_PIPE } from "./at-exit.ts";
import { fileSink, pipeSink, wholeBlocks, wholeLines } from "./file-sink.ts";

/** Bytes kept of a frame where nothing is said: all of any frame. */
const FULL_FRAME = 262_144;

/** `--pcap` of this writes to standard output. */
const STDOUT = "-";
const STDOUT_FD = 1;

/** A trace that goes to a file as it is made, or to standard output. */
export class TraceFile extends LabTrace {
  /** `-` for standard output. */
  readonly path: string;
  /**
   * Wireshark's table of the trace's ESP keys, unless the trace goes to standard output. It is there as soon as there is
   * one, so that a run that is cut has it too.
   */
  readonly keysPath: string | undefined;
  readonly #fd: number;
  readonly #tell: (message: string) => void;
  #keysFd: number | undefined;
  #keysSink: Sink | undefined;
  #keysError: Error | undefined;

  /**
   * @param tell told at once, in one line, when a write failed
   * @throws UserError when the file can't be opened
   */
  constructor(path: string, plan: LabPlan, seed: string, tell: (message: string) => void) {
    let fd = STDOUT_FD;
    try {
      if (path !== STDOUT) fd = openSync(path, "w");
    } catch (error) {
      throw new UserError(`${path}: ${(error as Error).message}`);
    }
    super(path === STDOUT ? pipeSink(fd) : fileSink(fd, wholeBlocks), plan, seed);
    this.path = path;
    this.#fd = fd;
    this.#tell = tell;
    const keysPath = path === STDOUT ? undefined : `${path}.esp_sa`;
    this.keysPath = keysPath;
    // Keys of an earlier trace of that name fit nothing any more.
    if (keysPath !== undefined) this.#tryKeys(() => rmSync(keysPath, { force: true }));
  }

  /** Whether the trace is what standard output is for. */
  get onStdout(): boolean {
    return this.path === STDOUT;
  }

  protected override writeFailed(error: CaptureWriteError): void {
    // The reader of a pipe has gone, as `| head` does.
    if (this.onStdout && (error.cause as NodeJS.ErrnoException | undefined)?.code === "EPIPE")
      process.exit(BROKEN_PIPE);
    this.#tell(`the trace ${this.path} ends here: ${causeOf(error)}; the run goes on without it`);
  }

  protected override newKeyRow(row: string): void {
    const { keysPath } = this;
    if (keysPath === undefined) return;
    this.#tryKeys(() => {
      this.#keysFd ??= openSync(keysPath, "w");
      this.#keysSink ??= fileSink(this.#keysFd, wholeLines);
      this.#keysSink.write(new TextEncoder().encode(`${row}\n`));
    });
  }

  #tryKeys(write: () => void): void {
    if (this.#keysError !== undefined) return;
    try {
      write();
    } catch (error) {
      this.#keysError = error as Error;
      this.#tell(`the keys ${this.keysPath} end here: ${this.#keysError.message}; the run goes on without them`);
    }
  }

  override close(time: Time): void {
    super.close(time);
    if (!this.onStdout) closeSync(this.#fd);
    if (this.#keysFd !== undefined) closeSync(this.#keysFd);
  }

  /** A write failed, which was told when it did. */
  get broken(): boolean {
    return this.error !== undefined || (this.#keysError !== undefined && this.espSa.size > 0);
  }

  /** What is wrong with the trace at the end and wasn't told yet, for standard error; undefined when all is well. */
  problem(patterns: readonly string[]): string | undefined {
    if (this.broken) return undefined;
    if (this.points > 0) return undefined;
    return `the trace ${this.path} is empty: no device is called ${patterns.join(" or ")}; names are host/namespace/device, for example host1/host/eth0`;
  }
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** Where a trace that was written is, and how to read it; nothing when there is none, or it is what was printed. */
export function traceText(trace: TraceFile): string {
  const { path, keysPath, packets } = trace;
  if (trace.error !== undefined || trace.points === 0 || trace.onStdout) return "";
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  const read = `Trace: ${path}, ${count(packets, "packet")}. Open it with: wireshark ${path}   or: tshark -r ${path}\n`;
  if (trace.espSa.size === 0) return read;
  return `${read}ESP keys: ${keysPath}, ${count(trace.espSa.size, "association")}. To see inside:\n  mkdir -p esp && cp ${keysPath} esp/esp_sa\n  WIRESHARK_CONFIG_DIR=esp tshark -o esp.enable_encryption_decode:TRUE -r ${path}   (wireshark takes the same)\n`;
}

/** The flags of a trace, for commands that can write one. */
export const TRACE_FLAGS = {
  pcap: {
    value: "FILE",
    help: "write a pcapng trace; - writes it to standard output, and the terminals to standard error",
  },
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
  tell: (message: string) => void = (message) => void process.stderr.write(`swarmwire: ${message}\n`),
): { readonly file: TraceFile; readonly patterns: readonly string[]; readonly snaplen: number } | undefined {
  const path = args.get("pcap");
  if (path === undefined) {
    const useless = ["capture", "snaplen"].find((name) => args.has(name));
    if (useless !== undefined) throw new UserError(`swarmwire ${command}: --${useless} needs --pcap FILE`);
    return undefined;
  }
  if (path === "") throw new UserError(`swarmwire ${command}: --pcap needs the name of a file, or -`);
  if (path === STDOUT && command !== "run")
    throw new UserError(`swarmwire ${command}: --pcap - is for swarmwire run: here standard output is your terminal`);
  const patterns = args.all("capture").length > 0 ? args.all("capture") : DEFAULT_CAPTURE;
  return { file: new TraceFile(path, plan, seed, tell), patterns, snaplen: snaplen ?? FULL_FRAME };
}
