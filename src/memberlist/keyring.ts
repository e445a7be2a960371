/** The gossip keys (hashicorp/memberlist keyring.go): the first one encrypts, all of them decrypt. */
import { AesGcm } from "../base/aes-gcm.ts";
import { sameBytes } from "../base/byte-cache.ts";
import { assert } from "../base/errors.ts";
import type { Aead } from "../kernel/types.ts";

/** Makes the cipher of a key; without one AES-GCM runs in TypeScript. */
export type CipherFactory = (key: Uint8Array) => Aead;

interface Entry {
  readonly key: Uint8Array;
  readonly cipher: Aead;
}

/** Keys of 16, 24 or 32 bytes. */
export class Keyring {
  readonly #entries: Entry[] = [];
  readonly #newCipher: CipherFactory;

  /** @param keys the primary first */
  constructor(keys: readonly Uint8Array[] = [], newCipher: CipherFactory = plainCipher) {
    this.#newCipher = newCipher;
    for (const key of keys) this.add(key);
  }

  #find(key: Uint8Array): number {
    return this.#entries.findIndex((entry) => sameBytes(entry.key, key));
  }

  /** Whether a key is installed. */
  readonly has = (key: Uint8Array): boolean => this.#find(key) >= 0;

  /** Installs a key behind the others; one that is there already stays where it is (AddKey). */
  add(key: Uint8Array): void {
    if (this.#find(key) === -1) this.#entries.push({ key: key.slice(), cipher: this.#newCipher(key) });
  }

  /** Makes a key the primary. @returns false when it isn't in the ring (UseKey) */
  use(key: Uint8Array): boolean {
    const at = this.#find(key);
    if (at === -1) return false;
    this.#entries.unshift(...this.#entries.splice(at, 1));
    return true;
  }

  /** Removes a key. @returns false when it is the primary, which stays (RemoveKey) */
  remove(key: Uint8Array): boolean {
    const at = this.#find(key);
    if (at === 0) return false;
    if (at > 0) this.#entries.splice(at, 1)[0]?.cipher.close();
    return true;
  }

  /** Frees what the ciphers hold; the ring is not used any more. */
  close(): void {
    for (const { cipher } of this.#entries.splice(0)) cipher.close();
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The cipher that encrypts. */
  primary(): Aead {
    return this.#first.cipher;
  }

  /** The key that encrypts. */
  get primaryKey(): Uint8Array {
    return this.#first.key;
  }

  get #first(): Entry {
    const first = this.#entries[0];
    assert(first !== undefined, "the keyring has a key");
    return first;
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

function plainCipher(key: Uint8Array): Aead {
  const cipher = new AesGcm(key);
  return {
    seal: (nonce, plaintext, aad, head = 0) => {
      const sealed = cipher.seal(nonce, plaintext, aad);
      const out = new Uint8Array(head + sealed.length);
      out.set(sealed, head);
      return out;
    },
    open: (nonce, sealed, aad) => cipher.open(nonce, sealed, aad),
    close: () => {},
  };
}
