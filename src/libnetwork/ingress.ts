/**
 * Published ports of services on this host: the way from the host's addresses into the ingress sandbox, and sockets that
 * hold the ports (moby libnetwork/service_linux.go programIngress, plumbProxy; 20.10).
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";
import { KernelError, UserError } from "../base/errors.ts";
import type { StreamSocket, UdpSocket } from "../kernel/socket-types.ts";
import type { IptablesApi, NetNs, Rule } from "../kernel/types.ts";
import { arrangeUserFilter, INGRESS_CHAIN } from "./drivers/bridge-iptables.ts";
import { goErrorText } from "./go-errors.ts";
import { appendOnce, ensureChain, insertOnce, is, isPort, jump, RETURN } from "./iptables.ts";
import type { DaemonLog } from "./log.ts";
import type { PortConfig } from "./records.ts";

const BACKLOG = 4096;

/** Two services may publish the same port one after the other; the rules stay until the last has let go. */
function portKey(port: PortConfig): string {
  return `${port.name} ${port.protocol} ${port.targetPort} ${port.publishedPort}`;
}

function dnatRule(gateway: Ipv4, { protocol, publishedPort }: PortConfig): Rule {
  const ports = [publishedPort, publishedPort] as const;
  return {
    match: { protocol: is<string>(protocol), dport: isPort(publishedPort) },
    target: { kind: "DNAT", ip: gateway, ports },
  };
}

/** Lets containers of other bridges in, and the answers out; in order of insertion. */
function filterRules({ protocol, publishedPort }: PortConfig): readonly [Rule, Rule] {
  const ctstate = is(["ESTABLISHED", "RELATED"] as const);
  return [
    {
      match: { protocol: is<string>(protocol), sport: isPort(publishedPort), ctstate, stateModule: true },
      target: { kind: "ACCEPT" },
    },
    { match: { protocol: is<string>(protocol), dport: isPort(publishedPort) }, target: { kind: "ACCEPT" } },
  ];
}

/** Ports of the routing mesh on this host: rules and the sockets that hold them. */
export class IngressPorts {
  readonly #host: NetNs;
  readonly #log: DaemonLog;
  readonly #references = new Map<string, number>();
  /** `8080/tcp` → the socket that holds it. */
  readonly #listeners = new Map<string, StreamSocket | UdpSocket>();
  #initialised = false;

  constructor(host: NetNs, log: DaemonLog) {
    this.#host = host;
    this.#log = log;
  }

  /**
   * A service has come whose ports are published.
   * @param gateway address of the ingress sandbox on docker_gwbridge
   * @throws UserError when there is no way to that address
   */
  add(gateway: Ipv4 | undefined, ports: readonly PortConfig[]): void {
    const { iptables } = this.#host;
    this.#flushOnce(iptables);
    this.#prepare(iptables, gateway);
    for (const port of ports) {
      const key = portKey(port);
      const references = this.#references.get(key) ?? 0;
      this.#references.set(key, references + 1);
      if (references > 0) continue;
      iptables.insert("nat", INGRESS_CHAIN, dnatRule(gateway as Ipv4, port));
      for (const rule of filterRules(port)) iptables.insert("filter", INGRESS_CHAIN, rule);
      this.#listen(port);
    }
  }

  /** The service is gone. Chains, jumps and the masquerading stay. */
  remove(gateway: Ipv4 | undefined, ports: readonly PortConfig[]): void {
    const { iptables } = this.#host;
    for (const port of ports) {
      const key = portKey(port);
      const references = this.#references.get(key) ?? 0;
      if (references > 1) this.#references.set(key, references - 1);
      if (references !== 1) continue;
      this.#references.delete(key);
      if (gateway !== undefined) this.#delete("nat", dnatRule(gateway, port));
      if (iptables.hasChain("filter", INGRESS_CHAIN))
        for (const rule of filterRules(port)) this.#delete("filter", rule);
      this.#release(port);
    }
  }

  /** The daemon ends: its sockets close, its rules stay. */
  close(): void {
    for (const socket of this.#listeners.values()) socket.close();
    this.#listeners.clear();
  }

  /** The first time in a daemon's life: rules of an earlier one go. */
  #flushOnce(iptables: IptablesApi): void {
    if (this.#initialised) return;
    this.#initialised = true;
    for (const table of ["nat", "filter"] as const)
      if (iptables.hasChain(table, INGRESS_CHAIN)) iptables.flush(table, INGRESS_CHAIN);
  }

  /** Chains with their jumps, and masquerading of what the host itself sends into the sandbox. */
  #prepare(iptables: IptablesApi, gateway: Ipv4 | undefined): void {
    for (const table of ["nat", "filter"] as const) ensureChain(iptables, table, INGRESS_CHAIN);
    for (const table of ["nat", "filter"] as const) appendOnce(iptables, table, INGRESS_CHAIN, RETURN);
    for (const chain of ["OUTPUT", "PREROUTING"])
      insertOnce(iptables, "nat", chain, jump(INGRESS_CHAIN, { addrtypeDst: is("LOCAL") }));
    if (!iptables.check("filter", "FORWARD", jump(INGRESS_CHAIN))) {
      iptables.insert("filter", "FORWARD", jump(INGRESS_CHAIN));
      arrangeUserFilter(iptables);
    }
    const device = this.#deviceTowards(gateway);
    this.#host.sysctlSet(`net.ipv4.conf.${device}.route_localnet`, 1);
    insertOnce(iptables, "nat", "POSTROUTING", {
      match: { addrtypeSrc: is("LOCAL"), outDev: is(device) },
      target: { kind: "MASQUERADE" },
    });
  }

  /** findOIFName */
  #deviceTowards(gateway: Ipv4 | undefined): string {
    try {
      if (gateway !== undefined) return this.#host.link.get(this.#host.route.lookup(gateway).dev).name;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      const text = goErrorText(error);
      throw new UserError(`failed to find gateway bridge interface name for ${formatIpv4(gateway as Ipv4)}: ${text}`);
    }
    throw new UserError("failed to find gateway bridge interface name for <nil>: numerical result out of range");
  }

  #delete(table: "nat" | "filter", rule: Rule): void {
    try {
      this.#host.iptables.delete(table, INGRESS_CHAIN, rule);
    } catch (error) {
      // Somebody has flushed the chain meanwhile.
      if (!(error instanceof KernelError)) throw error;
      this.#log("info", `set up rule failed, -t ${table} -D ${INGRESS_CHAIN}: ${error.message}`);
    }
  }

  /** The port is held by a socket that nobody reads: no other program of the host can take it. */
  #listen({ protocol, publishedPort }: PortConfig): void {
    const socket = this.#host.socket[protocol]();
    socket.setOwner("dockerd");
    try {
      socket.bind(0, publishedPort);
      if ("listen" in socket) socket.listen(BACKLOG);
      this.#listeners.set(`${publishedPort}/${protocol}`, socket);
    } catch (error) {
      socket.close();
      if (!(error instanceof KernelError)) throw error;
      const text = `listen ${protocol} :${publishedPort}: bind: ${goErrorText(error)}`;
      this.#log("warning", `failed to create proxy for port ${publishedPort}: ${text}`);
    }
  }

  #release({ protocol, publishedPort }: PortConfig): void {
    const key = `${publishedPort}/${protocol}`;
    this.#listeners.get(key)?.close();
    this.#listeners.delete(key);
  }
}
