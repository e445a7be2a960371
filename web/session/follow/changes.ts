/** What changed in a packet between two stages: headers put around it or taken off, and fields. */
import type { Layer } from "./layers.ts";
import type { Change } from "./protocol.ts";

/** How the layers of two moments lie on each other: from some place on in each of them, so many stand for each other. */
interface Alignment {
  readonly before: number;
  readonly after: number;
  readonly count: number;
}

function matches(a: readonly Layer[], b: readonly Layer[], from: number, to: number): number {
  let same = 0;
  while (a[from + same] !== undefined && a[from + same]?.name === b[to + same]?.name) same++;
  return same;
}

/** A tunnel's headers are put in front of what stays as it is; ESP takes the place of what is sealed. */
function align(a: readonly Layer[], b: readonly Layer[]): Alignment {
  const [more, less] = [Math.max(0, a.length - b.length), Math.max(0, b.length - a.length)];
  const rest = Math.min(a.length, b.length);
  if (matches(a, b, more, less) >= rest) return { before: more, after: less, count: rest };
  let best: Alignment = { before: 0, after: 0, count: matches(a, b, 0, 0) };
  for (let skip = 1; skip < Math.max(a.length, b.length) && best.count === 0; skip++) {
    const put = matches(a, b, 0, skip);
    const taken = matches(a, b, skip, 0);
    if (put > 0 || taken > 0)
      best = put >= taken ? { before: 0, after: skip, count: put } : { before: skip, after: 0, count: taken };
  }
  return best;
}

function describe(layer: Layer): string {
  return layer.fields
    .filter(([name]) => name !== "length" && name !== "checksum")
    .slice(0, 4)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** @param before undefined where nothing was seen yet: then nothing has changed */
export function changesBetween(before: readonly Layer[] | undefined, after: readonly Layer[]): Change[] {
  if (before === undefined) return [];
  const from = align(before, after);
  const isAlone = (start: number) => (_: Layer, i: number) => i < start || i >= start + from.count;
  const pairs = before.slice(from.before, from.before + from.count);
  return [
    ...before.filter(isAlone(from.before)).map((layer): Change => ({ layer: layer.name, to: undefined })),
    ...after
      .filter(isAlone(from.after))
      .map((layer): Change => ({ layer: layer.name, from: undefined, to: describe(layer) })),
    ...pairs.flatMap((old, i) => fieldChanges(old, after[from.after + i] as Layer)),
  ];
}

function fieldChanges(before: Layer, after: Layer): Change[] {
  const old = new Map(before.fields);
  return after.fields.flatMap(([field, to]): Change[] => {
    const from = old.get(field);
    return from === undefined || from === to ? [] : [{ layer: after.name, field, from, to }];
  });
}
