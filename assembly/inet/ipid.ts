/**
 * IP identification (net/ipv4/route.c ip_idents_reserve, __ip_select_ident): counters in buckets chosen by
 * SipHash, advanced by a random amount that grows with the time since the bucket was last used. Every 300 s of the
 * clock a bucket starts from another random number: nobody can tell that from its jumps, and a host's ids don't
 * depend on how much of a long rest was run.
 */
import { siphash3u32 } from "../hash/siphash";
import { kmalloc } from "../memory/arena";
import { Host, randOf } from "../sim/host";
import { jiffies } from "./inet";

/** The smallest table of the kernel (it scales with memory: one bucket per 64 KiB, up to 2^18). */
const BUCKETS: u32 = 2048;
/** Buckets come in pages of 32, made when first used: a host talks to few others, and there are many hosts. */
const PAGE_SHIFT: u32 = 5;
const PAGE_MASK: u32 = (1 << PAGE_SHIFT) - 1;
/** Jiffies after which a bucket starts anew. */
const PERIOD: u32 = 75_000;

/**
 * Hashes computed lately, direct-mapped: a tunnel asks for every packet.
 *
 *   entry, 20 bytes: +0 host | +4 source | +8 destination | +12 protocol | +16 hash
 */
const recent: usize = memory.data(256 * 20, 16);

function bucketHash(host: Host, src: u32, dst: u32, protocol: u32): u32 {
  const at = recent + <usize>(((dst ^ rotl<u32>(src, 7) ^ protocol) * 0x9e3779b1) >> 24) * 20;
  if (<usize>load<u32>(at) == changetype<usize>(host) && load<u32>(at, 4) == src && load<u32>(at, 8) == dst && load<u32>(at, 12) == protocol) {
    return load<u32>(at, 16);
  }
  const hash = <u32>siphash3u32(bswap<u32>(dst), bswap<u32>(src), protocol, host.ipidK0, host.ipidK1);
  store<u32>(at, <u32>changetype<usize>(host));
  store<u32>(at, src, 4);
  store<u32>(at, dst, 8);
  store<u32>(at, protocol, 12);
  store<u32>(at, hash, 16);
  return hash;
}

/** The bucket of that number, with the page that it is on. */
@inline
function bucketAt(host: Host, index: u32): usize {
  if (host.ipidTable == 0) host.ipidTable = kmalloc((BUCKETS >> PAGE_SHIFT) << 2);
  const slot = host.ipidTable + ((<usize>(index >> PAGE_SHIFT)) << 2);
  let page = <usize>load<u32>(slot);
  if (page == 0) {
    page = kmalloc((PAGE_MASK + 1) << 3);
    store<u32>(slot, <u32>page);
  }
  return page + ((<usize>(index & PAGE_MASK)) << 3);
}

/**
 * The next id for packets src → dst of a protocol, and reserves `segs` of them.
 *
 *   bucket, 8 bytes: +0 counter u32 | +4 jiffies of the last use, plus one; 0 = never used u32
 */
export function ipSelectIdent(host: Host, src: u32, dst: u32, protocol: u32, segs: u32): u16 {
  const hash = bucketHash(host, src, dst, protocol);
  const bucket = bucketAt(host, hash & (BUCKETS - 1));
  const time = jiffies() + 1;
  const last = load<u32>(bucket, 4);
  let counter = load<u32>(bucket);
  if (last == 0 || last / PERIOD != time / PERIOD)
    counter = randOf(host, <i64>(time / PERIOD), hash & (BUCKETS - 1));
  else if (last != time) counter += <u32>((<u64>randOf(host, time, hash) * <u64>(time - last)) >> 32);
  store<u32>(bucket, counter + segs);
  store<u32>(bucket, time, 4);
  return <u16>counter;
}
