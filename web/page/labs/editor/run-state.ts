/** How far a run has come, as the editor and the list of steps show it. */
import type { Status } from "../../../session/time/protocol.ts";

/** The step that a run is at. */
export interface RunState {
  /** From 0; undefined when none is left. */
  readonly step: number | undefined;
  readonly state: "running" | "next";
}

/** @param steps how many the lab has */
export function runStateOf({ phase, step }: Pick<Status, "phase" | "step">, steps: number): RunState {
  const within = phase === "running" || phase === "paused";
  const at = within ? step - 1 : step;
  const left = phase !== "done" && at >= 0 && at < steps;
  return { step: left ? at : undefined, state: within ? "running" : "next" };
}
