/**
 * AES-GCM by the kernel's code (assembly/crypto), for programs that seal many messages: the gossip. Same methods and
 * results as src/base/aes-gcm.ts, some ten times as fast.
 */
import { BytePool } from "../base/byte-pool.ts";
import { assert } from "../base/errors.ts";
import type { KernelMemory } from "./memory.ts";
import type { Aead } from "./types.ts";
import type { KernelExports } from "./wasm.ts";

const TAG_LENGTH = 16;
const NONCE_LENGTH = 12;
/** Bytes of the buffer in front of the associated data (assembly/crypto/border.ts). */
const HEAD = 16;
const EMPTY = new Uint8Array(0);
/** What is sealed is sent at once. */
const sealedRoom = new BytePool();

/** One key of 16, 24 or 32 bytes; it holds memory of the kernel until it is closed. */
export class KernelAead implements Aead {
  readonly #exports: KernelExports;
  readonly #mem: KernelMemory;
  readonly #closed: (aead: KernelAead) => void;
  #key: number;

  /** @param closed is told when the key is closed */
  constructor(exports: KernelExports, mem: KernelMemory, key: Uint8Array, closed: (aead: KernelAead) => void) {
    assert(key.length === 16 || key.length === 24 || key.length === 32, "AES key length", key.length);
    this.#exports = exports;
    this.#mem = mem;
    this.#closed = closed;
    const scratch = exports.scratch();
    mem.bytes.set(key, scratch);
    this.#key = exports.aeadNew(key.length);
    assert(this.#key !== 0, "the kernel takes the key", key.length);
  }

  seal(nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array = EMPTY, head = 0): Uint8Array {
    const data = this.#put(nonce, plaintext, plaintext.length, aad);
    this.#exports.aeadSeal(this.#key, aad.length, plaintext.length);
    const length = plaintext.length + TAG_LENGTH;
    const sealed = sealedRoom.take(head + length);
    sealed.set(this.#mem.bytes.subarray(data, data + length), head);
    return sealed;
  }

  open(nonce: Uint8Array, sealed: Uint8Array, aad: Uint8Array = EMPTY): Uint8Array | undefined {
    const length = sealed.length - TAG_LENGTH;
    if (length < 0) return undefined;
    const data = this.#put(nonce, sealed, length, aad);
    if (this.#exports.aeadOpen(this.#key, aad.length, length) === 0) return undefined;
    return this.#mem.copy(data, length);
  }

  close(): void {
    if (this.#key === 0) return;
    this.#exports.aeadFree(this.#key);
    this.#key = 0;
    this.#closed(this);
  }

  /** Puts a message into the buffer; returns where its data is. */
  #put(nonce: Uint8Array, data: Uint8Array, length: number, aad: Uint8Array): number {
    assert(this.#key !== 0, "the key is open");
    assert(nonce.length === NONCE_LENGTH, "GCM nonce length", nonce.length);
    const at = this.#exports.aeadBuffer(aad.length, length);
    const from = at + HEAD + ((aad.length + 15) & ~15);
    const bytes = this.#mem.bytes;
    bytes.set(nonce, at);
    bytes.set(aad, at + HEAD);
    bytes.set(data, from);
    return from;
  }
}
