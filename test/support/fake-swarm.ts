/** Hosts with libnetwork on kernels in memory, in one cluster without gossip: what libnetwork's scenario tests run on. */
import { parseIpv4 } from "../../src/base/addr.ts";
import { Random } from "../../src/base/random.ts";
import { FOREVER, MS, type Time } from "../../src/base/time.ts";
import { NetworkController } from "../../src/libnetwork/controller.ts";
import { createDefaultNetworks } from "../../src/libnetwork/default-networks.ts";
import { OPTION_VXLAN_IDS } from "../../src/libnetwork/labels.ts";
import type { LogLevel } from "../../src/libnetwork/log.ts";
import type { Network, NetworkSpec } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import type { Proc } from "../../src/scheduler/process.ts";
import { HostScheduler } from "../../src/scheduler/runtime.ts";
import { FakeHostKernel } from "./fake-netns.ts";
import { FakeCluster } from "./fake-networkdb.ts";

export function ip(text: string): number {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(`no address: ${text}`);
  return value;
}

export interface FakeNode {
  readonly kernel: FakeHostKernel;
  readonly os: HostOs;
  readonly controller: NetworkController;
  readonly log: { level: LogLevel; message: string }[];
}

export class FakeSwarm {
  readonly cluster = new FakeCluster();
  readonly nodes: FakeNode[] = [];
  readonly #scheduler: HostScheduler;
  /** Exceptions that ended programs, not yet thrown to the test. */
  readonly #failures: unknown[] = [];

  constructor() {
    this.#scheduler = new HostScheduler((_host, _process, error) => this.#failures.push(error));
  }

  /** A host 192.168.77.11, .12, … with its engine's default networks, not yet in the swarm. */
  addNode(options: { resolvConf?: string } = {}): FakeNode {
    const index = this.nodes.length;
    const name = `host${index + 1}`;
    const kernel = new FakeHostKernel(name, index, { ip: ip("192.168.77.11") + index, prefix: 24 });
    const os: HostOs = Object.assign(this.#scheduler.createHost(name, index, new Random(`test/${name}`)), { kernel });
    const log: FakeNode["log"] = [];
    const controller = new NetworkController({
      os,
      log: (level, message) => log.push({ level, message }),
      networkDb: this.cluster.create,
      ...options,
    });
    createDefaultNetworks(controller);
    const node = { kernel, os, controller, log };
    this.nodes.push(node);
    return node;
  }

  /** Runs a program to its end; virtual time passes as it needs. */
  run<T>(node: FakeNode, program: Proc<T>): T {
    const process = node.os.spawn("test", program);
    this.settle(() => process.done);
    if (!process.done) throw new Error("the program waits for ever");
    return process.result as T;
  }

  /** Lets everything run that is due before `until`, or until the condition holds. */
  settle(done: () => boolean = () => false, until: Time = this.#scheduler.now + 100 * MS): void {
    for (;;) {
      this.#runReady();
      if (done()) return;
      const next = this.#scheduler.nextTimer();
      if (next === FOREVER || next > until) break;
      this.#scheduler.advance(next);
    }
    if (until > this.#scheduler.now && until !== FOREVER) this.#scheduler.advance(until);
    this.#runReady();
  }

  #runReady(): void {
    this.#scheduler.runReady();
    if (this.#failures.length > 0) throw this.#failures.splice(0)[0];
  }

  /** Virtual time passes. */
  pass(span: Time): void {
    this.settle(() => false, this.#scheduler.now + span);
  }

  /** The node joins the swarm: gossip, then the ingress network as on every node. */
  join(node: FakeNode, ingressLb: string): void {
    const remoteAddresses = this.cluster.nodes.length > 0 ? [ip("192.168.77.11")] : [];
    this.run(
      node,
      node.controller.agentStart({ advertiseAddress: ip("192.168.77.11") + node.kernel.index, remoteAddresses }),
    );
    this.run(node, node.controller.newNetwork(ingressSpec(ingressLb)));
  }

  newNetwork(node: FakeNode, spec: NetworkSpec): Network {
    return this.run(node, node.controller.newNetwork(spec));
  }
}

function overlaySpec(
  id: string,
  name: string,
  subnet: string,
  vni: number,
  lb: string,
  more: Partial<NetworkSpec> = {},
): NetworkSpec {
  return {
    id,
    name,
    driver: "overlay",
    scope: "swarm",
    ipam: [{ subnet: { ip: ip(subnet), prefix: 24 }, gateway: ip(subnet) + 1 }],
    options: { [OPTION_VXLAN_IDS]: String(vni) },
    loadBalancerIp: ip(lb),
    ...more,
  };
}

export function ingressSpec(lb: string): NetworkSpec {
  return overlaySpec("p0sq8n7pv1aow8vl2e6ubsikd", "ingress", "10.0.0.0", 4096, lb, { ingress: true });
}

export function testNetSpec(lb: string, more: Partial<NetworkSpec> = {}): NetworkSpec {
  return overlaySpec("k6jjce19a4utx9gp5at5qi97l", "test-net", "10.0.1.0", 4097, lb, { attachable: true, ...more });
}

/** What the engine does for `docker run --network NET --name NAME`. */
export function startContainer(node: FakeNode, network: Network, name: string, address: string | undefined): Sandbox {
  const containerId = node.os.random.fork(name).hex(64);
  const short = containerId.slice(0, 12);
  const sandbox = node.controller.newSandbox({ containerId, name, hostname: short });
  const endpoint = network.createEndpoint(name, {
    aliases: [short],
    ...(address === undefined ? {} : { ipv4: ip(address) }),
  });
  endpoint.join(sandbox);
  sandbox.setKey();
  sandbox.enableService();
  return sandbox;
}
