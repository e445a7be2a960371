/**
 * Route caches of a namespace: direct-mapped, one entry at first, so that a container's namespace costs
 * little and a host that talks to many grows its own. An entry is valid while its generation is that of the
 * namespace (InetNs.rtGen), so nothing has to be searched when a route changes.
 */
import { kfree, kmalloc } from "../memory/arena";

const MAX_ENTRIES: u32 = 256;
/** Conflicts per entry after which the cache grows. */
const PATIENCE: u32 = 64;

/** The result of a look-up (struct rtable). */
@unmanaged
export class CacheEntry {
  gen: u32; // 0 = empty
  dst: u32;
  src: u32;
  dev: u32; // output: ifindex asked for; input: address of the device it came by
  outDev: usize;
  nextHop: u32;
  type: u32;
  prefSrc: u32;
  pmtu: u32; // learned path MTU, 0 = the device's
  flags: u32; // RTC_*
  error: i32;
  unused: u32;
}

/** The learned path MTU is below min_pmtu: fragment, don't set DF. */
export const RTC_LOCKED: u32 = 1;
/** Forwarded out of where it came in: tell the sender (IPSKB_DOREDIRECT). */
export const RTC_REDIRECT: u32 = 2;

const ENTRY: usize = offsetof<CacheEntry>();
/** What a cache that never had an entry holds: one of generation 0. */
const NO_ENTRY: usize = memory.data(48, 16);

/** A direct-mapped cache of results, embedded in InetNs. */
@unmanaged
export class RouteCache {
  block: usize;
  mask: u32;
  conflicts: u32;
}

/** Makes a zeroed cache empty; it gets its first entry with the first result. */
export function cacheInit(cache: RouteCache): void {
  cache.block = NO_ENTRY;
}

/** Frees the entries of a cache. */
export function cacheRelease(cache: RouteCache): void {
  if (cache.block != NO_ENTRY) kfree(cache.block, ENTRY * (<usize>cache.mask + 1));
  cache.block = NO_ENTRY;
  cache.mask = 0;
}

/** The only entry that may hold this key. */
@inline
export function cacheSlot(cache: RouteCache, dst: u32, src: u32): CacheEntry {
  const h = (dst ^ rotl<u32>(src, 13)) * 0x9e3779b1;
  return changetype<CacheEntry>(cache.block + <usize>((h >> 24) & cache.mask) * ENTRY);
}

/** The entry to fill for a key that missed; a valid one that is evicted counts towards growing. */
export function cacheClaim(cache: RouteCache, dst: u32, src: u32, gen: u32): CacheEntry {
  if (cache.block == NO_ENTRY) cache.block = kmalloc(ENTRY);
  if (cacheSlot(cache, dst, src).gen == gen && ++cache.conflicts > PATIENCE * (cache.mask + 1) && cache.mask + 1 < MAX_ENTRIES) {
    kfree(cache.block, ENTRY * (<usize>cache.mask + 1));
    cache.mask = cache.mask * 4 + 3;
    cache.block = kmalloc(ENTRY * (<usize>cache.mask + 1));
    cache.conflicts = 0;
  }
  return cacheSlot(cache, dst, src);
}
