/**
 * What runs on a mesh's host. With the control plane `gossip` it is a lab's host with its Docker Engine, whose containers the
 * swarm makes; with `converged` no daemon runs, and the kernel is brought at boot into the state that one would have left.
 * Generated traffic is the same on both.
 */
import { assert } from "../../base/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { Disk, HostMachine, MachineFactory } from "../../scheduler/machine.ts";
import type { HostOs } from "../../scheduler/os.ts";
import type { Proc } from "../../scheduler/process.ts";
import { hostAddress } from "../../workload/mesh/addresses.ts";
import { placeHost } from "../../workload/mesh/place.ts";
import { HostTraffic } from "../../workload/mesh/traffic.ts";
import type { MeshPlan } from "../../workload/mesh/types.ts";
import { LabMachine } from "../machine.ts";
import type { MachineRequest } from "../protocol.ts";
import type { MeshEvent, MeshMachineConfig, MeshRequest } from "./protocol.ts";
import { editSchedulers, overlayTables, runningContainers, swarmView } from "./tables.ts";

/** Where nobody listens (RFC 863). */
const DISCARD = 9;

class MeshMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #config: MeshMachineConfig;
  readonly #emit: (event: unknown) => void;
  /** Gossip: the host as a lab has it. */
  readonly #docker: LabMachine | undefined;
  /** Converged: where the plan's containers are. */
  #placed: ((container: number) => NetNs) | undefined;
  #traffic: HostTraffic | undefined;

  constructor(os: HostOs, config: MeshMachineConfig, emit: (event: unknown) => void, disk: Disk) {
    this.#os = os;
    this.#config = config;
    this.#emit = emit;
    if (config.control === "gossip") this.#docker = new LabMachine(os, config.host, emit, disk);
  }

  start(): void {
    if (this.#docker !== undefined) {
      this.#docker.start();
      return;
    }
    const { plan } = this.#config;
    assert(plan !== undefined, "a converged mesh has its plan");
    this.#placed = placeHost(this.#os.kernel, plan, this.#os.hostIndex);
  }

  command(id: number, request: unknown): void {
    const asked = request as MeshRequest | MachineRequest;
    switch (asked.kind) {
      case "mesh-swarm":
        this.#os.spawn("mesh", this.#swarm(id));
        return;
      case "mesh-containers":
        this.#answer({ kind: "containers", id, containers: runningContainers(this.#engine) });
        return;
      case "mesh-tables":
        this.#answer({ kind: "tables", id, tables: overlayTables(this.#engine, this.#os.kernel.root) });
        return;
      case "mesh-schedulers":
        this.#answer({ kind: "edited", id, services: editSchedulers(this.#engine, asked.services) });
        return;
      case "mesh-listen":
        this.#listen(asked.plan, asked.containers);
        this.#answer({ kind: "listening", id });
        return;
      case "mesh-start":
        this.#own.start(asked.at);
        return;
      case "mesh-report":
        this.#emit(this.#own.report());
        return;
      default:
        assert(this.#docker !== undefined, "only a host with Docker has terminals", asked.kind);
        this.#docker.command(id, asked);
    }
  }

  #answer(event: MeshEvent): void {
    this.#emit(event);
  }

  get #engine(): Engine {
    const engine = this.#docker?.engine;
    assert(engine !== undefined, "the host's daemon runs", this.#os.hostName);
    return engine;
  }

  get #own(): HostTraffic {
    assert(this.#traffic !== undefined, "the host listens", this.#os.hostName);
    return this.#traffic;
  }

  *#swarm(id: number): Proc<void> {
    this.#answer({ kind: "swarm", id, view: yield* swarmView(this.#engine) });
  }

  #listen(plan: MeshPlan, containers: readonly string[] | undefined): void {
    const nsOf = containers === undefined ? this.#placed : (index: number) => this.#nsOf(containers[index] ?? "");
    assert(nsOf !== undefined, "containers of a mesh are placed, or have IDs");
    this.#traffic = new HostTraffic(this.#os, plan, this.#os.hostIndex, nsOf);
    this.#traffic.listen();
    this.#greet(plan);
  }

  /** Fills the neighbour table of the wire: what gossip has done to it by chance, and nobody when hosts are placed. */
  #greet(plan: MeshPlan): void {
    const own = this.#os.hostIndex;
    const peers = new Set(plan.networks.filter(({ hosts }) => hosts.includes(own)).flatMap(({ hosts }) => hosts));
    for (const peer of [...peers].sort((a, b) => a - b)) {
      if (peer === own) continue;
      const socket = this.#os.kernel.root.socket.udp();
      socket.sendTo(new Uint8Array(1), hostAddress(plan.options, peer).ip, DISCARD);
      socket.close();
    }
  }

  #nsOf(container: string): NetNs {
    const { ns } = this.#engine.containers.get(container);
    assert(ns !== undefined, "a container of the mesh runs", container);
    return ns;
  }
}

/** The machine of a mesh's host; `config` is its MeshMachineConfig. */
export const createMachine: MachineFactory = (os, config, emit, disk) =>
  new MeshMachine(os, config as MeshMachineConfig, emit, disk);
