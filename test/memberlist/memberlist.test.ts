import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MINUTE, SEC } from "../../src/base/time.ts";
import type { Delegate } from "../../src/memberlist/config.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";
import { Memberlist } from "../../src/memberlist/memberlist.ts";
import { encodePing, encodeUser, MESSAGE } from "../../src/memberlist/messages.ts";
import { connectTcp, recvTcp, sendTcp } from "../../src/scheduler/io.ts";
import { type FakeHost, FakeNetwork, type FakeNetworkOptions, fakeIp } from "../support/fake-host.ts";

interface Node {
  readonly host: FakeHost;
  readonly list: Memberlist;
  readonly received: string[];
  readonly log: string[];
}

function addNode(network: FakeNetwork, keys: readonly Uint8Array[] = []): Node {
  const index = network.hosts.length;
  const host = network.addHost(`h${index}`, fakeIp(index));
  const received: string[] = [];
  const log: string[] = [];
  const delegate: Delegate = {
    nodeMeta: () => new Uint8Array(0),
    notifyMessage: (data, start, end) => received.push(new TextDecoder().decode(data.subarray(start, end))),
    takeBroadcasts: () => [],
    localState: () => new TextEncoder().encode(host.name),
    mergeRemoteState: (state, join) =>
      received.push(`state of ${new TextDecoder().decode(state)}${join ? " (join)" : ""}`),
  };
  const events = {
    joined: (member: { name: string }) => log.push(`joined ${member.name}`),
    left: (member: { name: string }) => log.push(`left ${member.name}`),
    updated: () => {},
  };
  const note = (_: string, text: string) => log.push(text);
  const config = { name: host.name, advertise: host.ip, keyring: new Keyring(keys), delegate, events, log: note };
  return { host, list: new Memberlist(host.os, config), received, log };
}

function cluster(count: number, options: FakeNetworkOptions = {}, keys: readonly Uint8Array[] = []) {
  const network = new FakeNetwork(options);
  const nodes = Array.from({ length: count }, () => addNode(network, keys));
  for (const { host, list } of nodes.slice(1)) {
    host.os.spawn(
      "join",
      (function* () {
        yield* list.join([fakeIp(0)]);
      })(),
    );
  }
  network.runFor(MINUTE);
  return { network, nodes, node: (i: number) => nodes[i] as Node };
}

const KEY = new Uint8Array(16).fill(7);

describe("Memberlist", () => {
  it.each([
    ["in clear", []],
    ["encrypted", [KEY]],
  ])("forms a cluster %s and exchanges the users' states", (_, keys) => {
    const { nodes, node } = cluster(4, {}, keys);
    for (const { list } of nodes) {
      expect(
        list
          .aliveMembers()
          .map((member) => member.name)
          .sort(),
      ).toEqual(["h0", "h1", "h2", "h3"]);
      expect([...list.drops()]).toEqual([]);
    }
    expect(node(0).received.slice(0, 3).sort()).toEqual([
      "state of h1 (join)",
      "state of h2 (join)",
      "state of h3 (join)",
    ]);
    expect(node(1).received[0]).toBe("state of h0 (join)");
  });

  it("delivers user messages by packet and by stream, a large one too", () => {
    const { network, node } = cluster(2, {}, [KEY]);
    node(1).received.length = 0;
    const peer = node(0).list.members.get("h1");
    if (peer === undefined) throw new Error("h1 is unknown");
    node(0).list.sendBestEffort([peer], new TextEncoder().encode("packet"));
    const large = "x".repeat(300_000);
    node(0).host.os.spawn(
      "send",
      node(0).list.sendReliable(peer, () => new TextEncoder().encode(large)),
    );
    network.runFor(SEC);
    expect(node(1).received).toEqual(["packet", large]);
  });

  it("asks three others when a ping gets lost, so that a fault between two makes nobody dead", () => {
    const { network, node, nodes } = cluster(5);
    network.block(node(0).host, node(1).host);
    network.runFor(3 * MINUTE);
    const log = nodes.flatMap((each) => each.log);
    expect(log.filter((line) => line.startsWith("left") || line.includes("Suspect"))).toEqual([]);
    expect(log).toContain("memberlist: Failed UDP ping: h1 (timeout reached)");
  });

  it("raises the health score of a node that is cut off, which then probes less often", () => {
    const { network, node } = cluster(3);
    for (const i of [1, 2]) network.block(node(0).host, node(i).host);
    const pings: number[] = [];
    network.tap((packet) => {
      if (packet.src === fakeIp(0) && packet.protocol === "udp") pings.push(packet.time);
    });
    network.runFor(5 * SEC);
    expect(node(0).list.members.health).toBeGreaterThan(1);
    network.runFor(MINUTE);
    expect(
      node(0)
        .list.aliveMembers()
        .map((member) => member.name),
    ).toEqual(["h0"]);
  });

  it("answers no ping that names another node", () => {
    const { network, node } = cluster(2);
    const socket = node(0).host.os.kernel.root.socket.udp();
    socket.bind(0, 5000);
    const ping = (name: string) => socket.sendTo(encodePing({ seqNo: 77, node: name }), fakeIp(1), 7946);
    ping("somebody");
    network.runFor(SEC);
    expect(socket.tryRecv()).toBeUndefined();
    expect(node(1).list.drops().get("ping for another node")).toBe(1);
    ping("h1");
    network.runFor(SEC);
    expect(socket.tryRecv()?.data[0]).toBe(MESSAGE.ackResp);
  });

  it("answers a stream it does not understand with an error message, and counts it", () => {
    const { network, node } = cluster(2, {}, [KEY]);
    let answer: Uint8Array | undefined;
    node(0).host.os.spawn(
      "client",
      (function* () {
        const socket = yield* connectTcp(node(0).host.os.kernel.root, fakeIp(1), 7946);
        yield* sendTcp(socket, encodeUser(new Uint8Array(20)));
        answer = yield* recvTcp(socket, 1000);
      })(),
    );
    network.runFor(SEC);
    expect(answer?.[0]).toBe(MESSAGE.encrypt);
    expect(node(1).list.drops().get("encryption is configured but remote state is not encrypted")).toBe(1);
  });

  it("survives any packet and any stream", () => {
    const { network, node } = cluster(2);
    const socket = node(0).host.os.kernel.root.socket.udp();
    const typed = fc.tuple(fc.integer({ min: 0, max: 14 }), fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(typed, ([type, body]) => {
        const data = Uint8Array.of(type, ...body);
        socket.sendTo(data, fakeIp(1), 7946);
        node(0).host.os.spawn(
          "client",
          (function* () {
            const stream = yield* connectTcp(node(0).host.os.kernel.root, fakeIp(1), 7946);
            yield* sendTcp(stream, data);
            stream.close();
          })(),
        );
        network.runFor(SEC);
      }),
      { numRuns: 200 },
    );
    expect(network.failures).toEqual([]);
    expect([...node(1).list.drops().values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(100);
    expect(
      node(1)
        .list.aliveMembers()
        .map((member) => member.name),
    ).toContain("h0");
  });

  it("frees the port at shutdown, and refuses to start where it is taken", () => {
    const { network, node } = cluster(1);
    expect(() => addNodeAgain(node(0))).toThrow("Address in use");
    node(0).list.shutdown();
    addNodeAgain(node(0));
    network.runFor(SEC);
  });
});

function addNodeAgain({ host }: Node): void {
  const delegate: Delegate = {
    nodeMeta: () => new Uint8Array(0),
    notifyMessage: () => {},
    takeBroadcasts: () => [],
    localState: () => new Uint8Array(0),
    mergeRemoteState: () => {},
  };
  const events = { joined: () => {}, left: () => {}, updated: () => {} };
  new Memberlist(host.os, { name: "again", advertise: host.ip, keyring: new Keyring(), delegate, events });
}
