// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables
/** Programs that would go on for ever, or take more than there is: they end or can be ended, and time goes on. */
import { describe, expect, it } from "vitest";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import { RunningProgram } from "../../../src/engine/process-runner.ts";
import { Pipe } from "../../../src/engine/program.ts";
import { busybox, busyboxPrograms } from "../../../src/images/busybox.ts";
import { FakeNetwork, fakeIp } from "../../support/fake-host.ts";

const SECOND = 1e9;

class Container {
  readonly network = new FakeNetwork();
  readonly os = this.network.addHost("host1", fakeIp(0)).os;
  readonly program: RunningProgram;
  out = "";
  err = "";

  constructor(script: string) {
    const root = {
      os: this.os,
      ns: this.os.kernel.root,
      hostname: "h",
      files: new LayeredFiles(busybox.files, new Map()),
      programs: busyboxPrograms,
      processes: new Set<RunningProgram>(),
    };
    const stdout = { write: (text: string) => this.#print("out", text) };
    const stderr = { write: (text: string) => this.#print("err", text) };
    const shell = busyboxPrograms.get("sh") ?? expect.unreachable();
    const stdin = new Pipe();
    stdin.close();
    const env = new Map([["PATH", "/bin"]]);
    const argv = ["sh", "-c", script];
    this.program = new RunningProgram(root, shell, argv, env, "/tmp", { stdin, stdout, stderr, tty: false }, false);
  }

  #print(stream: "out" | "err", text: string): void {
    this[stream] += text;
  }

  /** @returns what it printed and its status within a time, in seconds */
  run(seconds: number): { out: string; err: string; status: number | undefined } {
    this.network.runFor(seconds * SECOND);
    return { out: this.out, err: this.err, status: this.program.status };
  }
}

function run(script: string, seconds = 60) {
  return new Container(script).run(seconds);
}

describe("loops without end", () => {
  it.each(["while true; do :; done", "until false; do :; done", "while :; do x=$((x+1)); done"])(
    "%s lets time go on, and a signal ends it",
    (script) => {
      const container = new Container(script);
      expect(container.run(600).status).toBeUndefined();
      expect(container.os.now()).toBe(600 * SECOND);
      container.program.signal("SIGINT");
      expect(container.run(1).status).toBe(130);
    },
  );

  it("a loop of ten thousand turns is over at once", () => {
    expect(run("i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; echo $i", 0.2)).toEqual({
      out: "10000\n",
      err: "",
      status: 0,
    });
  });

  it("a command of the shell's own waits for its reader", () => {
    expect(run("while :; do echo 0123456789; done | sleep 30; echo $?", 31)).toEqual({
      out: "0\n",
      err: "",
      status: 0,
    });
  });
});

describe("writers whose reader has gone", () => {
  it.each([
    ["yes | head -1", "y\n"],
    ["seq 100000000 | head -3", "1\n2\n3\n"],
    ["cat /dev/zero | head -c 10 | wc -c", "10\n"],
    ["while :; do echo x; done | head -2", "x\nx\n"],
    ["seq 5 -2 1 | tr '\\n' ' '", "5 3 1 "],
    ["seq 0 0.5 1", "0.0\n0.5\n1.0\n"],
    ["seq 100000 | wc -l", "100000\n"],
    ["(sleep 1; yes; echo never) | true; echo over", "over\n"],
  ])("%s", (script, out) => {
    expect(run(script, 2)).toEqual({ out, err: "", status: 0 });
  });

  it("die of SIGPIPE", () => {
    expect(run("set -o pipefail; yes | head -1", 1)).toEqual({ out: "y\n", err: "", status: 141 });
  });
});

describe("what takes more memory than there is", () => {
  it.each([
    ["a variable that doubles", "x=a; while :; do x=$x$x; done"],
    ["a substitution without end", "x=$(yes); echo never"],
    ["arguments that double", 'set -- a b; while :; do set -- "$@" "$@"; done'],
    ["nested parentheses", `sh -c '${"(".repeat(20_000)}'; exit $?`],
    ["a width that is no width", "printf '%1073741824s' x"],
  ])("%s is killed, and nothing else", (_, script) => {
    expect(run(`(${script}); echo $?`, 3600)).toEqual({ out: "137\n", err: "", status: 0 });
  });

  it("readers that keep everything", () => {
    expect(run("yes | sort | head -1; cat /dev/zero | tail -1; echo over", 3600)).toMatchObject({ out: "over\n" });
  }, 60_000);

  it("a disk that is full is said, and the file is as far as it came", () => {
    const script = "cat /dev/zero > f; echo $?; echo more >> f; echo $?; rm f; echo less > f && cat f";
    const { out, err } = run(script, 600);
    expect(out).toBe("1\n1\nless\n");
    expect(err).toBe("cat: write error: No space left on device\nsh: write error: No space left on device\n");
  }, 60_000);
});
