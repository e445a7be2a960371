import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Proc } from "../../../src/scheduler/process.ts";
import { NEW_META, type NetworkObject } from "../../../src/swarm/api/objects.ts";
import { MemoryStore, type StoreEvent } from "../../../src/swarm/store/memory.ts";
import { type Proposer, SingleMemberProposer } from "../../../src/swarm/store/proposer.ts";

/** Runs a program that never really waits. */
function run<T>(program: Proc<T>): T {
  const step = program.next();
  if (step.done !== true) throw new Error("the program waits");
  return step.value;
}

function network(id: string, name: string): NetworkObject {
  return {
    id,
    meta: NEW_META,
    spec: { annotations: { name, labels: {} }, ipv6Enabled: false, internal: false, attachable: true, ingress: false },
  };
}

function newStore() {
  let now = 0;
  const store = new MemoryStore(new SingleMemberProposer(), () => now);
  return { store, at: (time: number) => (now = time) };
}

describe("MemoryStore", () => {
  it("gives all objects of a transaction the commit index read at its start", () => {
    const { store, at } = newStore();
    at(5);
    run(
      store.update((tx) => {
        tx.create("network", network("b", "nb"));
        tx.create("network", network("a", "na"));
      }),
    );
    at(9);
    run(store.update((tx) => tx.update("network", { ...(tx.get("network", "a") as NetworkObject) })));
    const [a, b] = store.view((tx) => tx.all("network"));
    expect(a?.meta).toEqual({ version: { index: 3 }, createdAt: 5, updatedAt: 9 });
    expect(b?.meta).toEqual({ version: { index: 2 }, createdAt: 5, updatedAt: 5 });
    expect(Object.isFrozen(a?.spec.annotations)).toBe(true);
  });

  it("is read anew from its log: the same objects, indices and version, no watchers, no write in progress", () => {
    const { store } = newStore();
    run(store.update((tx) => tx.create("network", network("a", "One"))));
    const watch = store.watch();
    // The power goes while a write waits for its proposal.
    const waiting: Proposer = {
      *proposeValue() {
        yield {};
      },
      getVersion: () => ({ index: 7 }),
    };
    const stuck = new MemoryStore(waiting, () => 0);
    expect(stuck.update((tx) => tx.create("network", network("b", "Two"))).next().done).toBe(false);
    expect(stuck.reopen(() => 1).view((tx) => tx.all("network"))).toEqual([]);

    const again = store.reopen(() => 42);
    expect(again.view((tx) => tx.by("network", "name", "one"))).toEqual(store.view((tx) => tx.all("network")));
    run(again.update((tx) => tx.create("network", network("b", "Two"))));
    expect(again.view((tx) => tx.get("network", "b"))?.meta).toEqual({
      version: { index: 3 },
      createdAt: 42,
      updatedAt: 42,
    });
    expect(watch.length).toBe(0);
    expect(store.view((tx) => tx.all("network"))).toHaveLength(1);
  });

  it("refuses with swarmkit's texts and leaves nothing of a failed transaction", () => {
    const { store } = newStore();
    run(store.update((tx) => tx.create("network", network("a", "One"))));
    const watch = store.watch();
    const fails = (write: Parameters<typeof store.update>[0]) => expect(() => run(store.update(write)));
    fails((tx) => tx.create("network", network("b", "oNE"))).toThrow("name conflicts with an existing object");
    fails((tx) => tx.create("network", network("a", "two"))).toThrow("object already exists");
    fails((tx) => tx.update("network", network("a", "x"))).toThrow("update out of sequence");
    fails((tx) => tx.remove("network", "z")).toThrow("object does not exist");
    fails((tx) => {
      tx.create("network", network("c", "c"));
      throw new Error("no");
    }).toThrow("no");
    expect(store.view((tx) => tx.all("network")).map((n) => n.id)).toEqual(["a"]);
    expect(watch.length).toBe(0);
    run(store.update((tx) => tx.create("network", network("b", "two"))));
  });

  it("sees its own changes inside a transaction, in indices too", () => {
    const { store } = newStore();
    run(store.update((tx) => tx.create("network", network("b", "b"))));
    run(
      store.update((tx) => {
        tx.create("network", network("a", "a"));
        expect(tx.all("network").map((n) => n.id)).toEqual(["a", "b"]);
        expect(tx.by("network", "name", "a")).toHaveLength(1);
        tx.remove("network", "b");
        expect(tx.by("network", "name", "b")).toHaveLength(0);
        tx.create("network", network("c", "b"));
        expect(tx.by("network", "name", "b").map((n) => n.id)).toEqual(["c"]);
      }),
    );
  });

  it("publishes the changes in order, then one commit", () => {
    const { store } = newStore();
    const watch = store.watch();
    run(
      store.update((tx) => {
        tx.create("network", network("b", "b"));
        tx.create("network", network("a", "a"));
        tx.remove("network", "b");
      }),
    );
    const events: StoreEvent[] = [];
    for (let event = watch.tryPop(); event !== undefined; event = watch.tryPop()) events.push(event);
    expect(
      events.map((e) => (e.action === "commit" ? `commit ${e.version.index}` : `${e.action} ${e.object.id}`)),
    ).toEqual(["create b", "create a", "remove b", "commit 3"]);
  });

  it("splits a batch at 150 changes and refuses more than 200 in one transaction", () => {
    const { store } = newStore();
    const watch = store.watch();
    run(store.batch(Array.from({ length: 301 }, (_, i) => (tx) => tx.create("network", network(`n${i}`, `n${i}`)))));
    let commits = 0;
    for (let event = watch.tryPop(); event !== undefined; event = watch.tryPop())
      commits += event.action === "commit" ? 1 : 0;
    expect(commits).toBe(3);
    const tooMany = store.update((tx) => {
      for (let i = 0; i < 201; i++) tx.create("network", network(`m${i}`, `m${i}`));
    });
    expect(() => run(tooMany)).toThrow("raft: raft message is too large and can't be sent");
  });

  it("runs transactions one after the other when the proposer waits, and keeps nothing of a lost one", () => {
    let lose = false;
    const proposer: Proposer = {
      getVersion: () => ({ index: 1 }),
      *proposeValue(_changes, apply) {
        yield { until: 1 };
        if (lose) throw new Error("raft: failed to process the request: node lost leader status");
        apply();
      },
    };
    const store = new MemoryStore(proposer, () => 0);
    const first = store.update((tx) => tx.create("network", network("a", "a")));
    const second = store.update((tx) => tx.all("network").length);
    expect(first.next().done).toBe(false);
    expect(second.next().done).toBe(false);
    expect(store.view((tx) => tx.all("network"))).toHaveLength(0);
    expect(first.next().done).toBe(true);
    expect(second.next()).toEqual({ done: true, value: 1 });
    lose = true;
    const third = store.update((tx) => tx.create("network", network("b", "b")));
    third.next();
    expect(() => third.next()).toThrow("lost leader status");
    expect(store.view((tx) => tx.all("network"))).toHaveLength(1);
  });

  it("keeps indices equal to a scan under any history", () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 9 }),
      name: fc.integer({ min: 0, max: 12 }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { store } = newStore();
        for (const { id, name, remove } of steps) {
          try {
            run(
              store.update((tx) => {
                const old = tx.get("network", String(id));
                if (remove) tx.remove("network", String(id));
                else if (old === undefined) tx.create("network", network(String(id), `n${name}`));
                else tx.update("network", { ...network(String(id), `n${name}`), meta: old.meta });
              }),
            );
          } catch (error) {
            expect((error as Error).name).toBe("StoreError");
          }
        }
        store.view((tx) => {
          const all = tx.all("network");
          expect(all.map((n) => n.id)).toEqual(all.map((n) => n.id).toSorted());
          for (let name = 0; name <= 12; name++) {
            expect(tx.by("network", "name", `n${name}`)).toEqual(
              all.filter((n) => n.spec.annotations.name === `n${name}`),
            );
          }
        });
      }),
    );
  });
});
