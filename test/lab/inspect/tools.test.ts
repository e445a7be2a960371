/** Tables against the tools that print the same: run on a lab's hosts at the moment at which the tables are read. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import type { TableId } from "../../../src/lab/inspect/tables/list.ts";
import type { Cell, HostTable } from "../../../src/lab/inspect/tables/table.ts";
import { createMachine } from "../../../src/lab/machine.ts";
import { runSteps } from "../../../src/lab/run.ts";
import { LabSession } from "../../../src/lab/session.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import { labOf } from "../../support/lab.ts";

const LAB = `
hosts: { m: {}, w: {} }
steps:
  - m: docker swarm init
  - m: docker swarm join-token -q worker
    as: token
  - w: docker swarm join --token $token 192.168.77.11:2377
  - m: docker network create -d overlay --opt encrypted secret
  - m: docker service create --name web --replicas 4 --network secret --publish 80:80 traefik/whoami
    expect: ["verify: Service converged"]
  - m: for i in 1 2 3 4; do curl -s http://192.168.77.12/ | grep -c Hostname; done
  - m: ping -c 1 192.168.77.12
  - w: docker rm -f $(docker ps -q | head -1)
  - wait: 10s
`;

/** The host whose tables are read. */
const HOST = "w";

let session: LabSession;
/** Network namespaces of HOST by their names: files in /run/docker/netns. */
const files = new Map<string, string>();

async function type(line: string): Promise<string[]> {
  const { stdout } = await session.command(HOST, { command: line }, session.cluster.now + 30 * SEC, () => {});
  return stdout.split("\n").filter((text) => text.trim() !== "");
}

/** In a namespace. */
async function inside(namespace: string, line: string): Promise<string[]> {
  return await type(namespace === "host" ? line : `nsenter --net=/run/docker/netns/${files.get(namespace)} ${line}`);
}

async function read(table: TableId, namespace?: string): Promise<HostTable> {
  const query = { kind: "table", table, ...(namespace === undefined ? {} : { namespace }) } as const;
  const [found] = await session.inspect([HOST], query);
  if (found === undefined) throw new Error(`no table ${table}`);
  expect(found.absent).toBeUndefined();
  return found;
}

/** Cells of the columns of these names. */
function cells({ columns, rows }: HostTable, ...names: readonly string[]): Cell[][] {
  const places = names.map((name) => columns.findIndex((column) => column.name === name));
  expect(places).not.toContain(-1);
  return rows.map((row) => places.map((place) => row[place] as Cell));
}

/** Single blanks between words, none at the ends. */
const plain = (text: string): string => text.trim().replace(/\s+/g, " ");
const words = (...parts: readonly (Cell | undefined)[]): string =>
  plain(parts.filter((part) => part !== undefined && part !== "").join(" "));
const behind = (word: string, value: Cell | undefined): string => (value === "" ? "" : `${word} ${value}`);

beforeAll(async () => {
  session = await LabSession.start(labOf(LAB), { module: await loadKernel(), machines: createMachine });
  const { steps } = await runSteps(session, {});
  expect(steps.flatMap((step) => step.failures)).toEqual([]);
  const [found] = await session.inspect([HOST], { kind: "namespaces" });
  for (const { name, file } of found ?? []) files.set(name, file);
});
afterAll(() => session.close());

const SPACES = ["host", "secret", "ingress", "ingress_sbox"];

describe("namespaces", () => {
  it("are those of /run/docker/netns, and the host's", async () => {
    const listed = (await type("ls /run/docker/netns"))
      .join(" ")
      .split(/\s+/)
      .filter((name) => name !== "default");
    expect([...files.values()].filter((file) => file !== "").sort()).toEqual(listed.sort());
    expect([...files.keys()].slice(0, 4)).toEqual(["host", "ingress_sbox", "ingress", "secret"]);
  });
});

describe.each(SPACES)("in %s", (space) => {
  it("FDB: bridge fdb show", async () => {
    const rows = cells(await read("fdb", space), "mac", "dev", "dst", "owner", "state");
    const printed = await inside(space, "bridge fdb show");
    expect(
      rows.map(([mac, dev, dst, owner, state]) => words(mac, "dev", dev, behind("dst", dst as Cell), owner, state)),
    ).toEqual(printed.map((line) => plain(line.replace(/ link-netnsid \d+/, ""))));
  });

  it("routes: ip route show table all", async () => {
    const rows = cells(
      await read("routes", space),
      "table",
      "type",
      "destination",
      "via",
      "dev",
      "proto",
      "scope",
      "src",
    );
    const lines = rows.map(([table, kind, to, via, dev, proto, scope, src]) =>
      words(
        ...[kind === "unicast" ? "" : kind, to, behind("via", via as Cell), behind("dev", dev as Cell)],
        ...[table === "local" ? "table local" : "", proto === "boot" ? "" : `proto ${proto}`],
        ...[scope === "global" ? "" : `scope ${scope}`, behind("src", src as Cell)],
      ),
    );
    const printed = await inside(space, "ip route show table all");
    expect(lines.sort()).toEqual(printed.map((line) => plain(line.replace("linkdown", ""))).sort());
  });

  it("neighbours: ip neigh", async () => {
    const rows = cells(await read("neighbours", space), "address", "dev", "lladdr", "state");
    const shown = rows.filter(([, , , state]) => state !== "NOARP" && state !== "NONE");
    const lines = shown.map(([ip, dev, mac, state]) => words(ip, "dev", dev, behind("lladdr", mac as Cell), state));
    expect(lines).toEqual((await inside(space, "ip neigh")).map(plain));
  });

  it("rules: iptables-save -c", async () => {
    const rows = cells(await read("iptables", space), "rule", "packets", "bytes");
    const rules = rows.filter(([rule]) => String(rule).startsWith("-A"));
    const printed = (await inside(space, "iptables-save -c")).filter((line) => line.startsWith("["));
    expect(rules.map(([rule, packets, bytes]) => `[${packets}:${bytes}] ${rule}`).sort()).toEqual(printed.sort());
  });

  it("connections: conntrack -L", async () => {
    const rows = cells(await read("conntrack", space), "proto", "state", "src", "dst", "ports", "reply src", "assured");
    const printed = await inside(space, "conntrack -L");
    const [found, expected] = [
      rows.map(([proto, state, src, dst, ports, reply, assured]) =>
        words(proto, state, `src=${src}`, `dst=${dst}`, ports, "|", `src=${reply}`, assured),
      ),
      printed.map((line) => {
        const [, proto, state, original, reply] =
          /^(\w+) +\d+ \d+ (?:([A-Z_0-9]+) )?(src=.*?) (?:\[UNREPLIED\] )?(src=\S+)/.exec(line) ?? [];
        return words(proto, state, original, "|", reply, line.includes("[ASSURED]") ? "ASSURED" : "");
      }),
    ];
    expect(found).toEqual(expected);
  });

  it("sockets: ss -an", async () => {
    const rows = cells(await read("sockets", space), "netid", "state", "recv-q", "send-q", "local", "peer");
    const printed = (await inside(space, "ss -an")).slice(1).filter((line) => !line.includes("`-"));
    expect(rows.map((row) => words(...row)).sort()).toEqual(printed.map((line) => plain(line)).sort());
  });

  it("links and addresses: ip addr", async () => {
    const links = cells(await read("links", space), "index", "name", "mtu", "address");
    const heads = (await inside(space, "ip link")).filter((line) => /^\d+:/.test(line));
    expect(links.map(([index, name, mtu]) => `${index} ${name} ${mtu}`)).toEqual(
      heads.map((line) => line.replace(/^(\d+): ([^:@]+)(?:@\S+)?: <.*> mtu (\d+) .*$/, "$1 $2 $3")),
    );
    const addresses = cells(await read("addresses", space), "inet", "dev");
    const printed = (await inside(space, "ip -4 -o addr")).map((line) =>
      line.replace(/^\d+: \S+ +inet (\S+) .* (\S+)\\.*$/, "$1 $2"),
    );
    expect(addresses.map((row) => words(...row))).toEqual(printed);
  });
});

describe("IPVS and IPsec", () => {
  it("services and destinations: ipvsadm -Ln", async () => {
    const rows = cells(await read("ipvs", "ingress_sbox"), "service", "destination", "scheduler", "forward", "weight");
    const printed = (await inside("ingress_sbox", "ipvsadm -Ln")).slice(3).map(plain).sort();
    const lines = rows.map(([service, destination, scheduler, forward, weight]) =>
      destination === "" ? words(service, scheduler) : words("->", destination, forward, weight),
    );
    expect(printed.length).toBe(rows.length);
    for (const [i, line] of lines.sort().entries())
      expect(printed[i]).toMatch(new RegExp(`^${line.replaceAll(".", "\\.")}( |$)`));
    expect(rows.length).toBeGreaterThan(3);
  });

  it("states: ip xfrm state, policies: ip xfrm policy", async () => {
    const states = cells(await read("xfrm-states"), "src", "dst", "spi", "reqid", "key");
    const text = (await type("ip xfrm state")).map(plain);
    const heads = text.filter((line) => line.startsWith("src "));
    const ids = text.filter((line) => line.startsWith("proto esp spi"));
    const keys = text.filter((line) => line.startsWith("aead"));
    const found = heads.map((line, i) => {
      const [, src, , dst] = line.split(" ");
      return [src, dst, ids[i]?.split(" ")[3], Number(ids[i]?.split(" ")[5]), keys[i]?.split(" ")[2]];
    });
    expect(states.length).toBeGreaterThan(2);
    expect(states).toEqual(found.slice(0, states.length));
    const policies = cells(await read("xfrm-policies"), "dir", "priority");
    const printed = (await type("ip xfrm policy")).map(plain).filter((line) => line.startsWith("dir "));
    const listed = printed.map((line) => line.replace(" ptype main", ""));
    expect(policies.map(([dir, priority]) => `dir ${dir} priority ${priority}`)).toEqual(listed);
  });
});

describe("Docker and gossip", () => {
  it("entries of NetworkDB: docker network inspect -v", async () => {
    const rows = cells(await read("gossip-entries"), "network", "table", "tombstone", "value");
    const own = rows.filter(
      ([network, table, gone]) => network === "secret" && table === "endpoint_table" && gone === "",
    );
    const line = `docker network inspect -v -f '{{range .Services}}{{range .Tasks}}{{.Name}} {{.EndpointIP}}{{"\\n"}}{{end}}{{end}}' secret`;
    const printed = (await type(line)).map(plain);
    expect(own.map(([, , , value]) => String(value).split(" ").slice(0, 2).join(" ")).sort()).toEqual(printed.sort());
    expect(printed.length).toBe(4);
    // The container that was removed is a tombstone.
    expect(rows.some(([network, , gone]) => network === "secret" && gone === "deleted")).toBe(true);
  });

  it("peers lead where neighbours and the FDB of the overlay do", async () => {
    const peers = cells(await read("peers"), "network", "address", "mac", "vtep", "local");
    const remote = peers.filter(([network, , , , local]) => network === "secret" && local === "");
    expect(remote.length).toBeGreaterThan(1);
    const neighbours = cells(await read("neighbours", "secret"), "address", "lladdr", "state");
    const fdb = cells(await read("fdb", "secret"), "mac", "dst");
    for (const [, address, mac, vtep] of remote) {
      expect(neighbours).toContainEqual([String(address).split("/")[0], mac, "PERMANENT"]);
      expect(fdb).toContainEqual([mac, vtep]);
    }
  });

  it("DNS: what the embedded server answers", async () => {
    const rows = cells(await read("dns"), "network", "type", "name", "address");
    const own = rows.filter(([network, kind, name]) => network === "secret" && kind === "A" && name === "tasks.web");
    const container = (await type("docker ps -q"))[0] ?? "";
    // Its image has no tools: they are the host's.
    const pid = (await type(`docker inspect -f '{{.State.Pid}}' ${container}`))[0];
    const answered = await type(`nsenter -t ${pid} -n dig +short tasks.web @127.0.0.11`);
    expect(own.map((row) => row[3]).sort()).toEqual(answered.sort());
    expect(own.length).toBe(4);
  });

  it("IPAM: docker network inspect; containers: docker ps", async () => {
    const rows = cells(await read("networks"), "name", "subnet", "gateway").filter(([, subnet]) => subnet !== "");
    for (const [name, subnet, gateway] of rows) {
      const line = `docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' ${name}`;
      expect(await type(line), String(name)).toEqual([subnet]);
      expect(String(gateway).split(".").slice(0, 2)).toEqual(String(subnet).split(".").slice(0, 2));
    }
    expect(rows.length).toBeGreaterThan(3);
    const containers = cells(await read("containers"), "name", "state");
    const printed = await type("docker ps -a --format '{{.Names}} {{.State}}'");
    expect(containers.map((row) => words(...row)).sort()).toEqual(printed.sort());
  });
});
