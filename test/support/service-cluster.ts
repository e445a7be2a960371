/**
 * Hosts with libnetwork and real gossip on the real kernel, without a swarm above: networks and tasks are given by hand. What
 * the tests of services' traffic run on.
 */
import { formatIpv4, type Ipv4 } from "../../src/base/addr.ts";
import { KernelError } from "../../src/base/errors.ts";
import { SEC, type Time, US } from "../../src/base/time.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { NetworkController } from "../../src/libnetwork/controller.ts";
import { createDefaultNetworks } from "../../src/libnetwork/default-networks.ts";
import type { EndpointService } from "../../src/libnetwork/endpoint.ts";
import { OPTION_VXLAN_IDS } from "../../src/libnetwork/labels.ts";
import type { Network, NetworkSpec } from "../../src/libnetwork/network.ts";
import { createNetworkDb } from "../../src/libnetwork/networkdb/networkdb.ts";
import type { PortConfig } from "../../src/libnetwork/records.ts";
import type { Sandbox, SandboxOptions } from "../../src/libnetwork/sandbox.ts";
import { Cluster } from "../../src/scheduler/cluster.ts";
import { acceptTcp, connectTcp, recvFrom, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";
import { resolveTopology } from "../../src/scheduler/topology.ts";
import { ip } from "./fake-swarm.ts";
import { kernelModule } from "./kernel.ts";

const INGRESS = "p0sq8n7pv1aow8vl2e6ubsikd";
const APP = "z40ukpj0jmia3dcxp37hj9lds";
/** When hosts have joined each other and made their networks. */
export const READY: Time = 5 * SEC;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export interface ServiceOptions {
  readonly hosts?: number;
  /** Options of the network `app`. */
  readonly options?: Readonly<Record<string, string>>;
}

/** One host. */
export class ServiceNode {
  readonly index: number;
  readonly os: HostOs;
  readonly controller: NetworkController;
  readonly log: string[] = [];
  readonly #options: ServiceOptions;

  constructor(os: HostOs, options: ServiceOptions) {
    this.index = os.hostIndex;
    this.os = os;
    this.#options = options;
    const { root } = os.kernel;
    root.link.set("lo", { up: true });
    root.addr.add("eth0", { ip: this.address, prefix: 24 }, { broadcast: ip("192.168.77.255") });
    root.link.set("eth0", { up: true });
    this.controller = new NetworkController({
      os,
      log: (level, message) => this.log.push(`${level} ${message}`),
      networkDb: (config) => createNetworkDb({ ...config, log: () => {} }),
    });
    createDefaultNetworks(this.controller);
  }

  get address(): Ipv4 {
    return ip("192.168.77.11") + this.index;
  }

  get host(): NetNs {
    return this.os.kernel.root;
  }

  get ingress(): Network {
    return this.controller.network(INGRESS) as Network;
  }

  get app(): Network {
    return this.controller.network(APP) as Network;
  }

  /** Joins gossip and makes the networks: load balancers 10.0.0.2 … and 10.0.1.20 … */
  *join(): Proc {
    const first = ip("192.168.77.11");
    yield* sleep(this.os, this.index * 100 * 1e6);
    const remoteAddresses = this.index === 0 ? [] : [first];
    yield* this.controller.agentStart({ advertiseAddress: this.address, remoteAddresses });
    yield* this.controller.newNetwork(spec(INGRESS, "ingress", "10.0.0.0", 4096, 2 + this.index, { ingress: true }));
    const { options = {} } = this.#options;
    yield* this.controller.newNetwork(spec(APP, "app", "10.0.1.0", 4097, 20 + this.index, { options }));
  }

  /** A task of a service, on ingress when it publishes ports, and on `app`; its address ends with `last` on both. */
  task(name: string, last: number, service: TaskService, options: Partial<SandboxOptions> = {}): Sandbox {
    const sandbox = this.controller.newSandbox({ containerId: name.padEnd(64, "0"), name, hostname: name, ...options });
    const { ports: ingressPorts = [], aliases = [] } = service;
    const join = (network: Network, subnet: string, vip: number | undefined): void => {
      const of: EndpointService = {
        id: `id-${service.name}`,
        name: service.name,
        aliases,
        ingressPorts,
        ...(vip === undefined ? {} : { vip: ip(subnet) + vip }),
      };
      network.createEndpoint(name, { ipv4: ip(subnet) + last, service: of }).join(sandbox);
    };
    if (ingressPorts.length > 0) join(this.ingress, "10.0.0.0", 200);
    join(this.app, "10.0.1.0", service.vip);
    sandbox.setKey();
    return sandbox;
  }

  /** Serves TCP: `name client-address` to each connection after it has sent something, until the client ends it. */
  serveTcp(ns: NetNs, port: number, name: string): void {
    const listener = ns.socket.tcp();
    listener.bind(0, port);
    listener.listen(16);
    const { os } = this;
    os.spawn(
      `server ${name}`,
      (function* (): Proc {
        for (;;) {
          const socket = yield* acceptTcp(listener);
          if (socket === undefined) return;
          os.spawn(
            `connection ${name}`,
            (function* (): Proc {
              try {
                for (;;) {
                  const data = yield* recvTcp(socket, 1000);
                  if (data === undefined || data.length === 0) break;
                  const from = socket.remoteAddress();
                  yield* sendTcp(socket, encoder.encode(`${name} ${formatIpv4(from.ip)}:${from.port}`));
                }
              } catch (error) {
                if (!(error instanceof KernelError)) throw error;
              } finally {
                socket.close();
              }
            })(),
          );
        }
      })(),
    );
  }

  serveUdp(ns: NetNs, port: number, name: string): void {
    const socket = ns.socket.udp();
    socket.bind(0, port);
    this.os.spawn(
      `server ${name}`,
      (function* (): Proc {
        try {
          for (;;) {
            const datagram = yield* recvFrom(socket);
            if (datagram === undefined) continue;
            const text = `${name} ${formatIpv4(datagram.src)} ttl ${datagram.ttl}`;
            socket.sendTo(encoder.encode(text), datagram.src, datagram.srcPort);
          }
        } catch (error) {
          // Its namespace has ended.
          if (!(error instanceof KernelError)) throw error;
        }
      })(),
    );
  }

  /** What a server says to a new connection, with the client's port cut off and compared; or the error. */
  *ask(ns: NetNs, address: string, port: number): Proc<string> {
    try {
      const socket = yield* connectTcp(ns, ip(address), port, this.os.now() + 2 * SEC);
      const own = socket.localAddress().port;
      yield* sendTcp(socket, encoder.encode("hello"));
      const data = yield* recvTcp(socket, 1000, this.os.now() + 2 * SEC);
      socket.close();
      const [, text = "", seen] = /^(.*):(\d+)$/.exec(decoder.decode(data)) ?? [];
      return Number(seen) === own ? text : `${text} from another port`;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return error.code;
    }
  }

  *askUdp(ns: NetNs, address: string, port: number): Proc<string> {
    const socket = ns.socket.udp();
    socket.sendTo(encoder.encode("hello"), ip(address), port);
    const datagram = yield* recvFrom(socket, this.os.now() + SEC);
    socket.close();
    return datagram === undefined ? "silence" : decoder.decode(datagram.data);
  }

  /** Time to live of the answer to a ping, or undefined. */
  *ping(ns: NetNs, address: string): Proc<number | undefined> {
    const socket = ns.socket.icmp();
    const until = this.os.now() + SEC;
    socket.sendEcho(ip(address), 1, new Uint8Array(56));
    for (;;) {
      const reply = socket.tryRecv();
      if (reply?.type === 0) {
        socket.close();
        return reply.ttl;
      }
      if ((yield { on: [socket], until }) === undefined) {
        socket.close();
        return undefined;
      }
    }
  }
}

export interface TaskService {
  readonly name: string;
  /** Last byte of the VIP on `app`. */
  readonly vip?: number;
  readonly ports?: readonly PortConfig[];
  readonly aliases?: readonly string[];
}

function spec(
  id: string,
  name: string,
  subnet: string,
  vni: number,
  lb: number,
  more: Partial<NetworkSpec>,
): NetworkSpec {
  return {
    id,
    name,
    driver: "overlay",
    scope: "swarm",
    ipam: [{ subnet: { ip: ip(subnet), prefix: 24 }, gateway: ip(subnet) + 1 }],
    loadBalancerIp: ip(subnet) + lb,
    ...more,
    options: { [OPTION_VXLAN_IDS]: String(vni), ...more.options },
  };
}

/**
 * Runs a script on each host, side by side, from READY on.
 * @param scripts by host; what they throw fails the test
 */
export async function runServices(
  scripts: readonly ((node: ServiceNode, nodes: readonly ServiceNode[]) => Proc)[],
  options: ServiceOptions = {},
  until: Time = 60 * SEC,
): Promise<readonly ServiceNode[]> {
  const nodes: ServiceNode[] = [];
  let done = 0;
  const hosts = Array.from({ length: options.hosts ?? scripts.length }, (_, i) => ({
    name: `host${i + 1}`,
    nics: [{ latency: 50 * US, bandwidth: 1e10 }],
    machine: {},
  }));
  const cluster = await Cluster.create({
    topology: resolveTopology("services", hosts),
    module: await kernelModule(),
    machines: (os) => {
      const node = new ServiceNode(os, options);
      nodes.push(node);
      return {
        start: () => {
          os.spawn("join", node.join());
          os.spawn("script", script(node));
        },
        command: () => {},
      };
    },
  });
  function* script(node: ServiceNode): Proc {
    yield { until: READY };
    const own = scripts[node.index];
    if (own !== undefined) yield* own(node, nodes);
    done++;
  }
  try {
    while (done < hosts.length) {
      const { now } = cluster;
      if (now >= until) throw new Error(`the scripts have not ended after ${until / SEC} s`);
      await cluster.runUntil(now + SEC);
    }
  } finally {
    await cluster.stop();
  }
  return nodes;
}
