/**
 * D-service-vip whole: the capture's commands typed in a lab, and everything that they and the state files show, compared.
 *
 * What can't be equal:
 * - ids, tokens, times, process ids, ports drawn at random, MACs of cards and bridges (words in what is compared);
 * - interface numbers: the capture's hosts had run other scenarios before;
 * - which node's balancer has which address of nginx-net (10.0.3.8 or .9), which task of a node the first one on docker_gwbridge,
 *   which of a task's two networks is joined first (a Go map), and the
 *   order of a balancer's list: chance of goroutines and gossip. Addresses of balancers stand as words; requests are compared by
 *   their position in the list of the node that was asked;
 * - encryption rules (u32) and the empty mangle table that an earlier scenario left on the capture's hosts;
 * - listings of the first two minutes, in which the capture's slow machines were starting tasks;
 * - the image: the capture's "nginx" is a busybox httpd, so that answers, and the frames that carry them, are others. Its image is
 *   `/bin/web.sh` where ours is nginx's entry point.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { saveTable } from "../../src/shell/tools/iptables.ts";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { kernelBuilt } from "../support/kernel.ts";
import { Describer, type Frame } from "./frames.ts";
import { type Json, leaves, settled } from "./outputs.ts";
import { GOLDEN_MACS, goldenCommands, goldenFrames } from "./scenario.ts";
import { D, GOLDEN_LB, GOLDEN_TASKS, goldenRequests, NODES, type Node, ServiceLab } from "./service-lab.ts";
import { goldenTables, ourTables, sections, type Tables } from "./tables.ts";

const IPS: Readonly<Record<Node, string>> = {
  manager: "192.168.77.11",
  "worker-1": "192.168.77.12",
  "worker-2": "192.168.77.13",
};
const NGINX_NET = "z40ukpj0j";
const INGRESS_FILE = "ns-1-p0sq8n7pv1";

/** A namespace's file in the capture and what its name begins with here. */
function namespacesOf(node: Node): (readonly [file: string, name: string])[] {
  const tasks = GOLDEN_TASKS.filter((task) => task.node === node);
  return [
    ["host", "host"],
    ["ns-ingress_sbox", "ingress_sbox"],
    [`ns-lb_${NGINX_NET}`, "lb_"],
    [`ns-1-${NGINX_NET}m`, "nginx-net"],
    [INGRESS_FILE, "ingress"],
    ...tasks.map(({ slot, id }) => [`ns-ctr-my-nginx.${slot}.${id}`, `my-nginx.${slot}.`] as const),
  ];
}

describe.skipIf(!kernelBuilt || !goldenAvailable || !xzAvailable)(
  goldenTitle("D-service-vip, typed in a lab", true),
  () => {
    let d: ServiceLab;
    beforeAll(async () => {
      d = await ServiceLab.start();
      for (const from of ["manager", "worker-2"] as const) {
        for (const node of NODES) await d.ask(from, IPS[node], 20, { node, namespace: "ingress_sbox" });
        if (from === "manager") await d.ask("manager", "localhost", 5, { node: "manager", namespace: "ingress_sbox" });
        await d.track(from);
        // IPVS and conntrack forget.
        await d.lab.wait(130);
      }
      for (const [node, slot] of [
        ["manager", 1],
        ["worker-2", 3],
      ] as const) {
        const prefix = `nsenter -t ${d.tasks.get(slot)?.pid} -n `;
        await d.ask(node, "10.0.3.2", 20, { node, namespace: "lb_" }, prefix);
      }
    }, 120_000);
    afterAll(async () => await d?.lab.close());

    /** Addresses of load balancers as words, here and in the capture. */
    function words(text: string, of: (node: Node) => string): string {
      return NODES.reduce((out, node) => {
        const address = of(node);
        const mac = `02:42:0a:00:03:${Number(address.split(".")[3]).toString(16).padStart(2, "0")}`;
        return out
          .replaceAll(new RegExp(`${address.replaceAll(".", "\\.")}(?!\\d)`, "g"), `LB-${node}`)
          .replaceAll(mac, `LBMAC-${node}`);
      }, text);
    }
    const ours = (text: string): string => words(text, (node) => d.lbAddress(node));
    const golden = (text: string): string => words(text, (node) => GOLDEN_LB[node]);

    // --------------------------------------------------------------------------------------------- addresses and tables

    it("nodes, addresses and VIPs are handed out in the capture's order", () => {
      expect([...d.tasks].map(([slot, { node }]) => ({ slot, node }))).toEqual(
        GOLDEN_TASKS.map(({ slot, node }) => ({ slot, node })),
      );
      const lbs = NODES.map((node) => d.lbAddress(node));
      expect(lbs.toSorted()).toEqual(Object.values(GOLDEN_LB).toSorted());
    });

    const mac = (line: string): string => line.replace(/52:54:00(:[0-9a-f]{2}){3}/g, "~");

    function comparable(tables: Tables, overlay: boolean): Tables {
      const gateway = (line: string): string =>
        line.replace(/172\.18\.0\.[34]\b/g, "172.18.0.N").replace(/02:42:ac:12:00:0[34]/g, "~");
      const all = (lines: readonly string[]): string[] => lines.map((line) => gateway(mac(line)));
      return {
        links: all(tables.links.map((line) => line.replace(/^\d+: /, ""))),
        addresses: all(tables.addresses).sort(),
        routes: all(tables.routes).sort(),
        // Permanent ones are docker's; the others come and go.
        neighbours: overlay ? all(tables.neighbours).sort() : [],
        fdb: all(tables.fdb)
          .filter((line) => line.endsWith("permanent"))
          .sort(),
        rules: tables.rules.filter((line) => !line.includes("-m u32")),
        sockets: tables.sockets.map((line) => line.replace(/busybox|nginx/, "httpd")),
      };
    }

    /** A rule of the mangle table that is no encrypted network's. */
    const setsMark = (rule: string): boolean => rule.includes("-j MARK") && !rule.includes("-m u32");

    /** Rules without the mangle table. */
    function withoutMangle({ rules, ...rest }: Tables): Tables {
      const from = rules.indexOf("*mangle");
      const to = rules.indexOf("COMMIT", from);
      return { ...rest, rules: from < 0 ? rules : [...rules.slice(0, from), ...rules.slice(to + 1)] };
    }

    it.each(NODES)("%s: links, addresses, routes, neighbours, fdb, rules, sockets of every namespace", (node) => {
      for (const [file, name] of namespacesOf(node)) {
        const overlay = name === "nginx-net" || name === "ingress";
        const real = withoutMangle(goldenTables(`${D}/${node}/state-1-before-traffic/${file}.txt`));
        expect(real.links.length).toBeGreaterThan(1);
        const own = withoutMangle(ourTables(d.namespace(node, name)));
        const expected = JSON.parse(golden(JSON.stringify(comparable(real, overlay)))) as Tables;
        const found = JSON.parse(ours(JSON.stringify(comparable(own, overlay)))) as Tables;
        const sorted = ({ links, addresses, routes, neighbours, fdb, ...rest }: Tables) => ({
          ...rest,
          ...{
            links: name.startsWith("my-nginx") ? links.sort() : links,
            addresses: addresses.sort(),
            routes: routes.sort(),
          },
          ...{ neighbours: neighbours.sort(), fdb: fdb.sort() },
        });
        expect({ file, ...sorted(found) }).toEqual({ file, ...sorted(expected) });
        const marks = saveTable("mangle", d.namespace(node, name).iptables.list("mangle") ?? [], false).split("\n");
        const marked = goldenTables(`${D}/${node}/state-1-before-traffic/${file}.txt`).rules;
        expect([file, ...marks.filter(setsMark)]).toEqual([file, ...marked.filter(setsMark)]);
      }
    });

    it.each(NODES)("%s: IPVS tables as /proc/net/ip_vs shows them", (node) => {
      for (const [file, name] of [
        ["ns-ingress_sbox", "ingress_sbox"],
        [`ns-lb_${NGINX_NET}`, "lb_"],
      ] as const) {
        const lines = sections(`${D}/${node}/state-1-before-traffic/${file}.txt`).get("/proc/net/ip_vs") ?? [];
        const weights = d
          .namespace(node, name)
          .ipvs.services()[0]
          ?.destinations.map(({ weight }) => weight);
        const real = lines.filter((line) => line.includes("-> ") && line.includes("Masq"));
        expect(real).toHaveLength(5);
        expect(weights).toEqual(real.map((line) => Number(line.trim().split(/\s+/)[3])));
        expect(lines.some((line) => line.startsWith(`FWM  ${name === "lb_" ? "00000101" : "00000100"} rr`))).toBe(true);
        expect(d.order(node, name).toSorted()).toEqual([1, 2, 3, 4, 5]);
      }
    });

    // ------------------------------------------------------------------------------------------------------- requests

    /** The captured order of a node's list, as slots. */
    function goldenOrder(node: Node, file: string): number[] {
      const lines = sections(`${D}/${node}/state-1-before-traffic/${file}.txt`).get("/proc/net/ip_vs") ?? [];
      return lines.flatMap((line) => {
        const address = /-> ([0-9A-F]{8}):/.exec(line)?.[1];
        return address === undefined ? [] : [d.slotOf(Number.parseInt(address, 16))];
      });
    }

    it("each request goes to the task at the same position of the asked node's list as the captured one", () => {
      const real = [
        ...(["manager", "worker-2"] as const).flatMap((node) => goldenRequests(node, "curl-order.txt")),
        ...(["manager", "worker-2"] as const).flatMap((node) => goldenRequests(node, "in-container-vip.txt")),
      ];
      expect(real.map(({ from, to, answers }) => [from, to, answers.length])).toEqual(
        d.requests.map(({ from, to, answers }) => [from, to, answers.length]),
      );
      for (const [at, { from, to, answers }] of real.entries()) {
        const asked = NODES.find((node) => IPS[node] === to) ?? from;
        const vip = to === "10.0.3.2";
        const list = goldenOrder(asked, vip ? `ns-lb_${NGINX_NET}` : "ns-ingress_sbox");
        const own = d.order(asked, vip ? "lb_" : "ingress_sbox");
        // The VIP had been asked before, by the scenario's name lookups: the rounds are the same, their beginnings are not.
        const shift = vip
          ? list.indexOf(answers[0]?.slot ?? 0) - own.indexOf(d.requests[at]?.answers[0]?.slot ?? 0)
          : 0;
        const places = answers.map(({ slot }) => list.indexOf(slot));
        expect(places).not.toContain(-1);
        const found = d.requests[at]?.answers.map(({ slot }) => (own.indexOf(slot) + shift + 5) % 5);
        expect({ from, to, found }).toEqual({ from, to, found: places });
      }
    });

    // ------------------------------------------------------------------------------------- translations and the road

    /** Entries of the published port, each kind once. */
    function tracked(text: string): string[] {
      const lines = text
        .split("\n")
        .filter((line) => line.startsWith("tcp ") && /port=(8080|80) /.test(line))
        .map((line) => line.replace(/^tcp +6 \d+ /, "tcp ").replace(/port=(3[2-9]|[45]\d|60)\d{3}\b/g, "port=CLIENT"));
      return [...new Set(lines)].sort();
    }

    it.each(["manager", "worker-2"] as const)(
      "%s: conntrack of the host, the sandbox and the tasks after the requests",
      (node) => {
        const folder = `${D}/${node}/state-2-after-${node}-curl`;
        const files = namespacesOf(node).filter(([, name]) => !["nginx-net", "ingress"].includes(name));
        for (const [file, name] of files) {
          const real = tracked((sections(`${folder}/${file}.txt`).get("conntrack -L") ?? []).join("\n"));
          const key = /^my-nginx\.(\d)/.exec(name)?.[1];
          const own = tracked(d.conntrack.get(`${node} ${key === undefined ? name : `task ${key}`}`) ?? "");
          if (name !== "lb_") expect(real.length).toBeGreaterThan(0);
          expect([file, ...own]).toEqual([file, ...real]);
        }
      },
    );

    const ofConnection =
      (port: number) =>
      (frame: Frame): boolean =>
        (frame.inner ?? frame).ports?.includes(port) === true && (frame.inner ?? frame).ip?.protocol === 6;

    /** Handshake and request: up to the first segment with data. */
    function opening(frames: readonly Frame[], macs: Readonly<Record<string, string>>, wire: boolean): string[] {
      const describer = new Describer({ macs, payload: "bytes", checksums: wire });
      const data = frames.findIndex((frame) => {
        const payload = (frame.inner ?? frame).ip?.payload;
        return payload !== undefined && payload.length > ((payload[12] ?? 0) >> 4) * 4;
      });
      return frames.slice(0, data + 1).map((frame) => describer.frame(frame));
    }

    it("a request to a node that has not got the task: every hop, field by field", () => {
      const points: (readonly [node: Node, file: string, device: string])[] = [
        ["worker-2", "host__eth0", "host/eth0"],
        ["manager", "host__eth0", "host/eth0"],
        ["manager", "host__docker_gwbridge", "host/docker_gwbridge"],
        ["manager", "ingress_sbox__eth1", "ingress_sbox/eth1"],
        ["manager", "ingress_sbox__eth0", "ingress_sbox/eth0"],
        ["manager", "1-p0sq8n7pv1__br0", "ingress/br0"],
        ["manager", "1-p0sq8n7pv1__vxlan0", "ingress/vxlan0"],
        ["worker-1", "1-p0sq8n7pv1__vxlan0", "ingress/vxlan0"],
        ["worker-1", `ctr-my-nginx.2.${GOLDEN_TASKS[1].id}__eth0`, "TASK/eth0"],
      ];
      const real = goldenRequests("worker-2", "curl-order.txt")[0]?.answers.find(({ slot }) => slot === 2);
      const run = d.requests.find(({ from, to }) => from === "worker-2" && to === IPS.manager);
      const own = run?.answers.find(({ slot }) => slot === 2);
      if (real === undefined || run === undefined || own === undefined) throw new Error("task 2 was never asked");
      let compared = 0;
      for (const [node, file, device] of points) {
        const expected = goldenFrames(`${D}/${node}/pcap/${file}.pcap`).filter(ofConnection(real.port));
        const point = `${node}/${device.replace("TASK", d.namespace("worker-1", "my-nginx.2.").name)}`;
        const found = d.lab.frames(point, run.ran).filter(ofConnection(own.port));
        // The capture's hub shows a machine the frames of the others, too.
        const here = (frame: Frame): boolean =>
          frame.ip?.src === IPS[node] || frame.ip?.dst === IPS[node] || !device.startsWith("host/eth0");
        const lines = opening(expected.filter(here), GOLDEN_MACS, false);
        if (lines.length === 0) continue;
        compared++;
        expect([point, ...opening(found.filter(here), d.lab.macs(), false)]).toEqual([point, ...lines]);
      }
      expect(compared).toBe(points.length);
    });

    // ------------------------------------------------------------------------------------------------------- output

    /** Lists in the random order of Go maps, in order of address; what another history makes different, left out. */
    function parse(text: string): Json {
      const byAddress = (items: readonly Json[]): Json[] =>
        [...items].sort((a, b) => (JSON.stringify(addressOf(a)) < JSON.stringify(addressOf(b)) ? -1 : 1));
      const addressOf = (item: Json): Json => {
        const { EndpointIP, IPv4Address, IP } = item as { EndpointIP?: string; IPv4Address?: string; IP?: string };
        return EndpointIP ?? IPv4Address ?? IP ?? "";
      };
      const revived = JSON.parse(text, (key: string, item: Json) => {
        if (key === "Containers" && item !== null) return byAddress(Object.values(item));
        if ((key === "Tasks" || key === "Peers") && Array.isArray(item)) return byAddress(item);
        if (key === "PID") return "PID";
        if (key === "Index") return "INDEX";
        return item;
      }) as Json;
      return JSON.parse(
        settled(JSON.stringify(revived, undefined, 1)).replaceAll(/[\w-]+\.\d\.ID25/g, (name) => name),
      ) as Json;
    }

    const AGO = /(about a|less than a|\d+) (second|minute)s? ago|Up (about a|less than a|\d+) (second|minute)s?/gi;

    function plain(text: string): string {
      return settled(text)
        .replace(AGO, "AGO")
        .replace(/"\/bin\/web\.sh" +|"\/docker-entrypoint\.sh[^"]*" +/g, '"COMMAND" ')
        .replace(/^#.*\n/gm, "")
        .replace(/^.*-m u32.*\n/gm, "")
        .replace(/ \[\d+:\d+\]$/gm, "")
        .replace(/ +/g, " ")
        .replace(/ $/gm, "");
    }

    function rulesOf(text: string): string[] {
      const tables = text.split(/^(?=\*)/m).filter((table) => table.startsWith("*"));
      return tables.filter((table) => /^-A/m.test(table)).sort();
    }

    it.each(NODES)("%s: what docker and iptables-save printed", (node) => {
      const commands = goldenCommands(`${D}/${node}/commands.txt`);
      const from = node === "manager" ? commands.findLastIndex(({ command }) => command === "docker service ls") : 0;
      expect(commands.slice(from).length).toBeGreaterThanOrEqual(8);
      for (const { command, output } of commands.slice(from)) {
        const ran = d.ran.get(`${node} ${command}`);
        const [own, real] = [ours(ran?.stdout ?? ""), golden(output)];
        if (/inspect(?! --pretty)/.test(command))
          expect([command, ...leaves(parse(own))]).toEqual([command, ...leaves(parse(real))]);
        else if (command === "iptables-save")
          expect([command, ...rulesOf(plain(own))]).toEqual([command, ...rulesOf(plain(real))]);
        else if (command.startsWith("docker ps"))
          expect(plain(own).split("\n").sort()).toEqual(plain(real).split("\n").sort());
        else expect(`${command}\n${plain(own)}`).toBe(`${command}\n${plain(real)}`);
      }
    });
  },
);
