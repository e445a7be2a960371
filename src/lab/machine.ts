/**
 * What runs on a lab's host: eth0 with its address, a Docker Engine, and shell sessions in which steps are typed.
 */
import { broadcastOf, formatIpv4 } from "../base/addr.ts";
import { MS } from "../base/time.ts";
import type { AttachStream, EngineApi } from "../engine/api.ts";
import { Engine } from "../engine/engine.ts";
import { LayeredFiles } from "../engine/filesystem.ts";
import { type ProcessRoot, RunningProgram } from "../engine/process-runner.ts";
import { Pipe, type Program } from "../engine/program.ts";
import { imageStore } from "../images/store.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostMachine, MachineFactory } from "../scheduler/machine.ts";
import type { HostOs } from "../scheduler/os.ts";
import { type Proc, sleep } from "../scheduler/process.ts";
import { dockerProgram } from "../shell/docker/docker.ts";
import { Shell } from "../shell/sh/interpret.ts";
import { hostTools } from "../shell/tools/registry.ts";
import { nsenter } from "./nsenter.ts";
import type { HostPlan } from "./plan.ts";
import type { MachineEvent, MachineRequest } from "./protocol.ts";

/** A session that waits for input is looked at again after this, so that output on its way has arrived. */
const SETTLE = 1 * MS;

/** One terminal: a shell line that runs, and what it is attached to. */
interface Session {
  /** The request whose output this is: the last one that typed into it. */
  id: number;
  readonly stdin: Pipe;
  program: RunningProgram | undefined;
  /** Name of the container it is attached to. */
  terminal: string | undefined;
}

class LabMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #plan: HostPlan;
  readonly #emit: (event: MachineEvent) => void;
  readonly #sessions = new Map<number, Session>();
  #engine: Engine | undefined;

  constructor(os: HostOs, plan: HostPlan, emit: (event: unknown) => void) {
    this.#os = os;
    this.#plan = plan;
    this.#emit = emit;
  }

  start(): void {
    const { root } = this.#os.kernel;
    root.link.set("lo", { up: true });
    root.addr.add("eth0", this.#plan.address, { broadcast: broadcastOf(this.#plan.address) });
    root.link.set("eth0", { up: true });
    this.#engine = new Engine({
      os: this.#os,
      images: imageStore(),
      resolvConf: this.#resolvConf(),
      onAddress: (ip, name) => this.#emit({ kind: "name", id: 0, address: formatIpv4(ip), name }),
    });
  }

  #resolvConf(): string {
    return this.#plan.dns.map((server) => `nameserver ${formatIpv4(server)}\n`).join("");
  }

  command(id: number, request: unknown): void {
    const asked = request as MachineRequest;
    switch (asked.kind) {
      case "run":
        this.#run(id, asked);
        return;
      case "type": {
        const session = [...this.#sessions.values()].find((candidate) => candidate.terminal === asked.terminal);
        if (session === undefined) {
          this.#emit({ kind: "refused", id, message: `no terminal is open on ${asked.terminal}` });
          return;
        }
        this.#type(session, id, `${asked.line}\n`);
        return;
      }
      case "input": {
        const session = this.#sessions.get(asked.session);
        if (session === undefined) this.#emit({ kind: "refused", id, message: "the session has ended" });
        else this.#type(session, id, asked.text);
        return;
      }
      case "interrupt":
        this.#sessions.get(asked.session)?.program?.interrupt();
    }
  }

  #type(session: Session, id: number, text: string): void {
    session.id = id;
    session.stdin.push(text);
    this.#os.spawn("terminal", this.#watch(session, id));
  }

  #run(id: number, request: MachineRequest & { kind: "run" }): void {
    const session: Session = { id, stdin: new Pipe(), program: undefined, terminal: undefined };
    this.#sessions.set(id, session);
    const write = (stream: "stdout" | "stderr") => ({
      write: (text: string) => this.#emit({ kind: "output", id: session.id, stream, text }),
    });
    if (request.stdin !== undefined) {
      session.stdin.push(request.stdin);
      session.stdin.close();
    }
    const login: Program = function* (context) {
      const shell = new Shell(context);
      for (const [name, value] of Object.entries(request.variables)) shell.variables.set(name, value);
      return yield* shell.run(request.line);
    };
    const env = new Map([
      ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      ["HOME", "/root"],
      ["USER", "root"],
      ["TERM", "xterm"],
    ]);
    const io = { stdin: session.stdin, stdout: write("stdout"), stderr: write("stderr"), tty: true };
    session.program = new RunningProgram(this.#root(session), login, ["sh"], env, "/root", io, false);
    this.#os.spawn("terminal", this.#watch(session, id));
  }

  #root(session: Session): ProcessRoot {
    const name = this.#os.hostName;
    const programs = new Map<string, Program>(hostTools);
    const root: ProcessRoot = {
      os: this.#os,
      ns: this.#os.kernel.root,
      hostname: name,
      files: new LayeredFiles(
        new Map([
          ["/etc/hostname", `${name}\n`],
          ["/etc/hosts", `127.0.0.1\tlocalhost\n127.0.1.1\t${name}\n`],
          ["/etc/resolv.conf", this.#resolvConf()],
        ]),
        new Map(),
      ),
      programs,
    };
    programs.set("docker", dockerProgram(this.#observed(session)));
    programs.set(
      "nsenter",
      nsenter(root, (pid) => this.#namespaceOf(pid)),
    );
    return root;
  }

  #namespaceOf(pid: number): NetNs | undefined {
    if (pid === 1) return this.#os.kernel.root;
    const container = this.#engine?.containers.list().find((candidate) => candidate.pid === pid && candidate.running);
    return container?.sandbox?.ns;
  }

  /** The engine as this session's docker sees it: an attached container gives the terminal its name. */
  #observed(session: Session): EngineApi {
    const engine = this.#engine as Engine;
    return new Proxy(engine, {
      get: (target, key) => {
        if (key === "containerAttach") {
          return (id: string): AttachStream => {
            session.terminal = target.containers.get(id).name;
            return target.containerAttach(id);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Tells when the request has ended, or its program waits for input. */
  *#watch(session: Session, id: number): Proc<void> {
    const { program, stdin } = session;
    if (program === undefined) return;
    for (;;) {
      if (session.id !== id) return;
      if (program.status !== undefined) {
        this.#sessions.forEach((candidate, key) => {
          if (candidate === session) this.#sessions.delete(key);
        });
        this.#emit({ kind: "exit", id, status: program.status });
        return;
      }
      if (stdin.idle) {
        yield* sleep(this.#os, SETTLE);
        if (stdin.idle && program.status === undefined && session.id === id) {
          this.#emit({ kind: "idle", id, terminal: session.terminal });
          return;
        }
        continue;
      }
      yield { on: [stdin.idled, program.exited] };
    }
  }
}

/** The machine of a lab's host; `config` is its HostPlan. */
export const createMachine: MachineFactory = (os, config, emit) => new LabMachine(os, config as HostPlan, emit);
