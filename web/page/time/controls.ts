/** The buttons of time, and what may be pressed when. */
import type { Phase } from "../../session/time/protocol.ts";

/** All of them. */
export const CONTROLS = [
  "run",
  "pause",
  "step",
  "event",
  "packet",
  "drop",
  "back",
  "back-packet",
  "back-event",
] as const;

/** A button, by its id. */
export type Control = (typeof CONTROLS)[number];

/** How a button looks, and its key. */
export interface ControlText {
  readonly text: string;
  /** What it does, in a few words. */
  readonly title: string;
  readonly key: string | undefined;
}

/** By button. */
export const TEXTS: Readonly<Record<Control, ControlText>> = {
  run: { text: "Run", title: "Let time go on", key: undefined },
  pause: { text: "Pause", title: "Stop time", key: undefined },
  step: { text: "Step", title: "Run one step of the lab, or the rest of the one that is paused", key: "n" },
  event: {
    text: "Event",
    title: "Run to just after the next event: a packet that arrives, a timer, a program",
    key: ",",
  },
  packet: { text: "Packet", title: "Run to just after the next captured packet", key: "." },
  drop: { text: "Drop", title: "Run to just after the next packet that is lost", key: "d" },
  back: { text: "Step", title: "Back to before the last step or typed line", key: "b" },
  "back-packet": { text: "Packet", title: "Back to before the last captured packet", key: "<" },
  "back-event": { text: "Event", title: "Back to before the last event", key: ";" },
};

/** What the buttons look at. */
export interface Standing {
  readonly phase: Phase;
  readonly frames: number;
  readonly done: number;
  readonly ahead: number;
}

/** Whether a button does something now. */
export function usable(control: Control, { phase, frames, done, ahead }: Standing): boolean {
  const stands = phase === "ready" || phase === "paused" || phase === "done";
  switch (control) {
    case "pause":
      return !stands;
    case "step":
      return stands && (phase !== "done" || ahead > 0);
    case "back":
      return stands && done > 0;
    case "back-packet":
      return stands && frames > 0;
    default:
      return stands;
  }
}
