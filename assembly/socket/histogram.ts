/**
 * Delays in log-linear buckets, as HdrHistogram has them (Tene): 32 to an octave, so that a bucket's ends differ by at most
 * 1/32. Its 32 counters are made when the first delay of an octave comes, so one that spans few octaves is small, and
 * counting allocates nothing then.
 *
 *   bucket of v:  v itself below 64; else (octave - 4) × 32 + the five bits behind the leading one
 */
import { HIST_BUCKETS, HIST_OCTAVE } from "../abi";
import { kfree, kmalloc } from "../memory/arena";

/** The number of octaves: [0, 32), [32, 64), [64, 128) … */
const CHUNKS: u32 = HIST_BUCKETS / HIST_OCTAVE;
const CHUNK: usize = HIST_OCTAVE * 4;

/** Counts of delays in ns; CHUNKS u32 addresses of counters follow the record, 0 = no delay of the octave yet. */
@unmanaged
export class Histogram {
  count: u64;
  sum: u64;
  min: u64;
  max: u64;
}

const SIZE: usize = offsetof<Histogram>() + CHUNKS * 4;

@inline
function chunkAt(hist: Histogram, chunk: u32): usize {
  return changetype<usize>(hist) + offsetof<Histogram>() + (<usize>chunk << 2);
}

/** An empty histogram. */
export function histNew(): Histogram {
  const hist = changetype<Histogram>(kmalloc(SIZE));
  hist.min = u64.MAX_VALUE;
  return hist;
}

/** Counts a delay of `ns`; one beyond the last bucket (36 min) is counted there. */
export function histAdd(hist: Histogram, ns: u64): void {
  hist.count++;
  hist.sum += ns;
  if (ns < hist.min) hist.min = ns;
  if (ns > hist.max) hist.max = ns;
  let chunk: u32 = 0;
  let index = <u32>ns;
  if (ns >= <u64>HIST_OCTAVE) {
    const octave = 63 - <u32>clz<u64>(ns);
    chunk = octave - 4;
    index = <u32>(ns >> (octave - 5)) & (HIST_OCTAVE - 1);
    if (chunk >= CHUNKS) {
      chunk = CHUNKS - 1;
      index = HIST_OCTAVE - 1;
    }
  }
  const at = chunkAt(hist, chunk);
  let counters = <usize>load<u32>(at);
  if (counters == 0) {
    counters = kmalloc(CHUNK);
    store<u32>(at, <u32>counters);
  }
  counters += <usize>index << 2;
  store<u32>(counters, load<u32>(counters) + 1);
}

/** Writes the buckets up to the last octave that has a delay, as u32; returns how many. */
export function histWrite(hist: Histogram, out: usize): u32 {
  let octaves: u32 = 0;
  for (let chunk: u32 = 0; chunk < CHUNKS; chunk++) {
    const counters = <usize>load<u32>(chunkAt(hist, chunk));
    const to = out + <usize>chunk * CHUNK;
    if (counters == 0) memory.fill(to, 0, CHUNK);
    else {
      memory.copy(to, counters, CHUNK);
      octaves = chunk + 1;
    }
  }
  return octaves * HIST_OCTAVE;
}

/** Frees it. */
export function histFree(hist: Histogram): void {
  for (let chunk: u32 = 0; chunk < CHUNKS; chunk++) {
    const counters = <usize>load<u32>(chunkAt(hist, chunk));
    if (counters != 0) kfree(counters, CHUNK);
  }
  kfree(changetype<usize>(hist), SIZE);
}
