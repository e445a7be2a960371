import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { MINUTE, MS, SEC } from "../../src/base/time.ts";
import { type Broadcast, BroadcastQueue } from "../../src/memberlist/broadcast-queue.ts";
import { VSN } from "../../src/memberlist/config.ts";
import { Keyring } from "../../src/memberlist/keyring.ts";
import { type Member, Members } from "../../src/memberlist/members.ts";
import { type AliveMessage, decodeAccusation, decodeAlive, MESSAGE } from "../../src/memberlist/messages.ts";
import {
  naturalLog,
  pushPullScale,
  retransmitLimit,
  suspicionTime,
  suspicionTimeout,
} from "../../src/memberlist/scale.ts";
import { TaskGroup } from "../../src/scheduler/task-group.ts";
import { FakeNetwork, fakeIp } from "../support/fake-host.ts";

function setup(others: number) {
  const network = new FakeNetwork();
  const { os } = network.addHost("me", fakeIp(0));
  const log: string[] = [];
  const note = (what: string) => (member: Member) => log.push(`${what} ${member.name}`);
  const queue = new BroadcastQueue(() => others + 1, 4);
  const delegate = {
    nodeMeta: () => new Uint8Array(0),
    notifyMessage: () => {},
    takeBroadcasts: () => [],
    localState: () => new Uint8Array(0),
    mergeRemoteState: () => {},
  };
  const events = { joined: note("joined"), left: note("left"), updated: note("updated") };
  const config = { name: "me", advertise: fakeIp(0), keyring: new Keyring(), delegate, events };
  const members = new Members(config, new TaskGroup(os), new Random("x"), queue);
  members.start(VSN);
  for (let i = 1; i <= others; i++) members.alive(aliveOf(`n${i}`, 5, i));
  while (queue.take(2, 1400).length > 0);
  log.length = 0;
  return { network, members, queue, log };
}

function aliveOf(node: string, incarnation: number, i = 1, meta: Uint8Array | null = null): AliveMessage {
  return { incarnation, node, addr: fakeIp(i), port: 7946, meta, vsn: VSN };
}

const accuse = (node: string, incarnation: number, from = "n9") => ({ node, incarnation, from });

describe("Members", () => {
  it("an alive counts only with a higher incarnation", () => {
    const { members, queue, log } = setup(2);
    members.alive(aliveOf("n1", 5, 1, Uint8Array.of(1)));
    expect([log, queue.length]).toEqual([[], 0]);
    members.alive(aliveOf("n1", 6, 1, Uint8Array.of(1)));
    expect([log, queue.length]).toEqual([["updated n1"], 1]);
  });

  it("an old suspicion is ignored, a present one spreads, and an alive of higher incarnation ends it", () => {
    const { network, members, queue, log } = setup(2);
    members.suspect(accuse("n1", 4));
    expect(members.get("n1")?.state).toBe(0);
    members.suspect(accuse("n1", 5));
    expect(members.get("n1")?.state).toBe(1);
    expect(queue.take(2, 1400).map(({ message }) => message[0])).toEqual([MESSAGE.suspect]);
    members.alive(aliveOf("n1", 6));
    network.runFor(MINUTE);
    expect(members.get("n1")?.state).toBe(0);
    expect(log).toEqual([]);
  });

  it.each([
    [2, 0, 4],
    [8, 0, 24],
    [8, 1, 11.38],
    [8, 2, 4],
    [99, 0, 48],
    [99, 1, 22.762],
    [99, 2, 8],
  ])("with %i others a suspicion with %i confirmations lasts %d s", (others, confirmations, seconds) => {
    const { network, members, log } = setup(others);
    members.suspect(accuse("n1", 5, "n2"));
    for (let i = 0; i < confirmations; i++) {
      members.suspect(accuse("n1", 5, "n2"));
      members.suspect(accuse("n1", 5, `n${i + 3}`));
    }
    network.runFor(Math.round(seconds * SEC) - 2 * MS);
    expect(log).toEqual([]);
    network.runFor(4 * MS);
    expect(log).toEqual(["left n1"]);
    expect(members.get("n1")?.state).toBe(2);
  });

  it("an own accusation is refuted with a higher incarnation, at the cost of health", () => {
    const { members, queue } = setup(2);
    members.suspect(accuse("me", 7));
    const [sent] = queue.take(2, 1400);
    expect(decodeAlive((sent as Broadcast).message.subarray(1))).toMatchObject({ node: "me", incarnation: 8 });
    expect(members.self()).toMatchObject({ state: 0, incarnation: 8 });
    expect(members.health).toBe(1);
    members.dead(accuse("me", 8));
    expect(members.self()?.incarnation).toBe(9);
    members.alive(aliveOf("me", 20, 0));
    expect(members.self()?.incarnation).toBe(21);
  });

  it("health stays between 0 and 7", () => {
    const { members } = setup(1);
    members.changeHealth(-1);
    expect(members.health).toBe(0);
    members.changeHealth(99);
    expect(members.health).toBe(7);
  });

  it("a node that leaves says so itself", () => {
    const { network, members, queue, log } = setup(2);
    members.dead({ node: "n1", incarnation: 5, from: "n1" });
    expect(members.get("n1")?.state).toBe(3);
    let sent = false;
    members.leave(() => {
      sent = true;
    });
    expect(members.self()?.state).toBe(3);
    const messages = queue.take(2, 1400).map(({ message }) => decodeAccusation(message.subarray(1)));
    expect(messages).toContainEqual({ node: "me", incarnation: 1, from: "me" });
    while (queue.take(2, 1400).length > 0);
    expect(sent).toBe(true);
    members.alive(aliveOf("me", 50, 0));
    expect(members.self()?.state).toBe(3);
    expect(log).toEqual(["left n1", "left me"]);
    network.runFor(SEC);
  });

  it("a conflicting address is refused, unless the old owner of the name has left", () => {
    const { members } = setup(2);
    members.alive(aliveOf("n1", 9, 7));
    expect(members.get("n1")?.addr).toBe(fakeIp(1));
    members.dead({ node: "n1", incarnation: 5, from: "n1" });
    members.alive(aliveOf("n1", 1, 7));
    expect(members.get("n1")).toMatchObject({ addr: fakeIp(7), state: 0, incarnation: 1 });
  });

  it("merges alive as alive, left as left, dead and suspect as suspect", () => {
    const { members } = setup(6);
    const state = (name: string, value: 0 | 1 | 2 | 3) => {
      const { node: _, ...rest } = aliveOf(name, 6, Number(name.slice(1)));
      return { ...rest, name, state: value };
    };
    members.merge([state("n1", 0), state("n2", 1), state("n3", 2), state("n4", 3), state("n7", 0), state("n8", 2)]);
    expect(["n1", "n2", "n3", "n4", "n7"].map((name) => members.get(name)?.state)).toEqual([0, 1, 1, 3, 0]);
    expect(members.get("n8")).toBeUndefined();
  });

  it("forgets the dead after 30 s, when the ring goes round", () => {
    const { network, members } = setup(3);
    members.dead({ node: "n1", incarnation: 5, from: "n2" });
    network.runFor(30 * SEC);
    members.reshuffle();
    expect(members.count).toBe(4);
    network.runFor(SEC);
    members.reshuffle();
    expect(members.ring.map((member) => member.name).sort()).toEqual(["me", "n2", "n3"]);
    expect(members.get("n1")).toBeUndefined();
  });
});

describe("scales", () => {
  it("are those of the facts' tables", () => {
    expect([3, 10, 100, 1000].map((n) => suspicionTimeout(4, n, SEC) / SEC)).toEqual([4, 4, 8, 12]);
    // What util.go of 20.10's memberlist gives, computed with Go's own logarithms.
    const sizes = [1, 2, 9, 11, 20, 33, 50, 99, 101, 128, 250, 500, 999, 1001, 5000];
    expect(sizes.map((n) => suspicionTimeout(1, n, 1000))).toEqual([
      1000, 1000, 1000, 1041, 1301, 1518, 1698, 1995, 2004, 2107, 2397, 2698, 2999, 3000, 3698,
    ]);
    const limits = [0, 1, 2, 9, 10, 11, 98, 99, 100, 101, 998, 999, 1000, 99_999, 100_000];
    expect(limits.map((n) => retransmitLimit(4, n))).toEqual([0, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 20, 24]);
    expect(suspicionTime(1, 2, 12 * SEC, 72 * SEC) / SEC).toBeCloseTo(34.144, 3);
    const powers = [1, 2, 3, 4, 5, 7, 10, 1000, 123_456_789];
    expect(powers.map(naturalLog)).toEqual([
      0,
      Math.LN2,
      1.0986122886681096,
      1.3862943611198906,
      1.6094379124341003,
      1.9459101490553132,
      Math.LN10,
      6.907755278982137,
      18.63140176616802,
    ]);
    for (let n = 1; n < 5000; n++) expect(Math.abs(naturalLog(n) - Math.log(n))).toBeLessThan(2e-15);
    expect([0, 1, 2].map((c) => suspicionTime(c, 2, 4 * SEC, 24 * SEC) / SEC)).toEqual([24, 11.381, 4]);
    const nodes = [32, 33, 64, 65, 128, 129, 256, 257, 513, 1024];
    expect(nodes.map((n) => pushPullScale(30, n))).toEqual([30, 60, 60, 90, 90, 120, 120, 150, 180, 180]);
  });
});
