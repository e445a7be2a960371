/**
 * A service with a VIP and a published port on three nodes, against golden D: rules, IPVS tables, addresses and sysctls of
 * the host, the ingress sandbox, the network's load balancer and a task, on every node.
 *
 * Not compared: counters, the resolver's random ports, the encryption rules that golden's hosts have from an earlier scenario,
 * and which of two tasks of a node was first on docker_gwbridge.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { formatCidr, formatIpv4 } from "../../src/base/addr.ts";
import type { NetNs, TableName } from "../../src/kernel/types.ts";
import { inspectServices, type ServiceView } from "../../src/libnetwork/inspect.ts";
import type { Network } from "../../src/libnetwork/network.ts";
import { saveRule } from "../../src/shell/lib/iptables-text.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { NginxScene, NODES } from "../support/nginx-scene.ts";

/** `iptables-save` of all tables in use, without comments, counters and ports of the resolver. */
function save(ns: NetNs): string[] {
  return (["mangle", "filter", "nat"] as const satisfies readonly TableName[]).flatMap((table) => {
    const chains = ns.iptables.list(table);
    if (chains === undefined) return [];
    return [
      `*${table}`,
      ...chains.map((c) => `:${c.name} ${c.policy ?? "-"}`),
      ...chains.flatMap((c) => c.rules.map((rule) => saveRule(c.name, rule))),
      "COMMIT",
    ].map(maskPorts);
  });
}

function maskPorts(line: string): string {
  return line.replace(/(127\.0\.0\.11:|--sport )(\d{5})\b/, "$1PORT");
}

/** Tasks without their endpoints' IDs, by address. */
function withoutIds(services: Readonly<Record<string, ServiceView>>): unknown {
  return Object.entries(services).map(([name, view]) => {
    const tasks = view.Tasks.map(({ EndpointID, ...task }) => ({ ...task, idLength: EndpointID.length }));
    return [name, { ...view, Tasks: tasks.sort((a, b) => (a.EndpointIP < b.EndpointIP ? -1 : 1)) }];
  });
}

function section(text: string, title: string): string[] {
  const lines = text.split("\n");
  const start = lines.findIndex((l) => l.startsWith(`### ${title}`));
  const end = lines.findIndex((l, i) => i > start && l.startsWith("### "));
  return lines.slice(start + 1, end).filter((l) => l !== "");
}

/** Golden's, in the same form. A table whose only rules are the earlier scenario's encryption is left out. */
function goldenSave(text: string): string[] {
  const lines = section(text, "iptables-save -c")
    .filter((l) => !l.startsWith("#") && !l.includes("-m u32"))
    .map((l) => maskPorts(l.replace(/^\[\d+:\d+\] /, "").replace(/ \[\d+:\d+\]$/, "")));
  const tables = new Map<string, string[]>();
  let name = "";
  for (const line of lines) {
    if (line.startsWith("*")) name = line.slice(1);
    tables.set(name, [...(tables.get(name) ?? []), line]);
  }
  if (tables.get("mangle")?.every((l) => !l.startsWith("-A")) === true) tables.delete("mangle");
  return ["mangle", "filter", "nat"].flatMap((table) => tables.get(table) ?? []);
}

/** `address broadcast device`, sorted; a task's address on docker_gwbridge masked. */
function goldenAddresses(text: string): string[] {
  const lines = section(text, "ip -d -s addr show").flatMap((line) => {
    const found = /^\s+inet (\S+)(?: brd (\S+))? scope (\S+) (\S+)/.exec(line);
    return found === null ? [] : [`${found[1]} ${found[2] ?? "-"} ${found[4]}`];
  });
  return lines.map(maskGateway).sort();
}

function maskGateway(line: string): string {
  return line.replace(/^172\.18\.0\.[3-9]\//, "172.18.0.N/");
}

function addresses(ns: NetNs): string[] {
  const lines = ns.addr.list().map(({ addr, broadcast, dev }) => {
    const brd = broadcast === undefined ? "-" : formatIpv4(broadcast);
    return `${formatCidr(addr)} ${brd} ${ns.link.get(dev).name}`;
  });
  return lines.map(maskGateway).sort();
}

/** `/proc/net/ip_vs` as `mark: address weight, …` in the order of the kernel's list. */
function goldenIpvs(text: string): string[] {
  const out: string[] = [];
  for (const line of section(text, "/proc/net/ip_vs")) {
    const service = /^FWM {2}([0-9A-F]{8}) (\S+)/.exec(line);
    if (service !== null) out.push(`${Number.parseInt(service[1] as string, 16)} ${service[2]}:`);
    const dest = /-> ([0-9A-F]{8}):([0-9A-F]{4}) +(\S+) +(\d+)/.exec(line);
    if (dest !== null) out.push(`${formatIpv4(Number.parseInt(dest[1] as string, 16))} ${dest[3]} ${Number(dest[4])}`);
  }
  return out;
}

function ipvs(ns: NetNs): string[] {
  return ns.ipvs
    .services()
    .flatMap(({ id, scheduler, destinations }) => [
      `${"fwmark" in id ? id.fwmark : "?"} ${scheduler}:`,
      ...destinations.map((d) => `${formatIpv4(d.address)} ${d.forwarding === "masq" ? "Masq" : "Route"} ${d.weight}`),
    ]);
}

describe.skipIf(!goldenAvailable)(goldenTitle("a published service, namespace by namespace"), () => {
  let scene: NginxScene;
  beforeAll(() => {
    scene = new NginxScene();
    scene.startAll();
  });

  for (const [index, node] of NODES.entries()) {
    const golden = (file: string): string => goldenText(`D-service-vip/${node}/state-1-before-traffic/${file}.txt`);

    it(`${node}: the same rules in the same order in every namespace`, () => {
      const found = scene.namespaces(index);
      expect(found.size).toBeGreaterThan(3);
      for (const [file, ns] of found) expect([file, ...save(ns)]).toEqual([file, ...goldenSave(golden(file))]);
    });

    it(`${node}: addresses, among them the VIP's`, () => {
      for (const [file, ns] of scene.namespaces(index)) {
        if (file === "host") continue;
        expect([file, ...addresses(ns)]).toEqual([file, ...goldenAddresses(golden(file))]);
      }
    });

    it(`${node}: IPVS services with their marks and destinations`, () => {
      for (const [file, ns] of scene.namespaces(index)) {
        const [own, real] = [ipvs(ns), goldenIpvs(golden(file))];
        expect([file, ...own].sort()).toEqual([file, ...real].sort());
        // The order depends on who heard of whom first: worker-1's is the one this scene follows.
        if (index === 1 && file === "ns-lb_z40ukpj0j") expect(own).toEqual(real);
      }
    });

    it(`${node}: sysctls of IPVS`, () => {
      for (const [file, ns] of scene.namespaces(index)) {
        for (const line of section(golden(file), "sysctl -a")) {
          const match =
            /^(net\.ipv4\.vs\.(?:conntrack|conn_reuse_mode|expire_nodest_conn|expire_quiescent_template)|net\.ipv4\.conf\.docker_gwbridge\.route_localnet) = (\d+)/.exec(
              line,
            );
          if (match !== null)
            expect([file, match[1], ns.sysctlGet(match[1] as string)]).toEqual([file, match[1], Number(match[2])]);
        }
      }
    });
  }

  it("network inspect -v: services, their ports, marks and tasks", () => {
    for (const [index, node] of NODES.entries()) {
      const text = goldenText(`D-service-vip/${node}/state-1-before-traffic/docker-network-inspect.txt`);
      for (const name of ["ingress", "nginx-net"]) {
        const start = text.indexOf(`### docker network inspect -v ${name}\n`);
        const end = text.indexOf("\n### ", start + 1);
        const json = text.slice(text.indexOf("\n", start), end < 0 ? undefined : end);
        const network = scene.nodes[index]?.controller.networkByName(name) as Network;
        const own = inspectServices(network);
        const [golden] = JSON.parse(json) as [{ Services: Record<string, ServiceView> }];
        expect(withoutIds(own ?? {})).toEqual(withoutIds(golden.Services));
      }
    }
  });

  it("the daemon holds the published port of every host, and of no container", () => {
    for (const [index] of NODES.entries()) {
      for (const [file, ns] of scene.namespaces(index)) {
        const held = ns.socket.list().filter((s) => s.localPort === 8080);
        expect([file, held.map((s) => `${s.state} ${s.owner}`)]).toEqual([
          file,
          file === "host" ? ["LISTEN dockerd"] : [],
        ]);
      }
    }
  });

  it("a task that is disabled has weight 0 everywhere, is removed with its end, and the last one takes all but the SNAT along", () => {
    const second = new NginxScene();
    const before = save(second.nodes[0]?.kernel.root as NetNs);
    second.startAll();
    const lb = second.namespaces(0).get("ns-lb_z40ukpj0j") as NetNs;
    const ingress = second.namespaces(0).get("ns-ingress_sbox") as NetNs;
    second.tasks.get(2)?.disableService();
    second.swarm.settle();
    for (const ns of [lb, ingress]) expect(ipvs(ns).filter((l) => l.endsWith(" 0"))).toHaveLength(1);
    expect(ipvs(lb)).toContain("10.0.3.4 Masq 0");
    second.tasks.get(2)?.delete();
    second.swarm.settle();
    expect(ipvs(lb).filter((l) => l.startsWith("10.0.3.4"))).toEqual([]);
    for (const slot of [1, 3, 4, 5]) second.tasks.get(slot)?.delete();
    second.swarm.settle();
    for (const ns of [lb, ingress]) {
      expect(ipvs(ns)).toEqual([]);
      expect(addresses(ns).filter((a) => a.includes("/32"))).toEqual([]);
      expect(save(ns).filter((l) => l.includes("MARK"))).toEqual([]);
      expect(save(ns).filter((l) => l.includes("--ipvs"))).toHaveLength(1);
    }
    // Chains, jumps and RETURNs of the host stay; rules of the port and its socket go.
    const after = save(second.nodes[0]?.kernel.root as NetNs);
    expect(after.filter((l) => l.includes("8080"))).toEqual([]);
    expect(after.filter((l) => !before.includes(l))).toEqual([
      ":DOCKER-INGRESS -",
      "-A FORWARD -j DOCKER-INGRESS",
      "-A DOCKER-INGRESS -j RETURN",
      ":DOCKER-INGRESS -",
      "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
      "-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
      "-A POSTROUTING -o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE",
      "-A DOCKER-INGRESS -j RETURN",
    ]);
    expect(second.nodes[0]?.kernel.root.socket.list().filter((s) => s.localPort === 8080)).toEqual([]);
  });
});
