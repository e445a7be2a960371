/** Runs a program on a host without a kernel, and reads the command logs of golden captures. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LayeredFiles } from "../../src/engine/filesystem.ts";
import type { FileSystem, Program, ProgramContext } from "../../src/engine/program.ts";
import { BrokenPipeError, Pipe } from "../../src/engine/program.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { Channel, type Proc } from "../../src/scheduler/process.ts";
import { parse } from "../../src/shell/sh/parse.ts";
import { FakeNetwork, fakeIp } from "../support/fake-host.ts";
import { goldenFolder, goldenText } from "../support/golden.ts";

export interface RunOptions {
  readonly stdin?: string;
  readonly tty?: boolean;
  readonly files?: FileSystem;
  readonly programs?: ReadonlyMap<string, Program>;
  readonly env?: Map<string, string>;
  readonly ns?: NetNs;
  /** Virtual nanoseconds; default ten minutes. */
  readonly limit?: number;
}

export interface RunResult {
  out: string;
  err: string;
  status: number | undefined;
}

/** A host to run programs on. */
export class ProgramHost {
  readonly network = new FakeNetwork();
  readonly os: HostOs = this.network.addHost("host1", fakeIp(0)).os;

  /** A context whose output goes into `result`. */
  context(argv: readonly string[], options: RunOptions, result: RunResult): ProgramContext {
    const stdin = new Pipe();
    if (options.stdin !== undefined) stdin.push(options.stdin);
    if (options.tty !== true) stdin.close();
    const programs = options.programs ?? new Map<string, Program>();
    const base = {
      env: options.env ?? new Map<string, string>(),
      cwd: "/",
      stdin,
      stdout: {
        write: (text: string) => {
          result.out += text;
        },
      },
      stderr: {
        write: (text: string) => {
          result.err += text;
        },
      },
      tty: options.tty ?? false,
      os: this.os,
      ns: options.ns ?? this.os.kernel.root,
      files: options.files ?? new LayeredFiles(new Map(), new Map()),
      hostname: "host1",
      programs: [...programs.keys()],
    };
    const make = (args: readonly string[], io: Partial<ProgramContext>): ProgramContext => ({
      ...base,
      ...io,
      argv: args,
      pid: 1,
      signals: new Channel<string>(),
      processes: () => [],
      start: (childArgs, childIo, body) => {
        const program = body?.program ?? programs.get(childArgs[0] ?? "");
        if (program === undefined) return undefined;
        const child = this.os.spawn(childArgs[0] ?? "", childMain(program, make(childArgs, { ...io, ...childIo })));
        return {
          pid: child.pid,
          ppid: 1,
          argv: childArgs,
          started: this.os.now(),
          tty: false,
          get status() {
            return child.done ? (child.result ?? 137) : undefined;
          },
          exited: child.exited,
          signal: () => child.kill(),
        };
      },
      exec: function* (childArgs, childIo) {
        const program = programs.get(childArgs[0] ?? "");
        return program === undefined ? 127 : yield* program(make(childArgs, { ...io, ...childIo }));
      },
    });
    return make(argv, {});
  }

  run(program: Program, argv: readonly string[], options: RunOptions = {}): RunResult {
    const result: RunResult = { out: "", err: "", status: undefined };
    const process = this.os.spawn(argv[0] ?? "", program(this.context(argv, options, result)));
    this.network.runFor(options.limit ?? 600e9);
    result.status = process.result;
    return result;
  }
}

/** A process that loses the reader of its pipe ends as SIGPIPE ends it. */
function* childMain(program: Program, context: ProgramContext): Proc<number> {
  try {
    return yield* program(context);
  } catch (error) {
    if (!(error instanceof BrokenPipeError)) throw error;
    return 141;
  }
}

/** One command of a golden log: `[time] host$ command`, its output, `[rc=N]`. */
export interface GoldenCommand {
  readonly time: string;
  readonly command: string;
  readonly argv: readonly string[];
  readonly output: string;
  readonly status: number;
}

export function goldenCommands(path: string): GoldenCommand[] {
  if (!existsSync(join(goldenFolder, path))) return [];
  const found: GoldenCommand[] = [];
  const pattern = /^\[(\d\d:\d\d:\d\d\.\d+)\] \S+\$ (.*)\n([\s\S]*?)\[rc=(\d+)\]$/gm;
  for (const [, time, command, output, status] of goldenText(path).matchAll(pattern)) {
    const argv = words(command as string);
    found.push({
      time: time as string,
      command: command as string,
      argv,
      output: output as string,
      status: Number(status),
    });
  }
  return found;
}

/** Words of a simple command line. */
function words(command: string): string[] {
  const first = parse(command)[0]?.pipeline.commands[0];
  if (first?.kind !== "simple") return [];
  return first.words.map((word) => word.map((part) => (part.kind === "text" ? part.text : "")).join(""));
}
