import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedError } from "../../../src/base/errors.ts";
import { LamportClock } from "../../../src/libnetwork/networkdb/lamport.ts";
import * as n from "../../../src/libnetwork/networkdb/messages.ts";
import { Nodes } from "../../../src/libnetwork/networkdb/nodes.ts";
import { ClusterState, REAP_ENTRY_INTERVAL, REAP_PERIOD } from "../../../src/libnetwork/networkdb/state.ts";
import { BroadcastQueue } from "../../../src/memberlist/broadcast-queue.ts";
import type { Member } from "../../../src/memberlist/members.ts";

const { create, update, delete: remove } = n.TABLE_CHANGE;
const { join, leave } = n.MEMBERSHIP;

function memberOf(name: string, addr = 1): Member {
  return { name, addr, port: 7946, meta: null, vsn: new Uint8Array(6), incarnation: 1, state: 0, stateChange: 0 };
}

/** A node in network `net`, with another one, `peer`, in it. */
function setup() {
  const state = new ClusterState("me");
  state.nodes.add(memberOf("me", 1));
  state.nodes.add(memberOf("peer", 2));
  const queue = new BroadcastQueue(() => 2, 4);
  const own = { networkId: "net", lTime: 1, leaving: false, reapTime: 0, sent: undefined, queue, inSync: true };
  state.attachments.join(own);
  state.networkEvent({ type: join, lTime: 5, nodeName: "peer", networkId: "net" });
  return { state, own, notes: state.watch("t", "net") };
}

function tableEvent(type: n.TableChange, lTime: number, residualReapTime = 0, nodeName = "peer"): n.TableEvent {
  const value = Uint8Array.of(lTime);
  return { type, lTime, nodeName, networkId: "net", tableName: "t", key: "k", value, residualReapTime };
}

describe("table events", () => {
  it("only newer ones count, and only those of a node that is in the network", () => {
    const { state } = setup();
    expect(state.tableEvent(tableEvent(create, 7), false)).toBe(true);
    expect(state.tableEvent(tableEvent(update, 7), false)).toBe(false);
    expect(state.tableEvent(tableEvent(update, 6), false)).toBe(false);
    expect(state.tableEvent(tableEvent(update, 8), false)).toBe(true);
    expect(state.tableEvent(tableEvent(update, 9, 0, "stranger"), false)).toBe(false);
    expect(state.store.get("t", "net", "k")?.lTime).toBe(8);
    expect(state.tableClock.time).toBe(10);
  });

  it("nothing is taken for a network that this node has left", () => {
    const { state, own } = setup();
    own.leaving = true;
    expect(state.tableEvent(tableEvent(create, 7), false)).toBe(false);
  });

  it("are not passed on before the first bulk sync is over", () => {
    const { state, own, notes } = setup();
    own.inSync = false;
    expect(state.tableEvent(tableEvent(create, 7), false)).toBe(false);
    expect(notes.tryPop()).toMatchObject({ type: "create", key: "k", owner: "peer" });
  });

  it("a delete of something unknown is ignored by gossip, and taken from a bulk sync", () => {
    const { state, notes } = setup();
    expect(state.tableEvent(tableEvent(remove, 7, 1800), false)).toBe(false);
    expect(state.store.get("t", "net", "k")).toBeUndefined();
    // Passed on only while more than a sixth of its 30 minutes is left.
    expect(state.tableEvent(tableEvent(remove, 8, 301), true)).toBe(true);
    expect(state.tableEvent({ ...tableEvent(remove, 8, 300), key: "k2" }, true)).toBe(false);
    expect(state.store.get("t", "net", "k2")).toMatchObject({ deleting: true, reapTime: 300e9 });
    expect(state.tableEvent(tableEvent(create, 7), false)).toBe(false);
    expect(notes.length).toBe(0);
  });

  it("hands the watcher the type that came, even where the entry was unknown", () => {
    const { state, notes } = setup();
    state.tableEvent(tableEvent(update, 7), false);
    expect(notes.tryPop()?.type).toBe("update");
  });

  it("tombstones are forgotten after 30 minutes of reaping", () => {
    const { state } = setup();
    state.tableEvent(tableEvent(create, 7), false);
    state.tableEvent(tableEvent(remove, 8), false);
    const rounds = REAP_ENTRY_INTERVAL / REAP_PERIOD;
    for (let i = 0; i < rounds - 1; i++) state.reap();
    expect(state.store.get("t", "net", "k")?.deleting).toBe(true);
    state.reap();
    expect(state.store.get("t", "net", "k")).toBeUndefined();
    expect(state.store.tombstones()).toEqual([]);
  });
});

describe("membership events", () => {
  it("a network leave buries the node's entries, and a later join takes part again", () => {
    const { state, notes } = setup();
    state.tableEvent(tableEvent(create, 7), false);
    expect(state.networkEvent({ type: leave, lTime: 5, nodeName: "peer", networkId: "net" })).toBe(false);
    expect(state.networkEvent({ type: leave, lTime: 6, nodeName: "peer", networkId: "net" })).toBe(true);
    expect(state.store.get("t", "net", "k")).toMatchObject({ deleting: true, lTime: 7 });
    expect([notes.tryPop()?.type, notes.tryPop()?.type]).toEqual(["create", "delete"]);
    expect(state.attachments.nodesOf("net")).toEqual(["me"]);
    expect(state.networkEvent({ type: join, lTime: 9, nodeName: "peer", networkId: "net" })).toBe(true);
    expect(state.attachments.common("peer")).toEqual(["net"]);
  });

  it("ignores networks of nodes that memberlist does not know, and news of itself", () => {
    const { state } = setup();
    expect(state.networkEvent({ type: join, lTime: 50, nodeName: "ghost", networkId: "net" })).toBe(false);
    expect(state.networkEvent({ type: leave, lTime: 51, nodeName: "me", networkId: "net" })).toBe(false);
    expect(state.attachments.nodesOf("net")).toEqual(["me", "peer"]);
    expect(state.networkClock.time).toBe(52);
  });

  it("a node that fails takes its entries and attachments along, without tombstones", () => {
    const { state, notes } = setup();
    state.tableEvent(tableEvent(create, 7), false);
    expect(state.nodes.change("peer", "failed")).toBe(true);
    expect(state.store.get("t", "net", "k")).toBeUndefined();
    expect([...state.attachments.all()].map(([node]) => node)).toEqual(["me"]);
    expect(state.attachments.foreign("net", "peer")).toBeUndefined();
    expect([notes.tryPop()?.type, notes.tryPop()?.type]).toEqual(["create", "delete"]);
    expect(state.nodes.change("peer", "active")).toBe(true);
    state.merge({
      lTime: 9,
      nodeName: "peer",
      networks: [{ networkId: "net", lTime: 9, nodeName: "peer", leaving: false }],
    });
    expect(state.tableEvent(tableEvent(create, 7), true)).toBe(true);
  });

  it("a node event moves a node once, and only when it is newer", () => {
    const { state } = setup();
    expect(state.nodeEvent({ type: leave, lTime: 3, nodeName: "peer" })).toBe(true);
    expect(state.nodes.left.has("peer")).toBe(true);
    expect(state.nodeEvent({ type: join, lTime: 3, nodeName: "peer" })).toBe(false);
    expect(state.nodeEvent({ type: join, lTime: 4, nodeName: "peer" })).toBe(true);
    expect(state.nodeEvent({ type: join, lTime: 5, nodeName: "peer" })).toBe(false);
  });

  it("leaving a network keeps tombstones of the own entries and nothing of the others'", () => {
    const { state } = setup();
    state.tableEvent(tableEvent(create, 7), false);
    const mine = { networkId: "net", table: "t", key: "mine", node: "me", lTime: 3, value: Uint8Array.of(1) };
    state.store.put({ ...mine, deleting: false, reapTime: 0 });
    state.dropNetwork("net");
    expect(state.store.ofNetwork("net")).toEqual([
      { ...mine, lTime: 4, deleting: true, reapTime: REAP_ENTRY_INTERVAL },
    ]);
  });

  it("renews its own attachments when it joins a cluster", () => {
    const { state } = setup();
    const before = state.snapshot(false);
    expect(before.networks).toEqual([
      { networkId: "net", lTime: 1, nodeName: "me", leaving: false },
      { networkId: "net", lTime: 5, nodeName: "peer", leaving: false },
    ]);
    expect(state.snapshot(true).networks[0]?.lTime).toBe(before.lTime + 1);
  });
});

describe("Nodes", () => {
  it("a new name at a known address sends the old one to the left", () => {
    const gone: string[] = [];
    const nodes = new Nodes((name) => gone.push(name));
    nodes.add(memberOf("old", 1));
    nodes.add(memberOf("other", 2));
    nodes.purgeReincarnation(memberOf("new", 1));
    expect([[...nodes.active.keys()], [...nodes.left.keys()], gone]).toEqual([["other"], ["old"], ["old"]]);
  });

  it("forgets failed and left nodes after 24 hours", () => {
    const nodes = new Nodes(() => {});
    nodes.add(memberOf("a"));
    nodes.change("a", "failed");
    for (let i = 0; i < 11; i++) nodes.reap();
    expect(nodes.find("a")?.state).toBe("failed");
    nodes.reap();
    expect(nodes.find("a")).toBeUndefined();
  });
});

describe("LamportClock", () => {
  it("goes past whatever it witnesses", () => {
    const clock = new LamportClock();
    expect(clock.increment()).toBe(1);
    clock.witness(0);
    expect(clock.time).toBe(1);
    clock.witness(1);
    expect(clock.time).toBe(2);
    clock.witness(40);
    expect(clock.increment()).toBe(42);
  });
});

describe("messages", () => {
  it("throw nothing but MalformedError whatever the bytes", () => {
    const decoders = [n.decodeEnvelope, n.decodeNodeEvent, n.decodeNetworkEvent, n.decodePushPullState];
    const all = [...decoders, n.decodeTableEvent, n.decodeBulkSync, n.decodeCompound];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (data) => {
        for (const decode of all) {
          try {
            decode(data);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
        }
      }),
    );
  });

  it("come back as they were, compounds within bulk syncs too", () => {
    const event = tableEvent(remove, 7, 1795);
    const payload = n.encodeCompound([n.encodeTableEvent(event)]);
    const sync = { lTime: 9, unsolicited: true, nodeName: "me", networks: ["a", "b"], payload };
    const decoded = n.decodeBulkSync(n.decodeEnvelope(n.encodeBulkSync(sync)).data);
    expect(decoded).toEqual(sync);
    const [part] = n.decodeCompound(n.decodeEnvelope(decoded.payload).data);
    expect(n.decodeTableEvent(n.decodeEnvelope(part as Uint8Array).data)).toEqual(event);
  });

  it("a bulk sync that is written at once is the one that is put together", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const events = fc.array(fc.record({ key: fc.string(), value: bytes, lTime: fc.nat(2 ** 21) }), { maxLength: 30 });
    const networks = fc.array(fc.constantFrom("a", "b"), { maxLength: 2 });
    fc.assert(
      fc.property(events, networks, fc.nat(9), fc.boolean(), (list, of, lTime, unsolicited) => {
        const heard = list.map((one) => n.heardOf(n.encodeTableEvent({ ...tableEvent(create, 1), ...one })));
        const head = { lTime, unsolicited, nodeName: "me", networks: of };
        const payload = n.encodeCompound(heard.map(({ broadcast }) => broadcast.message));
        const whole = n.encodeBulkSync({ ...head, payload });
        expect(n.encodeHeardSync(new n.HeardSync(head, heard))).toEqual(whole);
      }),
    );
  });
});
