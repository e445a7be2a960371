/**
 * Keys of the overlay networks (swarmkit manager/keymanager/keymanager.go): three of AES-128-GCM for gossip and
 * three for IPsec, with Lamport times from a clock that starts at a random 16-bit number. Every 12 hours from
 * this leader's start each subsystem loses its oldest key and gets a new one. The cluster object carries them;
 * the dispatcher tells the nodes.
 */
import type { Random } from "../../base/random.ts";
import { HOUR } from "../../base/time.ts";
import { type Proc, sleep } from "../../scheduler/process.ts";
import type { ClusterObject, EncryptionKey } from "../api/objects.ts";
import type { Component, ComponentContext } from "./component.ts";

const SUBSYSTEMS = ["networking:gossip", "networking:ipsec"] as const;
const RING_SIZE = 3;
const KEY_LENGTH = 16;
/** keymanager.DefaultConfig's RotationInterval. */
const KEY_ROTATION_INTERVAL = 12 * HOUR;

/** Keys of gossip and IPsec, and their rotation (manager/keymanager). */
export class KeyManager implements Component {
  readonly name = "key manager";
  readonly #context: ComponentContext;
  readonly #random: Random;

  constructor(context: ComponentContext) {
    this.#context = context;
    this.#random = context.random.fork("key-manager");
  }

  *run(): Proc<void> {
    if ((this.#cluster()?.networkBootstrapKeys.length ?? 0) === 0) yield* this.#fill();
    for (;;) {
      yield* sleep(this.#context.os, KEY_ROTATION_INTERVAL);
      yield* this.#rotate();
    }
  }

  #cluster(): ClusterObject | undefined {
    return this.#context.store.view((tx) => tx.all("cluster"))[0];
  }

  #newKey(subsystem: EncryptionKey["subsystem"], lamportTime: number): EncryptionKey {
    return { subsystem, key: this.#random.hex(KEY_LENGTH * 2), lamportTime };
  }

  *#fill(): Proc<void> {
    let clock = this.#random.below(65_536);
    const keys: EncryptionKey[] = [];
    for (const subsystem of SUBSYSTEMS) {
      for (let i = 0; i < RING_SIZE; i++) keys.push(this.#newKey(subsystem, ++clock));
    }
    yield* this.#write(keys, clock);
  }

  /** The subsystems stand in a Go map, whose order is another at each walk: whose key gets the lower time is chance. */
  *#rotate(): Proc<void> {
    const cluster = this.#cluster();
    if (cluster === undefined) return;
    let clock = cluster.encryptionKeyLamportClock;
    const rings = new Map<string, EncryptionKey[]>();
    for (const subsystem of this.#random.shuffle([...SUBSYSTEMS])) {
      const ring = cluster.networkBootstrapKeys.filter((key) => key.subsystem === subsystem);
      const oldest = Math.min(...ring.map((key) => key.lamportTime));
      const kept = ring.filter((key) => ring.length < RING_SIZE || key.lamportTime !== oldest);
      rings.set(subsystem, [...kept, this.#newKey(subsystem, ++clock)]);
    }
    const keys = this.#random.shuffle([...SUBSYSTEMS]).flatMap((subsystem) => rings.get(subsystem) ?? []);
    yield* this.#write(keys, clock);
  }

  *#write(networkBootstrapKeys: readonly EncryptionKey[], encryptionKeyLamportClock: number): Proc<void> {
    yield* this.#context.store.update((tx) => {
      const cluster = tx.all("cluster")[0];
      if (cluster === undefined) return;
      tx.update("cluster", { ...cluster, networkBootstrapKeys, encryptionKeyLamportClock });
    });
  }
}
