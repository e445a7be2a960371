/** Encryption keys as swarmkit's key manager hands them to every engine (moby libnetwork/types EncryptionKey, agent.go getKeys). */
import { UserError } from "../base/errors.ts";

export const SUBSYS_GOSSIP = "networking:gossip";
export const SUBSYS_IPSEC = "networking:ipsec";

/** Keys of one subsystem at a time (keyringSize). */
export const KEYRING_SIZE = 3;

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
