/** `swarmwire shell [LAB]`: a terminal on the hosts of a lab; `@host2` switches, Ctrl-D leaves. */
import { createInterface, type Interface } from "node:readline";
import { UserError } from "../base/errors.ts";
import { parseDuration, SEC } from "../base/time.ts";
import { createMachine } from "../lab/machine.ts";
import { parseLab } from "../lab/parse.ts";
import { LabSession, runSteps } from "../lab/run.ts";
import { loadKernel } from "../scheduler/node-adapter.ts";
import { type Flag, formatFlags, parseArgs } from "./args.ts";
import { loadLab } from "./labs.ts";
import { TraceFile } from "./trace.ts";

const FLAGS: Record<string, Flag> = {
  pcap: { value: "FILE", help: "write a pcapng trace" },
  capture: {
    value: "PATTERN",
    repeat: true,
    help: "capture points host/namespace/device (default */host/eth0); may be repeated",
  },
  seed: { value: "N", help: "instead of the lab's seed" },
  help: { help: "this text" },
};

const HELP = `Usage: swarmwire shell [LAB] [flags]

A terminal on the hosts of a lab, after its steps; without one, on two fresh hosts.
Virtual time passes while a command runs, and a second between two of them.

  @host2        go to another host          @wait 1h      let time pass
  @hosts        list the hosts              Ctrl-D        leave

${formatFlags(FLAGS)}`;

const DEFAULT_LAB = "hosts: { host1: {}, host2: {} }\n";
/** A command may run this long: an hour of virtual time. */
const LIMIT = 3600 * SEC;

/** @returns the exit status */
export async function shellCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("shell", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const name = args.positional[0];
  const plan = name === undefined ? parseLab("default", DEFAULT_LAB) : loadLab(name);
  const seed = args.get("seed") ?? plan.seed;
  const trace = args.has("pcap") ? new TraceFile(args.get("pcap") as string, plan, seed) : undefined;
  const patterns = args.all("capture").length > 0 ? args.all("capture") : ["*/host/eth0"];
  const session = await LabSession.start(plan, {
    module: await loadKernel(),
    machines: createMachine,
    seed,
    ...(trace === undefined ? {} : { capture: { patterns, snaplen: 262_144, sink: trace } }),
  });
  try {
    if (plan.steps.length > 0) await runSteps(session, {});
    await new Repl(session).run();
  } finally {
    trace?.close(session.cluster.now);
    await session.close();
  }
  return 0;
}

class Repl {
  readonly #session: LabSession;
  readonly #readline: Interface;
  #host: string;
  /** The session that waits for input, if a program does. */
  #open: number | undefined;
  #busy: number | undefined;

  constructor(session: LabSession) {
    this.#session = session;
    this.#host = session.plan.hosts[0]?.name ?? "";
    this.#readline = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: process.stdin.isTTY,
      historySize: 1000,
      completer: (line: string) => this.#complete(line),
    });
    this.#readline.on("SIGINT", () => this.#interrupt());
  }

  #interrupt(): void {
    const { cluster } = this.#session;
    const target = this.#busy ?? this.#open;
    if (target === undefined) {
      process.stdout.write("^C\n");
      this.#prompt();
      return;
    }
    cluster.post(cluster.hostIndex(this.#host), cluster.now, { kind: "interrupt", session: target });
  }

  #prompt(): void {
    this.#readline.setPrompt(this.#open === undefined ? `${this.#host}$ ` : "");
    this.#readline.prompt();
  }

  async run(): Promise<void> {
    this.#prompt();
    for await (const line of this.#readline) {
      try {
        if (this.#open !== undefined) await this.#execute(line, this.#open);
        else if (line.trim().startsWith("@")) await this.#local(line.trim().slice(1));
        else if (line.trim() !== "") await this.#execute(line, undefined);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        process.stdout.write(`${error.message}\n`);
      }
      this.#prompt();
    }
    process.stdout.write("\n");
  }

  async #local(text: string): Promise<void> {
    const [word = "", argument] = text.split(/\s+/);
    if (word === "hosts") {
      for (const host of this.#session.plan.hosts) process.stdout.write(`${host.name}\n`);
    } else if (word === "wait") {
      const span = parseDuration(argument ?? "");
      if (span === undefined) throw new UserError("@wait: expected a time like 10s or 12h");
      await this.#session.wait(span);
    } else if (this.#session.plan.hosts.some((host) => host.name === word)) this.#host = word;
    else throw new UserError(`there is no host ${word}; @hosts lists them`);
  }

  async #execute(line: string, into: number | undefined): Promise<void> {
    const { cluster } = this.#session;
    const outcome = await this.#session.command(
      this.#host,
      into === undefined ? { command: line } : { command: line, into },
      cluster.now + LIMIT,
      (_stream, text) => {
        process.stdout.write(text);
      },
      (id) => {
        this.#busy = into ?? id;
      },
    );
    this.#busy = undefined;
    if (outcome.refused !== undefined) process.stdout.write(`${outcome.refused}\n`);
    this.#open = outcome.idle ? (into ?? outcome.id) : undefined;
    if (this.#open === undefined) await this.#session.wait(SEC);
  }

  #complete(line: string): [string[], string] {
    const hosts = this.#session.plan.hosts.map((host) => `@${host.name}`);
    const words = line.startsWith("@") ? [...hosts, "@hosts", "@wait "] : COMPLETIONS;
    const hits = words.filter((word) => word.startsWith(line));
    return [hits.length > 0 ? hits : words, line];
  }
}

const COMPLETIONS = [
  "docker swarm init",
  "docker swarm join --token ",
  "docker swarm join-token worker",
  "docker swarm leave",
  "docker node ls",
  "docker network ls",
  "docker network create ",
  "docker network inspect ",
  "docker network rm ",
  "docker run ",
  "docker exec ",
  "docker ps",
  "docker stop ",
  "docker rm ",
  "docker logs ",
  "docker inspect ",
  "ip addr",
  "ip link",
  "ip route",
  "ip neigh",
  "bridge fdb show",
  "iptables-save",
  "ping -c 2 ",
];
