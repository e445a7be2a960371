/**
 * Gossip on 7946 and the join on 2377: what goes over the wire when a worker joins and containers come and go, against A-swarm-init and
 * B-standalone-attachable. Everything is decrypted: the capture with its keys, ours with the keys that this lab's manager made.
 *
 * What can't be equal: keys, nonces, node names, ids, ports, Lamport times (the capture has a third node, which ticks the same clock), and which
 * messages share a packet: the capture's machines took seconds where ours take none, so there what is made at one instant here went out one by one.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Keyring } from "../../src/memberlist/keyring.ts";
import { GOLDEN_KEYS } from "../memberlist/golden-gossip.ts";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import type { Frame } from "./frames.ts";
import { connections, type GossipItem, gossipedChanges, gossipPackets, gossipStreams } from "./gossip.ts";
import { goldenFrames, Scenario } from "./scenario.ts";

const A = "A-swarm-init/manager/pcap/host__eth0.pcap";
const B = "B-standalone-attachable/manager/pcap/host__eth0.pcap";

const withoutThird = (frames: readonly Frame[]): Frame[] =>
  frames.filter(({ ip }) => ip !== undefined && ip.src !== "192.168.77.13" && ip.dst !== "192.168.77.13");

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("gossip and joining", true), () => {
  let lab: Scenario;
  const keys: Uint8Array[] = [];
  let ours: Frame[];
  let keyring: Keyring;
  const goldenKeyring = new Keyring(GOLDEN_KEYS);

  beforeAll(async () => {
    // The keys that the manager hands out: what every keyring is filled with.
    const add = Keyring.prototype.add;
    const spy = vi.spyOn(Keyring.prototype, "add").mockImplementation(function (this: Keyring, key) {
      keys.push(key.slice());
      add.call(this, key);
    });
    lab = await Scenario.start();
    await lab.swarm();
    await lab.wait(20);
    await lab.containers();
    await lab.run("manager", "docker stop -t 1 alpine1");
    await lab.run("worker-1", "docker stop -t 1 alpine2");
    await lab.wait(10);
    spy.mockRestore();
    ours = lab.frames("manager/host/eth0");
    keyring = new Keyring(keys);
  });
  afterAll(async () => await lab?.close());

  it("the same three keys on both nodes, of 16 bytes", () => {
    const distinct = new Set(keys.map((key) => Buffer.from(key).toString("hex")));
    expect(distinct.size).toBe(3);
    expect(keys.every((key) => key.length === 16)).toBe(true);
    expect(gossipPackets(ours, keyring).length).toBeGreaterThan(50);
    // Without them nothing opens.
    expect(() => gossipPackets(ours, new Keyring([new Uint8Array(16)]))).toThrow();
  });

  it("sizes: ping 110, ack 47, a network event 84 bytes", () => {
    const sizes = (items: readonly GossipItem[]) => {
      const found = new Map<string, Set<number>>();
      for (const { messages, size } of items) {
        const key = messages.join(" + ");
        found.set(key, (found.get(key) ?? new Set()).add(size));
      }
      return found;
    };
    const here = sizes(gossipPackets(ours, keyring));
    const golden = sizes(gossipPackets(withoutThird(goldenFrames(A)), goldenKeyring));
    // Sequence numbers up to 127 take a byte.
    for (const [kind, size] of [
      ["ping", 110],
      ["ackResp", 47],
      ["user/1", 84],
      ["ping + user/1", 166],
      ["alive + alive + user/1", 228],
    ] as const) {
      expect([...(golden.get(kind) ?? [])], kind).toContain(size);
      expect([...(here.get(kind) ?? [])], kind).toEqual([size]);
    }
  });

  it("a join: state exchanged over TCP, then the ingress network in bulk, one each way", () => {
    const join = (frames: readonly Frame[], ring: Keyring) =>
      gossipStreams(frames, ring)
        .slice(0, 4)
        .map(({ from, to, messages }) => `${from} > ${to} ${messages.join()}`);
    const golden = gossipStreams(withoutThird(goldenFrames(A)), goldenKeyring).slice(0, 2);
    expect(
      gossipStreams(ours, keyring)
        .slice(0, 2)
        .map(({ from, size, messages }) => ({ from, size, messages })),
    ).toEqual(golden.map(({ from, size, messages }) => ({ from, size, messages })));
    expect(golden.map(({ size }) => size)).toEqual([178, 220]);
    // The sizes of the bulk that follows depend on what the manager has made by then.
    expect(join(ours, keyring)).toEqual(join(withoutThird(goldenFrames(A)), goldenKeyring));
  });

  it("the first packets after a join: both alive messages with the node's event, 200 ms apart", () => {
    for (const [frames, ring] of [
      [ours, keyring],
      [withoutThird(goldenFrames(A)), goldenKeyring],
    ] as const) {
      const all = gossipPackets(frames, ring);
      // Five seconds later a third node joined in the capture.
      const items = all.filter(({ messages, time }) => messages.includes("alive") && time < (all[0]?.time ?? 0) + 5);
      for (const from of ["192.168.77.11", "192.168.77.12"]) {
        const sent = items.filter((item) => item.from === from);
        // retransmitLimit: 4 * ceil(log10(n + 1)) of two nodes.
        expect(sent).toHaveLength(4);
        for (const [at, { time, messages }] of sent.entries()) {
          expect(messages.slice(0, 2)).toEqual(["alive", "alive"]);
          expect(messages.some((name) => name === (from.endsWith("11") ? "user/1" : "user/6"))).toBe(true);
          const gap = time - (sent[at - 1]?.time ?? time - 0.2);
          expect(gap).toBeGreaterThan(0.05);
          expect(gap).toBeLessThan(0.35);
        }
      }
    }
  });

  it("rhythm: a probe a second at most, each answered", () => {
    const probes = (items: readonly GossipItem[], from: string) =>
      items.filter((item) => item.from === from && item.messages[0] === "ping");
    const packets = gossipPackets(ours, keyring);
    for (const from of ["192.168.77.11", "192.168.77.12"]) {
      const sent = probes(packets, from);
      expect(sent.length).toBeGreaterThan(10);
      const gaps = sent.slice(1).map(({ time }, at) => time - (sent[at]?.time ?? 0));
      // Of two members every third tick finds only the node itself (memberlist.probe, resetNodes).
      for (const gap of gaps) expect(Math.abs(gap - Math.round(gap))).toBeLessThan(1e-6);
      expect(new Set(gaps.map((gap) => Math.round(gap)))).toEqual(new Set([1, 2]));
      const acks = packets.filter((item) => item.to === from && item.messages[0] === "ackResp");
      expect(acks.length).toBe(sent.length);
    }
    // The capture's ticks of the time when it had two nodes.
    const golden = gossipPackets(withoutThird(goldenFrames(A)), goldenKeyring);
    const first = golden[0]?.time ?? 0;
    const early = probes(golden, "192.168.77.11").filter(({ time }) => time < first + 5.5);
    const gaps = early.slice(1).map(({ time }, at) => Math.round(time - (early[at]?.time ?? 0)));
    expect(gaps.length).toBeGreaterThan(1);
    expect(gaps.every((gap) => gap === 1 || gap === 2)).toBe(true);
  });

  it("table events: the same records in the same order, created and deleted", () => {
    // The wires of both scenarios, without what concerns the third node.
    const frames = withoutThird([...goldenFrames(A), ...goldenFrames(B)]);
    const golden = gossipedChanges(frames, goldenKeyring).filter(
      ({ value }) => !value.includes("192.168.77.13") && !value.includes("10.0.0.4"),
    );
    const here = gossipedChanges(ours, keyring);
    const order = (list: readonly ReturnType<typeof gossipedChanges>[number][]) => {
      const byNode = new Map<string, string[]>();
      for (const { node, change, table, value, bytes } of list)
        byNode.set(node, [...(byNode.get(node) ?? []), `${change} ${table} ${bytes} ${value}`]);
      return [...byNode.values()];
    };
    expect(golden.length).toBeGreaterThan(8);
    // What a node has made before it knew of another goes by bulk sync: the manager's creations are not gossiped here. And the worker's
    // deletions have nobody to go to, since the manager has left the network by then; in the capture both stops overlapped.
    const alone = /^1 .*(10\.0\.0\.2\b|10\.0\.1\.[23]\b)|^3 .*10\.0\.1\.4/;
    const gossiped = (lists: string[][]) =>
      lists.map((list) => list.filter((line) => !alone.test(line))).sort((x, y) => x.length - y.length);
    expect(gossiped(order(here))).toEqual(gossiped(order(golden)));
  });

  it("2377: three connections in a join, all from the worker", () => {
    const until = (frames: readonly Frame[], ring: Keyring) => {
      const gossip = gossipStreams(frames, ring)[0]?.time ?? 0;
      return connections(frames, 2377)
        .filter(({ time }) => time <= gossip + 1)
        .map(({ from, to }) => `${from} > ${to}`);
    };
    const golden = until(withoutThird(goldenFrames(A)), goldenKeyring);
    expect(golden).toEqual(Array.from({ length: 3 }, () => "192.168.77.12 > 192.168.77.11"));
    expect(until(ours, keyring)).toEqual(golden);
  });
});
