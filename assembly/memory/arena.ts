/**
 * The kernel's memory: blocks of fixed size classes out of one growing region. No collector, no header
 * on a block: who frees says the size again, so a wrong size is a bug that the leak test shows.
 *
 * Classes: multiples of 16 bytes up to 2048, then powers of two. A freed block goes to its class's list;
 * its first word links to the next. Memory is asked from the host in steps of 1 MiB and never given back;
 * when there is no more, the kernel ends with a failed assertion of which src/kernel makes an error for the user.
 *
 *   class table (static):  [0] head of list, one u32 per class
 */

const SMALL_LIMIT: usize = 2048;
const SMALL_CLASSES: u32 = 128;
const GROW_PAGES: i32 = 16;

/** Heads of the free lists. */
const lists: usize = memory.data((128 + 21) * 4, 16);
let brk: usize = 0;
let limit: usize = 0;

/** Bytes handed out and not freed: the leak test compares it. */
export let bytesInUse: usize = 0;
/** Blocks handed out and not freed. */
export let blocksInUse: u32 = 0;

@inline
function classOf(size: usize): u32 {
  if (size <= SMALL_LIMIT) return <u32>((size + 15) >> 4) - 1 + <u32>(size == 0);
  return SMALL_CLASSES + (32 - clz<u32>(<u32>size - 1)) - 12;
}

@inline
function classSize(cls: u32): usize {
  return cls < SMALL_CLASSES ? (<usize>cls + 1) << 4 : (<usize>1) << (<usize>cls - SMALL_CLASSES + 12);
}

/** A block of at least `size` bytes, 16-byte aligned, contents undefined. Traps when memory is exhausted. */
export function kmallocRaw(size: usize): usize {
  const cls = classOf(size);
  const head = lists + (<usize>cls << 2);
  const real = classSize(cls);
  bytesInUse += real;
  blocksInUse++;
  const block = <usize>load<u32>(head);
  if (block != 0) {
    store<u32>(head, load<u32>(block));
    return block;
  }
  return carve(real);
}

/** As kmallocRaw, filled with zeros. */
export function kmalloc(size: usize): usize {
  const block = kmallocRaw(size);
  memory.fill(block, 0, size);
  return block;
}

function carve(size: usize): usize {
  if (brk == 0) {
    brk = (__heap_base + 15) & ~15;
    limit = <usize>memory.size() << 16;
  }
  if (brk + size > limit) {
    const need = <i32>((brk + size - limit + 0xffff) >> 16);
    const pages = need > GROW_PAGES ? need : GROW_PAGES;
    // Steps of many pages may be more than is left.
    if (memory.grow(pages) < 0) assert(need < pages && memory.grow(need) >= 0, "out of memory");
    limit = <usize>memory.size() << 16;
  }
  const block = brk;
  brk += size;
  return block;
}

/** Gives a block back; `size` must be what kmalloc was asked for. */
export function kfree(block: usize, size: usize): void {
  const cls = classOf(size);
  const head = lists + (<usize>cls << 2);
  bytesInUse -= classSize(cls);
  blocksInUse--;
  store<u32>(block, load<u32>(head));
  store<u32>(head, <u32>block);
}
