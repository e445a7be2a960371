/** What the page and the session's worker say to each other, through comlink. All of it survives structured cloning. */
import type { ChartsApi } from "./charts/protocol.ts";
import type { FaultsApi } from "./faults/protocol.ts";
import type { FollowApi } from "./follow/protocol.ts";
import type { LabsApi } from "./labs/protocol.ts";
import type { PacketsApi } from "./packets/protocol.ts";
import type { SceneApi } from "./scene/protocol.ts";
import type { TablesApi } from "./tables/protocol.ts";
import type { TerminalEntry, TerminalsApi } from "./terminals/protocol.ts";
import type { Status, TimeApi } from "./time/protocol.ts";
import type { WorkersApi } from "./workers/protocol.ts";

/** What the worker tells the page, in order. */
export type SessionEvent =
  | { readonly kind: "status"; readonly status: Status }
  /** A terminal is to be shown; what stands on it comes behind. */
  | { readonly kind: "terminal"; readonly terminal: TerminalEntry }
  /** Text for a terminal, by its name, or for the whole run's transcript where that is undefined. */
  | { readonly kind: "output"; readonly terminal: string | undefined; readonly text: string }
  /** The prompt that a terminal ends in now; undefined while something runs there. */
  | { readonly kind: "prompt"; readonly terminal: string; readonly prompt: string | undefined }
  /**
   * The run begins again from its start: what was told before is void, and what follows at once is all that it has come to
   * so far. Told when somebody went back in time, once the replay is over; until then everything may stay as it is.
   */
  | { readonly kind: "rewound" }
  /** Something could not be done, or the emulation ended by an error. */
  | { readonly kind: "failed"; readonly message: string };

/** Takes what the worker tells. */
export type OnEvents = (events: readonly SessionEvent[]) => void;

/** What the page asks of the worker: each area's part stands in its folder. */
export interface SessionApi
  extends ChartsApi,
    FaultsApi,
    FollowApi,
    LabsApi,
    PacketsApi,
    SceneApi,
    TablesApi,
    TerminalsApi,
    TimeApi,
    WorkersApi {}
