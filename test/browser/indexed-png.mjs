/**
 * PNG files of a page, made small: at most 256 colours, as an indexed image (PNG 1.2, colour type 3). Browsers write 24 bits a
 * pixel, most of which nobody sees: the rare colours of a page are blends at the edges of its letters.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
const MOST_COLOURS = 256;

function* chunks(file) {
  for (let at = SIGNATURE.length; at < file.length; ) {
    const length = file.readUInt32BE(at);
    yield { type: file.toString("latin1", at + 4, at + 8), data: file.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The predictor of filter type 4. */
function paeth(a, b, c) {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/** Pixels as 0xrrggbb. */
function decode(file) {
  const all = [...chunks(file)];
  const head = all.find(({ type }) => type === "IHDR").data;
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  const size = { 2: 3, 6: 4 }[head[9]];
  if (head[8] !== 8 || size === undefined || head[12] !== 0) throw new Error("not a PNG of a browser");
  const raw = inflateSync(Buffer.concat(all.filter(({ type }) => type === "IDAT").map(({ data }) => data)));
  const row = width * size;
  const pixels = new Uint32Array(width * height);
  let above = new Uint8Array(row);
  for (let y = 0; y < height; y++) {
    const start = y * (row + 1);
    const line = Uint8Array.from(raw.subarray(start + 1, start + 1 + row));
    for (let x = 0; x < row; x++) {
      const [left, up, corner] = [line[x - size] ?? 0, above[x], x < size ? 0 : above[x - size]];
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][raw[start]];
      line[x] += guess;
    }
    for (let x = 0; x < width; x++)
      pixels[y * width + x] = (line[x * size] << 16) | (line[x * size + 1] << 8) | line[x * size + 2];
    above = line;
  }
  return { width, height, pixels };
}

function distance(a, b) {
  return ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2;
}

/** The most frequent colours; of those that are nearly alike, one. */
function paletteOf(pixels) {
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([colour]) => colour);
  if (sorted.length <= MOST_COLOURS) return { palette: sorted, sorted };
  for (let apart = 100; ; apart = Math.floor(apart / 2)) {
    const palette = [];
    for (const colour of sorted) {
      if (palette.every((other) => distance(colour, other) >= apart)) palette.push(colour);
      if (palette.length === MOST_COLOURS) break;
    }
    if (palette.length === MOST_COLOURS || apart <= 1) return { palette, sorted };
  }
}

/** The same picture with at most 256 colours. */
export function indexed(file) {
  const { width, height, pixels } = decode(file);
  const { palette, sorted } = paletteOf(pixels);
  const nearest = new Map(
    sorted.map((colour) => {
      let best = 0;
      for (let i = 1; i < palette.length; i++)
        if (distance(colour, palette[i]) < distance(colour, palette[best])) best = i;
      return [colour, best];
    }),
  );
  const raw = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) raw[y * (width + 1) + 1 + x] = nearest.get(pixels[y * width + x]);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  const data = deflateSync(raw, { level: 9 });
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", head),
    chunk("PLTE", colours),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
