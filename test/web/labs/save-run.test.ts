import { describe, expect, it } from "vitest";
import { parseLab } from "../../../src/lab/parse.ts";
import { labOfRun, type RunRecord } from "../../../web/session/labs/save-run.ts";

const TEXT = `# Two hosts.
params: { count: 3 }
hosts:
  a: {}
  b: {}
steps:
  # First, a ping.
  - a: ping -c $count 192.168.77.12
  - wait: 5s
  - b: ip addr
`;

function saved(records: readonly RunRecord[], settings = {}): string {
  const plan = parseLab("two.yaml", TEXT, settings);
  return labOfRun({ file: "two.yaml", text: TEXT, settings, plan, seed: "7", now: 9e9, records }).text;
}

describe("a run as a lab", () => {
  it("has what was typed and what was broken, each in its place", () => {
    const text = saved(
      [
        { kind: "step" },
        { kind: "fault", time: 2.5e9, fault: { hosts: ["b"], drop: "icmp" }, within: true },
        { kind: "fault", time: 2.75e9, fault: { hosts: [], heal: true }, within: true },
        { kind: "command", host: "b", terminal: undefined, command: "docker ps", exit: 1 },
        { kind: "fault", time: 5e9, fault: { hosts: ["a", "b"], loss: 0.1 }, within: false },
        { kind: "step" },
        { kind: "command", host: "a", terminal: "c1", command: "exit", exit: 0 },
        { kind: "step" },
        { kind: "pass", end: 20.5e9 },
      ],
      { count: "4" },
    );
    expect(text).toBe(`# two, seed 7, as it was run up to 9s.

# Two hosts.
params: { count: 4 }
hosts:
  a: {}
  b: {}
steps:
  - fault:
      at: 2.5s
      host: b
      drop: icmp
  - fault:
      at: 2.75s
      heal: true
  # First, a ping.
  - a: ping -c 4 192.168.77.12
  - b: docker ps
    exit: 1
    timeout: 1h
  - fault:
      at: 5s
      host:
        - a
        - b
      loss: 0.1
  - wait: 5s
  - a/c1: exit
    exit: 0
    timeout: 1h
  - b: ip addr
  - until: 20.5s
name: two
seed: "7"
`);
    expect(parseLab("saved.yaml", text)).toMatchObject({ name: "two", seed: "7" });
  });

  it("says what it leaves out", () => {
    const text = saved([{ kind: "step" }, { kind: "other", text: "Ctrl-C on b at 3s" }]);
    expect(text).toContain("# Not in here: Ctrl-C on b at 3s.\n");
    expect(text).toContain("# Not in here: the lab's last 2 steps, which had not begun.\n");
    expect(parseLab("saved.yaml", text).steps).toHaveLength(1);
  });

  it("of a lab without steps, too", () => {
    const plan = parseLab("x.yaml", "hosts: { a: {} }");
    const run = { file: "x.yaml", text: "hosts: { a: {} }", settings: {}, plan, seed: "1", now: 2e9 };
    const command: RunRecord = { kind: "command", host: "a", terminal: undefined, command: "ls", exit: 0 };
    expect(parseLab("y.yaml", labOfRun({ ...run, records: [command] }).text).steps).toMatchObject([{ command: "ls" }]);
    expect(parseLab("y.yaml", labOfRun({ ...run, records: [] }).text).steps).toEqual([]);
  });
});
