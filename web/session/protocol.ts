/** What the page and the session's worker say to each other, through comlink. All of it survives structured cloning. */
import type { Time } from "../../src/base/time.ts";
import type { TraceFiles } from "./recording.ts";

/** A lab that comes with swarmwire. */
export interface LabEntry {
  /** As `swarmwire run` takes it. */
  readonly name: string;
  readonly description: string;
}

/** A lab that is open. */
export interface OpenLab {
  readonly name: string;
  readonly description: string;
  readonly seed: string;
  readonly hosts: readonly string[];
  /** Each step in one line. */
  readonly steps: readonly string[];
}

/** `ready`: between two steps; `running`: time passes; `paused`: within a step; `done`: after the last one. */
export type Phase = "ready" | "running" | "paused" | "done";

/** How the emulation stands. */
export interface Status {
  readonly phase: Phase;
  /** Virtual, ns. */
  readonly now: Time;
  /** Steps begun. */
  readonly step: number;
  /** Frames kept. */
  readonly frames: number;
  /** Frames for which there was no room. */
  readonly lost: number;
  /** Expectations that didn't hold. */
  readonly failures: number;
}

/** What the worker tells the page, in order. */
export type SessionEvent =
  | { readonly kind: "status"; readonly status: Status }
  /** Text for a host's terminal, or for the whole run's transcript where host is undefined. */
  | { readonly kind: "output"; readonly host: string | undefined; readonly text: string }
  /** The prompt that a host's terminal ends in now; undefined while something runs there. */
  | { readonly kind: "prompt"; readonly host: string; readonly prompt: string | undefined }
  /** The emulation ended by an error. */
  | { readonly kind: "failed"; readonly message: string };

/** Takes what the worker tells. */
export type OnEvents = (events: readonly SessionEvent[]) => void;

/** A row of the packet list. */
export interface PacketRow {
  /** From 0. */
  readonly index: number;
  readonly time: Time;
  /** Of the innermost packet that can be read. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  /** On the wire, without the frame check sequence. */
  readonly length: number;
  readonly summary: string;
  /** host/namespace/device */
  readonly point: string;
}

/** What the page asks of the worker. */
export interface SessionApi {
  labs(): readonly LabEntry[];
  /** Opens a lab in place of the one that is open. @param seed instead of the lab's own */
  open(name: string, seed: string | undefined, tell: OnEvents): Promise<OpenLab>;
  /** Runs to the end. */
  run(): void;
  /** Runs one step, or the rest of the one that is paused. */
  step(): void;
  /** Time stands from now on, within a step too. */
  pause(): void;
  /** A line typed on a host's terminal; it runs when the lab is between two steps. */
  type(host: string, line: string): void;
  /** Ctrl-C or Ctrl-D on a host's terminal. */
  key(host: string, key: "interrupt" | "eof"): void;
  /** Rows of the packet list. */
  packets(from: number, count: number): readonly PacketRow[];
  /** The bytes of a frame. */
  frame(index: number): Uint8Array | undefined;
  trace(): TraceFiles;
}
