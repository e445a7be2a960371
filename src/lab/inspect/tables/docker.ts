/** What the engine and libnetwork of a host know: containers, networks, endpoints, overlay peers, load balancers, names. */
import { formatCidr, formatIpv4, formatMac } from "../../../base/addr.ts";
import type { Engine } from "../../../engine/engine.ts";
import { OPTION_ENCRYPTED } from "../../../libnetwork/labels.ts";
import { address, type HostTable, KEY, number, OWN, type Row, text, time, yes } from "./table.ts";

/** As `docker` truncates an ID. */
const short = (id: string): string => id.slice(0, 12);

const CONTAINERS = [
  text("name", KEY),
  text("id", KEY),
  text("image"),
  text("state"),
  number("pid"),
  number("exit code"),
  number("restarts"),
  address("addresses"),
  time("created"),
  time("started"),
];

/** `docker ps -a`. */
export function containers(engine: Engine): HostTable {
  const rows = engine.containers.list().map((container): Row => {
    const { name, id, request, status, pid, exitCode, restartCount, created, startedAt, sandbox } = container;
    const own = (sandbox?.endpoints() ?? []).flatMap((one) => (one.address === undefined ? [] : [one.address.ip]));
    const state = [name, short(id), request.Image, status, pid, exitCode, restartCount];
    return [...state, own.map(formatIpv4).join(" "), created, startedAt ?? ""];
  });
  return { columns: CONTAINERS, rows };
}

const NETWORKS = [
  text("name", KEY),
  text("id", KEY),
  text("driver"),
  text("scope"),
  address("subnet", KEY),
  address("ip range"),
  address("gateway"),
  number("addresses used", OWN),
  number("vni"),
  text("encrypted"),
  text("attachable"),
  text("internal"),
  text("ingress"),
  address("load balancer", OWN),
];

/** `docker network inspect`: a row a subnet, with what this host has given away of it. */
export function networks(engine: Engine): HostTable {
  const rows = engine.controller.networks().flatMap((network): Row[] => {
    const { spec } = network;
    const overlay = engine.controller.overlay.network(network.id);
    const flags = [spec.options?.[OPTION_ENCRYPTED] !== undefined, spec.attachable, spec.internal, spec.ingress];
    const rest = flags.map((flag) => yes(flag === true));
    const balancer = spec.loadBalancerIp === undefined ? "" : formatIpv4(spec.loadBalancerIp);
    const head = [network.name, short(network.id), network.type, network.scope];
    if (network.subnets.length === 0) return [[...head, "", "", "", "", "", ...rest, balancer]];
    return network.subnets.map(({ pool, gateway }, i): Row => {
      const range = pool.range === pool.subnet ? "" : formatCidr(pool.range);
      const vni = overlay?.subnets[i]?.vni ?? "";
      return [...head, formatCidr(pool.subnet), range, formatIpv4(gateway.ip), pool.used, vni, ...rest, balancer];
    });
  });
  return { columns: NETWORKS, rows };
}

const ENDPOINTS = [
  text("network", KEY),
  text("name", KEY),
  text("endpoint", KEY),
  address("address"),
  text("mac"),
  text("sandbox"),
  text("namespace"),
];

/** `Containers` of `docker network inspect`, of all networks of the host. */
export function endpoints(engine: Engine): HostTable {
  const rows = engine.controller.networks().flatMap((network) =>
    network.endpoints().map((endpoint): Row => {
      const { sandbox, mac } = endpoint;
      const where = endpoint.address === undefined ? "" : formatCidr(endpoint.address);
      const what = [network.name, endpoint.name, short(endpoint.id), where, mac === undefined ? "" : formatMac(mac)];
      return [...what, short(sandbox?.containerId ?? ""), sandbox?.ns?.name ?? ""];
    }),
  );
  return { columns: ENDPOINTS, rows };
}

const PEERS = [
  text("network", KEY),
  address("address", KEY),
  text("mac", KEY),
  address("vtep", KEY),
  text("endpoint", KEY),
  text("local", OWN),
];

/** The overlay driver's peer database: which endpoint lives behind which VTEP. */
export function peers(engine: Engine): HostTable {
  const { overlay } = engine.controller;
  const rows = overlay.peers.networks().flatMap((id) => {
    const name = overlay.network(id)?.name ?? short(id);
    return overlay.peers.entries(id).map(({ ip, prefix, mac, vtep, endpointId, local }): Row => {
      return [name, formatCidr({ ip, prefix }), formatMac(mac), formatIpv4(vtep), short(endpointId), yes(local)];
    });
  });
  return { columns: PEERS, rows };
}

const BALANCERS = [
  text("network", KEY),
  text("service", KEY),
  address("vip", KEY),
  address("backend", KEY),
  text("endpoint", KEY),
  text("disabled"),
  text("ports"),
  number("fwmark", OWN),
];

/** `Services` of `docker network inspect -v`, as IPVS is programmed from it. */
export function balancers(engine: Engine): HostTable {
  const rows = engine.controller.networks().flatMap((network) =>
    engine.controller.services.balancers(network.id).flatMap((balancer) => {
      const { serviceName, vip, fwMark, ingressPorts, backends } = balancer;
      const ports = ingressPorts.map((one) => `${one.publishedPort}:${one.targetPort}/${one.protocol}`).join(" ");
      const head = [network.name, serviceName, vip === undefined ? "" : formatIpv4(vip)];
      return [...backends].map(([endpoint, { ip, disabled }]): Row => {
        return [...head, formatIpv4(ip), short(endpoint), yes(disabled), ports, fwMark];
      });
    }),
  );
  return { columns: BALANCERS, rows };
}

const NAMES = [text("network", KEY), text("type", KEY), text("name", KEY), address("address", KEY), text("of", KEY)];

/** What the embedded DNS server answers from, of each network: addresses of names, and names of addresses. */
export function dns(engine: Engine): HostTable {
  const rows = engine.controller.networks().flatMap((network) =>
    [...network.records.entries()].map(({ type, name, ip, serviceId }): Row => {
      return [network.name, type, name, formatIpv4(ip), short(serviceId)];
    }),
  );
  return { columns: NAMES, rows };
}
