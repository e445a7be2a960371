/** The terminals of a lab that runs, as the page's session drives them, in plain Node. */
import { afterEach, describe, expect, it } from "vitest";
import { createMachine } from "../../../src/lab/machine.ts";
import { parseLab } from "../../../src/lab/parse.ts";
import { LabSession, runSteps } from "../../../src/lab/run.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import type { SessionEvent } from "../../../web/session/protocol.ts";
import type { Typed, TypedCommand } from "../../../web/session/terminals/shell.ts";
import { type TerminalAction, Terminals } from "../../../web/session/terminals/terminals.ts";

/** What is done whenever time rests. */
type Rest = (desk: Desk) => void;

/** A lab, its terminals, and their texts by name. */
class Desk {
  readonly session: LabSession;
  readonly terminals: Terminals;
  readonly texts = new Map<string, string>();
  readonly typed: TypedCommand[] = [];
  readonly prompts = new Map<string, string | undefined>();
  #waiting: TerminalAction[] = [];

  constructor(session: LabSession) {
    this.session = session;
    const hosts = session.plan.hosts.map(({ name }) => name);
    this.terminals = new Terminals(hosts, {
      session,
      tell: (event) => this.#take(event),
      typed: (command) => void this.typed.push(command),
    });
  }

  /** Something is typed as soon as it can be. */
  input(name: string, typed: Typed): void {
    const terminal = this.terminals.entry(name);
    if (terminal !== undefined) this.#waiting.push({ terminal, ...typed });
  }

  line(name: string, line: string): void {
    this.input(name, { kind: "line", line, shown: true });
  }

  interrupt(name: string): void {
    this.input(name, { kind: "key", key: "interrupt" });
  }

  /** Time rests. */
  rest(): void {
    this.terminals.look();
    this.#waiting = this.#waiting.filter((action) => !this.terminals.act(action, false));
  }

  /** Lets time pass until all that was typed has ended or waits. */
  async pass(): Promise<void> {
    do {
      this.rest();
      await this.terminals.pass(() => false);
    } while (this.#waiting.length > 0 || this.terminals.pending);
  }

  #take(event: SessionEvent): void {
    if (event.kind === "output")
      this.texts.set(event.terminal ?? "", (this.texts.get(event.terminal ?? "") ?? "") + event.text);
    else if (event.kind === "prompt") this.prompts.set(event.terminal, event.prompt);
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
      rest(desk);
      desk.rest();
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
    const one = await open(TWO);
    one.line("host1", "ping -c 3 192.168.77.12");
    one.line("host1", "echo after");
    one.line("host2", "sleep 1; echo meanwhile");
    const start = one.session.cluster.now;
    await one.pass();
    expect(one.texts.get("host1")).toMatch(/3 received[\s\S]*\nafter\n$/);
    expect(one.texts.get("host2")).toBe("meanwhile\n");
    // Three pings take 2 s, a second passes behind each command.
    expect((one.session.cluster.now - start) / 1e9).toBeCloseTo(4, 1);
  });

  it("interrupts an endless command, also when a line waits behind it", async () => {
    let asked = false;
    const one = await open(TWO, (desk) => {
      if (asked || !desk.texts.get("host1")?.includes("icmp_seq=3")) return;
      asked = true;
      desk.interrupt("host1");
    });
    one.line("host1", "ping 192.168.77.12");
    one.line("host1", "echo after");
    await one.pass();
    expect(one.texts.get("host1")).toMatch(/ping statistics[\s\S]*\nafter\n$/);
    expect(one.typed.map(({ command }) => command)).toEqual(["ping 192.168.77.12", "echo after"]);
  });

  it("interrupts a lab's own step, on the host and in a container", async () => {
    let asked = 0;
    const one = await open(
      `${TWO}steps:\n  - host1: ping 192.168.77.12\n  - host1: docker run -it --name c1 alpine\n  - host1/c1: ping 127.0.0.1\n`,
      (desk) => {
        if (asked === 0 && desk.texts.get("host1")?.includes("icmp_seq=2")) {
          asked = 1;
          desk.interrupt("host1");
        }
        if (asked === 1 && desk.texts.get("host1/c1")?.includes("seq=2")) {
          asked = 2;
          desk.interrupt("host1/c1");
        }
      },
    );
    const { steps } = await one.run();
    expect(asked).toBe(2);
    expect(steps[0]?.stdout).toMatch(/ping statistics ---\n\d+ packets transmitted/);
    expect(steps[2]?.stdout).toMatch(/ping statistics[\s\S]*\/ # $/);
    expect(one.prompts.get("host1/c1")).toBe("/ # ");
    expect(one.prompts.get("host1")).toBe("host1$ ");
  });

  it("a container's terminal is docker exec with a shell that it has; steps don't type on it", async () => {
    const one = await open(
      `${TWO}steps:\n  - host1: docker run -it --name c1 alpine\n  - host1/c1: echo from the step\n`,
    );
    const { terminals, texts, prompts, typed } = one;
    const name = "host1/c1 (2)";
    await one.run(async (step) => {
      if (step !== 1) return;
      expect(terminals.open("host1", "c1", "sh", true)).toMatchObject({ entry: { name }, begins: true });
      one.input(name, { kind: "begin" });
      await one.pass();
      expect(prompts.get(name)).toBe("/ # ");
    });
    expect(texts.get("host1/c1")).toBe("/ # echo from the step\nfrom the step\n/ # ");
    one.line(name, "echo typed; exit");
    await one.pass();
    expect(texts.get(name)).toMatch(/^host1\$ docker exec -it c1 sh\n/);
    expect(texts.get(name)).not.toContain("from the step");
    expect(prompts.get(name)).toMatch(/no shell runs/);
    expect(typed.map(({ open }) => open)).toEqual(["c1", undefined]);
  });

  it("shows what was printed and typed before a terminal is opened, in a lab of many hosts", async () => {
    const one = await open("hosts: { node: { count: 12 } }\nsteps:\n  - node-9: echo hello\n");
    const { terminals, texts, prompts } = one;
    await one.run();
    one.line("node-9", "echo again");
    await one.pass();
    expect([...texts.keys()]).toEqual([]);
    expect(terminals.shown).toEqual([]);
    expect(terminals.open("node-9", undefined, "")).toMatchObject({ entry: { name: "node-9" }, begins: false });
    expect(texts.get("node-9")).toBe("node-9$ echo hello\nhello\nnode-9$ echo again\nagain\n");
    expect(prompts.get("node-9")).toBe("node-9$ ");
  });

  it("ends what runs on a terminal that is closed; a host's own is only hidden", async () => {
    const one = await open(TWO);
    const { terminals } = one;
    const { entry } = terminals.open("host1", undefined, "", true);
    expect(entry).toEqual({ name: "host1 (2)", host: "host1" });
    one.line(entry.name, "ping 192.168.77.12");
    one.rest();
    expect(terminals.pending).toBe(true);
    expect(terminals.hide(entry.name)).toEqual(entry);
    expect(terminals.act({ kind: "close", terminal: entry }, false)).toBe(true);
    expect(terminals.pending).toBe(false);
    one.line("host1", "ps aux | grep -c '[p]ing'");
    await one.pass();
    expect(one.texts.get("host1")).toBe("0\n");
    expect(terminals.hide("host1")).toBeUndefined();
    expect(terminals.open("host1", undefined, "").begins).toBe(false);
  });
});
