// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables
/** The shell: words, expansions, lists, pipes, redirections, compound commands, the interactive program. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.ts";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import type { Program } from "../../../src/engine/program.ts";
import { sleep } from "../../../src/scheduler/process.ts";
import { Shell } from "../../../src/shell/sh/interpret.ts";
import { IncompleteError, parse } from "../../../src/shell/sh/parse.ts";
import { sh } from "../../../src/shell/sh/sh.ts";
import { ProgramHost, type RunOptions, type RunResult } from "../harness.ts";

/** Prints its arguments one in brackets each. */
const args: Program = function* (context) {
  context.stdout.write(
    `${context.argv
      .slice(1)
      .map((word) => `[${word}]`)
      .join("")}\n`,
  );
  return 0;
};

const cat: Program = function* (context) {
  context.stdout.write(yield* context.stdin.readAll());
  return 0;
};

const show: Program = function* (context) {
  yield* sleep(context.os, 1e6);
  context.stdout.write(`${context.argv[1]}=${context.env.get(context.argv[1] ?? "") ?? "(unset)"} in ${context.cwd}\n`);
  return 0;
};

// biome-ignore lint/correctness/useYield: it never waits
const fail: Program = function* (context) {
  context.stderr.write("bad\n");
  return Number(context.argv[1] ?? 1);
};

const PROGRAMS = new Map<string, Program>([
  ["args", args],
  ["cat", cat],
  ["show", show],
  ["fail", fail],
]);

function run(script: string, options: RunOptions = {}): RunResult {
  const program: Program = (context) => sh(context, () => "$ ");
  return new ProgramHost().run(program, ["sh", "-c", script], {
    programs: PROGRAMS,
    env: new Map([["HOME", "/root"]]),
    ...options,
  });
}

describe("scripts", () => {
  it.each([
    ["args a  'b c' \"d e\" f\\ g", "[a][b c][d e][f g]\n"],
    ["args '' \"\" x", "[][][x]\n"],
    ['A="1  2"; args $A "$A" x${A}y \'$A\' \\$A', "[1][2][1  2][x1][2y][$A][$A]\n"],
    ['args $NONE x "$NONE"', "[x][]\n"],
    ['args ${NONE:-a b} ${HOME:-x} "${NONE-c d}"', "[a][b][/root][c d]\n"],
    ["args $(args 1 2) `args 3` \"$(echo 'x  y')\"", "[[1][2]][[3]][x  y]\n"],
    ["fail 3 2>/dev/null; args $?", "[3]\n"],
    ["fail 2>/dev/null && args no || args yes", "[yes]\n"],
    ["true && args a; false || args b; ! false && args c", "[a]\n[b]\n[c]\n"],
    ["echo one | cat | cat", "one\n"],
    ["fail 2>&1 | cat", "bad\n"],
    ["echo -n x; echo y # comment", "xy\n"],
    ["args a \\\n  b", "[a][b]\n"],
    ["A=1 show A; show A", "A=1 in /\nA=(unset) in /\n"],
    ["A=1; show A; export A; show A", "A=(unset) in /\nA=1 in /\n"],
    ["for i in 1 2 $(echo 3); do echo $i; done", "1\n2\n3\n"],
    ["for i in a b c; do if args $i | cat; then [ 1 ]; fi; break; done 2>/dev/null", "[a]\n"],
    ["for i in a b; do continue; echo no; done; echo end", "end\n"],
    ["if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"],
    ["if false; then echo a; else echo c; fi | cat", "c\n"],
    ["(A=2; echo $A); echo ${A:-none}; { B=3; }; echo $B", "2\nnone\n3\n"],
    ["printed=no; echo a | { read x; echo got $x; }; echo $x.", "got a\n.\n"],
    ["echo 'a b c\nd' | while read x y; do echo $y-$x; done", "b c-a\n-d\n"],
    ["until true; do echo no; done; echo yes", "yes\n"],
    ["(exit 4); echo $?; exit 5; echo no", "4\n"],
    ["echo do done if", "do done if\n"],
  ])("%s", (script, expected) => {
    expect(run(script).out).toBe(expected);
  });

  it("gives back the last status", () => {
    expect(run("fail 7")).toEqual({ out: "", err: "bad\n", status: 7 });
    expect(run("exit 300").status).toBe(300 & 255);
    expect(run("nosuch")).toEqual({ out: "", err: "sh: nosuch: not found\n", status: 127 });
    expect(run("exit x")).toEqual({ out: "", err: "sh: exit: line 0: Illegal number: x\n", status: 2 });
  });

  it("reads and writes files", () => {
    const files = new LayeredFiles(new Map([["/etc/hosts", "h\n"]]), new Map());
    const script =
      "cat < /etc/hosts; echo a > f; echo b >> /f; cat < f; cd /etc; pwd; cat < hosts; echo x > ../g; show HOME; cat < nosuch";
    const result = run(script, { files });
    expect(result.out).toBe("h\na\nb\n/etc\nh\nHOME=/root in /etc\n");
    expect(result.err).toBe("sh: can't open nosuch: no such file\n");
    expect(result.status).toBe(1);
    expect(files.read("/g")).toBe("x\n");
    expect(run("fail > /all 2>&1; echo hi >&2", { files }).err).toBe("hi\n");
    expect(files.read("/all")).toBe("bad\n");
    expect(run("for i in 1 2; do echo $i; done > /loop", { files }).out).toBe("");
    expect(files.read("/loop")).toBe("1\n2\n");
    expect(run("cd /nosuch").err).toBe("sh: cd: line 0: can't cd to /nosuch: No such file or directory\n");
  });

  it("runs in the background", () => {
    expect(run("show A & echo first").out).toBe("first\nA=(unset) in /\n");
  });

  it("keeps variables of the one who made it", () => {
    const host = new ProgramHost();
    const program: Program = function* (context) {
      const shell = new Shell(context);
      shell.variables.set("token", "SWMTKN-1");
      return yield* shell.run("args $token");
    };
    expect(host.run(program, ["sh"], { programs: PROGRAMS }).out).toBe("[SWMTKN-1]\n");
  });

  it("a loop without end doesn't stop time", () => {
    expect(run("while true; do :; done; echo no", { limit: 1e6 })).toEqual({ out: "", err: "", status: undefined });
  });
});

describe("syntax", () => {
  it.each([
    ["a | | b", 'syntax error: unexpected "|"'],
    ["; a", 'syntax error: unexpected ";"'],
    ["a )", 'syntax error: unexpected ")"'],
    ["done", 'syntax error: unexpected "done"'],
    ["for 1 in a; do b; done", 'syntax error: unexpected "1"'],
    ["if a; fi", 'syntax error: unexpected "fi"'],
    ["while do a; done", 'syntax error: unexpected "do"'],
  ])("refuses %s", (script, message) => {
    expect(() => parse(script)).toThrow(new UserError(message));
    expect(run(script)).toEqual({ out: "", err: `sh: ${message}\n`, status: 2 });
  });

  it.each([
    "echo 'a",
    'echo "a',
    "a &&",
    "a |",
    "for i in a; do b",
    "if a; then b",
    "( a",
    "echo $(a",
    "{ a;",
    "echo `a",
  ])("asks for more after %s", (script) => {
    expect(() => parse(script)).toThrow(IncompleteError);
  });

  it("parses or refuses anything", () => {
    const piece = fc.constantFrom(
      "a",
      " ",
      "'",
      '"',
      "$",
      "(",
      ")",
      "{",
      "}",
      "|",
      "&",
      ";",
      "\n",
      "\\",
      "for",
      "in",
      "do",
      "done",
      "if",
      "then",
      "fi",
      "<",
      ">",
      "2>&1",
      "`",
      "#",
      "!",
      "x=1",
      "${A:-b}",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), (parts) => {
        try {
          parse(parts.join(""));
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("on a terminal", () => {
  const program: Program = (context) => sh(context, () => "/ # ");

  it("prompts, runs lines, ends with exit", () => {
    const result = new ProgramHost().run(program, ["sh"], {
      tty: true,
      stdin: "echo a\n\nfail 2\nexit\n",
      programs: PROGRAMS,
    });
    expect(result).toEqual({ out: "/ # a\n/ # / # / # ", err: "bad\n", status: 2 });
  });

  it("asks for the rest of a command", () => {
    const stdin = "for i in 1 2\ndo echo $i\ndone\necho 'x\ny'\necho a \\\nb\nexit 4\n";
    const result = new ProgramHost().run(program, ["sh"], { tty: true, stdin, programs: PROGRAMS });
    expect(result).toEqual({ out: "/ # > > 1\n2\n/ # > x\ny\n/ # > a b\n/ # ", err: "", status: 4 });
  });

  it("reads a script from a pipe without a prompt, and ends with it", () => {
    expect(new ProgramHost().run(program, ["sh"], { stdin: "echo a\nfail 3", programs: PROGRAMS })).toEqual({
      out: "a\n",
      err: "bad\n",
      status: 3,
    });
  });
});
