/**
 * Makes a mesh over the wire, as an administrator with a terminal on each host does: `docker swarm init` and joins, networks,
 * services with constraints that keep them on their networks' hosts; then waits until every host says that it knows what
 * it must know.
 */
import { formatCidr, formatIpv4 } from "../../base/addr.ts";
import { assert, UserError } from "../../base/errors.ts";
import { formatDuration, MINUTE, MS, type Time } from "../../base/time.ts";
import { hostAddress, networkOptions } from "../../workload/mesh/addresses.ts";
import type { MeshPlan } from "../../workload/mesh/types.ts";
import type { MachineRequest } from "../protocol.ts";
import {
  type Allocated,
  allocatedPlan,
  Convergence,
  containerName,
  haveLoadBalancers,
  placedByHand,
  placedBySwarm,
  withOrders,
} from "./allocated.ts";
import type { MeshEvent, MeshRequest, OverlayTables, SwarmView } from "./protocol.ts";
import { meshHostName } from "./topology.ts";

const MANAGER = 0;
const IMAGE = "alpine sleep 1d";
/** How often somebody looks whether it has come about. */
const LOOK: Time = 500 * MS;
/** What hasn't come about after this is given up. */
const PATIENCE: Time = 30 * MINUTE;
/** Commands on one line of a terminal. */
const COMMANDS = 64;

/** A request for a host. */
export interface Asked {
  readonly host: number;
  readonly request: MachineRequest | MeshRequest;
}

/** A command's end: its status and what it printed; or another answer of a machine. */
export type Answer =
  | { readonly kind: "exit"; readonly id: number; readonly status: number; readonly text: string }
  | MeshEvent;

/** What the set-up needs of its session. */
export interface Terminals {
  readonly now: Time;
  /** Asks hosts at the same time and runs until all have answered, in the same order. @throws UserError after the limit */
  ask(requests: readonly Asked[], limit: Time): Promise<readonly Answer[]>;
  wait(span: Time): Promise<void>;
}

/** Label of the nodes that a network spans. */
const labelOf = (network: string): string => `mesh.${network}`;

/** Sets the swarm up. @param tell says what is being done */
export async function makeSwarm(
  plan: MeshPlan,
  terminals: Terminals,
  tell: (what: string) => void,
): Promise<Allocated> {
  const setup = new SwarmSetup(plan, terminals, tell);
  await setup.join();
  await setup.networks();
  if (plan.services.length > 0) await setup.services();
  else await setup.containers();
  const { plan: allocated, ids } = await setup.allocated();
  const converged = await setup.converged(allocated);
  await setup.schedulers(converged);
  return { plan: converged, ids };
}

class SwarmSetup {
  readonly #plan: MeshPlan;
  readonly #terminals: Terminals;
  readonly #tell: (what: string) => void;

  constructor(plan: MeshPlan, terminals: Terminals, tell: (what: string) => void) {
    this.#plan = plan;
    this.#terminals = terminals;
    this.#tell = tell;
  }

  get #hosts(): readonly number[] {
    return Array.from({ length: this.#plan.options.hosts }, (_, host) => host);
  }

  /** Types a line on each of several hosts at the same time. @throws UserError with what it printed when one fails */
  async #type(lines: readonly { readonly host: number; readonly line: string }[]): Promise<string[]> {
    const requests = lines.map(({ host, line }) => {
      const request: MachineRequest = { kind: "run", line, stdin: "", variables: {} };
      return { host, request };
    });
    const answers = await this.#terminals.ask(requests, this.#terminals.now + PATIENCE);
    return answers.map((answer, i) => {
      const { host, line } = lines[i] as (typeof lines)[number];
      assert(answer.kind === "exit", "a command ends", answer.kind);
      if (answer.status !== 0)
        throw new UserError(
          `${meshHostName(host)}$ ${line.slice(0, 200)}: ended with ${answer.status}: ${answer.text}`,
        );
      return answer.text;
    });
  }

  /** Types many commands on one host, some on a line. */
  async #typeAll(host: number, commands: readonly string[]): Promise<void> {
    for (let at = 0; at < commands.length; at += COMMANDS)
      await this.#type([{ host, line: commands.slice(at, at + COMMANDS).join(" && ") }]);
  }

  async join(): Promise<void> {
    const { options } = this.#plan;
    this.#tell("hosts join the swarm");
    await this.#type([{ host: MANAGER, line: "docker swarm init" }]);
    const [token = ""] = await this.#type([{ host: MANAGER, line: "docker swarm join-token -q worker" }]);
    const manager = formatIpv4(hostAddress(options, MANAGER).ip);
    const line = `docker swarm join --token ${token.trim()} ${manager}:2377`;
    await this.#type(this.#hosts.filter((host) => host !== MANAGER).map((host) => ({ host, line })));
    await this.#until(async () => {
      const ready = (await this.#view()).nodes.filter((node) => node.ready).length;
      return ready === options.hosts ? undefined : `${options.hosts - ready} hosts are no ready nodes of the swarm`;
    });
  }

  async networks(): Promise<void> {
    const { networks, options } = this.#plan;
    this.#tell("networks are made");
    const flags = (encrypted: boolean): string =>
      Object.entries(networkOptions(options, { encrypted }))
        .map(([key, value]) => ` --opt ${value === "" ? key : `${key}=${value}`}`)
        .join("");
    await this.#typeAll(
      MANAGER,
      networks.map(
        ({ name, subnet, encrypted }) =>
          `docker network create -d overlay --attachable --subnet ${formatCidr(subnet)}${flags(encrypted)} ${name}`,
      ),
    );
  }

  async services(): Promise<void> {
    const { networks, services } = this.#plan;
    this.#tell("services are made");
    const labels = this.#hosts.flatMap((host) => {
      const own = networks.filter(({ hosts }) => hosts.includes(host));
      if (own.length === 0) return [];
      const flags = own.map(({ name }) => `--label-add ${labelOf(name)}=1`).join(" ");
      return [`docker node update ${flags} ${meshHostName(host)}`];
    });
    await this.#typeAll(MANAGER, labels);
    await this.#typeAll(
      MANAGER,
      services.map(({ name, network, containers }) => {
        const on = networks[network]?.name ?? "";
        return `docker service create --detach --name ${name} --replicas ${containers.length} --network ${on} --constraint node.labels.${labelOf(on)}==1 ${IMAGE}`;
      }),
    );
  }

  /** Without services: each container by hand, all hosts at the same time. */
  async containers(): Promise<void> {
    const { containers, networks } = this.#plan;
    this.#tell("containers are started");
    const commands: string[][] = this.#hosts.map(() => []);
    for (let c = 0; c < containers.count; c++) {
      const network = networks[containers.network[c] as number]?.name ?? "";
      commands[containers.host[c] as number]?.push(
        `docker run -d --name ${containerName(c)} --network ${network} ${IMAGE}`,
      );
    }
    const lines = commands.map((list, host) => ({ host, line: list.join(" && ") }));
    await this.#type(lines.filter(({ line }) => line !== ""));
  }

  /** Waits until everything runs. @returns the plan as it has come about */
  async allocated(): Promise<Allocated> {
    this.#tell("tasks start");
    const plan = this.#plan;
    let found: Allocated | undefined;
    await this.#until(async () => {
      const view = await this.#view();
      const waiting = view.tasks.filter((task) => !task.running).length;
      if (waiting > 0) return `${waiting} tasks are not running`;
      const wanted = plan.services.reduce((sum, { containers }) => sum + containers.length, 0);
      if (plan.services.length > 0 && view.tasks.length !== wanted)
        return `there are ${view.tasks.length} tasks, not ${wanted}`;
      const placed =
        plan.services.length > 0 ? placedBySwarm(plan, view) : placedByHand(plan, await this.#containersOfHosts());
      const tables = await this.#tables();
      if (!haveLoadBalancers(view, plan, placed, tables)) return "a load balancer isn't there";
      found = allocatedPlan(plan, view, placed, tables);
      return undefined;
    });
    return found as Allocated;
  }

  /** Waits until every host's own tables are complete. @returns the plan with what only they know */
  async converged(plan: MeshPlan): Promise<MeshPlan> {
    this.#tell("hosts learn of each other's containers");
    const convergence = new Convergence(plan, (host) => hostAddress(plan.options, host).ip);
    let tables: readonly (readonly OverlayTables[])[] = [];
    await this.#until(async () => {
      tables = await this.#tables();
      for (const [host, own] of tables.entries()) {
        const lacks = convergence.lacking(host, own);
        if (lacks !== undefined) return `${meshHostName(host)} lacks ${lacks}`;
      }
      return undefined;
    });
    return withOrders(plan, tables);
  }

  /** Docker knows `rr` alone: other schedulers are set in each load balancer afterwards. */
  async schedulers(plan: MeshPlan): Promise<void> {
    const services = plan.services.filter(({ scheduler }) => scheduler !== "rr");
    if (services.length === 0) return;
    const edits = services.map(({ vip, scheduler }) => ({ vip, scheduler }));
    const answers = await this.#ask(() => ({ kind: "mesh-schedulers", services: edits }));
    const edited = answers.reduce((sum, answer) => sum + (answer.kind === "edited" ? answer.services : 0), 0);
    const expected = services.reduce((sum, { network }) => sum + (plan.networks[network]?.hosts.length ?? 0), 0);
    assert(edited === expected, "each service is edited in each load balancer of its network", edited, expected);
  }

  async #ask(request: (host: number) => MeshRequest): Promise<readonly Answer[]> {
    const requests = this.#hosts.map((host) => ({ host, request: request(host) }));
    return await this.#terminals.ask(requests, this.#terminals.now + PATIENCE);
  }

  async #view(): Promise<SwarmView> {
    const [answer] = await this.#terminals.ask(
      [{ host: MANAGER, request: { kind: "mesh-swarm" } }],
      this.#terminals.now + PATIENCE,
    );
    assert(answer?.kind === "swarm", "a manager says what its swarm is like", answer?.kind);
    return answer.view;
  }

  async #containersOfHosts() {
    const answers = await this.#ask(() => ({ kind: "mesh-containers" }));
    return answers.map((answer) => (answer.kind === "containers" ? answer.containers : []));
  }

  async #tables(): Promise<readonly (readonly OverlayTables[])[]> {
    const answers = await this.#ask(() => ({ kind: "mesh-tables" }));
    return answers.map((answer) => (answer.kind === "tables" ? answer.tables : []));
  }

  /** Looks again and again until nothing is missing. @param missing what is, in words */
  async #until(missing: () => Promise<string | undefined>): Promise<void> {
    const limit = this.#terminals.now + PATIENCE;
    for (;;) {
      const what = await missing();
      if (what === undefined) return;
      if (this.#terminals.now >= limit)
        throw new UserError(`the swarm has not come about within ${formatDuration(PATIENCE)}: ${what}`);
      await this.#terminals.wait(LOOK);
    }
  }
}
