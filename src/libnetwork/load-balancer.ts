/**
 * Services in the kernel: in a network's load balancer sandbox the VIP, the marks that lead packets to IPVS, the service by
 * its mark and its destinations (moby libnetwork/service_linux.go addLBBackend, rmLBBackend, fwMarker; 20.10).
 */
import { type Cidr, formatIpv4, type Ipv4, networkOf } from "../base/addr.ts";
import { KernelError, UserError } from "../base/errors.ts";
import type { IpvsApi, IpvsDestinationSpec } from "../kernel/ipvs-types.ts";
import type { NetNs, Rule } from "../kernel/types.ts";
import type { Endpoint } from "./endpoint.ts";
import { goErrorText } from "./go-errors.ts";
import type { IngressPorts } from "./ingress.ts";
import { is, isPort } from "./iptables.ts";
import type { DaemonLog } from "./log.ts";
import type { Network } from "./network.ts";
import type { OslNamespace } from "./osl.ts";
import type { PortConfig } from "./records.ts";
import type { Sandbox } from "./sandbox.ts";
import type { LoadBalancer, LoadBalancerProgrammer } from "./service.ts";

/** A network's load balancer on this node. */
interface Place {
  readonly endpoint: Endpoint;
  readonly sandbox: Sandbox;
  readonly osl: OslNamespace;
  /** Its interface on the network. */
  readonly device: string | undefined;
}

/** The load balancer's endpoint and sandbox; undefined while there is none (findLBEndpointSandbox). */
function placeOf(network: Network): Place | undefined {
  const sandbox = network.lbSandbox;
  const endpoint = network.lbEndpoint;
  const osl = sandbox?.osl;
  if (sandbox === undefined || osl === undefined || endpoint?.sandbox !== sandbox) return undefined;
  const { srcName } = endpoint.joined ?? {};
  return { endpoint, sandbox, osl, device: srcName === undefined ? undefined : osl.findDst(srcName) };
}

/** `-j MARK --set-mark F` for packets of a published port, and for all that the VIP gets. */
function markRules(
  balancer: Pick<LoadBalancer, "fwMark" | "ingressPorts">,
  vip: Ipv4,
): readonly (readonly [chain: string, rule: Rule])[] {
  const target = { kind: "MARK", value: balancer.fwMark } as const;
  const ofPort = ({ protocol, publishedPort }: PortConfig): readonly [string, Rule] => [
    "PREROUTING",
    { match: { protocol: is<string>(protocol), dport: isPort(publishedPort) }, target },
  ];
  return [...balancer.ingressPorts.map(ofPort), ["INPUT", { match: { dst: is({ ip: vip, prefix: 32 }) }, target }]];
}

/**
 * fwMarker -A: in a load balancer's namespace the marks, and source NAT towards the backends, once a sandbox and for good.
 * @param source the load balancer's address on the network; undefined where backends answer the client themselves
 */
export function addMarks(
  ns: NetNs,
  balancer: Pick<LoadBalancer, "fwMark" | "ingressPorts">,
  vip: Ipv4,
  source: Cidr | undefined,
): void {
  const { iptables } = ns;
  const rules = markRules(balancer, vip);
  for (const [chain, rule] of rules.slice(0, -1)) iptables.append("mangle", chain, rule);
  if (source !== undefined) {
    const snat: Rule = {
      match: { dst: is(networkOf(source)), ipvs: true },
      target: { kind: "SNAT", ip: source.ip },
    };
    if (!iptables.check("nat", "POSTROUTING", snat)) {
      ns.sysctlSet("net.ipv4.vs.conntrack", 1);
      iptables.append("nat", "POSTROUTING", snat);
    }
  }
  for (const [chain, rule] of rules.slice(-1)) iptables.append("mangle", chain, rule);
}

/** Virtual services of a sandbox in IPVS (libnetwork/service_linux.go). */
export class IpvsLoadBalancer implements LoadBalancerProgrammer {
  readonly #ingress: IngressPorts;
  readonly #log: DaemonLog;

  constructor(ingress: IngressPorts, log: DaemonLog) {
    this.#ingress = ingress;
    this.#log = log;
  }

  addBackend(network: Network, balancer: LoadBalancer, ip: Ipv4): void {
    const { vip } = balancer;
    if (vip === undefined) return;
    const place = placeOf(network);
    if (place === undefined) {
      const why = `Unable to find load balancing endpoint for network ${network.id}`;
      this.#log("error", `addLBBackend ${network.id}/${network.name}: ${why}`);
      return;
    }
    const { ns } = place.osl;
    const add = (): void =>
      ns.ipvs.addDestination({ fwmark: balancer.fwMark }, backendOf(ip, 1, network.directServerReturn));
    const what = `Failed to create real server ${formatIpv4(ip)}`;
    // A service that isn't there yet is ESRCH: that is how one knows, without reading its whole table for each backend.
    if (this.#tolerate(["EEXIST", "ESRCH"], what, balancer, place, add) === "ESRCH") {
      if (!this.#addService(network, balancer, vip, place)) return;
      this.#tolerate(["EEXIST"], what, balancer, place, add);
    }
    // The module may have been loaded just now.
    place.sandbox.applyOsTweaks(ns);
  }

  /** @returns whether the service is there now; what failed is logged, and tried again with the next backend */
  #addService(network: Network, balancer: LoadBalancer, vip: Ipv4, place: Place): boolean {
    const { endpoint, sandbox, osl, device } = place;
    if (device === undefined) {
      this.#log("error", `Failed find interface name for endpoint ${endpoint.id}(${endpoint.name}) to create LB alias`);
      return false;
    }
    try {
      osl.addAlias(device, vip);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const where = `network ${network.id} LB endpoint interface ${device}`;
      this.#log("error", `Failed add IP alias ${formatIpv4(vip)} to ${where}: ${goErrorText(error)}`);
      return false;
    }
    if (sandbox.kind === "ingress") {
      try {
        this.#ingress.add(sandbox.gatewayEndpoint()?.address?.ip, balancer.ingressPorts);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        this.#log("error", `Failed to add ingress: ${error.message}`);
        return false;
      }
    }
    const source = network.directServerReturn ? undefined : endpoint.address;
    addMarks(osl.ns, balancer, vip, source);
    osl.ns.ipvs.addService({ id: { fwmark: balancer.fwMark }, scheduler: "rr" });
    return true;
  }

  removeBackend(network: Network, balancer: LoadBalancer, ip: Ipv4, removeService: boolean, fullRemove: boolean): void {
    const { vip } = balancer;
    if (vip === undefined) return;
    const place = placeOf(network);
    if (place === undefined) {
      const why = `Unable to find load balancing endpoint for network ${network.id}`;
      this.#log("debug", `rmLBBackend for ${network.id}/${network.name}: ${why} -- probably transient state`);
      return;
    }
    const { ipvs } = place.osl.ns;
    const service = { fwmark: balancer.fwMark };
    if (fullRemove) {
      this.#tolerate(["ENOENT"], `Failed to delete real server ${formatIpv4(ip)}`, balancer, place, () =>
        ipvs.removeDestination(service, ip, 0),
      );
    } else {
      this.#tolerate(["ENOENT"], `Failed to set LB weight of real server ${formatIpv4(ip)} to 0`, balancer, place, () =>
        ipvs.updateDestination(service, backendOf(ip, 0, network.directServerReturn)),
      );
    }
    if (removeService) this.#removeService(network, balancer, vip, place, ipvs);
  }

  #removeService(network: Network, balancer: LoadBalancer, vip: Ipv4, place: Place, ipvs: IpvsApi): void {
    const { endpoint, sandbox, osl, device } = place;
    this.#tolerate(["ENOENT"], "Failed to delete service", balancer, place, () =>
      ipvs.removeService({ fwmark: balancer.fwMark }),
    );
    if (sandbox.kind === "ingress") this.#ingress.remove(sandbox.gatewayEndpoint()?.address?.ip, balancer.ingressPorts);
    for (const [chain, rule] of markRules(balancer, vip)) this.#deleteMark(osl.ns, chain, rule, sandbox);
    if (device === undefined) {
      this.#log("error", `Failed find interface name for endpoint ${endpoint.id}(${endpoint.name}) to create LB alias`);
      return;
    }
    try {
      osl.removeAlias(device, vip);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const where = `network ${network.id} LB endpoint interface ${device}`;
      this.#log("error", `Failed add IP alias ${formatIpv4(vip)} to ${where}: ${goErrorText(error)}`);
    }
  }

  #deleteMark(ns: NetNs, chain: string, rule: Rule, sandbox: Sandbox): void {
    try {
      ns.iptables.delete("mangle", chain, rule);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#log("error", `Failed to delete firewall mark rule in sbox ${shortOf(sandbox)}: ${goErrorText(error)}`);
    }
  }

  /** What IPVS refuses is logged, unless it is `expected`: something is there, or is not there, already. @returns the error */
  #tolerate(
    expected: readonly KernelError["code"][],
    what: string,
    { vip, fwMark }: LoadBalancer,
    { sandbox }: Place,
    change: () => void,
  ): KernelError["code"] | undefined {
    try {
      change();
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (!expected.includes(error.code)) {
        const where = `for vip ${formatIpv4(vip ?? 0)} fwmark ${fwMark} in sbox ${shortOf(sandbox)}`;
        this.#log("error", `${what} ${where}: ${goErrorText(error)}`);
      }
      return error.code;
    }
  }
}

function shortOf({ id, containerId }: Sandbox): string {
  return `${id.slice(0, 7)} (${containerId.slice(0, 7)})`;
}

/** A task as IPVS's destination. Masquerading keeps the packet's port, as port 0 says. */
export function backendOf(address: Ipv4, weight: number, directServerReturn: boolean): IpvsDestinationSpec {
  return { address, port: 0, forwarding: directServerReturn ? "direct" : "masq", weight };
}
