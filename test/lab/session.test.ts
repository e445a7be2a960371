/** A lab session's corners: terminals that speak late, commands that wait or don't end, cuts, hosts that are off. */
import { describe, expect, it } from "vitest";
import { MS, SEC } from "../../src/base/time.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { type LateOutput, runSteps, type StepResult } from "../../src/lab/run.ts";
import { LabSession } from "../../src/lab/session.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { labOf } from "../support/lab.ts";

interface Seen {
  readonly steps: readonly StepResult[];
  readonly late: readonly LateOutput[];
  readonly closed: readonly (string | undefined)[];
  readonly cut: boolean;
  readonly end: number;
}

async function open(text: string): Promise<LabSession> {
  return await LabSession.start(labOf(text), { module: await loadKernel(), machines: createMachine });
}

async function run(steps: string, options: { until?: number; stopAt?: string } = {}): Promise<Seen> {
  const session = await open(`hosts: { host1: {}, host2: {} }\nsteps:\n${steps}`);
  const late: LateOutput[] = [];
  const closed: (string | undefined)[] = [];
  try {
    const result = await runSteps(session, {
      ...(options.until === undefined ? {} : { until: options.until }),
      observer: {
        lateOutput: (output) => void late.push(output),
        terminalClosed: ({ terminal }) => void closed.push(terminal),
        stepStarted: (_step, _host, _terminal, command) => {
          if (command === options.stopAt) session.stop();
        },
      },
    });
    return { steps: result.steps, late, closed, cut: result.cut, end: result.end };
  } finally {
    await session.close();
  }
}

describe("terminals", () => {
  it("what an open terminal prints later is not lost, and belongs to it", async () => {
    const { late, steps } = await run(`
  - host1: docker run -it --name c1 alpine
  - host1/c1: (sleep 3; echo one; sleep 3; echo two) &
  - wait: 4s
  - host1: echo between
  - wait: 4s
  - host1/c1: echo typed
    expect: [typed]
`);
    expect(steps.flatMap((step) => step.failures)).toEqual([]);
    expect(late.map(({ host, terminal, text }) => [host, terminal, text])).toEqual([
      ["host1", "c1", "one\n"],
      ["host1", "c1", "two\n"],
    ]);
    expect(steps[2]?.stdout).toBe("between\n");
    expect((late[1]?.time ?? 0) - (late[0]?.time ?? 0)).toBe(3 * SEC);
  });

  it("what runs in the background of a host outlives its line", async () => {
    const { late } = await run(`
  - host1: (sleep 2; echo late) & echo now
    expect: [now]
    reject: [late]
  - wait: 3s
`);
    expect(late).toMatchObject([{ host: "host1", terminal: undefined, text: "late\n" }]);
  });

  it("a terminal whose container is removed by somebody else is closed", async () => {
    const { closed, steps } = await run(`
  - host1: docker run -it --name c1 alpine
  - host1: docker rm -f c1
  - wait: 1s
  - host1/c1: echo x
`);
    expect(closed).toEqual(["c1"]);
    expect(steps[0]?.open).toBe("c1");
    expect(steps[2]?.failures).toEqual(["no terminal is open on c1"]);
  });

  it("follows a rename, and goes to the exec that was opened last", async () => {
    const { steps } = await run(`
  - host1: docker run -it --name c1 alpine
  - host1: docker rename c1 c2
  - host1/c2: echo renamed
    expect: [renamed]
  - host1: docker exec -it c2 sh
  - host1/c2: exit
  - host1/c2: echo outer
    expect: [outer]
  - host1/c2: exit 5
    exit: 5
`);
    expect(steps.flatMap((step) => step.failures)).toEqual([]);
  });

  it("keeps variables and files of a host from line to line", async () => {
    const { steps } = await run(`
  - host1: X=5; echo kept > /tmp/f
  - host1: echo $X; cat /tmp/f
    expect: ["5\\nkept"]
  - host2: echo "[$X]"
    expect: ["[]"]
  - host1: "false"
    exit: 1
  - host1: echo $?
    expect: ["1"]
`);
    expect(steps.flatMap((step) => step.failures)).toEqual([]);
  });
});

describe("commands that don't end", () => {
  it("one that waits for input nobody can give has failed, and is ended", async () => {
    const { steps } = await run(`
  - host1: cat
  - host1: cat
    stdin: "typed\\n"
    expect: [typed]
`);
    expect(steps[0]?.failures).toEqual(["it waits for input: say what with stdin:"]);
    expect(steps[1]?.failures).toEqual([]);
  });

  it("typed on several hosts in parallel they run at the same time, and are seen one host after the other", async () => {
    const seen: string[] = [];
    const session = await open(`
hosts: { host1: {}, host2: {}, host3: {} }
steps:
  - host*: sleep $(hostname | sed s/host//); hostname; sleep 2; hostname
    parallel: true
    expect: ["/^host[12]/"]
`);
    const { steps } = await runSteps(session, {
      observer: {
        stepStarted: (_step, host, _terminal, _command, time) => void seen.push(`${host} ${time / SEC}`),
        output: (_stream, text) => void seen.push(text.trim()),
        stepEnded: ({ host, failures }) => void seen.push(`${host} ends: ${failures}`),
      },
    }).finally(() => session.close());
    expect(seen).toEqual(
      ["host1", "host2", "host3"].flatMap((host) => {
        const failure = host === "host3" ? "expected /^host[12]/" : "";
        return [`${host} 1`, host, host, `${host} ends: ${failure}`];
      }),
    );
    expect(steps.map(({ start, end }) => Math.round((end - start) / SEC))).toEqual([3, 4, 5]);
  });

  it("in parallel, one that runs out of time is hung up and those that ended are none the worse", async () => {
    const { steps, late, end } = await run(`
  - host*: test $(hostname) = host2 || ping 192.168.77.12
    parallel: true
    timeout: 5s
  - wait: 20s
`);
    expect(steps.map(({ failures }) => failures)).toEqual([["no end after 5s of virtual time"], []]);
    expect(steps.map(({ exit }) => exit)).toEqual([undefined, 0]);
    expect(late).toEqual([]);
    expect(end).toBeGreaterThanOrEqual(27 * SEC);
  });

  it("one that runs out of time has failed, and runs no further", async () => {
    const { steps, late } = await run(`
  - host1: ping 192.168.77.12
    timeout: 5s
  - wait: 60s
`);
    expect(steps[0]?.failures).toEqual(["no end after 5s of virtual time"]);
    expect(steps[0]?.stdout).toContain("icmp_seq=5");
    expect(late).toEqual([]);
  });

  it("an exit status on a container's terminal counts where it was asked for", async () => {
    const { steps } = await run(`
  - host1: docker run -it --rm --name c1 alpine
  - host1/c1: exit 3
  - host1: docker run -it --rm --name c1 alpine
  - host1/c1: exit 3
    exit: 4
`);
    expect(steps.map((step) => step.failures)).toEqual([[], [], [], ["exit status 3, expected 4"]]);
  });
});

describe("cuts", () => {
  it("until: stops in time, and judges nothing that it cut", async () => {
    const { steps, cut, end } = await run("  - host1: echo a\n  - host1: sleep 100\n  - host1: echo b\n", {
      until: 5 * SEC,
    });
    expect([cut, end]).toEqual([true, 5 * SEC]);
    expect(steps.map((step) => [step.command, step.exit, step.failures])).toEqual([
      ["echo a", 0, []],
      ["sleep 100", undefined, []],
    ]);
    expect((await run("  - wait: 10s\n", { until: 5 * SEC })).end).toBe(5 * SEC);
    expect((await run("  - host1: echo a\n", { until: 5 * SEC })).cut).toBe(false);
  });

  it("stop: ends the step that runs, and runs no other", async () => {
    const { steps, cut, end } = await run("  - host1: sleep 100\n  - host1: echo b\n", { stopAt: "sleep 100" });
    expect([cut, steps.length]).toEqual([true, 1]);
    expect(end).toBeLessThan(5 * SEC);
  });
});

describe("hosts that are off", () => {
  it("say so", async () => {
    const { steps } = await run(`
  - host1: docker run -it --name c1 alpine
  - fault: { host: host1, crash: true }
  - host1: echo x
  - host1/c1: echo x
  - fault: { host: host1, restart: true }
  - host1/c1: echo x
  - host1: echo x
`);
    expect(steps.map((step) => step.failures)).toEqual([
      [],
      ["host1 is switched off"],
      ["host1 is switched off"],
      ["no terminal is open on c1"],
      [],
    ]);
  });
});

describe("keys", () => {
  it("Ctrl-C ends what runs, Ctrl-D a shell; a terminal that is gone says so", async () => {
    const session = await open("hosts: { host1: {} }\n");
    const type = (input: Parameters<LabSession["command"]>[1]) =>
      session.command("host1", input, session.cluster.now + 60 * SEC, () => {});
    try {
      const shell = await type({ command: "docker run -it --name c1 alpine" });
      expect([shell.idle, shell.terminal, shell.stdout]).toEqual([true, "c1", "/ # "]);
      let interrupted = false;
      const ping = session.command(
        "host1",
        { command: "ping 127.0.0.1", into: shell.id },
        session.cluster.now + 60 * SEC,
        () => {
          if (interrupted || session.cluster.now < 3 * SEC) return;
          interrupted = true;
          session.interrupt("host1", shell.id);
        },
      );
      expect((await ping).stdout).toMatch(/packets transmitted.*\/ # $/s);
      expect((await type({ key: "interrupt", into: shell.id })).idle).toBe(true);
      // A shell leaves with the status of its last command, which Ctrl-C ended.
      expect((await type({ key: "eof", into: shell.id })).exit).toBe(130);
      expect((await type({ command: "x", into: shell.id })).refused).toBe("the terminal is closed");
      const [containers] = await session.inspect(["host1"], { kind: "containers" });
      expect(containers?.map(({ name }) => name)).toEqual(["c1"]);
      expect(session.cluster.now % MS).toBe(0);
    } finally {
      await session.close();
    }
  });
});
