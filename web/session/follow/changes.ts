/** What changed in a packet between two stages: headers put around it or taken off, and fields. */
import type { Layer } from "./layers.ts";
import type { Change } from "./protocol.ts";

/** How the layers of two moments lie on each other: so many of the one's first are gone, so many of the other's are new. */
interface Alignment {
  /** Layers at the front that stand for each other. */
  readonly front: number;
  /** Layers at the end that stand for each other. */
  readonly back: number;
}

function common(
  a: readonly Layer[],
  b: readonly Layer[],
  at: (layers: readonly Layer[], i: number) => string | undefined,
) {
  let same = 0;
  while (same < Math.min(a.length, b.length) && at(a, same) === at(b, same)) same++;
  return same;
}

/** A tunnel's headers are put in front of what stays as it is; ESP takes the place of what is sealed. */
function align(before: readonly Layer[], after: readonly Layer[]): Alignment {
  const back = common(before, after, (layers, i) => layers.at(-1 - i)?.name);
  const room = Math.min(before.length, after.length);
  if (back === room) return { front: 0, back };
  const front = common(before, after, (layers, i) => layers[i]?.name);
  return { front, back: Math.min(back, room - front) };
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
  const { front, back } = align(before, after);
  const pairs: [Layer, Layer][] = [];
  for (let i = 0; i < front; i++) pairs.push([before[i] as Layer, after[i] as Layer]);
  for (let i = back; i > 0; i--) pairs.push([before.at(-i) as Layer, after.at(-i) as Layer]);
  return [
    ...before.slice(front, before.length - back).map((layer): Change => ({ layer: layer.name, to: undefined })),
    ...after
      .slice(front, after.length - back)
      .map((layer): Change => ({ layer: layer.name, from: undefined, to: describe(layer) })),
    ...pairs.flatMap(([old, now]) => fieldChanges(old, now)),
  ];
}

function fieldChanges(before: Layer, after: Layer): Change[] {
  const old = new Map(before.fields);
  return after.fields.flatMap(([field, to]): Change[] => {
    const from = old.get(field);
    return from === undefined || from === to ? [] : [{ layer: after.name, field, from, to }];
  });
}
