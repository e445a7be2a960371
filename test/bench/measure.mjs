/** Timing that all benches share: CPU time, variants in turn, medians. */

/** CPU time of this process in ns. */
export function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** Runs in turn what gives a sample each, in ns a packet: [{ sample() }] → a list of samples for each. */
export function inTurn(variants, rounds) {
  const samples = variants.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, variant] of variants.entries()) samples[i].push(variant.sample());
  return samples;
}

/** What a list of samples says: median, least and most. */
export function summary(samples) {
  return { ns: median(samples), least: Math.min(...samples), most: Math.max(...samples) };
}

/** "9.10x (9.40x)", by medians and by the least samples: how many times `theirs` costs what `ours` does. */
export function ratio(theirs, ours) {
  return `${(theirs.ns / ours.ns).toFixed(2)}x (${(theirs.least / ours.least).toFixed(2)}x)`;
}
