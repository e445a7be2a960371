/** What the journal of a run and the commands typed in it come to, as records that a lab can be made of. */
import { formatDuration, type Time } from "../../../src/base/time.ts";
import type { JournalEntry } from "../time/journal.ts";
import type { RunRecord } from "./save-run.ts";

/** A command that was typed, and how it ended. */
export interface TypedRun {
  /** When it was typed, and when it was answered; undefined while it runs. */
  readonly start: Time;
  readonly end: Time | undefined;
  readonly host: string;
  /** The container on whose open terminal it was typed; undefined: on the host's own. */
  readonly terminal: string | undefined;
  readonly command: string;
  /** Undefined when it waits for input. */
  readonly exit: number | undefined;
  /** It was typed on the terminal of a program of the host's that waited for it. */
  readonly answer: boolean;
}

/** @param entries of the journal that were done @param typed in the order in which they were typed */
export function recordsOf(entries: readonly JournalEntry[], typed: readonly TypedRun[]): RunRecord[] {
  const records: RunRecord[] = [];
  let next = 0;
  let busy = 0;
  const take = (before: (start: Time) => boolean): void => {
    for (let run = typed[next]; run !== undefined && before(run.start); run = typed[++next]) {
      records.push(...recordsOfCommand(run, run.start < busy));
      busy = Math.max(busy, run.end ?? Number.POSITIVE_INFINITY);
    }
  };
  for (const { time, place, action } of entries) {
    const { kind } = action;
    const line = kind === "line";
    take((start) => start < time || (line && start === time));
    const at = `at ${formatDuration(time)}`;
    if (kind === "step") {
      records.push({ kind });
      if (time < busy) records.push({ kind: "other", text: `that a step began ${at}, while what was typed still ran` });
    } else if (kind === "fault") {
      // While something typed runs, no step does, and yet time passes.
      records.push({ kind, time, fault: action.fault, within: place === "within" || time < busy });
    } else if (kind === "pass") records.push({ kind, end: action.end });
    else if (kind === "key")
      records.push({ kind: "other", text: `${action.key === "eof" ? "Ctrl-D" : "Ctrl-C"} on ${action.host} ${at}` });
    else if (line && place === "within")
      records.push({
        kind: "other",
        text: `that "${action.line}" was typed on ${action.host} ${at}, while a step ran`,
      });
  }
  take(() => true);
  return records;
}

function recordsOfCommand({ start, host, terminal, command, exit, answer }: TypedRun, overlaps: boolean): RunRecord[] {
  const at = `at ${formatDuration(start)}`;
  if (answer && terminal === undefined) return [{ kind: "other", text: `the answer "${command}" on ${host} ${at}` }];
  const record: RunRecord = { kind: "command", host, terminal, command, exit };
  if (!overlaps) return [record];
  return [record, { kind: "other", text: `that "${command}" was typed on ${host} ${at}, while another command ran` }];
}
