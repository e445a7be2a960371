/** How the emulation stands, in one line that is read out when it changes. */
import { formatDuration } from "../../../src/base/time.ts";
import type { Status } from "../../session/time/protocol.ts";

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** @param steps of the lab, in one line each */
export function statusText(status: Status, steps: readonly string[]): string {
  const { phase, step, target, typed, waiting, ahead, failures } = status;
  const where = `${phase}${phase === "running" || phase === "replaying" ? until(target) : ""}, step ${step} of ${steps.length}`;
  const text = phase === "ready" ? steps[step] : phase === "done" ? undefined : steps[step - 1];
  const what = text === undefined ? "" : phase === "ready" ? `; next ${text}` : `: ${text}`;
  return [
    where + what,
    ...(typed && phase === "paused" ? ["what was typed runs when time goes on (Space)"] : []),
    ...(waiting > 0 ? [`${count(waiting, "typed line")} waiting for the end of what runs there`] : []),
    ...(ahead > 0 && phase !== "replaying" ? [`${ahead} to come again`] : []),
    ...(failures > 0 ? [`${failures} not as expected`] : []),
  ].join(" · ");
}

function until(target: number | undefined): string {
  return target === undefined ? "" : ` to ${formatDuration(target)}`;
}
