/** What a shell knows and a subshell gets a copy of (POSIX.1-2017 Shell Command Language §2.12). */
import type { Output, Pipe, ProcessEntry } from "../../engine/program.ts";
import type { Command } from "./syntax.ts";

/** Standard streams of a command. */
export interface Io {
  readonly stdin: Pipe;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** A command that runs in the background. */
export interface Job {
  readonly number: number;
  readonly process: ProcessEntry;
  readonly text: string;
}

/** Options of `set`, by their letters; `pipefail` by its name. */
export type ShellOption = "e" | "u" | "x" | "f" | "pipefail";

/** What a shell remembers: variables, functions, options, jobs. */
export class ShellState {
  readonly variables: Map<string, string>;
  readonly exported: Set<string>;
  readonly readOnly: Set<string>;
  readonly functions: Map<string, Command>;
  readonly options: Set<ShellOption>;
  /** Actions by condition: EXIT, INT, TERM …; "" ignores the signal. */
  readonly traps: Map<string, string>;
  positional: readonly string[];
  cwd: string;
  /** `$?` */
  status: number;
  /** `$!` */
  lastBackground: number | undefined;
  jobs: Job[] = [];

  constructor(env: ReadonlyMap<string, string>, cwd: string, from?: ShellState) {
    this.variables = new Map(from?.variables ?? env);
    this.exported = new Set(from?.exported ?? env.keys());
    this.readOnly = new Set(from?.readOnly);
    this.functions = new Map(from?.functions);
    this.options = new Set(from?.options);
    // A subshell takes over what is ignored only.
    this.traps = new Map([...(from?.traps ?? [])].filter(([, action]) => action === ""));
    this.positional = from?.positional ?? [];
    this.cwd = from?.cwd ?? cwd;
    this.status = from?.status ?? 0;
    this.lastBackground = from?.lastBackground;
  }

  /** A subshell's. */
  copy(): ShellState {
    return new ShellState(this.variables, this.cwd, this);
  }

  /** The environment of what it starts. */
  environment(): Map<string, string> {
    return new Map([...this.variables].filter(([name]) => this.exported.has(name)));
  }

  /** An absolute path, with `.` and `..` resolved. */
  path(name: string): string {
    const parts: string[] = [];
    for (const part of (name.startsWith("/") ? name : `${this.cwd}/${name}`).split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return `/${parts.join("/")}`;
  }
}
