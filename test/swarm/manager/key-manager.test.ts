import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { HOUR, type Time } from "../../../src/base/time.ts";
import { HostScheduler } from "../../../src/scheduler/runtime.ts";
import { type ClusterObject, type EncryptionKey, NEW_META } from "../../../src/swarm/api/objects.ts";
import { KeyManager } from "../../../src/swarm/manager/key-manager.ts";
import { MemoryStore } from "../../../src/swarm/store/memory.ts";
import { SingleMemberProposer } from "../../../src/swarm/store/proposer.ts";

/** A leader's key manager over a store with nothing but the cluster; hand it on to the next leader with `store`. */
class Leader {
  readonly store: MemoryStore;
  readonly #scheduler = new HostScheduler((_host, _process, error) => {
    throw error;
  });

  constructor(seed: string, store?: MemoryStore) {
    const os = this.#scheduler.createHost("host1", 0, new Random(seed));
    this.store = store ?? new MemoryStore(new SingleMemberProposer(), () => os.now());
    const context = { os, store: this.store, random: os.random, log: () => {} };
    const keyManager = new KeyManager(context);
    const fresh = store === undefined;
    const { store: target } = this;
    os.spawn(
      "leader",
      (function* () {
        if (fresh)
          yield* target.update((tx) => {
            const cluster = { id: "c", meta: NEW_META, networkBootstrapKeys: [], encryptionKeyLamportClock: 0 };
            tx.create("cluster", {
              ...cluster,
              spec: { annotations: { name: "default" } },
            } as unknown as ClusterObject);
          });
        yield* keyManager.run();
      })(),
    );
    this.runUntil(0);
  }

  runUntil(time: Time): void {
    this.#scheduler.runReady();
    for (let next = this.#scheduler.nextTimer(); next <= time; next = this.#scheduler.nextTimer()) {
      this.#scheduler.advance(next);
      this.#scheduler.runReady();
    }
  }

  get cluster(): ClusterObject {
    return this.store.view((tx) => tx.all("cluster"))[0] as ClusterObject;
  }

  tags(subsystem: EncryptionKey["subsystem"]): number[] {
    const keys = this.cluster.networkBootstrapKeys.filter((key) => key.subsystem === subsystem);
    return keys.map((key) => key.lamportTime - this.base);
  }

  /** The clock's random start. */
  base = 0;
}

function fresh(seed: string): Leader {
  const leader = new Leader(seed);
  leader.base = Math.min(...leader.cluster.networkBootstrapKeys.map((key) => key.lamportTime)) - 1;
  return leader;
}

describe("key manager", () => {
  it("fills: three gossip keys, then three IPsec keys, of 16 bytes, from a clock with a random start", () => {
    const leader = fresh("a");
    expect(leader.tags("networking:gossip")).toEqual([1, 2, 3]);
    expect(leader.tags("networking:ipsec")).toEqual([4, 5, 6]);
    expect(leader.cluster.encryptionKeyLamportClock).toBe(leader.base + 6);
    expect(leader.base).toBeLessThan(65_536);
    expect(fresh("b").base).not.toBe(leader.base);
    const keys = leader.cluster.networkBootstrapKeys.map(({ key }) => key);
    expect(new Set(keys).size).toBe(6);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
  });

  it("rotates every 12 h: the oldest of each subsystem goes, a new one comes", () => {
    const leader = fresh("a");
    const before = leader.cluster.networkBootstrapKeys;
    leader.runUntil(12 * HOUR - 1);
    expect(leader.cluster.networkBootstrapKeys).toEqual(before);
    leader.runUntil(12 * HOUR);
    const [gossip, ipsec] = [leader.tags("networking:gossip"), leader.tags("networking:ipsec")];
    expect([gossip.slice(0, 2), ipsec.slice(0, 2)]).toEqual([
      [2, 3],
      [5, 6],
    ]);
    expect([gossip[2], ipsec[2]].sort()).toEqual([7, 8]);
    expect(leader.cluster.encryptionKeyLamportClock).toBe(leader.base + 8);
    leader.runUntil(36 * HOUR);
    expect(leader.cluster.encryptionKeyLamportClock).toBe(leader.base + 12);
    expect(leader.cluster.networkBootstrapKeys).toHaveLength(6);
    expect(Math.min(...leader.cluster.networkBootstrapKeys.map((key) => key.lamportTime))).toBeGreaterThan(
      leader.base + 6,
    );
  });

  it("which subsystem gets the lower time at a rotation is chance, and the same chance for the same seed", () => {
    const orders = (seed: string): string => {
      const leader = fresh(seed);
      let text = "";
      for (let i = 1; i <= 20; i++) {
        leader.runUntil(i * 12 * HOUR);
        text +=
          Math.max(...leader.tags("networking:gossip")) < Math.max(...leader.tags("networking:ipsec")) ? "g" : "i";
      }
      return text;
    };
    expect(orders("a")).toMatch(/^(?=.*g)(?=.*i)/);
    expect(orders("a")).toBe(orders("a"));
    expect(orders("b")).not.toBe(orders("a"));
  });

  it("a new leader keeps the keys that there are, and rotates 12 h after its start", () => {
    const first = fresh("a");
    first.runUntil(7 * HOUR);
    const keys = first.cluster.networkBootstrapKeys;
    const second = new Leader("c", first.store);
    second.base = first.base;
    second.runUntil(12 * HOUR - 1);
    expect(second.cluster.networkBootstrapKeys).toEqual(keys);
    second.runUntil(12 * HOUR);
    expect(second.tags("networking:ipsec").slice(0, 2)).toEqual([5, 6]);
  });
});
