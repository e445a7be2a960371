/**
 * Encryption keys as swarmkit's key manager hands them to every engine (moby libnetwork/types EncryptionKey, agent.go
 * getKeys, getPrimaryKeyTag, handleKeyChange; 20.10).
 */
import { assert, UserError } from "../base/errors.ts";

/** Subsystems that keys of the swarm are for (swarmkit manager/keymanager). */
export const SUBSYS_GOSSIP = "networking:gossip";
export const SUBSYS_IPSEC = "networking:ipsec";

/** Keys of one subsystem at a time (keyringSize). */
const KEYRING_SIZE = 3;

/** One key: AES-128-GCM, 16 bytes. */
export interface EncryptionKey {
  readonly subsystem: string;
  readonly key: Uint8Array;
  /** The Lamport tag that orders keys and names SAs. */
  readonly lamportTime: number;
}

/** The keys of a subsystem, oldest first. */
export function keysOf(keys: readonly EncryptionKey[], subsystem: string): EncryptionKey[] {
  return keys.filter((k) => k.subsystem === subsystem).sort((a, b) => a.lamportTime - b.lamportTime);
}

/** A subsystem's keys with the primary (the middle one) first: [middle, oldest, newest]. */
export function primaryFirst(keys: readonly EncryptionKey[], subsystem: string): EncryptionKey[] {
  const sorted = keysOf(keys, subsystem);
  const [oldest, middle] = sorted;
  return oldest === undefined || middle === undefined ? sorted : [middle, oldest, ...sorted.slice(2)];
}

/** Refuses a key set that has not exactly three keys of each subsystem it names. */
export function checkKeyring(keys: readonly EncryptionKey[]): void {
  for (const subsystem of new Set(keys.map((k) => k.subsystem))) {
    if (subsystem !== SUBSYS_GOSSIP && subsystem !== SUBSYS_IPSEC)
      throw new UserError(`key received for unrecognized subsystem`);
    if (keysOf(keys, subsystem).length !== KEYRING_SIZE) {
      throw new UserError(`incorrect number of keys for subsystem ${subsystem}`);
    }
  }
}

/** The key that encrypts: the one with the second-lowest tag (getPrimaryKeyTag). */
export function primaryOf(keys: readonly EncryptionKey[], subsystem: string): EncryptionKey {
  const primary = keysOf(keys, subsystem)[1];
  assert(primary !== undefined, "a subsystem has two keys at least", subsystem, keys.length);
  return primary;
}

/** What a new key set changes. Of several keys that came or went only the last one is told. */
export interface KeyChange {
  /** What the node holds afterwards, sorted by tag. */
  readonly keys: readonly EncryptionKey[];
  readonly added: Readonly<Record<string, EncryptionKey | undefined>>;
  readonly deleted: Readonly<Record<string, EncryptionKey | undefined>>;
}

/**
 * Works out what to change when a new key set arrives (handleKeyChange). The loop that takes keys away puts the last
 * one in the place of the one that went and then passes over it; so when several went, one of them may stay, and with
 * it the choice of the primary is off. That is how the release does it.
 * @param current what the node holds, sorted by tag
 */
export function changeKeys(current: readonly EncryptionKey[], next: readonly EncryptionKey[]): KeyChange {
  const has = (keys: readonly EncryptionKey[], key: EncryptionKey): boolean =>
    keys.some((other) => other.lamportTime === key.lamportTime);
  const added: Record<string, EncryptionKey> = {};
  const deleted: Record<string, EncryptionKey> = {};
  const keys = [...current];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as EncryptionKey;
    if (has(next, key)) continue;
    deleted[key.subsystem] = key;
    const last = keys.pop() as EncryptionKey;
    if (i < keys.length) keys[i] = last;
  }
  for (const key of next) {
    if (has(keys, key)) continue;
    keys.push(key);
    added[key.subsystem] = key;
  }
  keys.sort((a, b) => a.lamportTime - b.lamportTime);
  return { keys, added, deleted };
}
