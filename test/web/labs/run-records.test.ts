import { describe, expect, it } from "vitest";
import { recordsOf, type TypedRun } from "../../../web/session/labs/run-records.ts";
import type { JournalAction, JournalEntry } from "../../../web/session/time/journal.ts";

const entry = (time: number, action: JournalAction, place: JournalEntry["place"] = "between"): JournalEntry => ({
  time: time * 1e9,
  place,
  action,
});
const line = (text: string): JournalAction => ({
  kind: "line",
  terminal: { name: "a", host: "a" },
  line: text,
  shown: true,
});
const ran = (start: number, end: number, command: string, more: Partial<TypedRun> = {}): TypedRun => ({
  start: start * 1e9,
  end: end * 1e9,
  host: "a",
  terminal: undefined,
  command,
  exit: 0,
  answer: false,
  ...more,
});
const FAULT: JournalAction = { kind: "fault", fault: { hosts: ["a"], link: "down" } };

describe("the records of a run", () => {
  it("come in the order in which things were done", () => {
    const records = recordsOf(
      [
        entry(1, { kind: "step" }),
        entry(1.5, FAULT, "within"),
        entry(3, FAULT),
        entry(3, line("echo \\")),
        entry(3, line("x")),
        entry(3.5, FAULT, "within"),
        entry(5, { kind: "step" }),
        entry(7, line("ls")),
        entry(9, { kind: "pass", end: 12e9, horizon: 12e9 }),
      ],
      [ran(3, 3.9, "echo \\\nx"), ran(7, 7.2, "ls", { terminal: "c1", exit: 2, answer: true })],
    );
    expect(records.map((record) => (record.kind === "fault" ? `fault ${record.within}` : record.kind))).toEqual([
      "step",
      "fault true",
      "fault false",
      "command",
      "fault true",
      "step",
      "command",
      "pass",
    ]);
    expect(records[3]).toMatchObject({ command: "echo \\\nx", exit: 0 });
    expect(records[6]).toMatchObject({ terminal: "c1", exit: 2 });
  });

  it("say what a lab can't", () => {
    const said = recordsOf(
      [
        entry(1, line("sleep 9")),
        entry(2, { kind: "key", terminal: { name: "a", host: "a" }, key: "interrupt" }, "within"),
        entry(3, line("ls"), "within"),
        entry(4, { kind: "step" }),
        entry(20, { kind: "step" }),
        entry(21, line("id"), "within"),
        entry(30, { kind: "close", terminal: { name: "a (2)", host: "a" } }),
      ],
      [ran(1, 10, "sleep 9"), ran(3, 4, "ls"), ran(5, 6, "y", { answer: true }), ran(21, 22, "id")],
    ).flatMap((record) => (record.kind === "other" ? [record.text] : []));
    expect(said).toEqual([
      "Ctrl-C on a at 2s",
      'that "ls" was typed on a at 3s, while another command ran',
      "that a step began at 4s, while what was typed still ran",
      'the answer "y" on a at 5s',
      'that "id" was typed on a at 21s, while a step ran',
      "that a (2) was closed at 30s",
    ]);
  });
});
