/** The gossip keys (hashicorp/memberlist keyring.go): the first one encrypts, all of them decrypt. */
import { AesGcm } from "../base/aes-gcm.ts";
import { assert } from "../base/errors.ts";

interface Entry {
  readonly key: Uint8Array;
  readonly cipher: AesGcm;
}

/** Keys of 16, 24 or 32 bytes. */
export class Keyring {
  #entries: Entry[] = [];

  /** @param keys the primary first */
  constructor(keys: readonly Uint8Array[] = []) {
    this.set(keys);
  }

  /** Replaces all keys; the first one is the primary. Known keys keep their tables. */
  set(keys: readonly Uint8Array[]): void {
    this.#entries = keys.map((key) => this.#entries.find((entry) => equal(entry.key, key)) ?? newEntry(key));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The cipher that encrypts. */
  primary(): AesGcm {
    const first = this.#entries[0];
    assert(first !== undefined, "the keyring has a key");
    return first.cipher;
  }

  /** The plaintext under whichever key fits; undefined when none does. */
  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
    for (const entry of this.#entries) {
      const plain = entry.cipher.open(nonce, sealed, aad);
      if (plain !== undefined) return plain;
    }
    return undefined;
  }
}

function newEntry(key: Uint8Array): Entry {
  return { key: key.slice(), cipher: new AesGcm(key) };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
