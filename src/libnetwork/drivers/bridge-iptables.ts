/**
 * Firewall of the bridge driver, rule for rule and in the order of insertion of 20.10 (moby libnetwork
 * drivers/bridge/setup_ip_tables.go, iptables/iptables.go ProgramChain, firewall_linux.go).
 */
import { type Cidr, type Ipv4, networkOf } from "../../base/addr.ts";
import type { IptablesApi, Rule, TableName } from "../../kernel/types.ts";
import { appendOnce, deleteIfThere, ensureChain, insertOnce, is, isPort, jump, not, RETURN } from "../iptables.ts";

/** Docker's chains. */
export const DOCKER_CHAIN = "DOCKER";
export const USER_CHAIN = "DOCKER-USER";
export const INGRESS_CHAIN = "DOCKER-INGRESS";
export const ISOLATION_1 = "DOCKER-ISOLATION-STAGE-1";
export const ISOLATION_2 = "DOCKER-ISOLATION-STAGE-2";

/** Puts a jump at the top of a chain, taking it from where it was (iptables.EnsureJumpRule). */
export function ensureJump(iptables: IptablesApi, from: string, to: string): void {
  deleteIfThere(iptables, "filter", from, jump(to));
  iptables.insert("filter", from, jump(to), 1);
}

const natPrerouting = jump(DOCKER_CHAIN, { addrtypeDst: is("LOCAL") });
const natOutput = jump(DOCKER_CHAIN, { dst: not({ ip: 0x7f000000, prefix: 8 }), addrtypeDst: is("LOCAL") });

/** The driver's chains (setupIPChains); what an earlier life of the daemon left in them goes first (removeIPChains). */
export function setupChains(iptables: IptablesApi): void {
  deleteIfThere(iptables, "nat", "PREROUTING", natPrerouting);
  deleteIfThere(iptables, "nat", "OUTPUT", natOutput);
  for (const [table, chain] of [
    ["nat", DOCKER_CHAIN],
    ["filter", DOCKER_CHAIN],
    ["filter", ISOLATION_1],
    ["filter", ISOLATION_2],
  ] as const) {
    if (iptables.hasChain(table, chain)) iptables.flush(table, chain);
  }
  ensureChain(iptables, "nat", DOCKER_CHAIN);
  ensureChain(iptables, "filter", DOCKER_CHAIN);
  for (const chain of [ISOLATION_1, ISOLATION_2]) {
    ensureChain(iptables, "filter", chain);
    appendOnce(iptables, "filter", chain, RETURN);
  }
}

/**
 * DOCKER-USER first in FORWARD, and after it DOCKER-INGRESS where there is one (controller.arrangeUserFilterRule,
 * arrangeIngressFilterRule); done again at each new network, since bridges insert above.
 */
export function arrangeUserFilter(iptables: IptablesApi): void {
  if (iptables.hasChain("filter", INGRESS_CHAIN) && iptables.check("filter", "FORWARD", jump(INGRESS_CHAIN))) {
    ensureJump(iptables, "FORWARD", INGRESS_CHAIN);
  }
  ensureChain(iptables, "filter", USER_CHAIN);
  appendOnce(iptables, "filter", USER_CHAIN, RETURN);
  ensureJump(iptables, "FORWARD", USER_CHAIN);
}

/** A bridge as its rules name it. */
export interface BridgeRules {
  readonly bridge: string;
  readonly subnet: Cidr;
  readonly icc: boolean;
  readonly masquerade: boolean;
  readonly internal: boolean;
}

function masqueradeRule({ bridge, subnet }: BridgeRules): Rule {
  return { match: { src: is(networkOf(subnet)), outDev: not(bridge) }, target: { kind: "MASQUERADE" } };
}

function skipDnatRule({ bridge }: BridgeRules): Rule {
  return { match: { inDev: is(bridge) }, target: { kind: "RETURN" } };
}

function outgoingRule({ bridge }: BridgeRules): Rule {
  return { match: { inDev: is(bridge), outDev: not(bridge) }, target: { kind: "ACCEPT" } };
}

function iccRule({ bridge }: BridgeRules, kind: "ACCEPT" | "DROP"): Rule {
  return { match: { inDev: is(bridge), outDev: is(bridge) }, target: { kind } };
}

function forwardRules(bridge: string): readonly Rule[] {
  return [
    jump(DOCKER_CHAIN, { outDev: is(bridge) }),
    { match: { outDev: is(bridge), ctstate: is(["RELATED", "ESTABLISHED"] as const) }, target: { kind: "ACCEPT" } },
  ];
}

function isolationRules({ bridge }: BridgeRules): readonly (readonly [chain: string, rule: Rule])[] {
  return [
    [ISOLATION_1, jump(ISOLATION_2, { inDev: is(bridge), outDev: not(bridge) })],
    [ISOLATION_2, { match: { outDev: is(bridge) }, target: { kind: "DROP" } }],
  ];
}

function internalRules({ bridge, subnet }: BridgeRules): readonly Rule[] {
  const net = networkOf(subnet);
  return [
    { match: { src: not(net), outDev: is(bridge) }, target: { kind: "DROP" } },
    { match: { dst: not(net), inDev: is(bridge) }, target: { kind: "DROP" } },
  ];
}

/** Jumps of nat's built-in chains to DOCKER, shared by all bridges (ProgramChain, table nat). */
function ensureNatJumps(iptables: IptablesApi): void {
  appendOnce(iptables, "nat", "PREROUTING", natPrerouting);
  appendOnce(iptables, "nat", "OUTPUT", natOutput);
}

/** All rules of a new bridge. */
export function addBridgeRules(iptables: IptablesApi, rules: BridgeRules): void {
  for (const [chain, rule] of rules.internal ? [] : isolationRules(rules)) insertOnce(iptables, "filter", chain, rule);
  if (rules.internal) {
    for (const rule of internalRules(rules)) insertOnce(iptables, "filter", ISOLATION_1, rule);
  } else if (rules.masquerade) {
    insertOnce(iptables, "nat", "POSTROUTING", masqueradeRule(rules));
    insertOnce(iptables, "nat", DOCKER_CHAIN, skipDnatRule(rules));
  }
  setIcc(iptables, rules);
  if (rules.internal) return;
  insertOnce(iptables, "filter", "FORWARD", outgoingRule(rules));
  ensureNatJumps(iptables);
  for (const rule of forwardRules(rules.bridge)) insertOnce(iptables, "filter", "FORWARD", rule);
  ensureJump(iptables, "FORWARD", ISOLATION_1);
}

/** Traffic between ports of the bridge: ACCEPT goes above the older rules, DROP below all. */
function setIcc(iptables: IptablesApi, rules: BridgeRules): void {
  deleteIfThere(iptables, "filter", "FORWARD", iccRule(rules, rules.icc ? "DROP" : "ACCEPT"));
  if (rules.icc) insertOnce(iptables, "filter", "FORWARD", iccRule(rules, "ACCEPT"));
  else appendOnce(iptables, "filter", "FORWARD", iccRule(rules, "DROP"));
}

/** Takes a bridge's rules away; the shared chains and jumps stay. */
export function removeBridgeRules(iptables: IptablesApi, rules: BridgeRules): void {
  for (const [chain, rule] of isolationRules(rules)) deleteIfThere(iptables, "filter", chain, rule);
  for (const rule of internalRules(rules)) deleteIfThere(iptables, "filter", ISOLATION_1, rule);
  deleteIfThere(iptables, "nat", "POSTROUTING", masqueradeRule(rules));
  deleteIfThere(iptables, "nat", DOCKER_CHAIN, skipDnatRule(rules));
  for (const kind of ["ACCEPT", "DROP"] as const) deleteIfThere(iptables, "filter", "FORWARD", iccRule(rules, kind));
  deleteIfThere(iptables, "filter", "FORWARD", outgoingRule(rules));
  for (const rule of forwardRules(rules.bridge)) deleteIfThere(iptables, "filter", "FORWARD", rule);
}

/** A published port as the rules name it. */
export interface ForwardedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** 0 = every address of the host. */
  readonly hostIp: Ipv4;
  readonly hostPort: number;
  readonly containerIp: Ipv4;
  readonly containerPort: number;
}

/** The rules of a published port (ChainInfo.Forward): DNAT, the way through the firewall, and a container that calls itself. */
function portRules(bridge: string, port: ForwardedPort): readonly (readonly [TableName, string, Rule])[] {
  const protocol = is<string>(port.protocol);
  const container = is({ ip: port.containerIp, prefix: 32 });
  const toContainer = { dst: container, protocol, dport: isPort(port.containerPort) };
  const toHost = {
    ...(port.hostIp === 0 ? {} : { dst: is({ ip: port.hostIp, prefix: 32 }) }),
    inDev: not(bridge),
    protocol,
    dport: isPort(port.hostPort),
  };
  const ports = [port.containerPort, port.containerPort] as const;
  return [
    ["nat", DOCKER_CHAIN, { match: toHost, target: { kind: "DNAT", ip: port.containerIp, ports } }],
    [
      "filter",
      DOCKER_CHAIN,
      { match: { ...toContainer, inDev: not(bridge), outDev: is(bridge) }, target: { kind: "ACCEPT" } },
    ],
    ["nat", "POSTROUTING", { match: { ...toContainer, src: container }, target: { kind: "MASQUERADE" } }],
  ];
}

/** Adds the rules of a published port: DNAT, accept, masquerade of its own traffic. */
export function addPortRules(iptables: IptablesApi, bridge: string, port: ForwardedPort): void {
  for (const [table, chain, rule] of portRules(bridge, port)) appendOnce(iptables, table, chain, rule);
}

/** Removes the rules of a published port; those that are gone already are left out. */
export function removePortRules(iptables: IptablesApi, bridge: string, port: ForwardedPort): void {
  for (const [table, chain, rule] of portRules(bridge, port)) deleteIfThere(iptables, table, chain, rule);
}
