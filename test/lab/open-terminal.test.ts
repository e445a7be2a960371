import { describe, expect, it } from "vitest";
import { openAfter, TypedOutput } from "../../src/lab/open-terminal.ts";
import type { CommandOutcome } from "../../src/lab/session.ts";

function outcome(changes: Partial<CommandOutcome>): CommandOutcome {
  const nothing = { stdout: "", stderr: "", exit: undefined, idle: false, terminal: undefined, refused: undefined };
  return { ...nothing, id: 7, answered: 1, ...changes };
}

describe("what is printed after something was typed", () => {
  it("loses the newline of Ctrl-C, once, and nothing else", () => {
    const after = new TypedOutput({ key: "interrupt", into: 1 });
    expect([after.take("\n/ # "), after.take("\n")]).toEqual(["/ # ", "\n"]);
    const line = new TypedOutput({ command: "echo" });
    expect(line.take("\n/ # ")).toBe("\n/ # ");
  });

  it("leaves its last line, however it came", () => {
    const typed = new TypedOutput({ command: "ls" });
    for (const piece of ["a\nb", "c", "\n/", " # "]) typed.take(piece);
    expect(typed.tail).toBe("/ # ");
  });
});

describe("the terminal after a command", () => {
  const before = { key: 3, container: "c1", tail: "/ # " };

  it("is the new request's, or goes on being the earlier one's", () => {
    const waits = outcome({ idle: true, terminal: "c1", stdout: "/ # " });
    expect(openAfter(waits, undefined, "/ # ")).toEqual({ key: 7, container: "c1", tail: "/ # " });
    expect(openAfter(waits, before, "> ")).toEqual({ key: 3, container: "c1", tail: "> " });
  });

  it("stands at its prompt where nothing was said", () => {
    expect(openAfter(outcome({ idle: true, terminal: "c1" }), before, "")?.tail).toBe("/ # ");
  });

  it("is none when the program ended, was given up, or was refused", () => {
    expect(openAfter(outcome({ exit: 0, stdout: "done" }), before, "")).toBeUndefined();
    expect(openAfter(outcome({}), before, "")).toBeUndefined();
    expect(openAfter(outcome({ idle: true, refused: "no terminal" }), before, "")).toBeUndefined();
  });
});
