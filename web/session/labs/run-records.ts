/** What the journal of a run and the commands typed in it come to, as records that a lab can be made of. */
import { formatDuration, MS, SEC, type Time } from "../../../src/base/time.ts";
import type { JournalEntry } from "../time/journal.ts";
import type { RunRecord } from "./save-run.ts";

/** A command that was typed, and how it ended. */
export interface TypedRun {
  /** When it was typed, and when it was answered; undefined while it runs. */
  readonly start: Time;
  end: Time | undefined;
  readonly host: string;
  /** The container on whose open terminal it was typed; undefined: on the host's own. */
  readonly terminal: string | undefined;
  readonly command: string;
  /** Undefined while it runs, and when it waits for input. */
  exit: number | undefined;
  /** It was typed on the terminal of a program that waited for it. */
  readonly answer: boolean;
}

/** @param entries of the journal that were done @param typed in the order in which they were typed */
export function recordsOf(entries: readonly JournalEntry[], typed: readonly TypedRun[]): RunRecord[] {
  const records: RunRecord[] = [];
  let next = 0;
  /** Until then time passes for what was typed. */
  let busy = 0;
  const take = (before: (start: Time) => boolean): void => {
    for (let run = typed[next]; run !== undefined && before(run.start); run = typed[++next]) {
      records.push(...recordsOfCommand(run, run.start < busy));
      busy = Math.max(busy, run.end === undefined ? Number.POSITIVE_INFINITY : restAfter(run.end));
    }
  };
  for (const entry of entries) {
    const { time, action } = entry;
    const before = busy;
    take((start) => start < time || (start === time && (action.kind === "line" || action.kind === "begin")));
    // While something typed runs, no step does, and yet time passes.
    records.push(...recordsOfEntry(entry, time < (action.kind === "line" ? before : busy)));
  }
  take(() => true);
  return records;
}

/** When the next thing can be typed: at a whole millisecond, a second later. */
function restAfter(answered: Time): Time {
  return (Math.floor(answered / MS) + 1) * MS + SEC;
}

/** @param busy time passes for what was typed */
function recordsOfEntry({ time, place, action }: JournalEntry, busy: boolean): RunRecord[] {
  const at = `at ${formatDuration(time)}`;
  const other = (text: string): RunRecord => ({ kind: "other", text });
  switch (action.kind) {
    case "step":
      return [{ kind: "step" }, ...(busy ? [other(`that a step began ${at}, while what was typed still ran`)] : [])];
    case "fault":
      return [{ kind: "fault", time, fault: action.fault, within: place === "within" || busy }];
    case "pass":
      return [{ kind: "pass", end: action.end }];
    case "key":
      return [other(`${action.key === "eof" ? "Ctrl-D" : "Ctrl-C"} on ${action.terminal.name} ${at}`)];
    case "close":
      return [other(`that ${action.terminal.name} was closed ${at}`)];
    case "line":
      if (place === "between" || busy) return [];
      return [other(`that "${action.line}" was typed on ${action.terminal.name} ${at}, while a step ran`)];
    case "begin":
      return [];
  }
}

/** @param overlaps another one ran then */
function recordsOfCommand(run: TypedRun, overlaps: boolean): RunRecord[] {
  const { start, end, host, terminal, command, exit, answer } = run;
  const at = `at ${formatDuration(start)}`;
  if (answer && terminal === undefined) return [{ kind: "other", text: `the answer "${command}" on ${host} ${at}` }];
  const record: RunRecord = { kind: "command", host, terminal, command, exit };
  if (end === undefined)
    return [record, { kind: "other", text: `that "${command}", typed on ${host} ${at}, ran no longer than until now` }];
  if (!overlaps) return [record];
  return [record, { kind: "other", text: `that "${command}" was typed on ${host} ${at}, while another command ran` }];
}
