/**
 * Names of a service as the embedded DNS server answers them inside a task, against the dig runs of golden D.
 *
 * Not compared: IDs, times, and the order of several addresses, which is random in both.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { DNS_TYPE, type DnsResponse, encodeName, parseQuery, parseResponse } from "../../src/libnetwork/dns.ts";
import { recvFrom } from "../../src/scheduler/io.ts";
import { type FakeNode, ip } from "../support/fake-swarm.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { NginxScene } from "../support/nginx-scene.ts";

const STATUS = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"];

interface Dig {
  readonly name: string;
  readonly type: "A" | "AAAA" | "PTR";
  /** Sorted `owner TTL type data` lines. */
  readonly answers: readonly string[];
  readonly status: string | undefined;
  readonly flags: string | undefined;
  readonly size: number | undefined;
}

/** dig's runs in a transcript. */
function digs(text: string): Dig[] {
  return text.split(/^\[[\d:.]+\] /m).flatMap((block): Dig[] => {
    const command = /^\S+\$ nsenter -t \d+ -n dig (.*) @127\.0\.0\.11 (?:-x (\S+)|(\S+)(?: (\S+))?)$/m.exec(
      block.replace(/dig @127/, "dig  @127"),
    );
    if (command === null) return [];
    const [, , reverse, name = "", type = "A"] = command;
    const answers = [...block.matchAll(/^(\S+)\.\s+(\d+)\s+IN\s+(A|PTR)\s+(\S+)$/gm)];
    const size = /MSG SIZE {2}rcvd: (\d+)/.exec(block)?.[1];
    return [
      {
        name: reverse === undefined ? name : `${reverse.split(".").reverse().join(".")}.in-addr.arpa`,
        type: reverse === undefined ? (type as "A" | "AAAA") : "PTR",
        answers: answers.map(([, owner, ttl, kind, data]) => `${owner} ${ttl} ${kind} ${data}`).sort(),
        status: /status: (\w+)/.exec(block)?.[1],
        flags: /flags: ([a-z ]+);/.exec(block)?.[1],
        size: size === undefined ? undefined : Number(size),
      },
    ];
  });
}

/** What dig would print of a response. */
function printed(dig: Dig, response: DnsResponse, length: number): Dig {
  const owner = dig.name;
  const flags = [
    [0x8000, "qr"],
    [0x0400, "aa"],
    [0x0200, "tc"],
    [0x0100, "rd"],
    [0x0080, "ra"],
  ] as const;
  return {
    ...dig,
    answers: response.answers.map((a) => `${owner} ${a.ttl} ${a.type === DNS_TYPE.A ? "A" : "PTR"} ${a.text}`).sort(),
    status: dig.status === undefined ? undefined : STATUS[response.rcode],
    flags:
      dig.flags === undefined
        ? undefined
        : flags.flatMap(([bit, name]) => (response.flags & bit ? [name] : [])).join(" "),
    size: dig.size === undefined ? undefined : length,
  };
}

describe.skipIf(!goldenAvailable)(goldenTitle("names of a service, as a task asks for them"), () => {
  let scene: NginxScene;
  beforeAll(() => {
    scene = new NginxScene();
    scene.startAll();
    // The resolver of golden's machines knows nothing of these names.
    for (const { kernel } of scene.nodes)
      kernel.upstream.set(ip("192.168.77.11"), (data) => {
        const query = parseQuery(data);
        if (query === undefined) return undefined;
        return Uint8Array.of(...data.subarray(0, 2), 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0, ...query.question);
      });
  });

  function ask(node: FakeNode, ns: NetNs, dig: Dig): { response: DnsResponse; length: number } {
    const owner = encodeName(`${dig.name}.`) as Uint8Array;
    const opt = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
    const query = Uint8Array.of(
      0x12,
      0x34,
      1,
      0x20,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      1,
      ...owner,
      0,
      DNS_TYPE[dig.type],
      0,
      1,
      ...opt,
    );
    const data = scene.swarm.run(
      node,
      (function* () {
        const socket = ns.socket.udp();
        socket.bind(ip("127.0.0.1"), 0);
        socket.sendTo(query, ip("127.0.0.11"), 53);
        const datagram = yield* recvFrom(socket, node.os.now() + SEC);
        socket.close();
        return datagram?.data;
      })(),
    );
    expect(data).toBeDefined();
    return { response: parseResponse(data as Uint8Array) as DnsResponse, length: data?.length ?? 0 };
  }

  for (const [node, index, slot] of [
    ["manager", 0, 1],
    ["worker-2", 2, 3],
  ] as const) {
    it(`${node}: VIP, tasks, PTR, AAAA`, () => {
      const runs = digs(goldenText(`D-service-vip/${node}/in-container.txt`));
      expect(runs.length).toBeGreaterThan(12);
      const ns = scene.tasks.get(slot)?.ns as NetNs;
      for (const dig of runs) {
        const { response, length } = ask(scene.nodes[index] as FakeNode, ns, dig);
        expect(printed(dig, response, length)).toEqual(dig);
      }
    });
  }

  it("gives the tasks in another order each time", () => {
    const [node, ns] = [scene.nodes[0] as FakeNode, scene.tasks.get(1)?.ns as NetNs];
    const dig: Dig = { name: "tasks.my-nginx", type: "A", answers: [], status: "", flags: "", size: 0 };
    const orders = new Set<string>();
    for (let i = 0; i < 40; i++)
      orders.add(
        ask(node, ns, dig)
          .response.answers.map((a) => a.text)
          .join(" "),
      );
    expect(orders.size).toBeGreaterThan(20);
  });
});
