/** The embedded DNS server over real sockets of a container's namespace: golden B's dig matrix, and 20.10's forwarding rules. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import { SEC } from "../../src/base/time.ts";
import {
  DNS_RCODE,
  DNS_TYPE,
  type DnsResponse,
  encodeName,
  parseQuery,
  parseResponse,
} from "../../src/libnetwork/dns.ts";
import type { Network } from "../../src/libnetwork/network.ts";
import type { Sandbox } from "../../src/libnetwork/sandbox.ts";
import { recvFrom, sendTcp } from "../../src/scheduler/io.ts";
import type { Proc } from "../../src/scheduler/process.ts";
import type { FakeNetNs } from "../support/fake-netns.ts";
import type { FakeUpstream } from "../support/fake-netns-sockets.ts";
import { type FakeNode, FakeSwarm, ip, startContainer, testNetSpec } from "../support/fake-swarm.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";

const SERVER = ip("127.0.0.11");

/** A query with recursion desired; with `udpSize` an OPT record as dig sends it. */
function makeQuery(name: string, type: number, udpSize?: number): Uint8Array {
  const owner = encodeName(name) as Uint8Array;
  const head = [0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, udpSize === undefined ? 0 : 1];
  const opt = udpSize === undefined ? [] : [0, 0, 41, udpSize >>> 8, udpSize & 255, 0, 0, 0, 0, 0, 0];
  return Uint8Array.of(...head, ...owner, 0, type, 0, 1, ...opt);
}

interface Answer {
  readonly bytes: Uint8Array;
  readonly response: DnsResponse;
}

function* digUdp(node: FakeNode, ns: FakeNetNs, query: Uint8Array, wait: number): Proc<Answer | undefined> {
  const socket = ns.socket.udp();
  socket.bind(ip("127.0.0.1"), 0);
  socket.sendTo(query, SERVER, 53);
  const datagram = yield* recvFrom(socket, node.os.now() + wait);
  socket.close();
  if (datagram === undefined) return undefined;
  // The client must see the address and port it asked.
  expect([formatIpv4(datagram.src), datagram.srcPort]).toEqual(["127.0.0.11", 53]);
  return { bytes: datagram.data, response: parseResponse(datagram.data) as DnsResponse };
}

function* digTcp(node: FakeNode, ns: FakeNetNs, query: Uint8Array, wait: number): Proc<Answer | undefined> {
  const socket = ns.socket.tcp();
  socket.connect(SERVER, 53);
  yield* sendTcp(socket, Uint8Array.of(query.length >>> 8, query.length & 255, ...query));
  const until = node.os.now() + wait;
  for (;;) {
    const data = socket.tryRecv(65535);
    if (data !== undefined && data.length > 2) {
      socket.close();
      return { bytes: data.subarray(2), response: parseResponse(data.subarray(2)) as DnsResponse };
    }
    if ((yield { on: [socket], until }) === undefined) return undefined;
  }
}

/** An upstream answer: the question, `extra` flags, and an A record with a compressed owner. */
function upstreamAnswer(query: Uint8Array, rcode: number, address?: string, extra = 0, ttl = 300): Uint8Array {
  const parsed = parseQuery(query);
  if (parsed === undefined) throw new Error("malformed query upstream");
  const out = [
    ...query.subarray(0, 2),
    0x81 | (extra >>> 8),
    0x80 | rcode,
    0,
    1,
    0,
    address === undefined ? 0 : 1,
    0,
    0,
    0,
    0,
    ...parsed.question,
  ];
  if (address !== undefined)
    out.push(0xc0, 12, 0, 1, 0, 1, 0, 0, ttl >>> 8, ttl & 255, 0, 4, ...address.split(".").map(Number));
  return Uint8Array.from(out);
}

/** Golden's tiny name server: example.test A, ANY unanswered, everything else NXDOMAIN. */
const goldenUpstream: FakeUpstream = (query) => {
  const parsed = parseQuery(query);
  if (parsed === undefined || parsed.type === DNS_TYPE.ANY) return undefined;
  if (parsed.name.toLowerCase() !== "example.test.") return upstreamAnswer(query, DNS_RCODE.NXDOMAIN);
  return upstreamAnswer(query, DNS_RCODE.NOERROR, parsed.type === DNS_TYPE.A ? "192.0.2.80" : undefined);
};

interface Scene {
  swarm: FakeSwarm;
  host1: FakeNode;
  net1: Network;
  alpine1: Sandbox;
}

function build(resolvConf: string): Scene {
  const swarm = new FakeSwarm();
  const [host1, host2] = [swarm.addNode({ resolvConf }), swarm.addNode({ resolvConf })];
  swarm.join(host1, "10.0.0.2");
  swarm.join(host2, "10.0.0.3");
  const net1 = swarm.newNetwork(host1, testNetSpec("10.0.1.3"));
  const alpine1 = startContainer(host1, net1, "alpine1", "10.0.1.2");
  startContainer(host2, swarm.newNetwork(host2, testNetSpec("10.0.1.5")), "alpine2", "10.0.1.4");
  swarm.settle();
  return { swarm, host1, net1, alpine1 };
}

function dig(
  scene: Scene,
  name: string,
  type: number,
  options: { tcp?: boolean; udpSize?: number; wait?: number } = {},
): Answer | undefined {
  const ns = scene.alpine1.ns as FakeNetNs;
  const program = options.tcp ? digTcp : digUdp;
  const wait = options.wait ?? 3 * SEC;
  const process = scene.host1.os.spawn("dig", program(scene.host1, ns, makeQuery(name, type, options.udpSize), wait));
  scene.swarm.settle(() => process.done, scene.host1.os.now() + 60 * SEC);
  return process.result;
}

/** The dig runs of traffic-alpine1.txt. */
function goldenDigs(): { command: string; status: string; flags: string; answers: string[]; size: number }[] {
  const text = goldenText("B-standalone-attachable/manager/traffic-alpine1.txt");
  return text
    .split(/^(?=\[\d\d:\d\d:\d\d\.\d+\] )/m)
    .filter((block) => block.includes(" dig "))
    .map((block) => {
      const answers = /;; ANSWER SECTION:\n([\s\S]*?)\n\n/.exec(block)?.[1]?.split("\n") ?? [];
      return {
        command: (/@127\.0\.0\.11 (.*)/.exec(block)?.[1] ?? "").trim(),
        status: /status: (\w+)/.exec(block)?.[1] ?? "TIMEOUT",
        flags: /flags: ([a-z ]*);/.exec(block)?.[1] ?? "",
        answers: answers.map((l) => l.replace(/\s+/g, " ")),
        size: Number(/rcvd: (\d+)/.exec(block)?.[1] ?? 0),
      };
    });
}

const RCODES = Object.fromEntries(Object.entries(DNS_RCODE).map(([name, code]) => [code, name]));
const TYPES = Object.fromEntries(Object.entries(DNS_TYPE).map(([name, code]) => [code, name]));

function runGolden(scene: Scene, command: string): { status: string; flags: string; answers: string[]; size: number } {
  const words = command.split(" ").filter((w) => !w.startsWith("+"));
  const reverse = words[0] === "-x";
  const target = words[reverse ? 1 : 0] as string;
  const name = reverse ? `${target.split(".").reverse().join(".")}.in-addr.arpa` : target;
  const type = reverse ? DNS_TYPE.PTR : DNS_TYPE[words[1] as keyof typeof DNS_TYPE];
  const edns = command.includes("+noedns") ? {} : { udpSize: 1232 };
  const answer = dig(scene, name, type, { tcp: command.includes("+tcp"), ...edns });
  if (answer === undefined) return { status: "TIMEOUT", flags: "", answers: [], size: 0 };
  const { response } = answer;
  const flags = [0x8000, 0x0400, 0x0200, 0x0100, 0x0080].map((bit, i) =>
    (response.flags & bit) !== 0 ? ["qr", "aa", "tc", "rd", "ra"][i] : "",
  );
  return {
    status: RCODES[response.rcode] as string,
    flags: flags.filter((f) => f !== "").join(" "),
    answers: response.answers.map((a) => `${a.name} ${a.ttl} IN ${TYPES[a.type]} ${a.text}`),
    size: answer.bytes.length,
  };
}

describe.skipIf(!goldenAvailable)(goldenTitle("golden's dig matrix"), () => {
  let scene: Scene;
  beforeAll(() => {
    scene = build("nameserver 192.168.77.11\n");
    scene.host1.kernel.upstream.set(ip("192.168.77.11"), goldenUpstream);
  });

  it("has all of golden's queries", () => {
    expect(goldenDigs().length).toBeGreaterThanOrEqual(17);
  });

  it.each(goldenAvailable ? goldenDigs() : [])("dig $command", ({ command, ...expected }) => {
    expect(runGolden(scene, command)).toEqual(expected);
  });
});

describe("names", () => {
  it("are answered by short ID, in any case, and only while the container runs", () => {
    const scene = build("");
    const short = scene.alpine1.containerId.slice(0, 12);
    expect(dig(scene, short, DNS_TYPE.A)?.response.answers[0]?.text).toBe("10.0.1.2");
    scene.swarm.nodes[1]?.controller
      .sandboxes()
      .find((s) => s.options.name === "alpine2")
      ?.delete();
    scene.swarm.settle();
    expect(dig(scene, "alpine2", DNS_TYPE.A)).toBeUndefined();
  });

  it("of several addresses come shuffled, truncated to what the client takes", () => {
    const scene = build("");
    for (let i = 0; i < 40; i++) scene.net1.records.add("many", "svc", ip("10.0.1.100") + i, false);
    const small = dig(scene, "many", DNS_TYPE.A);
    expect(small?.response.truncated).toBe(true);
    expect(small?.bytes.length).toBeLessThanOrEqual(512);
    const first = dig(scene, "many", DNS_TYPE.A, { udpSize: 4096 });
    const second = dig(scene, "many", DNS_TYPE.A, { tcp: true });
    expect([first?.response.answers.length, second?.response.answers.length]).toEqual([40, 40]);
    const order = (a: Answer | undefined): string => a?.response.answers.map((r) => r.text).join() ?? "";
    expect(order(first)).not.toBe(order(second));
    expect(order(first).split(",").sort()).toEqual(order(second).split(",").sort());
  });
});

describe("forwarding", () => {
  it("is silent without an upstream server that answers", () => {
    const scene = build("");
    const start = scene.host1.os.now();
    expect(dig(scene, "nosuchname", DNS_TYPE.A, { wait: 30 * SEC })).toBeUndefined();
    expect(scene.host1.os.now() - start).toBe(30 * SEC);
  });

  it("asks the next server after NXDOMAIN without authority, SERVFAIL and silence; relays answers as they are", () => {
    const scene = build("nameserver 10.9.9.1\nnameserver 10.9.9.2\nnameserver 10.9.9.3\nnameserver 10.9.9.4\n");
    const asked: string[] = [];
    const server = (name: string, answer: FakeUpstream): void => {
      scene.host1.kernel.upstream.set(ip(name), (data, from, protocol) => {
        asked.push(`${name} ${from.name}`);
        return answer(data, from, protocol);
      });
    };
    server("10.9.9.1", (q) => upstreamAnswer(q, DNS_RCODE.SERVFAIL));
    server("10.9.9.2", () => undefined);
    server("10.9.9.3", (q) => upstreamAnswer(q, DNS_RCODE.NOERROR, "10.1.2.3", 0, 77));
    server("10.9.9.4", (q) => upstreamAnswer(q, DNS_RCODE.NOERROR, "10.6.6.6"));
    const start = scene.host1.os.now();
    const answer = dig(scene, "www.example.org", DNS_TYPE.A, { wait: 20 * SEC });
    expect(answer?.response.answers.map((a) => [a.text, a.ttl])).toEqual([["10.1.2.3", 77]]);
    expect(scene.host1.os.now() - start).toBe(4 * SEC);
    expect(asked).toEqual(["10.9.9.1 alpine1", "10.9.9.2 alpine1", "10.9.9.3 alpine1"]);
    server("10.9.9.1", (q) => upstreamAnswer(q, DNS_RCODE.NXDOMAIN));
    expect(dig(scene, "www.example.org", DNS_TYPE.A, { wait: 20 * SEC })?.response.answers[0]?.text).toBe("10.1.2.3");
    server("10.9.9.1", (q) => upstreamAnswer(q, DNS_RCODE.NXDOMAIN, undefined, 0x0400));
    asked.length = 0;
    expect(dig(scene, "www.example.org", DNS_TYPE.A, { tcp: true })?.response.rcode).toBe(DNS_RCODE.NXDOMAIN);
    expect(asked).toEqual(["10.9.9.1 alpine1"]);
  });

  it("asks a server on the host's loopback from the host's namespace", () => {
    const scene = build("nameserver 127.0.0.53\n");
    const asked: string[] = [];
    scene.host1.kernel.upstream.set(ip("127.0.0.53"), (q, from) => {
      asked.push(from.name);
      return upstreamAnswer(q, DNS_RCODE.NXDOMAIN);
    });
    expect(dig(scene, "nosuchname", DNS_TYPE.A)?.response.rcode).toBe(DNS_RCODE.NXDOMAIN);
    expect(asked).toEqual(["host"]);
  });

  it("leads PTR upstream once an upstream answer named the address", () => {
    const scene = build("nameserver 10.9.9.1\n");
    scene.host1.kernel.upstream.set(ip("10.9.9.1"), (q) => {
      const a = parseQuery(q)?.type === DNS_TYPE.A;
      return upstreamAnswer(q, a ? DNS_RCODE.NOERROR : DNS_RCODE.NXDOMAIN, a ? "10.0.1.4" : undefined);
    });
    const reverse = "4.1.0.10.in-addr.arpa";
    expect(dig(scene, reverse, DNS_TYPE.PTR)?.response.answers[0]?.text).toBe("alpine2.test-net.");
    dig(scene, "elsewhere.example", DNS_TYPE.A);
    expect(dig(scene, reverse, DNS_TYPE.PTR)?.response.rcode).toBe(DNS_RCODE.NXDOMAIN);
  });
});
