/** What the page and the session's worker say to each other, through comlink. All of it survives structured cloning. */
import type { LabsApi } from "./labs/protocol.ts";
import type { PacketsApi } from "./packets/protocol.ts";
import type { TerminalEntry, TerminalsApi } from "./terminals/protocol.ts";
import type { Status, TimeApi } from "./time/protocol.ts";

/** What the worker tells the page, in order. */
export type SessionEvent =
  | { readonly kind: "status"; readonly status: Status }
  /** A terminal is to be shown; what stands on it comes behind. */
  | { readonly kind: "terminal"; readonly terminal: TerminalEntry }
  /** Text for a terminal, by its name, or for the whole run's transcript where that is undefined. */
  | { readonly kind: "output"; readonly terminal: string | undefined; readonly text: string }
  /** The prompt that a terminal ends in now; undefined while something runs there. */
  | { readonly kind: "prompt"; readonly terminal: string; readonly prompt: string | undefined }
  /** The emulation ended by an error. */
  | { readonly kind: "failed"; readonly message: string };

/** Takes what the worker tells. */
export type OnEvents = (events: readonly SessionEvent[]) => void;

/** What the page asks of the worker: each area's part stands in its folder. */
export interface SessionApi extends LabsApi, PacketsApi, TerminalsApi, TimeApi {}
