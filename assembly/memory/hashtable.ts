/**
 * Chained hash table over records that embed their link: no allocation per entry.
 *
 *   record at link offset:  +0 next u32, +4 hash u32      (8 bytes)
 *   table:                  buckets ptr, mask, count; a record of its own or embedded in another
 *
 * The user keeps the compare loop, so that it inlines:
 *
 *   for (let p = tableFirst(t, h); p != 0; p = linkNext(p)) if (linkHash(p) == h && …) …
 *
 * A link pointer is the record's address plus the offset at which it embeds the link. Keep it at offset 0
 * where you can. The table doubles when it holds more entries than buckets; order within a bucket is
 * newest first, and iteration order is never observable outside.
 */
import { kfree, kmalloc } from "./arena";

/** The one bucket, always empty, of tables that never had an entry. */
const NO_BUCKETS: usize = memory.data(4, 16);
/** Buckets that the first entry of such a table brings. */
const FIRST_MASK: u32 = 3;

/** The table: 2^n buckets. */
@unmanaged
export class HashTable {
  buckets: usize;
  mask: u32;
  count: u32;
}

/** An empty table of 2^log2Buckets buckets. */
export function tableNew(log2Buckets: u32): HashTable {
  const table = changetype<HashTable>(kmalloc(offsetof<HashTable>()));
  table.mask = (<u32>1 << log2Buckets) - 1;
  table.buckets = kmalloc(<usize>4 << log2Buckets);
  return table;
}

/** An empty table that is embedded in another record, and takes memory with its first entry. */
@inline
export function tableInit(table: HashTable): void {
  table.buckets = NO_BUCKETS;
  table.mask = 0;
  table.count = 0;
}

/** Frees the buckets of an embedded table, not its entries. */
export function tableRelease(table: HashTable): void {
  if (table.buckets != NO_BUCKETS) kfree(table.buckets, (<usize>table.mask + 1) << 2);
  tableInit(table);
}

/** Frees a table that tableNew made, not its entries. */
export function tableFree(table: HashTable): void {
  tableRelease(table);
  kfree(changetype<usize>(table), offsetof<HashTable>());
}

/** First link of the bucket of a hash, 0 if empty. */
@inline
export function tableFirst(table: HashTable, hash: u32): usize {
  return load<u32>(table.buckets + (<usize>(hash & table.mask) << 2));
}

/** The next link of the bucket, 0 behind the last. */
@inline
export function linkNext(link: usize): usize {
  return load<u32>(link);
}

/** The whole hash of a link. */
@inline
export function linkHash(link: usize): u32 {
  return load<u32>(link, 4);
}

/** Adds a link; the caller has seen to it that its key is new. */
export function tableInsert(table: HashTable, link: usize, hash: u32): void {
  if (table.count > table.mask || table.buckets == NO_BUCKETS) tableGrow(table);
  table.count++;
  const bucket = table.buckets + (<usize>(hash & table.mask) << 2);
  store<u32>(link, load<u32>(bucket));
  store<u32>(link, hash, 4);
  store<u32>(bucket, <u32>link);
}

/** Removes a link that is in the table. */
export function tableRemove(table: HashTable, link: usize): void {
  let at = table.buckets + (<usize>(linkHash(link) & table.mask) << 2);
  while (<usize>load<u32>(at) != link) {
    at = load<u32>(at);
    assert(at != 0, "hash link not in its table");
  }
  store<u32>(at, load<u32>(link));
  table.count--;
}

function tableGrow(table: HashTable): void {
  const oldMask = table.mask;
  const oldBuckets = table.buckets;
  if (oldBuckets == NO_BUCKETS) {
    table.mask = FIRST_MASK;
    table.buckets = kmalloc((<usize>FIRST_MASK + 1) << 2);
    return;
  }
  const mask = oldMask * 2 + 1;
  const buckets = kmalloc((<usize>mask + 1) << 2);
  for (let i: usize = 0; i <= <usize>oldMask; i++) {
    // Reverse each chain first, so that the newest entry stays in front.
    let reversed: usize = 0;
    let p = <usize>load<u32>(oldBuckets + (i << 2));
    while (p != 0) {
      const next = linkNext(p);
      store<u32>(p, <u32>reversed);
      reversed = p;
      p = next;
    }
    while (reversed != 0) {
      const next = linkNext(reversed);
      const bucket = buckets + (<usize>(linkHash(reversed) & mask) << 2);
      store<u32>(reversed, load<u32>(bucket));
      store<u32>(bucket, <u32>reversed);
      reversed = next;
    }
  }
  kfree(oldBuckets, (<usize>oldMask + 1) << 2);
  table.buckets = buckets;
  table.mask = mask;
}
