/**
 * A block through which strings, records and payloads cross the kernel's border. Valid until the next call:
 * whoever reads it copies. Its size is the largest single transfer.
 */
import { kmallocRaw } from "./arena";

/** Bytes of scratch. */
export const SCRATCH_SIZE: u32 = 256 * 1024;

let block: usize = 0;

/** Address of the block. */
export function scratch(): usize {
  if (block == 0) block = kmallocRaw(SCRATCH_SIZE);
  return block;
}
