/**
 * A sandbox: the network side of one container (or load balancer): its namespace, its endpoints in their order,
 * its name files and its DNS server (moby libnetwork/sandbox.go, sandbox_dns_unix.go, sandbox_linux.go, 20.10).
 */
import type { Ipv4 } from "../base/addr.ts";
import { parseIpv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { newHexId } from "../base/ids.ts";
import type { NetNs } from "../kernel/types.ts";
import type { NetworkController } from "./controller.ts";
import {
  clearDefaultGateway,
  gatewayNetworkEndpoint,
  needsDefaultGateway,
  setupDefaultGateway,
} from "./default-gateway.ts";
import type { PortBinding, PublishedPort } from "./drivers/port-mapper.ts";
import type { Endpoint } from "./endpoint.ts";
import {
  embeddedResolvConf,
  filterNameservers,
  formatResolvConf,
  type HostsEntry,
  hostsFile,
  hostsNames,
  isLoopbackServer,
  ndotsSet,
  parseResolvConf,
  type ResolvConf,
} from "./files.ts";
import type { DaemonLog } from "./log.ts";
import { lookupName, lookupOrder } from "./name-lookup.ts";
import { makeNamespace } from "./namespaces.ts";
import type { Network } from "./network.ts";
import { OslNamespace, setSysctlIfKnown } from "./osl.ts";
import { addRedirectRules } from "./redirect.ts";
import { type ExternalServer, RESOLVER_TEXT, Resolver, type ResolverBackend } from "./resolver.ts";
import { SandboxPorts } from "./sandbox-ports.ts";

/** container: its namespace is made by setKey when its process starts; host: the host's own namespace. */
export type SandboxKind = "container" | "host" | "loadBalancer" | "ingress";

/** What a sandbox is made with. */
export interface SandboxOptions {
  /** Container ID, or the load balancer's key (`lb-<network>`, `ingress-sbox`). */
  readonly containerId: string;
  /** `container` when left out. */
  readonly kind?: SandboxKind;
  /** Name of its namespace at capture points: the container's name. */
  readonly name?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly extraHosts?: readonly HostsEntry[];
  /** `--dns`, `--dns-search`, `--dns-option`. */
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
  /** Load balancers: the network they serve. */
  readonly loadBalancerOf?: Network;
  /** Ports of the container published on the host, by whichever endpoint gives the way out. */
  readonly ports?: readonly PortBinding[];
}

/** Sysctls of a load balancer's namespace (osl ApplyOSTweaks). */
const LB_SYSCTLS: readonly (readonly [name: string, value: number])[] = [
  ["net.ipv4.vs.conn_reuse_mode", 0],
  ["net.ipv4.vs.expire_nodest_conn", 1],
  ["net.ipv4.vs.expire_quiescent_template", 1],
];

/** Sets a load balancer's sysctls, in the host's namespace too (osl ApplyOSTweaks); IPVS' are unknown until it is loaded. */
export function applyBalancerSysctls(ns: NetNs, host: NetNs, log: DaemonLog): void {
  for (const target of [ns, host])
    for (const [sysctl, value] of LB_SYSCTLS) setSysctlIfKnown(target, sysctl, value, log);
}

/** A container's network namespace and what is in it (libnetwork/sandbox.go). */
export class Sandbox implements ResolverBackend {
  readonly id: string;
  readonly kind: SandboxKind;
  readonly options: SandboxOptions;
  readonly controller: NetworkController;
  #osl: OslNamespace | undefined;
  /** In the order of endpointLess. */
  readonly #endpoints: Endpoint[] = [];
  readonly #populated = new Set<Endpoint>();
  readonly #ports: SandboxPorts;
  #resolver: Resolver | undefined;
  #external: ExternalServer[] = [];
  #conf: ResolvConf;
  #ndots = false;
  #deleting = false;

  /** Called by NetworkController.newSandbox. */
  constructor(controller: NetworkController, options: SandboxOptions) {
    this.controller = controller;
    this.options = options;
    this.kind = options.kind ?? "container";
    this.id = newHexId(controller.random);
    this.#ports = new SandboxPorts(options.ports ?? []);
    this.#conf = this.#initialResolvConf();
    if (this.kind === "host") this.#osl = new OslNamespace(controller.host, true, controller.log);
    else if (this.kind !== "container") this.#osl = this.#makeNamespace();
  }

  get containerId(): string {
    return this.options.containerId;
  }

  /** Its namespace; undefined before setKey. */
  get ns(): NetNs | undefined {
    return this.#osl?.ns;
  }

  get osl(): OslNamespace | undefined {
    return this.#osl;
  }

  /** Name of its file under /var/run/docker/netns (`SandboxKey`'s last part). */
  get dockerNetnsName(): string {
    if (this.kind === "ingress") return "ingress_sbox";
    const network = this.options.loadBalancerOf;
    return network === undefined ? this.id.slice(0, 12) : `lb_${network.id}`.slice(0, 12);
  }

  /** Full path of that file, as `docker inspect` shows it; the host's network is `default`. */
  get key(): string {
    return `/var/run/docker/netns/${this.kind === "host" ? "default" : this.dockerNetnsName}`;
  }

  endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  #makeNamespace(): OslNamespace {
    const name =
      this.kind === "container" ? (this.options.name ?? this.containerId.slice(0, 12)) : this.dockerNetnsName;
    const ns = makeNamespace(this.controller.host.host, name, this.dockerNetnsName);
    const osl = new OslNamespace(ns, false, this.controller.log);
    this.applyOsTweaks(ns);
    return osl;
  }

  /** The sysctls of its kind of sandbox (osl ApplyOSTweaks). Those of load balancers reach the host's namespace too. */
  applyOsTweaks(ns: NetNs): void {
    const { log, system, host } = this.controller;
    if (this.kind !== "container") applyBalancerSysctls(ns, host, log);
    else for (const [sysctl, value] of system.sandboxSysctls) setSysctlIfKnown(ns, sysctl, value, log);
  }

  /** The container's process starts: its namespace is made, and all endpoints get their interfaces, in order. */
  setKey(): NetNs {
    assert(this.kind === "container" && this.#osl === undefined, "sandbox already has a namespace", this.id);
    this.#osl = this.#makeNamespace();
    for (const endpoint of [...this.#endpoints]) this.#populate(endpoint);
    return this.#osl.ns;
  }

  // --------------------------------------------------------------------------------------- endpoints

  /** Called by Endpoint.join (sbJoin). @throws UserError when its ports can't be published */
  attach(endpoint: Endpoint): void {
    const before = this.gatewayEndpoint();
    const at = this.#endpoints.findIndex((other) => endpointLess(endpoint, other));
    this.#endpoints.splice(at < 0 ? this.#endpoints.length : at, 0, endpoint);
    this.#ports.attach(endpoint);
    this.#populate(endpoint);
    endpoint.publishDriverInfo();
    const needed = needsDefaultGateway(this);
    if (needed && gatewayNetworkEndpoint(this) === undefined) {
      setupDefaultGateway(this);
      return;
    }
    if (this.gatewayEndpoint() !== before) this.#ports.move(endpoint);
    if (!needed) clearDefaultGateway(this);
  }

  /** Ports as they are published on the host now: of each binding IPv4, then IPv6. */
  publishedPorts(): readonly PublishedPort[] {
    return this.#ports.published();
  }

  /** Called by Endpoint.leave when it is the way out. */
  revokePorts(): void {
    this.#ports.revoke();
  }

  /** Called by Endpoint.leave, before the endpoint forgets what its driver said. */
  detach(endpoint: Endpoint): void {
    const osl = this.#osl;
    const { joined } = endpoint;
    const wasGateway = this.gatewayEndpoint() === endpoint;
    if (this.#populated.delete(endpoint) && osl !== undefined && joined !== undefined) {
      for (const { dst, via } of joined.staticRoutes) if (!osl.isDefault) osl.removeStaticRoute(dst, via);
      if (wasGateway) osl.unsetGateway();
      if (joined.srcName !== undefined) osl.removeInterface(joined.srcName);
    }
    const at = this.#endpoints.indexOf(endpoint);
    if (at >= 0) this.#endpoints.splice(at, 1);
    this.#ports.detach(endpoint);
    const next = this.gatewayEndpoint();
    if (wasGateway && !this.#deleting && next !== undefined) this.#updateGateway(next);
  }

  /**
   * Called by Endpoint.leave at its end: what is left may need docker_gwbridge, or need it no more, or has another way out.
   * @param wasGateway the endpoint that left was the way out
   */
  detached(wasGateway: boolean): void {
    if (this.#deleting) return;
    const needed = needsDefaultGateway(this);
    if (needed && gatewayNetworkEndpoint(this) === undefined) {
      setupDefaultGateway(this);
      return;
    }
    const next = this.gatewayEndpoint();
    if (wasGateway && next !== undefined) this.#ports.publish(next);
    if (!needed) clearDefaultGateway(this);
  }

  /** The endpoint whose gateway is the default route's: the first in order that has one. */
  gatewayEndpoint(): Endpoint | undefined {
    return this.#endpoints.find((e) => !e.network.special && e.gateway !== undefined);
  }

  /** populateNetworkResources: resolver, interface, routes. Nothing before there is a namespace. */
  #populate(endpoint: Endpoint): void {
    const osl = this.#osl;
    const { joined } = endpoint;
    if (osl === undefined || joined === undefined) return;
    if (endpoint.needsResolver && this.kind !== "host") this.#startResolver();
    if (joined.srcName !== undefined) {
      osl.addInterface(joined.srcName, joined.dstPrefix, {
        ...(endpoint.mac === undefined ? {} : { mac: endpoint.mac }),
        ...(endpoint.address === undefined ? {} : { address: endpoint.address }),
      });
    }
    if (joined.srcName !== undefined) this.#acceptVip(endpoint, osl, joined.srcName);
    for (const { dst, via } of joined.staticRoutes) osl.addStaticRoute(dst, via);
    this.#populated.add(endpoint);
    if (this.gatewayEndpoint() === endpoint) this.#updateGateway(endpoint);
    const { service } = endpoint.options;
    if (endpoint.network.ingress && endpoint.address !== undefined && service !== undefined)
      addRedirectRules(osl.ns.iptables, endpoint.address.ip, service.ingressPorts);
  }

  /** Networks with direct server return: a task takes packets for the VIP itself, and answers no ARP for it (DisableARPForVIP). */
  #acceptVip(endpoint: Endpoint, osl: OslNamespace, srcName: string): void {
    const vip = endpoint.options.service?.vip;
    const device = osl.findDst(srcName);
    if (!endpoint.network.directServerReturn || vip === undefined || device === undefined) return;
    if (this.options.loadBalancerOf === undefined) {
      osl.ns.sysctlSet(`net.ipv4.conf.${device}.arp_ignore`, 1);
      osl.ns.sysctlSet(`net.ipv4.conf.${device}.arp_announce`, 2);
    }
    osl.addAlias("lo", vip);
  }

  #updateGateway(endpoint: Endpoint): void {
    const osl = this.#osl;
    if (osl === undefined || osl.isDefault || endpoint.gateway === undefined || !this.#populated.has(endpoint)) return;
    osl.unsetGateway();
    osl.setGateway(endpoint.gateway);
  }

  // -------------------------------------------------------------------------------------- life cycle

  /** The container runs (and is healthy): its names and backends become known. */
  enableService(): void {
    for (const endpoint of this.#endpoints) endpoint.publishService();
  }

  /** Before a task is stopped: no new connections, the ingress network first. */
  disableService(): void {
    const ordered = [...this.#endpoints].sort((a, b) => Number(b.network.ingress) - Number(a.network.ingress));
    for (const endpoint of ordered) endpoint.withdrawService(false);
  }

  /**
   * Leaves and deletes all endpoints, stops the resolver, ends the namespace.
   * @param keepNamespace a process of another container lives in it still: nothing but `lo` is left there
   */
  delete(keepNamespace = false): void {
    this.#deleting = true;
    for (const endpoint of [...this.#endpoints]) {
      if (!endpoint.onGatewayNetwork) endpoint.delete(true);
    }
    clearDefaultGateway(this);
    this.stopResolver();
    if (!keepNamespace) this.#osl?.destroy();
    this.#osl = undefined;
    this.controller.forgetSandbox(this);
  }

  /** Closes the DNS server's sockets: with the sandbox, or with the daemon. */
  stopResolver(): void {
    this.#resolver?.stop();
    this.#resolver = undefined;
  }

  // ------------------------------------------------------------------------------------- name files

  /** /etc/hosts: one line per endpoint but those of ingress and docker_gwbridge. */
  hostsFile(): string {
    const names = hostsNames(this.options.hostname ?? this.containerId.slice(0, 12), this.options.domainname ?? "");
    const own: { ip: Ipv4; names: string }[] = [];
    for (const endpoint of this.#endpoints) {
      if (endpoint.network.ingress || endpoint.onGatewayNetwork || endpoint.address === undefined) continue;
      own.push({ ip: endpoint.address.ip, names });
    }
    return hostsFile(this.options.extraHosts ?? [], own);
  }

  /** /etc/resolv.conf as it is now. */
  resolvConf(): string {
    if (this.kind === "host") return this.controller.hostResolvConf;
    return formatResolvConf(this.#conf);
  }

  /** setupDNS: the host's file without loopback servers, or what the user gave; and the servers to ask. */
  #initialResolvConf(): ResolvConf {
    const host = parseResolvConf(this.controller.hostResolvConf);
    const { dns, dnsSearch, dnsOptions } = this.options;
    const given = [dns, dnsSearch, dnsOptions].some((list) => list !== undefined && list.length > 0);
    if (given) {
      const conf = {
        nameservers: dns !== undefined && dns.length > 0 ? dns : host.nameservers,
        search: dnsSearch !== undefined && dnsSearch.length > 0 ? dnsSearch : host.search,
        options: dnsOptions !== undefined && dnsOptions.length > 0 ? dnsOptions : host.options,
      };
      // A loopback address of --dns means the container's own loopback.
      this.#external = externalServers(conf.nameservers, false);
      return conf;
    }
    this.#external = externalServers(host.nameservers, true);
    return { ...host, nameservers: filterNameservers(host.nameservers) };
  }

  /** The first network with service discovery starts the DNS server and makes it the container's only one (rebuildDNS). */
  #startResolver(): void {
    const { ns } = this;
    if (this.#resolver !== undefined || ns === undefined) return;
    const { controller } = this;
    const resolver = new Resolver(
      controller.os,
      controller.random.fork(`resolver/${this.id}`),
      ns,
      this,
      controller.log,
    );
    if (this.#external.length === 0) this.#external = externalServers(this.#conf.nameservers, false);
    resolver.setExternalServers(this.#external);
    this.#ndots = ndotsSet(this.#conf.options);
    this.#conf = embeddedResolvConf(this.#conf, RESOLVER_TEXT);
    resolver.start();
    this.#resolver = resolver;
  }

  // ------------------------------------------------------------------------------------------ names

  get ndotsSet(): boolean {
    return this.#ndots;
  }

  /** Internal networks only: names nobody here knows are refused. */
  get proxyDns(): boolean {
    return this.#endpoints.some((e) => !e.network.internal);
  }

  resolveName(name: string, family: "ipv4" | "ipv6"): { addresses: readonly Ipv4[]; known: boolean } {
    const found = lookupName(
      this.controller.agent === undefined ? this.#endpoints : lookupOrder(this.#endpoints),
      name,
    );
    return { addresses: family === "ipv4" ? (found ?? []) : [], known: found !== undefined };
  }

  resolveIp(ip: Ipv4): string | undefined {
    for (const { network } of this.#endpoints) {
      const name = network.records.resolveIp(ip);
      if (name !== undefined) return `${name}.${network.name}`;
    }
    return undefined;
  }

  noteExternal(ip: Ipv4): void {
    for (const { network } of this.#endpoints) network.records.noteExternal(ip);
  }
}

function externalServers(servers: readonly string[], checkLoopback: boolean): ExternalServer[] {
  return servers.flatMap((server) => {
    const ip = parseIpv4(server);
    return ip === undefined ? [] : [{ ip, hostLoopback: checkLoopback && isLoopbackServer(server) }];
  });
}

/** Order of endpoints (Endpoint.Less): docker_gwbridge last, internal networks after others, those with a gateway first, then by network name. */
function endpointLess(a: Endpoint, b: Endpoint): boolean {
  const rank = (e: Endpoint): readonly number[] => [
    Number(e.onGatewayNetwork),
    Number(e.network.internal),
    e.gateway === undefined ? 1 : 0,
  ];
  const [ra, rb] = [rank(a), rank(b)];
  for (let i = 0; i < ra.length; i++) {
    if (ra[i] !== rb[i]) return (ra[i] as number) < (rb[i] as number);
  }
  return a.network.name < b.network.name;
}
