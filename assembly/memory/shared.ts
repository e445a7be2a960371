/**
 * Blocks of values that many records have in common until one of them changes its own: settings, of which a million
 * namespaces and devices have the same. A pointer leads to the values, so that whoever reads needs to know nothing of this;
 * who writes asks for a block of its own first.
 *
 *   block:  | users u32 | value u32 … |
 *                       ^ pointer
 */
import { kfree, kmallocRaw } from "./arena";

const HEAD: usize = 4;

/** The values of a static block: HEAD and `count` words lie at `at`. It is never freed, nor written once it is shared. */
export function valuesStatic(at: usize): usize {
  store<u32>(at, 1);
  return at + HEAD;
}

/** One more user of a block; returns it. */
export function valuesShare(values: usize): usize {
  store<u32>(values - HEAD, load<u32>(values - HEAD) + 1);
  return values;
}

/** One user less; the last one frees it. */
export function valuesPut(values: usize, count: u32): void {
  const users = load<u32>(values - HEAD) - 1;
  store<u32>(values - HEAD, users);
  if (users == 0) kfree(values - HEAD, HEAD + (<usize>count << 2));
}

/** The block to which the pointer at `at` leads, made its user's own if it isn't: it may be written. */
export function valuesOwn(at: usize, count: u32): usize {
  const values = <usize>load<u32>(at);
  if (load<u32>(values - HEAD) == 1) return values;
  const size = HEAD + (<usize>count << 2);
  const own = kmallocRaw(size) + HEAD;
  memory.copy(own, values, size - HEAD);
  store<u32>(own - HEAD, 1);
  valuesPut(values, count);
  store<u32>(at, <u32>own);
  return own;
}
