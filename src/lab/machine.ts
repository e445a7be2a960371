/**
 * What runs on a lab's host: eth0 with its address, a Docker Engine, and terminals on which steps are typed.
 */
import { broadcastOf, formatIpv4 } from "../base/addr.ts";
import type { EngineApi } from "../engine/api.ts";
import { connectionFailed, Daemon } from "../engine/daemon.ts";
import type { Engine } from "../engine/engine.ts";
import { type ProcessRoot, RunningProgram } from "../engine/process-runner.ts";
import type { Program } from "../engine/program.ts";
import { debianRoot } from "../images/root-files.ts";
import type { NetNs } from "../kernel/types.ts";
import type { Disk, HostMachine, MachineFactory } from "../scheduler/machine.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { dockerProgram } from "../shell/docker/docker.ts";
import { Shell } from "../shell/sh/interpret.ts";
import { ShellState } from "../shell/sh/state.ts";
import { inMemory, readDisk, writeDisk } from "./host-disk.ts";
import { HostFiles } from "./host-files.ts";
import { inspect } from "./inspect/inspect.ts";
import type { MachineQuery } from "./inspect/protocol.ts";
import { startNat } from "./nat.ts";
import { nsenter } from "./nsenter.ts";
import type { HostPlan } from "./plan.ts";
import type { GossipView, MachineEvent, MachineRequest } from "./protocol.ts";
import { type MachineSystem, SYSTEMS } from "./system.ts";
import { service, sudo, systemctl } from "./systemctl.ts";
import { Terminal } from "./terminal.ts";
import { HostWorkload } from "./workload.ts";

const HOME = "/root";

/** A terminal and what runs on it. */
interface Session {
  readonly terminal: Terminal;
  readonly program: RunningProgram;
}

/** A lab's host. Requests are MachineRequests, events MachineEvents. */
export class LabMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #plan: HostPlan;
  readonly #system: MachineSystem;
  readonly #emit: (event: MachineEvent) => void;
  readonly #disk: Disk;
  /** Open terminals by the request that opened them, in that order. */
  readonly #sessions = new Map<number, Session>();
  /** What the login shell keeps from one line to the next. */
  #shellState: ShellState | undefined;
  readonly #workload: HostWorkload;
  #daemon: Daemon | undefined;
  #root: ProcessRoot | undefined;
  /** The UTS name. */
  #hostname = "";
  #namespaceAt: (path: string) => NetNs | undefined = () => undefined;

  constructor(os: HostOs, plan: HostPlan, emit: (event: unknown) => void, disk: Disk) {
    this.#disk = disk;
    this.#os = os;
    this.#plan = plan;
    this.#system = SYSTEMS[plan.os];
    this.#emit = emit;
    this.#workload = new HostWorkload(os, this.#emit, (container) => this.#processRoot(container));
  }

  start(): void {
    const { root } = this.#os.kernel;
    this.#system.boot(root);
    root.link.set("lo", { up: true });
    const address = this.#plan.nat ?? this.#plan.address;
    root.addr.add("eth0", address, { broadcast: broadcastOf(address) });
    root.link.set("eth0", { up: true });
    for (const card of this.#plan.cards) {
      root.addr.add(card.device, card.address, { broadcast: broadcastOf(card.address) });
      root.link.set(card.device, { up: true });
    }
    if (this.#plan.nat !== undefined) startNat(this.#os, this.#plan.address, this.#plan.nat);
    const name = this.#os.hostName;
    const hostsFile = `127.0.0.1\tlocalhost\n127.0.1.1\t${name}\n`;
    const resolvConf = this.#plan.dns.map((server) => `nameserver ${formatIpv4(server)}\n`).join("");
    const earlier = readDisk(this.#disk);
    const daemon = new Daemon({
      ...(earlier === undefined ? {} : { restore: earlier.engine }),
      os: this.#os,
      images: this.#system.images(),
      platform: this.#system.platform,
      resolvConf,
      hostsFile,
      names: () => {
        const read = (path: string) => this.#root?.files.read(path) ?? "";
        return { hosts: read("/etc/hosts"), resolvConf: read("/etc/resolv.conf") };
      },
      onAddress: (ip, container) => this.#emit({ kind: "name", id: 0, address: formatIpv4(ip), name: container }),
    });
    const etc = new Map([
      ...(this.#system.hasNamespaces ? debianRoot(this.#system.tools().keys()) : []),
      ["/etc/hostname", `${name}\n`],
      ["/etc/hosts", hostsFile],
      ["/etc/resolv.conf", resolvConf],
    ]);
    this.#daemon = daemon;
    const files = new HostFiles(etc, root, () => daemon.engine?.controller.namespaceFiles() ?? new Map());
    if (earlier !== undefined) files.remount(earlier.files, inMemory);
    writeDisk(this.#disk, { daemon, files });
    this.#namespaceAt = (path) => files.namespaceAt(path);
    const machine = this;
    this.#hostname = name;
    this.#root = {
      os: this.#os,
      ns: root,
      get hostname() {
        return machine.#hostname;
      },
      setHostname: (to) => {
        machine.#hostname = to;
      },
      files,
      programs: this.#system.tools(),
      processes: new Set(),
    };
  }

  command(id: number, request: unknown): void {
    const asked = request as MachineRequest;
    switch (asked.kind) {
      case "run":
        this.#run(id, asked);
        return;
      case "type": {
        const open = [...this.#sessions.values()].filter(({ terminal }) => terminal.container === asked.terminal);
        const session = open.at(-1);
        if (session === undefined) this.#refuse(id, `no terminal is open on ${asked.terminal}`);
        else this.#type(session, id, `${asked.line}\n`);
        return;
      }
      case "gossip":
        this.#emit({ kind: "gossip", id, ...this.#gossipView(asked.network) });
        return;
      case "sink":
      case "count":
      case "flow":
        this.#workload.command(id, asked);
        return;
    }
    const session = this.#session(asked.session);
    if (session === undefined) this.#refuse(id, "the terminal is closed");
    else if (asked.kind === "input") this.#type(session, id, asked.text);
    else if (asked.kind === "eof") this.#type(session, id, "");
    else if (asked.kind === "hangup") session.program.signal("SIGKILL");
    else {
      if (asked.answer) session.terminal.expect(id);
      session.program.interrupt();
    }
  }

  inspect(query: unknown): unknown {
    const { engine } = this;
    const root = this.#root as ProcessRoot;
    const cwd = this.#shellState?.cwd ?? HOME;
    return inspect({ os: this.#os, engine, plan: this.#plan, root, cwd }, query as MachineQuery);
  }

  /** The engine; undefined while its daemon is stopped. */
  get engine(): Engine | undefined {
    return this.#daemon?.engine;
  }

  /** A terminal by its first request, or the last one. */
  #session(request: number): Session | undefined {
    const sessions = this.#sessions;
    return sessions.get(request) ?? [...sessions.values()].find(({ terminal }) => terminal.request === request);
  }

  #refuse(id: number, message: string): void {
    this.#emit({ kind: "refused", id, message });
  }

  #type({ terminal }: Session, id: number, text: string): void {
    terminal.expect(id);
    terminal.stdin.push(text);
  }

  #gossipView(name: string): GossipView {
    const controller = this.engine?.controller;
    const id = controller?.networkByName(name)?.id ?? "";
    const census = controller?.agent?.db.census(id) ?? { members: 0, nodes: 0, networkNodes: 0 };
    return { ...census, peers: controller?.overlay.peers.remoteCount(id) ?? 0 };
  }

  #run(id: number, request: MachineRequest & { kind: "run" }): void {
    const terminal = new Terminal(id, this.#os, this.#emit);
    const { stdin } = terminal;
    if (request.stdin !== undefined) {
      if (request.stdin !== "") stdin.push(request.stdin);
      stdin.close();
    }
    const env = new Map([
      ["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      ["HOME", HOME],
      ["USER", "root"],
      ["TERM", "xterm"],
    ]);
    const stdout = { write: (text: string) => terminal.write("stdout", text) };
    const stderr = { write: (text: string) => terminal.write("stderr", text) };
    const cwd = this.#shellState?.cwd ?? HOME;
    const io = { stdin, stdout, stderr, tty: true };
    const program = new RunningProgram(this.#rootFor(terminal), this.#login(request), ["sh"], env, cwd, io, false);
    this.#sessions.set(id, { terminal, program });
    this.#os.spawn("terminal", this.#serve(terminal, program));
  }

  *#serve(terminal: Terminal, program: RunningProgram): Proc<void> {
    yield* terminal.serve(program);
    this.#sessions.delete(terminal.key);
  }

  /** One line of the login shell. What it sets is there on the next line. */
  #login(request: MachineRequest & { kind: "run" }): Program {
    const machine = this;
    return function* (context) {
      const before = machine.#shellState;
      const state = before?.copy() ?? new ShellState(context.env, context.cwd);
      state.jobs = before?.jobs ?? [];
      for (const [name, value] of Object.entries(request.variables)) state.variables.set(name, value);
      const shell = new Shell(context, { state, interactive: true });
      const status = yield* shell.run(request.line);
      machine.#shellState = state;
      return status;
    };
  }

  /** The host's root as programs on a terminal see it: docker and nsenter know the terminal and the engine. */
  #rootFor(terminal: Terminal): ProcessRoot {
    const daemon = this.#daemon as Daemon;
    const programs = this.#system.tools();
    const machine = this;
    const root: ProcessRoot = {
      ...(this.#root as ProcessRoot),
      programs,
      // As it is by then: a command of the line may change it.
      get hostname() {
        return machine.#hostname;
      },
    };
    programs.set("docker", (context) => dockerProgram(engineApi(daemon, terminal))(context));
    if (this.#system.hasNamespaces) {
      programs.set("systemctl", systemctl(daemon));
      programs.set("service", service(daemon));
      programs.set("sudo", sudo);
    }
    const enter = nsenter(root, (pid) => this.#namespaceOf(pid), this.#namespaceAt);
    if (this.#system.hasNamespaces) programs.set("nsenter", enter);
    return root;
  }

  /** What processes of a container share, or those of the host; undefined when the container doesn't run. */
  #processRoot(container: string | undefined): ProcessRoot | undefined {
    if (container === undefined) return this.#root;
    return this.engine?.containers.list().find(({ name, running }) => running && name === container)?.program?.root;
  }

  #namespaceOf(pid: number): NetNs | undefined {
    if (pid === 1) return this.#os.kernel.root;
    return this.engine?.containers.list().find((container) => container.pid === pid)?.ns;
  }
}

/** The engine as a terminal's docker sees it; every request of one that is stopped fails. */
function engineApi(daemon: Daemon, terminal: Terminal): EngineApi {
  if (daemon.engine !== undefined) return terminal.observe(daemon.engine);
  return new Proxy({} as EngineApi, {
    get: () => () => {
      throw connectionFailed();
    },
  });
}

/** The machine of a lab's host; `config` is its HostPlan. */
export const createMachine: MachineFactory = (os, config, emit, disk) =>
  new LabMachine(os, config as HostPlan, emit, disk);
