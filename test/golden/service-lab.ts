/** D-service-vip typed again: three hosts, a service of five tasks with a virtual IP and port 8080, the capture's commands in its order. */
import { formatIpv4 } from "../../src/base/addr.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { goldenText } from "../support/golden.ts";
import { goldenCommands, type Ran, Scenario } from "./scenario.ts";

export const D = "D-service-vip";
export const NODES = ["manager", "worker-1", "worker-2"] as const;
export type Node = (typeof NODES)[number];

/** The capture's tasks by slot. */
export const GOLDEN_TASKS = [
  { slot: 1, id: "1sbzou84md9o3vasl6ilxb84b", container: "33a0bcb0bc15", node: "manager" },
  { slot: 2, id: "tpftw8m24ptwwb9utnodnz9kz", container: "c0fc2bc96b65", node: "worker-1" },
  { slot: 3, id: "11hjwtk76ay5nmz3k3dxadkq1", container: "07d8cdfd670f", node: "worker-2" },
  { slot: 4, id: "qk66pxs2cpnytvnbmoccmpm9s", container: "16cd9a48601d", node: "manager" },
  { slot: 5, id: "829v0qssowh6qs81ajn0odhiv", container: "1d06924bd981", node: "worker-1" },
] as const;
/** Addresses of the capture's load balancers on nginx-net; which node gets which is chance. */
export const GOLDEN_LB: Readonly<Record<Node, string>> = {
  manager: "10.0.3.9",
  "worker-1": "10.0.3.8",
  "worker-2": "10.0.3.10",
};

/** A run of requests: who asked whom, and each request's client port with the slot that answered. */
export interface Requests {
  readonly from: Node;
  readonly to: string;
  readonly answers: readonly { readonly port: number; readonly slot: number }[];
}

/** The capture's runs of one node, in order. */
export function goldenRequests(node: Node, file: string): Requests[] {
  const runs: Requests[] = [];
  let answers: { port: number; slot: number }[] = [];
  for (const line of goldenText(`${D}/${node}/${file}`).split("\n")) {
    const heading = /^# (?:\S+ -> (\S+):8080|(localhost)|netns of container .* -> VIP (\S+):80)/.exec(line);
    const to = heading?.[1] ?? heading?.[2] ?? heading?.[3];
    if (to !== undefined) {
      answers = [];
      runs.push({ from: node, to, answers });
    }
    const request = /^\d\d:\d\d:\S+ (?:\S+ )?([0-9a-f]{12}) +lport=(\d+)/.exec(line);
    const slot = GOLDEN_TASKS.find(({ container }) => container === request?.[1])?.slot;
    if (request !== null && slot !== undefined) answers.push({ port: Number(request[2]), slot });
  }
  return runs;
}

/** The running lab. */
export class ServiceLab {
  readonly lab: Scenario;
  /** What was typed, by host and the capture's own words. */
  readonly ran = new Map<string, Ran>();
  /** Task and container IDs by slot. */
  readonly tasks = new Map<number, { id: string; container: string; pid: string; node: Node }>();
  readonly requests: (Requests & { ran: Ran })[] = [];
  /** Text of `conntrack -L` by node and namespace, taken after the requests to the published port. */
  readonly conntrack = new Map<string, string>();

  private constructor(lab: Scenario) {
    this.lab = lab;
  }

  static async start(): Promise<ServiceLab> {
    const found = new ServiceLab(await Scenario.start("hosts: { manager: {}, worker-1: {}, worker-2: {} }"));
    await found.#setUp();
    return found;
  }

  async #setUp(): Promise<void> {
    const { lab } = this;
    await lab.run("manager", "docker swarm init --advertise-addr 192.168.77.11");
    const token = (await lab.run("manager", "docker swarm join-token -q worker")).stdout.trim();
    for (const worker of ["worker-1", "worker-2"]) {
      await lab.run(worker, `docker swarm join --token ${token} 192.168.77.11:2377`);
      await lab.wait(5);
    }
    // The networks of the capture's earlier scenarios: 10.0.1.0/24 and 10.0.2.0/24, VNI 4097 and 4098, are not used again.
    await lab.run("manager", "docker network create --driver=overlay --attachable test-net");
    await lab.run("manager", "docker network create --driver=overlay --attachable enc-net");
    await lab.run("manager", "docker network rm test-net enc-net");
    const typed = goldenCommands(`${D}/manager/commands.txt`);
    for (const { command } of typed.slice(0, 2)) await this.#type("manager", command);
    await lab.wait(25);
    await this.#learnTasks();
    // What was typed while the slow machines were still starting the tasks is left out.
    const settledAt = typed.findLastIndex(({ command }) => command === "docker service ls");
    for (const { command } of typed.slice(settledAt)) await this.#type("manager", command);
    for (const node of ["worker-1", "worker-2"] as const)
      for (const { command } of goldenCommands(`${D}/${node}/commands.txt`)) await this.#type(node, command);
  }

  async #learnTasks(): Promise<void> {
    const list = await this.lab.run(
      "manager",
      "docker service ps --no-trunc --format '{{.ID}} {{.Name}} {{.Node}}' my-nginx",
    );
    for (const line of list.stdout.trim().split("\n")) {
      const [id = "", name = "", node = ""] = line.split(" ");
      const format = "'{{.Status.ContainerStatus.ContainerID}} {{.Status.ContainerStatus.PID}}'";
      const status = await this.lab.run("manager", `docker inspect -f ${format} ${id}`);
      const [container = "", pid = ""] = status.stdout.trim().split(" ");
      this.tasks.set(Number(name.split(".")[1]), { id, container: container.slice(0, 12), pid, node: node as Node });
    }
  }

  /** Types a command of the capture, with this swarm's IDs. */
  async #type(node: Node, command: string): Promise<void> {
    this.ran.set(`${node} ${command}`, await this.lab.run(node, this.ours(command)));
  }

  /** A text of the capture with this swarm's IDs of tasks, containers and their processes. */
  ours(text: string): string {
    return GOLDEN_TASKS.reduce((out, { slot, id, container }) => {
      const own = this.tasks.get(slot);
      return own === undefined ? out : out.replaceAll(id, own.id).replaceAll(container, own.container);
    }, text);
  }

  /** A namespace by its name, or its name's beginning. @throws when there is none */
  namespace(node: Node, start: string): NetNs {
    const all = this.lab.hosts.get(node)?.kernel.namespaces() ?? [];
    const found = all.find(({ name }) => name === start) ?? all.find(({ name }) => name.startsWith(start));
    if (found === undefined) throw new Error(`${node} has no namespace ${start}`);
    return found;
  }

  lbAddress(node: Node): string {
    const [first] = this.namespace(node, "lb_").addr.list("eth0");
    return formatIpv4(first?.addr.ip ?? 0);
  }

  /** Destinations of a balancer's only service in the kernel's order, as slots. */
  order(node: Node, namespace: "ingress_sbox" | "lb_"): number[] {
    return (this.namespace(node, namespace).ipvs.services()[0]?.destinations ?? []).map(({ address }) =>
      this.slotOf(address),
    );
  }

  /** Tasks have consecutive addresses on both networks, in order of their slots: from 10.0.0.6 and from 10.0.3.3. */
  slotOf(address: number): number {
    const [, , third, last] = formatIpv4(address).split(".").map(Number);
    return (last ?? 0) - (third === 3 ? 2 : 5);
  }

  /** Asks so many times; `asked` balances. @param prefix of the command, to ask from within a container */
  async ask(
    from: Node,
    to: string,
    count: number,
    asked: { node: Node; namespace: "ingress_sbox" | "lb_" },
    prefix = "",
  ): Promise<void> {
    const port = asked.namespace === "lb_" ? 80 : 8080;
    const loop = `for i in $(seq ${count}); do ${prefix}curl -s -o /dev/null -w '%{local_port}\\n' http://${to}:${port}/; done`;
    const ran = await this.lab.run(from, loop);
    const connections = this.namespace(asked.node, asked.namespace).ipvs.connections();
    const answers = ran.stdout
      .trim()
      .split("\n")
      .map((text) => {
        const found = connections.find(({ client }) => client.port === Number(text));
        return { port: Number(text), slot: this.slotOf(found?.destination.ip ?? 0) };
      });
    this.requests.push({ from, to, answers, ran });
  }

  /** Keeps what the namespaces of a node track now. */
  async track(node: Node): Promise<void> {
    const list = async (name: string, prefix: string): Promise<void> => {
      this.conntrack.set(`${node} ${name}`, (await this.lab.run(node, `${prefix}conntrack -L 2>/dev/null`)).stdout);
    };
    await list("host", "");
    await list("ingress_sbox", "nsenter --net=/var/run/docker/netns/ingress_sbox ");
    await list("lb_", `nsenter --net=/var/run/docker/netns/${this.namespace(node, "lb_").name} `);
    for (const [slot, task] of this.tasks)
      if (task.node === node) await list(`task ${slot}`, `nsenter -t ${task.pid} -n `);
  }
}
