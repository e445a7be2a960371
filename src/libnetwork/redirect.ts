/**
 * What a task's namespace does with a published port: the mesh delivers packets with the published port, the task
 * listens on its own; and nothing else of the ingress network reaches it (moby libnetwork/service_linux.go addRedirectRules,
 * redirector; 20.10).
 */
import type { Ipv4 } from "../base/addr.ts";
import type { IptablesApi, Rule } from "../kernel/types.ts";
import { appendOnce, is, isPort } from "./iptables.ts";
import type { PortConfig } from "./records.ts";

/** Protocols that are shut out of the ingress address where no port is published. */
const BLOCKED = ["sctp", "udp", "tcp"] as const;

/**
 * @param iptables of the task's namespace
 * @param ip the task's address on the ingress network
 */
export function addRedirectRules(iptables: IptablesApi, ip: Ipv4, ports: readonly PortConfig[]): void {
  if (ports.length === 0) return;
  const own = is({ ip, prefix: 32 });
  for (const { protocol: name, publishedPort, targetPort } of ports) {
    const protocol = is<string>(name);
    iptables.append("nat", "PREROUTING", {
      match: { dst: own, protocol, dport: isPort(publishedPort) },
      target: { kind: "REDIRECT", ports: [targetPort, targetPort] },
    });
    iptables.insert("filter", "INPUT", {
      match: { dst: own, protocol, dport: isPort(targetPort), ctstate: is(["NEW", "ESTABLISHED"] as const) },
      target: { kind: "ACCEPT" },
    });
    iptables.insert("filter", "OUTPUT", {
      match: { src: own, protocol, sport: isPort(targetPort), ctstate: is(["ESTABLISHED"] as const) },
      target: { kind: "ACCEPT" },
    });
  }
  for (const name of BLOCKED) {
    const protocol = is<string>(name);
    const drop = (match: Rule["match"]): Rule => ({ match: { ...match, protocol }, target: { kind: "DROP" } });
    appendOnce(iptables, "filter", "INPUT", drop({ dst: own }));
    appendOnce(iptables, "filter", "OUTPUT", drop({ src: own }));
  }
}
