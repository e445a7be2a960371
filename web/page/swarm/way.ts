/** Ways of packets: points as x and y in turns. */

/** A point of a way, after a part of it. @param points x and y in turns @param part 0…1 */
export function pointOn(points: readonly number[], part: number): readonly [number, number] {
  const lengths: number[] = [];
  let total = 0;
  for (let i = 2; i + 1 < points.length; i += 2) {
    const length = Math.hypot(at(points, i) - at(points, i - 2), at(points, i + 1) - at(points, i - 1));
    lengths.push(length);
    total += length;
  }
  let rest = total * Math.max(0, Math.min(1, part));
  for (const [n, length] of lengths.entries()) {
    const i = 2 * n;
    if (rest > length && n < lengths.length - 1) {
      rest -= length;
      continue;
    }
    const share = length === 0 ? 0 : Math.min(1, rest / length);
    const [x, y] = [at(points, i), at(points, i + 1)];
    return [x + share * (at(points, i + 2) - x), y + share * (at(points, i + 3) - y)];
  }
  return [at(points, 0), at(points, 1)];
}

function at(points: readonly number[], i: number): number {
  return points[i] ?? 0;
}
