/** A director between clients and servers, in namespaces of one host: what the tests of IPVS run on. */
import type { Host } from "../../src/kernel/host.ts";
import type { IpvsDestinationSpec, IpvsServiceId, IpvsServiceSpec } from "../../src/kernel/ipvs-types.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { cidr, ip, lan } from "../support/kernel.ts";

export const VIP = "10.1.0.1";
/** The director's address towards the servers. */
export const LB = "10.1.1.254";

export interface Farm {
  readonly kernel: Kernel;
  readonly host: Host;
  /** 10.2.0.1 … .20, default route to the director. */
  readonly client: NetNs;
  /** 10.2.0.254 and the VIP 10.1.0.1 on `in`, 10.1.1.254 on `out`, forwarding. */
  readonly director: NetNs;
  /** 10.1.1.1 … .5, default route to the director. */
  readonly server: NetNs;
  /** Packets made and arrived are delivered, dropped, sent or alive. */
  conserved(): boolean;
}

export async function farm(seed = "ipvs"): Promise<Farm> {
  const { kernel, hosts } = await lan(1, seed);
  const [host] = hosts;
  if (host === undefined) throw new Error("a host");
  // lan() has put eth0 into 10.1.1.0/24 of the root namespace, where none of this lives.
  const [client, director, server] = ["client", "director", "server"].map((name) => host.createNs(name));
  if (client === undefined || director === undefined || server === undefined) throw new Error("namespaces");
  for (const ns of [client, director, server]) ns.link.set("lo", { up: true });
  director.link.add({ kind: "veth", name: "in", peer: { name: "eth0", ns: client } });
  director.link.add({ kind: "veth", name: "out", peer: { name: "eth0", ns: server } });
  for (const [ns, dev] of [
    [client, "eth0"],
    [server, "eth0"],
    [director, "in"],
    [director, "out"],
  ] as const)
    ns.link.set(dev, { up: true });
  for (let i = 1; i <= 20; i++) client.addr.add("eth0", cidr(`10.2.0.${i}/24`));
  for (let i = 1; i <= 5; i++) server.addr.add("eth0", cidr(`10.1.1.${i}/24`));
  director.addr.add("in", cidr("10.2.0.254/24"));
  director.addr.add("in", cidr(`${VIP}/32`));
  director.addr.add("out", cidr(`${LB}/24`));
  director.sysctlSet("net.ipv4.ip_forward", 1);
  client.route.add({ dst: cidr("0.0.0.0/0"), via: ip("10.2.0.254") });
  server.route.add({ dst: cidr("0.0.0.0/0"), via: ip(LB) });
  return { kernel, host, client, director, server, conserved: () => conserved(host) };
}

function conserved(host: Host): boolean {
  const { made, arrived, delivered, dropped, sent, live } = host.packets();
  return made + arrived === delivered + dropped + sent + live;
}

/** A service with destinations 10.1.1.1 … of the given weights, added in that order. */
export function serve(
  ns: NetNs,
  id: IpvsServiceId,
  weights: readonly number[],
  more: Partial<IpvsServiceSpec> = {},
  destination: Partial<IpvsDestinationSpec> = {},
): void {
  ns.ipvs.addService({ id, scheduler: "rr", ...more });
  const port = "port" in id ? id.port : 0;
  weights.forEach((weight, i) => {
    ns.ipvs.addDestination(id, { address: server(i + 1), port, forwarding: "masq", weight, ...destination });
  });
}

export function server(number: number): number {
  return ip(`10.1.1.${number}`);
}

export function service(protocol: "tcp" | "udp" | "sctp", port = 80): IpvsServiceId {
  return { protocol, address: ip(VIP), port };
}

/** One host's part of an overlay as libnetwork builds it: br0, a client, the load balancer's sandbox, five tasks. */
export interface Overlay {
  readonly kernel: Kernel;
  readonly host: Host;
  /** 10.0.3.20. */
  readonly client: NetNs;
  /** 10.0.3.9 and the VIP 10.0.3.2. */
  readonly lb: NetNs;
  /** 10.0.3.3 … .7. */
  readonly tasks: readonly NetNs[];
  conserved(): boolean;
}

export const MARK = 257;

/** @param rules the sandbox's rules and settings, without which IPVS is as Linux has it at first */
export async function overlay(rules = true): Promise<Overlay> {
  const { kernel, hosts } = await lan(1, "overlay");
  const [host] = hosts;
  if (host === undefined) throw new Error("a host");
  const bridge = host.createNs("bridge");
  bridge.link.add({ kind: "bridge", name: "br0" });
  bridge.link.set("br0", { up: true });
  let port = 0;
  const join = (name: string, address: number): NetNs => {
    const ns = host.createNs(name);
    const veth = `veth${port++}`;
    bridge.link.add({ kind: "veth", name: veth, mtu: 1450, peer: { name: "eth0", ns, mtu: 1450 } });
    bridge.link.set(veth, { up: true, master: bridge.link.get("br0").index });
    ns.link.set("lo", { up: true });
    ns.link.set("eth0", { up: true });
    ns.addr.add("eth0", cidr(`10.0.3.${address}/24`));
    ns.sysctlSet("net.ipv4.ip_forward", 1);
    return ns;
  };
  const client = join("client", 20);
  const lb = join("lb", 9);
  const tasks = [3, 4, 5, 6, 7].map((address) => join(`task${address}`, address));
  lb.addr.add("eth0", cidr("10.0.3.2/32"));
  if (rules) sandboxRules(lb);
  return { kernel, host, client, lb, tasks, conserved: () => conserved(host) };
}

/** What libnetwork puts into a load balancer's sandbox. */
function sandboxRules(lb: NetNs): void {
  const subnet = { value: cidr("10.0.3.0/24"), not: false };
  lb.iptables.append("mangle", "INPUT", {
    match: { dst: { value: cidr("10.0.3.2/32"), not: false } },
    target: { kind: "MARK", value: MARK },
  });
  lb.iptables.append("nat", "POSTROUTING", {
    match: { dst: subnet, ipvs: true },
    target: { kind: "SNAT", ip: ip("10.0.3.9") },
  });
  lb.sysctlSet("net.ipv4.vs.conntrack", 1);
  lb.sysctlSet("net.ipv4.vs.conn_reuse_mode", 0);
  lb.sysctlSet("net.ipv4.vs.expire_nodest_conn", 1);
  lb.sysctlSet("net.ipv4.vs.expire_quiescent_template", 1);
  lb.ipvs.addService({ id: { fwmark: MARK }, scheduler: "rr" });
  for (const address of [3, 4, 5, 6, 7]) lb.ipvs.addDestination({ fwmark: MARK }, task(address));
}

/** A task as a destination. */
export function task(address: number, weight = 1): IpvsDestinationSpec {
  return { address: ip(`10.0.3.${address}`), port: 0, forwarding: "masq", weight };
}
