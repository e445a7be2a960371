/** What unit tests of the engine run on: a host without a kernel, and programs made for a test. */
import { LayeredFiles } from "../../src/engine/filesystem.ts";
import { type ProcessIo, type ProcessRoot, RunningProgram } from "../../src/engine/process-runner.ts";
import { Pipe, type Program } from "../../src/engine/program.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import type { Proc } from "../../src/scheduler/process.ts";
import { FakeNetwork, fakeIp } from "../support/fake-host.ts";

export class UnitHost {
  readonly network = new FakeNetwork();
  readonly os: HostOs = this.network.addHost("host1", fakeIp(0)).os;

  /** Runs programs until virtual time `ns` from now. */
  run(ns: number): void {
    this.network.run(this.os.now() + ns);
  }

  /** Runs a generator to its end and gives what it returned. */
  result<T>(program: Proc<T>, limit = 3600e9): T {
    let outcome: { value: T } | { error: unknown } | undefined;
    this.os.spawn(
      "test",
      (function* (): Proc<void> {
        try {
          outcome = { value: yield* program };
        } catch (error) {
          outcome = { error };
        }
      })(),
    );
    this.run(limit);
    if (outcome === undefined) throw new Error("the program did not end");
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  root(programs: Record<string, Program>, files: Record<string, string> = {}): ProcessRoot {
    return {
      os: this.os,
      ns: this.os.kernel.root,
      hostname: "box",
      files: new LayeredFiles(new Map(Object.entries(files)), new Map()),
      programs: new Map(Object.entries(programs)),
      processes: new Set(),
    };
  }

  /** Starts a program with an open keyboard; what it prints goes to `printed`. */
  start(
    root: ProcessRoot,
    argv: readonly string[],
    isInit = false,
  ): { program: RunningProgram; printed: string[]; io: ProcessIo } {
    const printed: string[] = [];
    const output = { write: (text: string) => void printed.push(text) };
    const io = { stdin: new Pipe(), stdout: output, stderr: output, tty: true };
    const main = root.programs.get(argv[0] as string) as Program;
    return { program: new RunningProgram(root, main, argv, new Map(), "/", io, isInit), printed, io };
  }
}
