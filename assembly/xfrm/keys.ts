/**
 * Expanded keys, shared: a cluster has three keys for all its pairs of hosts, and an expanded one is large. States that have
 * the same AES key (their salts differ) use one context; the last one frees it.
 */
import { gcmKeyFree, gcmKeyNew } from "../crypto/gcm";
import { kfree, kmalloc } from "../memory/arena";

/** A key of AES-GCM that states share, and how many do. */
@unmanaged
export class KeyEntry {
  next: usize;
  users: u32;
  length: u32;
  /** Context of crypto/gcm. */
  cipher: usize;
  /** The key, 32 bytes, zero-padded. */
  k0: u64;
  k1: u64;
  k2: u64;
  k3: u64;
}

let first: usize = 0;

/** Where the key's bytes stand. */
@inline
export function keyBytes(entry: KeyEntry): usize {
  return changetype<usize>(entry) + offsetof<KeyEntry>("k0");
}

/** The context of an AES key of `length` bytes; 0 when there are none of that length. */
export function keyGet(key: usize, length: u32): usize {
  if (length != 16 && length != 24 && length != 32) return 0;
  for (let p = first; p != 0; p = changetype<KeyEntry>(p).next) {
    const entry = changetype<KeyEntry>(p);
    if (entry.length != length || memory.compare(keyBytes(entry), key, length) != 0) continue;
    entry.users++;
    return p;
  }
  const entry = changetype<KeyEntry>(kmalloc(offsetof<KeyEntry>()));
  entry.cipher = gcmKeyNew(key, length);
  entry.length = length;
  entry.users = 1;
  memory.copy(keyBytes(entry), key, length);
  entry.next = first;
  first = changetype<usize>(entry);
  return first;
}

/** Gives a context back. */
export function keyPut(at: usize): void {
  const entry = changetype<KeyEntry>(at);
  if (--entry.users != 0) return;
  if (first == at) first = entry.next;
  else {
    let p = first;
    while (changetype<KeyEntry>(p).next != at) p = changetype<KeyEntry>(p).next;
    changetype<KeyEntry>(p).next = entry.next;
  }
  gcmKeyFree(entry.cipher);
  kfree(at, offsetof<KeyEntry>());
}
