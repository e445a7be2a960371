/** The terminals of a lab that runs, as the page's session drives them, in plain Node. */
import { afterEach, describe, expect, it } from "vitest";
import { createMachine } from "../../../src/lab/machine.ts";
import { parseLab } from "../../../src/lab/parse.ts";
import { LabSession, runSteps } from "../../../src/lab/run.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import type { SessionEvent } from "../../../web/session/protocol.ts";
import type { TypedCommand } from "../../../web/session/terminals/shell.ts";
import { Terminals } from "../../../web/session/terminals/terminals.ts";

/** What is done at the next rest of time. */
type Rest = (terminals: Terminals) => void;

/** A lab, its terminals, and their texts by name. */
class Desk {
  readonly session: LabSession;
  readonly terminals: Terminals;
  readonly texts = new Map<string, string>();
  readonly typed: TypedCommand[] = [];
  readonly prompts = new Map<string, string | undefined>();

  constructor(session: LabSession) {
    this.session = session;
    const hosts = session.plan.hosts.map(({ name }) => name);
    this.terminals = new Terminals(hosts, {
      session,
      tell: (event) => this.#take(event),
      typed: (command) => void this.typed.push(command),
      watch: () => {},
    });
  }

  #take(event: SessionEvent): void {
    if (event.kind === "output")
      this.texts.set(event.terminal ?? "", (this.texts.get(event.terminal ?? "") ?? "") + event.text);
    else if (event.kind === "prompt") this.prompts.set(event.terminal, event.prompt);
  }

  /** Types lines one after the other, each at its prompt. */
  async type(name: string, ...lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      this.terminals.input(name, { line });
      await this.terminals.pass(() => false);
    }
  }

  /** Runs the lab's steps. */
  async run(before: (step: number) => Promise<void> = async () => {}) {
    const { terminals, session } = this;
    return await runSteps(session, {
      before,
      observer: {
        stepStarted: (_step, host, terminal, command) => terminals.stepStarted(host, terminal, command),
        posted: (host, id) => terminals.stepPosted(host, id),
        output: (_stream, text) => terminals.stepOutput(text),
        stepEnded: (result) => terminals.stepEnded(result),
        lateOutput: (late) => terminals.late(late),
        terminalClosed: (closed) => terminals.closed(closed),
      },
    });
  }
}

let desk: Desk | undefined;
async function open(lab: string, rest: Rest = () => {}): Promise<Desk> {
  const session = await LabSession.start(parseLab("test", lab), {
    module: await loadKernel(),
    machines: createMachine,
    breathe: async () => {
      if (desk === undefined) return;
      rest(desk.terminals);
      desk.terminals.flush();
    },
  });
  desk = new Desk(session);
  session.observe({
    lateOutput: (late) => desk?.terminals.late(late),
    terminalClosed: (closed) => desk?.terminals.closed(closed),
  });
  return desk;
}

afterEach(async () => {
  await desk?.session.close();
  desk = undefined;
});

const TWO = "hosts: { host1: {}, host2: {} }\n";

describe("terminals", () => {
  it("runs lines one after the other on one terminal, side by side on two", async () => {
    const { terminals, texts, session } = await open(TWO);
    terminals.input("host1", { line: "ping -c 3 192.168.77.12" });
    terminals.input("host1", { line: "echo after" });
    terminals.input("host2", { line: "sleep 1; echo meanwhile" });
    const start = session.cluster.now;
    await terminals.pass(() => false);
    expect(texts.get("host1")).toMatch(/3 received[\s\S]*\nafter\n$/);
    expect(texts.get("host2")).toBe("meanwhile\n");
    // Three pings take 2 s, a second passes behind each command.
    expect((session.cluster.now - start) / 1e9).toBeCloseTo(4, 1);
  });

  it("interrupts an endless command, also when a line waits behind it", async () => {
    let asked = false;
    const { terminals, texts, typed } = await open(TWO, (all) => {
      if (asked || !texts.get("host1")?.includes("icmp_seq=3")) return;
      asked = true;
      all.input("host1", { key: "interrupt" });
    });
    terminals.input("host1", { line: "ping 192.168.77.12" });
    terminals.input("host1", { line: "echo after" });
    await terminals.pass(() => false);
    expect(texts.get("host1")).toMatch(/ping statistics[\s\S]*\nafter\n$/);
    expect(typed.map(({ command }) => command)).toEqual(["ping 192.168.77.12", "echo after"]);
  });

  it("interrupts a lab's own step, on the host and in a container", async () => {
    let asked = 0;
    const both = await open(
      `${TWO}steps:\n  - host1: ping 192.168.77.12\n  - host1: docker run -it --name c1 alpine\n  - host1/c1: ping 127.0.0.1\n`,
      (all) => {
        if (asked < 1 && both.texts.get("host1")?.includes("icmp_seq=2")) {
          asked = 1;
          all.input("host1", { key: "interrupt" });
        }
        if (asked < 2 && both.texts.get("host1/c1")?.includes("seq=2")) {
          asked = 2;
          all.input("host1/c1", { key: "interrupt" });
        }
      },
    );
    const { steps } = await both.run();
    expect(asked).toBe(2);
    expect(steps[0]?.stdout).toMatch(/ping statistics ---\n\d+ packets transmitted/);
    expect(steps[2]?.stdout).toMatch(/ping statistics[\s\S]*\/ # $/);
    expect(both.prompts.get("host1/c1")).toBe("/ # ");
    expect(both.prompts.get("host1")).toBe("host1$ ");
  });

  it("a container's terminal is docker exec with a shell that it has; steps don't type on it", async () => {
    const one = await open(
      `${TWO}steps:\n  - host1: docker run -it --name c1 alpine\n  - host1/c1: echo from the step\n`,
    );
    const { terminals, texts, prompts, typed } = one;
    const name = "host1/c1 (2)";
    await one.run(async (step) => {
      if (step !== 1) return;
      expect(terminals.open("host1", "c1", "sh", true)).toBe(name);
      await terminals.pass(() => false);
      expect(prompts.get(name)).toBe("/ # ");
    });
    expect(texts.get("host1/c1")).toBe("/ # echo from the step\nfrom the step\n/ # ");
    terminals.input(name, { line: "echo $PPID; exit" });
    await terminals.pass(() => false);
    expect(texts.get(name)).toMatch(/^host1\$ docker exec -it c1 sh\n/);
    expect(texts.get(name)).not.toContain("from the step");
    expect(prompts.get(name)).toMatch(/no shell runs/);
    expect(typed.map(({ open }) => open)).toEqual(["c1", undefined]);
  });

  it("shows what was printed before a terminal is opened, in a lab of many hosts", async () => {
    const one = await open("hosts: { node: { count: 12 } }\nsteps:\n  - node-9: echo hello\n");
    const { terminals, texts, prompts } = one;
    await one.run();
    expect([...texts.keys()]).toEqual([]);
    expect(terminals.open("node-9", undefined, "")).toBe("node-9");
    expect(texts.get("node-9")).toBe("node-9$ echo hello\nhello\n");
    expect(prompts.get("node-9")).toBe("node-9$ ");
  });

  it("ends what runs on a terminal that is closed, but not on a host's own", async () => {
    const { terminals, session } = await open(TWO);
    const second = terminals.open("host1", undefined, "", true);
    expect(second).toBe("host1 (2)");
    terminals.input(second, { line: "ping 192.168.77.12" });
    terminals.flush();
    terminals.close(second);
    await terminals.pass(() => false);
    terminals.input("host1", { line: "ps | grep -c ping" });
    await terminals.pass(() => false);
    expect(session.cluster.now / 1e9).toBeLessThan(5);
    terminals.close("host1");
    expect(terminals.open("host1", undefined, "")).toBe("host1");
  });
});
