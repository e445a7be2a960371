/** SCTP in connection tracking, NAT and IPVS (kernel.md §8.1, §1.5): the table, and an association's life through each. */
import { describe, expect, it } from "vitest";
import { flowLine } from "../../src/shell/tools/conntrack.ts";
import { type Farm, farm, serve, server, service, VIP } from "../ipvs/net.ts";
import { checksumsRight, initValue, sctp, sendRaw, watch } from "../ipvs/packets.ts";
import { ip, kernelBuilt, pass } from "../support/kernel.ts";
import { loadUnits } from "../support/units.ts";

const SEC = 1e9;
const SCTP = 132;
const NAMES = "NO CL CW CE ES SS SR SA HS".split(" ");
/** Chunk type, then the next state in the original and the reply direction; IV: invalid. */
const TABLE = `
1 CL CL CW CE ES CL CL SA CW | IV CL CW CE ES SS SR SA IV
2 CL CL CW CE ES SS SR SA CL | IV CW CW CE ES SS SR SA IV
6 CL CL CL CL CL CL CL CL CL | IV CL CL CL CL CL CL CL IV
7 CL CL CW CE SS SS SR SA CL | IV CL CW CE SR SS SR SA IV
8 SA CL CW CE ES SA SA SA SA | IV CL CW CE ES SA SA SA IV
9 CL CL CW CE ES SS SR SA CL | IV CL CW CL ES SS SR SA IV
10 CL CL CE CE ES SS SR SA CL | IV CL CE CE ES SS SR SA IV
11 CL CL CW ES ES SS SR SA CL | IV CL CW ES ES SS SR SA IV
14 CL CL CW CE ES SS SR CL CL | IV CL CW CE ES SS SR CL IV
4 HS CL CW CE ES SS SR SA HS | IV CL CW CE ES SS SR SA HS
5 CL CL CW CE ES SS SR SA HS | IV CL CW CE ES SS SR SA ES`;

describe("states of associations", () => {
  const { x } = loadUnits();
  it("as Linux has them; other chunks change nothing", () => {
    const rows = TABLE.trim().split("\n");
    expect(rows).toHaveLength(11);
    for (const row of rows) {
      const [first = "", second = ""] = row.split(" | ");
      const [chunk = "", ...original] = first.split(" ");
      for (const [dir, names] of [original, second.split(" ")].entries()) {
        const next = NAMES.map((_, state) => NAMES[x["ctSctpNext"](dir, state, Number(chunk))] ?? "IV");
        expect([chunk, dir, ...next]).toEqual([chunk, dir, ...names]);
      }
    }
    for (const chunk of [0, 3, 12, 13, 0x80, 255])
      expect(NAMES.map((_, state) => x["ctSctpNext"](0, state, chunk))).toEqual(NAMES.map((_, state) => state));
  });
});

const CLIENT_TAG = 0x1111;
const SERVER_TAG = 0x2222;

/** The packets of an association's life: who sends, tag, chunk, its value. */
const LIFE: readonly (readonly [side: "client" | "server", tag: number, chunk: number, value?: number[]])[] = [
  ["client", 0, 1, initValue(CLIENT_TAG)],
  ["server", CLIENT_TAG, 2, initValue(SERVER_TAG)],
  ["client", SERVER_TAG, 10, [1, 2, 3, 4]],
  ["server", CLIENT_TAG, 11],
  ["client", SERVER_TAG, 0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 104, 105]],
  ["server", CLIENT_TAG, 3, [0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]],
  ["client", SERVER_TAG, 7, [0, 0, 0, 0]],
  ["server", CLIENT_TAG, 8],
  ["client", SERVER_TAG, 14],
];

/** Sends it, from 10.2.0.1:4000 to the VIP's port and back from a server's; returns what `look` says after each packet. */
function live(net: Farm, vport: number, sport: number, look: () => string): string[] {
  // The raw sockets' kernels know no SCTP: without these they'd say so.
  for (const ns of [net.client, net.server]) ns.socket.raw(SCTP);
  return LIFE.map(([side, tag, chunk, value]) => {
    if (side === "client") sendRaw(net.client, SCTP, sctp(4000, vport, tag, chunk, value), ip(VIP));
    else sendRaw(net.server, SCTP, sctp(sport, 4000, tag, chunk, value), ip("10.2.0.1"));
    pass(net.kernel, 1e6);
    return look();
  });
}

describe.skipIf(!kernelBuilt)("an association", () => {
  it("through DNAT: tracked from CLOSED to CLOSED, checksums computed anew", async () => {
    const net = await farm();
    const { director, client, server: servers, kernel } = net;
    const match = { protocol: { value: "sctp", not: false }, dport: { value: [5000, 5000] as const, not: false } };
    director.iptables.append("nat", "PREROUTING", {
      match,
      target: { kind: "DNAT", ip: server(1), ports: [6000, 6000] },
    });
    const atServer = watch(kernel, servers);
    const atClient = watch(kernel, client);
    const states = live(net, 5000, 6000, () => {
      const [flow] = director.conntrack.list();
      return `${flow?.state} ${Math.ceil((flow?.timeout ?? 0) / SEC)}`;
    });
    expect(states).toEqual([
      "CLOSED 10",
      "COOKIE_WAIT 3",
      "COOKIE_ECHOED 3",
      "ESTABLISHED 210",
      "ESTABLISHED 210",
      "ESTABLISHED 210",
      "SHUTDOWN_SENT 3",
      "SHUTDOWN_ACK_SENT 3",
      "CLOSED 10",
    ]);
    expect(director.conntrack.list().map(flowLine)).toEqual([
      "sctp     132 9 CLOSED src=10.2.0.1 dst=10.1.0.1 sport=4000 dport=5000 src=10.1.1.1 dst=10.2.0.1 sport=6000 dport=4000 [ASSURED] mark=0 use=1",
    ]);
    const into = atServer().filter(({ outgoing }) => !outgoing);
    const back = atClient().filter(({ outgoing }) => !outgoing);
    expect(into.map(({ dst, dport }) => `${dst}:${dport}`)).toEqual(Array(5).fill("10.1.1.1:6000"));
    expect(back.map(({ src, sport }) => `${src}:${sport}`)).toEqual(Array(4).fill(`${VIP}:5000`));
    for (const { bytes } of [...into, ...back]) expect(checksumsRight(bytes)).toBe(true);
    expect(net.conserved()).toBe(true);
  });

  it("through IPVS, to another port", async () => {
    const net = await farm();
    const { director, server: servers, client, kernel } = net;
    serve(director, service("sctp", 5000), []);
    director.ipvs.addDestination(service("sctp", 5000), {
      address: server(1),
      port: 6000,
      forwarding: "masq",
      weight: 1,
    });
    const atServer = watch(kernel, servers);
    const atClient = watch(kernel, client);
    const states = live(net, 5000, 6000, () => {
      const [one] = director.ipvs.connections();
      const [info] = director.ipvs.services()[0]?.destinations ?? [];
      return `${one?.state} ${Math.ceil((one?.expires ?? 0) / SEC)} ${info?.activeConnections}`;
    });
    expect(states).toEqual([
      "INIT1 4 0",
      "COOKIE_SENT 61 0",
      "COOKIE_REPLIED 61 0",
      "ESTABLISHED 900 1",
      "ESTABLISHED 900 1",
      "ESTABLISHED 900 1",
      "SHUTDOWN_RECEIVED 61 0",
      "SHUTDOWN_ACK_SENT 61 0",
      "CLOSED 61 0",
    ]);
    for (const { bytes } of [...atServer(), ...atClient()]) expect(checksumsRight(bytes)).toBe(true);
    expect(net.conserved()).toBe(true);
  });

  it("what begins none: DATA, a cookie, INIT with a tag or beside another chunk, a wrong checksum, a wrong tag later", async () => {
    const { kernel, client, director, server: servers } = await farm();
    servers.socket.raw(SCTP);
    director.iptables.append("filter", "FORWARD", { match: { ctstate: { value: ["INVALID"], not: false } } });
    const flows = (): number => director.conntrack.count();
    const send = (payload: Uint8Array): number => {
      sendRaw(client, SCTP, payload, server(1));
      pass(kernel, 1e6);
      return flows();
    };
    const bad = sctp(4000, 1, 0, 1, initValue(1));
    bad[8] = (bad[8] ?? 0) ^ 1;
    expect(send(sctp(4000, 1, 7, 0, [0, 0, 0, 1]))).toBe(0);
    expect(send(sctp(4000, 1, 7, 11))).toBe(0);
    expect(send(sctp(4000, 1, 7, 6))).toBe(0);
    expect(send(sctp(4000, 1, 7, 1, initValue(1)))).toBe(0);
    expect(send(bad)).toBe(0);
    expect(send(sctp(4000, 1, 0, 1, initValue(1)))).toBe(1);
    const rules = (): number | undefined =>
      director.iptables.list("filter")?.find((chain) => chain.name === "FORWARD")?.rules[0]?.packets;
    expect(rules()).toBe(5);
    send(sctp(4000, 1, 99, 0, [0, 0, 0, 1]));
    expect(rules()).toBe(6);
  });
});
