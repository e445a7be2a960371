/**
 * Tables of every namespace of both machines, before traffic (B-standalone-attachable/state-1), after the same steps here.
 *
 * What is not the same, and is taken out of what is compared:
 * - random MACs and veth names, and the resolvers' random ports (`~`);
 * - IPv6 addresses, routes and groups, IGMP groups, VLAN entries of bridges: not emulated;
 * - worker-2 (192.168.77.13, its ingress endpoint 10.0.0.4): there are two hosts here;
 * - neighbours of the hosts' eth0 and of docker_gwbridge: which were heard of lately depends on time;
 * - `promiscuity`, queue and segmentation settings of devices: tcpdump's doing, or without an effect on packets.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { goldenAvailable, goldenTitle } from "../support/golden.ts";
import { Scenario } from "./scenario.ts";
import { goldenTables, ourTables, sections, type Tables } from "./tables.ts";

const STATE = (host: string) => `B-standalone-attachable/${host}/state-1-before-traffic`;

/** Our namespaces' names by the capture's. */
const NAMESPACES = [
  ["manager", "host", "host"],
  ["manager", "ns-1-k6jjce19a4", "test-net"],
  ["manager", "ns-1-p0sq8n7pv1", "ingress"],
  ["manager", "ns-ctr-alpine1", "alpine1"],
  ["manager", "ns-ingress_sbox", "ingress_sbox"],
  ["manager", "ns-lb_k6jjce19a", "lb_"],
  ["worker-1", "host", "host"],
  ["worker-1", "ns-1-k6jjce19a4", "test-net"],
  ["worker-1", "ns-1-p0sq8n7pv1", "ingress"],
  ["worker-1", "ns-ctr-alpine2", "alpine2"],
  ["worker-1", "ns-ingress_sbox", "ingress_sbox"],
  ["worker-1", "ns-lb_k6jjce19a", "lb_"],
] as const;

const THIRD_MACHINE = /192\.168\.77\.13|10\.0\.0\.4\b|02:42:0a:00:00:04/;

describe.skipIf(!goldenAvailable)(goldenTitle("B-standalone-attachable, tables"), () => {
  let lab: Scenario;
  beforeAll(async () => {
    lab = await Scenario.start();
    await lab.swarm();
    await lab.containers();
  });
  afterAll(async () => await lab?.close());

  function namespace(host: string, name: string) {
    if (name !== "lb_") return lab.namespace(host, name);
    const found = lab.hosts
      .get(host)
      ?.kernel.namespaces()
      .find((ns) => ns.name.startsWith("lb_"));
    if (found === undefined) throw new Error(`${host} has no lb_ namespace`);
    return found;
  }

  function comparable(tables: Tables, overlay: boolean): Tables {
    const only = (lines: readonly string[]) => lines.filter((line) => !THIRD_MACHINE.test(line));
    return {
      ...tables,
      // Permanent ones are docker's; the others come and go.
      neighbours: overlay ? only(tables.neighbours) : [],
      fdb: only(tables.fdb).filter((line) => line.endsWith("permanent")),
    };
  }

  it.each(NAMESPACES)("%s, %s: links, addresses, routes, neighbours, fdb, rules", (host, file, name) => {
    const overlay = name === "test-net" || name === "ingress";
    const golden = comparable(goldenTables(`${STATE(host)}/${file}.txt`), overlay);
    expect(golden.links.length).toBeGreaterThan(1);
    expect(comparable(ourTables(namespace(host, name)), overlay)).toEqual(golden);
  });

  it.each(NAMESPACES)("%s, %s: sysctls", (host, file, name) => {
    const ns = namespace(host, name);
    const settings =
      [...sections(`${STATE(host)}/${file}.txt`)].find(([heading]) => heading.startsWith("sysctl -a"))?.[1] ?? [];
    const compared: [string, string][] = [];
    const ours: [string, string][] = [];
    for (const line of settings) {
      const [key = "", value = ""] = line.split(" = ");
      // Per-device values of veths with random names are the defaults'.
      if (/veth[0-9a-f]{7}/.test(key)) continue;
      let here: string;
      try {
        here = String(ns.sysctlGet(key));
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        continue;
      }
      compared.push([key, value]);
      ours.push([key, here]);
    }
    expect(compared.length).toBeGreaterThan(5);
    expect(ours).toEqual(compared);
  });

  it("a bridge has the lowest MAC of its ports", () => {
    for (const [host, , name] of NAMESPACES) {
      if (name !== "test-net") continue;
      const links = namespace(host, name).link.list();
      const bridge = links.find((link) => link.kind === "bridge");
      const ports = links.filter((link) => link.master === bridge?.index);
      expect(ports).toHaveLength(3);
      expect(bridge?.mac).toBe(Math.min(...ports.map(({ mac }) => Number(mac))));
    }
  });
});
