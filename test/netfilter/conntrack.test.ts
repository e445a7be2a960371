import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ACK, FIN, icmp, ip, ipv4, Machine, RST, type Seen, SYN, tcp, udp } from "./harness.ts";

const C = ip("10.0.0.2");
const S = ip("192.0.2.80");
const CPORT = 40000;

/** net/netfilter/nf_conntrack_proto_tcp.c tcp_conntracks, as the facts print it. */
const TRANSITIONS = `
orig  syn     SS SS IG IG IG IG IG SS SS S2
orig  synack  IV IV SR IV IV IV IV IV IV SR
orig  fin     IV IV FW FW LA LA LA TW CL IV
orig  ack     ES IV ES ES CW CW TW TW CL IV
orig  rst     IV CL CL CL CL CL CL CL CL CL
reply syn     IV S2 IV IV IV IV IV SS IV S2
reply synack  IV SR IG IG IG IG IG IG IG SR
reply fin     IV IV FW FW LA LA LA TW CL IV
reply ack     IV IG SR ES CW CW TW TW CL IG
reply rst     IV CL CL CL CL CL CL CL CL CL`
  .trim()
  .split("\n")
  .map((line) => line.split(/\s+/));

const STATES = ["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"];
const FLAGS: Record<string, number> = { syn: SYN, synack: SYN | ACK, fin: FIN | ACK, ack: ACK, rst: RST | ACK };
const TIMEOUTS: Record<string, number> = {
  SS: 120,
  SR: 60,
  ES: 432000,
  FW: 120,
  CW: 60,
  LA: 30,
  TW: 120,
  CL: 10,
  S2: 120,
};

/** A connection between two hosts with sequence numbers that fit. */
class Flow {
  readonly machine: Machine;
  #seq = { orig: 1000, reply: 5000 };

  constructor(machine: Machine) {
    this.machine = machine;
    machine.track();
  }

  send(dir: "orig" | "reply", kind: string, data = 0, shift = 0): Seen {
    const other = dir === "orig" ? "reply" : "orig";
    // A client that gives up before any answer has nothing to acknowledge.
    const lonely = dir === "orig" && kind === "rst" && this.#seq.reply === 5000;
    const flags = lonely ? RST : (FLAGS[kind] as number);
    const more = { seq: this.#seq[dir] + shift, ack: flags & ACK ? this.#seq[other] : 0, data };
    const seen = this.machine.probe(
      dir === "orig" ? tcp(C, CPORT, S, 80, flags, more) : tcp(S, 80, C, CPORT, flags, more),
    );
    if (shift === 0) this.#seq[dir] += data + (flags & (SYN | FIN) ? 1 : 0);
    return seen;
  }
}

/** The segments that lead to a state. */
const ROADS: Record<string, readonly (readonly ["orig" | "reply", string])[]> = {
  NO: [],
  SS: [["orig", "syn"]],
  SR: [
    ["orig", "syn"],
    ["reply", "synack"],
  ],
  ES: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
  ],
  FW: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
    ["orig", "fin"],
  ],
  CW: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
    ["orig", "fin"],
    ["reply", "ack"],
  ],
  LA: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
    ["orig", "fin"],
    ["reply", "ack"],
    ["reply", "fin"],
  ],
  TW: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
    ["orig", "fin"],
    ["reply", "ack"],
    ["reply", "fin"],
    ["orig", "ack"],
  ],
  CL: [
    ["orig", "syn"],
    ["reply", "synack"],
    ["orig", "ack"],
    ["orig", "rst"],
  ],
  S2: [
    ["orig", "syn"],
    ["reply", "syn"],
  ],
};

function at(state: string): Flow {
  const flow = new Flow(new Machine());
  for (const [dir, kind] of ROADS[state] ?? []) expect(flow.send(dir, kind).verdict).toBe(1);
  return flow;
}

describe("TCP tracking", () => {
  for (const state of STATES.slice(1)) {
    it(`reaches ${state} with its timeout`, () => {
      const entry = at(state).machine.only();
      expect(STATES[entry.state]).toBe(state);
      expect(entry.timeout).toBe(TIMEOUTS[state]);
    });
  }

  for (const [dir, kind, ...next] of TRANSITIONS) {
    next.forEach((expected, column) => {
      const state = STATES[column] as string;
      if (state === "NO" && dir === "reply") return; // the first packet defines the original direction
      it(`${state}: ${dir} ${kind} -> ${expected}`, () => {
        const flow = at(state);
        const seen = flow.send(dir as "orig" | "reply", kind as string);
        expect(seen.verdict).toBe(1);
        const entries = flow.machine.connections();
        if (expected === "IV") {
          expect(seen.state).toBe("INVALID");
          expect(entries.map((entry) => STATES[entry.state])).toEqual(state === "NO" ? [] : [state]);
        } else if (expected === "CL" && state === "SS") {
          expect(entries).toEqual([]); // an RST that is the only answer deletes the entry
        } else {
          expect(seen.state).not.toBe("INVALID");
          expect(entries.map((entry) => STATES[entry.state])).toEqual([expected === "IG" ? state : expected]);
        }
      });
    });
  }

  it("shows NEW, ESTABLISHED and the directions; assured after the third segment", () => {
    const flow = new Flow(new Machine());
    expect(flow.send("orig", "syn").state).toBe("NEW");
    expect(flow.send("reply", "synack").state).toBe("ESTABLISHED reply");
    expect(flow.machine.only().status & abi.IPS_ASSURED).toBe(0);
    expect(flow.send("orig", "ack").state).toBe("ESTABLISHED");
    expect(flow.machine.only().status & abi.IPS_ASSURED).toBe(abi.IPS_ASSURED);
  });

  it("is not assured by a FIN in place of the third segment", () => {
    const flow = at("SR");
    flow.send("orig", "fin");
    expect(STATES[flow.machine.only().state]).toBe("FW");
    expect(flow.machine.only().status & abi.IPS_ASSURED).toBe(0);
  });

  it("keeps an entry for 300 s while a window is closed", () => {
    const { machine } = at("ES");
    machine.probe(tcp(S, 80, C, CPORT, ACK, { seq: 5001, ack: 1001, window: 0 }));
    expect(machine.only().timeout).toBe(300);
    machine.probe(tcp(S, 80, C, CPORT, ACK, { seq: 5001, ack: 1001, window: 500 }));
    expect(machine.only().timeout).toBe(432000);
  });

  it("picks up a connection in the middle, for 300 s until it is answered", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(tcp(C, CPORT, S, 80, ACK, { seq: 77, ack: 99 }));
    expect(machine.only()).toMatchObject({ state: 3, timeout: 300 });
    machine.probe(tcp(S, 80, C, CPORT, ACK, { seq: 99, ack: 77 }));
    expect(machine.only().timeout).toBe(300); // the answer counts from the next packet on
    machine.probe(tcp(C, CPORT, S, 80, ACK, { seq: 77, ack: 99 }));
    expect(machine.only()).toMatchObject({
      timeout: 432000,
      status: abi.IPS_CONFIRMED | abi.IPS_SEEN_REPLY | abi.IPS_ASSURED,
    });
    machine.sysctl(abi.CTL_TCP_LOOSE, 0);
    expect(machine.probe(tcp(C, 1, S, 80, ACK, { seq: 77, ack: 99 })).state).toBe("INVALID");
  });

  it("calls segments out of the window invalid, and lets old ones pass unread", () => {
    const flow = at("ES");
    expect(flow.send("orig", "ack", 10, 200000).state).toBe("INVALID");
    expect(flow.send("reply", "ack", 10, 200000).state).toBe("INVALID");
    // A little more than the window allows is let through (but not believed).
    expect(at("ES").send("reply", "ack", 10, 65000).state).toBe("ESTABLISHED reply");
    expect(flow.send("orig", "ack", 10).state).toBe("ESTABLISHED");
    expect(flow.machine.probe(tcp(C, CPORT, S, 80, ACK, { seq: 1011, ack: 99999 })).state).toBe("INVALID");
    // Data that nobody acknowledged yet cap the timeout.
    expect(flow.machine.only().timeout).toBe(300);
    flow.send("reply", "ack");
    expect(flow.machine.only().timeout).toBe(432000);
  });

  it("refuses nonsense flags and wrong checksums", () => {
    const machine = new Machine();
    machine.track();
    for (const flags of [0, FIN, SYN | FIN, SYN | RST, FIN | RST | ACK])
      expect(machine.probe(tcp(C, CPORT, S, 80, flags)).state).toBe("INVALID");
    const bad = tcp(C, CPORT, S, 80, SYN);
    bad[36] = (bad[36] ?? 0) ^ 1;
    expect(machine.probe(bad).state).toBe("INVALID");
    expect(machine.count()).toBe(0);
  });

  it("does not renew the timeout for a repeated SYN", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(tcp(C, CPORT, S, 80, SYN, { seq: 1 }));
    machine.pass(3);
    machine.probe(tcp(C, CPORT, S, 80, SYN, { seq: 1 }));
    expect(machine.only().timeout).toBe(117);
  });

  it("reopens a closed connection as a new one", () => {
    const flow = at("TW");
    const before = flow.machine.only();
    expect(flow.send("orig", "syn").state).toBe("NEW");
    expect(flow.machine.only()).toMatchObject({ state: 1, timeout: 120 });
    expect(before.state).toBe(7);
  });
});

describe("UDP, ICMP and other protocols", () => {
  it("keeps an answered UDP flow for 30 s in its first two seconds, then for 120 s", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(udp(C, 5000, S, 53));
    expect(machine.only().timeout).toBe(30);
    machine.probe(udp(S, 53, C, 5000));
    machine.probe(udp(C, 5000, S, 53));
    expect(machine.only()).toMatchObject({ timeout: 30, status: abi.IPS_CONFIRMED | abi.IPS_SEEN_REPLY });
    machine.pass(2.001);
    machine.probe(udp(C, 5000, S, 53));
    expect(machine.only().timeout).toBe(120);
    expect(machine.only().status & abi.IPS_ASSURED).not.toBe(0);
  });

  it("lets entries go when they expire, and sweeps what nobody looks up", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(udp(C, 5000, S, 53));
    machine.pass(29.9);
    expect(machine.connections()).toHaveLength(1);
    machine.pass(0.1);
    expect(machine.connections()).toHaveLength(0);
    expect(machine.count()).toBe(1);
    machine.pass(30);
    expect(machine.count()).toBe(0);
    expect(machine.probe(udp(S, 53, C, 5000)).state).toBe("NEW");
  });

  it("does not find an entry that expired, though the sweep has not come yet", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(udp(C, 5000, S, 53));
    machine.pass(30);
    expect(machine.count()).toBe(1);
    expect(machine.probe(udp(S, 53, C, 5000)).state).toBe("NEW");
    expect(machine.only().original).toBe("192.0.2.80:53>10.0.0.2:5000");
  });

  it("follows pings by their id; replies without a request are invalid", () => {
    const machine = new Machine();
    machine.track();
    expect(machine.probe(icmp(S, C, 0, 0, 0x00070001)).state).toBe("INVALID");
    expect(machine.probe(icmp(C, S, 8, 0, 0x00070001)).state).toBe("NEW");
    expect(machine.probe(icmp(S, C, 0, 0, 0x00070001)).state).toBe("ESTABLISHED reply");
    expect(machine.probe(icmp(S, C, 0, 0, 0x00080001)).state).toBe("INVALID");
    expect(machine.only()).toMatchObject({ protocol: 1, timeout: 30, original: "10.0.0.2:7>192.0.2.80:2048" });
  });

  it("relates ICMP errors to the connection they quote", () => {
    const machine = new Machine();
    machine.track();
    const packet = udp(C, 5000, S, 53);
    machine.probe(packet);
    const router = ip("203.0.113.1");
    expect(machine.probe(icmp(router, C, 3, 3, 0, packet)).state).toBe("RELATED reply");
    expect(machine.probe(icmp(router, ip("10.0.0.3"), 3, 3, 0, packet)).state).toBe("INVALID");
    expect(machine.probe(icmp(router, C, 3, 3, 0, udp(C, 5001, S, 53))).state).toBe("INVALID");
  });

  it("tracks other protocols by their addresses for 600 s", () => {
    const machine = new Machine();
    machine.track();
    machine.probe(ipv4(C, S, 50, new Uint8Array(32)));
    expect(machine.only()).toMatchObject({ protocol: 50, timeout: 600, reply: "192.0.2.80:0>10.0.0.2:0" });
    expect(machine.probe(ipv4(S, C, 50, new Uint8Array(32))).state).toBe("ESTABLISHED reply");
  });
});

describe("limits and life", () => {
  it("confirms only what passed the last hook", () => {
    const machine = new Machine();
    machine.append("filter", "FORWARD", {}, { kind: "DROP" });
    machine.track();
    expect(machine.probe(udp(C, 1, S, 2)).verdict).toBe(abi.NF_DROP);
    expect(machine.count()).toBe(0);
  });

  it("drops an unanswered connection for a new one when the table is full, and refuses when all are assured", () => {
    const machine = new Machine();
    machine.track();
    machine.sysctl(abi.CTL_MAX, 3);
    for (let port = 1; port <= 5; port++) expect(machine.probe(udp(C, port, S, 53)).verdict).toBe(1);
    expect(machine.connections().map((entry) => entry.original)).toEqual(
      [3, 4, 5].map((port) => `10.0.0.2:${port}>192.0.2.80:53`),
    );
    for (const port of [3, 4, 5]) machine.probe(udp(S, 53, C, port));
    machine.pass(3);
    for (const port of [3, 4, 5]) machine.probe(udp(C, port, S, 53));
    expect(machine.probe(udp(C, 6, S, 53)).verdict).toBe(abi.NF_DROP);
    expect(machine.count()).toBe(3);
  });

  it("keeps namespaces apart and leaves no memory behind", () => {
    const machine = new Machine();
    const root = machine.ns;
    machine.track();
    machine.probe(udp(C, 1, S, 53));
    const spaces = Array.from({ length: 3 }, () => machine.kernel.x["netnsNew"](machine.host) as number);
    const before = machine.kernel.x["memoryInUse"]();
    for (const ns of [...spaces]) {
      machine.ns = ns;
      machine.append("nat", "POSTROUTING", {}, { kind: "SNAT", ip: S });
      machine.newChain("filter", "X");
      machine.append("filter", "FORWARD", { ctstate: { value: ["NEW"], not: false } }, { kind: "JUMP", chain: "X" });
      expect(machine.probe(udp(C, 1, S, 53)).state).toBe("NEW");
      expect(machine.only().reply).toBe("192.0.2.80:53>192.0.2.80:1");
      machine.kernel.x["netnsDel"](ns);
    }
    machine.ns = root;
    expect(machine.count()).toBe(1);
    expect(machine.kernel.x["memoryInUse"]()).toBeLessThan(before);
  });

  it("stops tracking when nothing needs it", () => {
    const machine = new Machine();
    const rule = {
      match: { ctstate: { value: ["ESTABLISHED"] as const, not: false } },
      target: { kind: "ACCEPT" } as const,
    };
    machine.append("filter", "FORWARD", rule.match, rule.target);
    expect(machine.probe(udp(C, 1, S, 53)).state).toBe("NEW");
    machine.remove("filter", "FORWARD", rule);
    expect(machine.kernel.x["nfCtActive"](machine.ns)).toBe(0);
    expect(machine.probe(udp(C, 2, S, 53)).state).toBe("INVALID"); // no connection
  });
});
