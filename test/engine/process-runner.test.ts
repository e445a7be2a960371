/** Signals, PID 1, exit statuses and finding programs: what the kernel and runc do for a container. */
import { describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { findProgram, notFoundReason, parseSignal, SIGNALS } from "../../src/engine/process-runner.ts";
import type { Program } from "../../src/engine/program.ts";
import { sleep } from "../../src/scheduler/process.ts";
import { UnitHost } from "./units.ts";

const forever: Program = function* (context) {
  for (;;) yield* sleep(context.os, 1e9);
};
/** Reads its signals: ends with 7 on SIGTERM, and counts the others. */
const careful: Program = function* (context) {
  for (;;) {
    const name = yield* context.signals.pop();
    context.stdout.write(`${name} `);
    if (name === "SIGTERM") return 7;
  }
};
const exits = (status: number): Program =>
  // biome-ignore lint/correctness/useYield: a program
  function* () {
    return status;
  };

describe("exit statuses", () => {
  it.each([0, 1, 42, 255])("a program's own: %i", (status) => {
    const host = new UnitHost();
    const { program } = host.start(host.root({ p: exits(status) }), ["p"]);
    expect(host.result(program.wait())).toBe(status);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGKILL", 137],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGUSR1", 138],
    ["SIGSEGV", 139],
  ])("%s ends a program that doesn't read it: %i", (name, status) => {
    const host = new UnitHost();
    const { program } = host.start(host.root({ p: forever }), ["p"]);
    host.run(1e9);
    program.signal(name);
    expect(host.result(program.wait())).toBe(status);
    expect(program.root.processes.size).toBe(0);
  });

  it.each(["SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGSTOP", "SIGTSTP"])("%s does not end it", (name) => {
    const host = new UnitHost();
    const { program } = host.start(host.root({ p: forever }), ["p"]);
    host.run(1e9);
    program.signal(name);
    host.run(1e9);
    expect(program.status).toBeUndefined();
  });

  it("a program that the kernel refuses something says so and gives 1", () => {
    const host = new UnitHost();
    // biome-ignore lint/correctness/useYield: a program
    const refused: Program = function* () {
      throw new KernelError("EACCES", "bind");
    };
    const { program, printed } = host.start(host.root({ p: refused }), ["p"]);
    expect(host.result(program.wait())).toBe(1);
    expect(printed.join("")).toBe("p: bind: Permission denied\n");
  });

  it("a command that isn't there is 127 for the shell", () => {
    const host = new UnitHost();
    const parent: Program = function* (context) {
      return yield* context.exec(["nosuch"]);
    };
    const { program } = host.start(host.root({ p: parent }), ["p"]);
    expect(host.result(program.wait())).toBe(127);
  });
});

describe("signals", () => {
  it("a program that reads them decides itself", () => {
    const host = new UnitHost();
    const { program, printed } = host.start(host.root({ p: careful }), ["p"]);
    host.run(1e9);
    program.signal("SIGHUP");
    host.run(1e9);
    expect(program.status).toBeUndefined();
    program.signal("SIGTERM");
    expect(host.result(program.wait())).toBe(7);
    expect(printed.join("")).toBe("SIGHUP SIGTERM ");
  });

  it("one that was woken at the same instant reads them all the same", () => {
    const host = new UnitHost();
    const busy: Program = function* (context) {
      for (;;) {
        if (context.signals.tryPop() !== undefined) return 5;
        yield { on: [context.signals, context.stdin] };
        context.stdin.tryRead();
      }
    };
    const { program, io } = host.start(host.root({ p: busy }), ["p"]);
    host.run(1e9);
    io.stdin.push("x");
    program.signal("SIGINT");
    program.signal("SIGINT");
    expect(host.result(program.wait(), 5e9)).toBe(5);
  });

  it("PID 1 ignores what it doesn't read, but for SIGKILL", () => {
    const host = new UnitHost();
    const { program } = host.start(host.root({ p: forever }), ["p"], true);
    host.run(1e9);
    for (const name of Object.keys(SIGNALS).filter((signal) => signal !== "SIGKILL")) program.signal(name);
    host.run(1e9);
    expect(program.status).toBeUndefined();
    program.signal("SIGKILL");
    expect(program.status).toBe(137);
  });

  it("Ctrl-C goes to all processes in the foreground, not to the one in the background", () => {
    const host = new UnitHost();
    const shell: Program = function* (context) {
      const quiet = new (context.stdin.constructor as new () => typeof context.stdin)();
      quiet.close();
      context.os.spawn("background", context.exec(["b"], { stdin: quiet }));
      context.os.spawn("left", context.exec(["a"]));
      return yield* context.exec(["a"]);
    };
    const root = host.root({ sh: shell, a: forever, b: forever });
    const { program } = host.start(root, ["sh"]);
    host.run(1e9);
    expect(root.processes.size).toBe(4);
    program.interrupt();
    expect(host.result(program.wait(), 5e9)).toBe(130);
    expect([...root.processes].map((process) => process.argv)).toEqual([["b"]]);
  });

  it("Ctrl-C is for the shell itself when nothing else runs", () => {
    const host = new UnitHost();
    const { program } = host.start(host.root({ p: forever }), ["p"]);
    host.run(1e9);
    program.interrupt();
    expect(host.result(program.wait())).toBe(130);
  });

  it("a killed parent takes its child along", () => {
    const host = new UnitHost();
    const parent: Program = function* (context) {
      return yield* context.exec(["c"]);
    };
    const root = host.root({ p: parent, c: forever });
    const { program } = host.start(root, ["p"]);
    host.run(1e9);
    expect(root.processes.size).toBe(2);
    program.signal("SIGKILL");
    expect(root.processes.size).toBe(0);
  });
});

describe("parseSignal", () => {
  it.each([
    ["TERM", "SIGTERM"],
    ["sigterm", "SIGTERM"],
    ["15", "SIGTERM"],
    ["9", "SIGKILL"],
    ["IOT", "SIGABRT"],
    ["CLD", "SIGCHLD"],
    ["NOPE", undefined],
    ["0", undefined],
    ["99", undefined],
    ["", undefined],
  ])("%j is %j", (text, name) => {
    expect(parseSignal(text)).toBe(name);
  });

  it("has the numbers of x86", () => {
    expect(Object.values(SIGNALS)).toEqual(Array.from({ length: 31 }, (_, index) => index + 1));
  });
});

describe("finding programs", () => {
  const root = new UnitHost().root({ ls: forever }, { "/etc/passwd": "" });

  it.each(["ls", "/bin/ls", "/usr/bin/ls", "/sbin/ls", "/usr/local/bin/ls"])("%s is there", (name) => {
    expect(findProgram(root, name)).toBe(forever);
  });

  it.each([
    ["nosuch", 'exec: "nosuch": executable file not found in $PATH: unknown'],
    ["/bin/nosuch", 'exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory: unknown'],
    ["/opt/ls", 'exec: "/opt/ls": stat /opt/ls: no such file or directory: unknown'],
    ["./ls", 'exec: "./ls": stat ./ls: no such file or directory: unknown'],
    ["/etc/passwd", 'exec: "/etc/passwd": permission denied: unknown'],
  ])("%s is not, and runc says why", (name, reason) => {
    expect(findProgram(root, name)).toBeUndefined();
    expect(notFoundReason(root, name)).toBe(reason);
  });
});
