/**
 * A host behind 1:1 NAT: a router that owns the host's place on the lab's network, and the cable between the two. The
 * router is a namespace of the same machine with a stack of its own; it forwards by routes and two rules of iptables, as
 * a home router's "DMZ host" or a cloud's elastic address does. Nothing else knows that it is there.
 */
import { broadcastOf, type Cidr, type Ipv4, networkOf } from "../base/addr.ts";
import { US } from "../base/time.ts";
import type { NetNs } from "../kernel/types.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { NicSpec } from "../scheduler/topology.ts";
import type { HostPlan } from "./plan.ts";

/** Name of the router's namespace: capture points are `host/nat/eth0` (the wire) and `host/nat/eth1`. */
export const NAT_NAMESPACE = "nat";
/** The router's cards as they are called until they are in its namespace: to the lab's network, and to the host. */
const OUTSIDE = "wan";
const INSIDE = "lan";
/** A few metres of cable. */
const CABLE_DELAY = 1 * US;

/** Cards of a host: one on the lab's network; behind NAT that is the router's, and a cable leads from there to the host. */
export function nicsOf(host: HostPlan): readonly NicSpec[] {
  const { latency, bandwidth, loss, mtu, leaf } = host;
  const wire = { latency, bandwidth, loss, mtu, leaf, address: host.address.ip };
  if (host.nat === undefined)
    return [
      { device: "eth0", ...wire },
      ...host.cards.map(
        ({ network, device, latency, bandwidth, loss, mtu }): NicSpec => ({
          device,
          segment: `network/${network}`,
          latency,
          bandwidth,
          loss,
          mtu,
        }),
      ),
    ];
  const cable = { segment: `nat/${host.name}`, latency: CABLE_DELAY, bandwidth, mtu };
  return [
    { device: "eth0", ...cable },
    { device: OUTSIDE, ...wire },
    { device: INSIDE, ...cable },
  ];
}

/** The card that stands on the lab's network, for faults of the host's wire; undefined where the host has no other. */
export function wireDevice(host: HostPlan): string | undefined {
  return host.nat === undefined ? undefined : OUTSIDE;
}

/** The router's address towards the host: the first of their network. */
export function routerAddress(inside: Cidr): Ipv4 {
  return networkOf(inside).ip + 1;
}

/** Boots the router, and tells the host that it leads everywhere. */
export function startNat(os: HostOs, address: Cidr, inside: Cidr): void {
  const { root } = os.kernel;
  const router = os.kernel.createNs(NAT_NAMESPACE);
  router.link.set("lo", { up: true });
  const gateway = routerAddress(inside);
  plug(root, router, OUTSIDE, "eth0", address);
  plug(root, router, INSIDE, "eth1", { ip: gateway, prefix: inside.prefix });
  router.sysctlSet("net.ipv4.ip_forward", 1);
  const publicAddress = { ip: address.ip, prefix: 32 };
  const privateAddress = { ip: inside.ip, prefix: 32 };
  router.iptables.append("nat", "PREROUTING", {
    match: { inDev: { value: "eth0", not: false }, dst: { value: publicAddress, not: false } },
    target: { kind: "DNAT", ip: inside.ip },
  });
  router.iptables.append("nat", "POSTROUTING", {
    match: { outDev: { value: "eth0", not: false }, src: { value: privateAddress, not: false } },
    target: { kind: "SNAT", ip: address.ip },
  });
  root.route.add({ dst: { ip: 0, prefix: 0 }, via: gateway, protocol: "boot" });
}

/** Moves a card into the router, where it goes by another name. */
function plug(root: NetNs, router: NetNs, card: string, name: string, address: Cidr): void {
  root.link.set(card, { ns: router });
  router.link.set(card, { name });
  router.addr.add(name, address, { broadcast: broadcastOf(address) });
  router.link.set(name, { up: true });
}
