/** The service of golden D on three fake hosts: my-nginx with five tasks, 8080->80, on nginx-net. */
import type { NetNs } from "../../src/kernel/types.ts";
import { OPTION_VXLAN_IDS } from "../../src/libnetwork/labels.ts";
import type { Network, NetworkSpec } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { type FakeNode, FakeSwarm, ip } from "./fake-swarm.ts";

const INGRESS = "p0sq8n7pv1aow8vl2e6ubsikd";
export const NODES = ["manager", "worker-1", "worker-2"] as const;
/** Load balancer addresses: ingress by order of joining, nginx-net as golden has them. */
const LB = ["10.0.3.9", "10.0.3.8", "10.0.3.10"] as const;
const NGINX = "z40ukpj0jmia3dcxp37hj9lds";

interface Task {
  readonly slot: number;
  readonly name: string;
  readonly node: 0 | 1 | 2;
}
const TASKS: readonly Task[] = [
  { slot: 1, name: "my-nginx.1.1sbzou84md9o3vasl6ilxb84b", node: 0 },
  { slot: 2, name: "my-nginx.2.tpftw8m24ptwwb9utnodnz9kz", node: 1 },
  { slot: 3, name: "my-nginx.3.11hjwtk76ay5nmz3k3dxadkq1", node: 2 },
  { slot: 4, name: "my-nginx.4.qk66pxs2cpnytvnbmoccmpm9s", node: 0 },
  { slot: 5, name: "my-nginx.5.829v0qssowh6qs81ajn0odhiv", node: 1 },
];
/** The order in which the tasks came up, by which worker-1's table was filled (its list, from the bottom). */
const START_ORDER = [5, 2, 3, 1, 4];

function spec(lb: string): NetworkSpec {
  return {
    id: NGINX,
    name: "nginx-net",
    driver: "overlay",
    scope: "swarm",
    ipam: [{ subnet: { ip: ip("10.0.3.0"), prefix: 24 }, gateway: ip("10.0.3.1") }],
    options: { [OPTION_VXLAN_IDS]: "4099" },
    loadBalancerIp: ip(lb),
  };
}

/** Hosts, networks and tasks. */
export class NginxScene {
  readonly swarm = new FakeSwarm();
  readonly nodes: FakeNode[] = NODES.map(() => this.swarm.addNode({ resolvConf: "nameserver 192.168.77.11\n" }));
  readonly networks: Network[];
  readonly tasks = new Map<number, Sandbox>();

  constructor() {
    for (const [i, node] of this.nodes.entries()) this.swarm.join(node, `10.0.0.${i + 2}`);
    this.networks = this.nodes.map((node, i) => this.swarm.newNetwork(node, spec(LB[i] as string)));
  }

  startAll(): void {
    for (const slot of START_ORDER) this.start(slot);
    this.swarm.settle();
  }

  start(slot: number): void {
    const { name, node: index } = TASKS[slot - 1] as Task;
    const node = this.nodes[index] as FakeNode;
    const containerId = node.os.random.fork(name).hex(64);
    const short = containerId.slice(0, 12);
    const sandbox = node.controller.newSandbox({ containerId, name, hostname: short });
    const service = (vip: string) => ({
      id: "t5yfnltfiieutvv831x4cra4h",
      name: "my-nginx",
      vip: ip(vip),
      aliases: [],
      ingressPorts: [{ name: "", protocol: "tcp" as const, targetPort: 80, publishedPort: 8080 }],
    });
    const ingress = node.controller.network(INGRESS) as Network;
    for (const [network, address, vip] of [
      [ingress, ip("10.0.0.5") + slot, "10.0.0.5"],
      [this.networks[index] as Network, ip("10.0.3.2") + slot, "10.0.3.2"],
    ] as const)
      network.createEndpoint(name, { ipv4: address, aliases: [short], service: service(vip) }).join(sandbox);
    sandbox.setKey();
    sandbox.enableService();
    this.tasks.set(slot, sandbox);
    this.swarm.settle();
  }

  /** The namespaces of a node by golden's names of their files. */
  namespaces(index: number): Map<string, NetNs> {
    const node = this.nodes[index] as FakeNode;
    const found = new Map<string, NetNs>([["host", node.kernel.root]]);
    found.set("ns-ingress_sbox", node.controller.network(INGRESS)?.lbSandbox?.ns as NetNs);
    found.set("ns-lb_z40ukpj0j", (this.networks[index] as Network).lbSandbox?.ns as NetNs);
    for (const { slot, name, node: on } of TASKS)
      if (on === index) found.set(`ns-ctr-${name}`, this.tasks.get(slot)?.ns as NetNs);
    return found;
  }
}
