/** Mutations of frames. All chance comes from one seed. */

const MAX = 9200;
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 31, 32, 63, 64, 127, 128, 254, 255];
const EDGES16 = [
  0, 1, 7, 8, 19, 20, 21, 27, 28, 59, 60, 127, 128, 255, 256, 1399, 1400, 1500, 0x1fff, 0x2000, 0x3fff, 0x7fff, 0x8000,
  0xfff8, 0xffff,
];

function sum(bytes, from, to, start) {
  let total = start;
  for (let i = from; i < to; i += 2) total += (bytes[i] << 8) | (i + 1 < to ? bytes[i + 1] : 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

function put16(bytes, at, value) {
  bytes[at] = (value >> 8) & 255;
  bytes[at + 1] = value & 255;
}

const get16 = (bytes, at) => (bytes[at] << 8) | bytes[at + 1];

/** Makes the checksums of a frame right as far as its lengths allow, those of a VXLAN frame inside it too. */
export function repair(bytes, at = 0) {
  if (bytes.length < at + 34 || get16(bytes, at + 12) !== 0x0800) return;
  const packet = at + 14;
  const header = (bytes[packet] & 15) * 4;
  const end = Math.min(bytes.length, packet + get16(bytes, packet + 2));
  if (header < 20 || packet + header > bytes.length) return;
  const transport = packet + header;
  const protocol = bytes[packet + 9];
  if (protocol === 17 && end >= transport + 16 && get16(bytes, transport + 2) === 4789) repair(bytes, transport + 16);
  put16(bytes, packet + 10, 0);
  put16(bytes, packet + 10, ~sum(bytes, packet, packet + header, 0));
  const field = protocol === 6 ? 16 : protocol === 17 ? 6 : protocol === 1 ? 2 : -1;
  if (field < 0 || (get16(bytes, packet + 6) & 0x3fff) !== 0 || end < transport + field + 2) return;
  put16(bytes, transport + field, 0);
  const last = protocol === 17 ? Math.min(end, transport + get16(bytes, transport + 4)) : end;
  const length = last - transport;
  if (length < field + 2) return;
  const pseudo = protocol === 1 ? 0 : sum(bytes, packet + 12, packet + 20, protocol + length);
  const check = ~sum(bytes, transport, last, pseudo) & 0xffff;
  put16(bytes, transport + field, check === 0 ? 0xffff : check);
}

export class Mutator {
  #state;

  constructor(seed) {
    this.#state = (seed * 2654435761 + 1) >>> 0 || 1;
  }

  below(n) {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s;
    return (s >>> 0) % n;
  }

  #random(length) {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }

  /** One frame and the index of the device to get it: most often for the one on which its origin was received. `macs`: of all devices. */
  frame(corpus, devices, macs) {
    const kind = this.below(100);
    let which = this.below(devices.length);
    let bytes;
    if (kind < 4) bytes = this.#random(this.below(kind === 0 ? 2000 : 120));
    else {
      const origin = corpus[this.below(corpus.length)];
      bytes = origin.bytes.slice();
      if (origin.device >= 0 && this.below(4) > 0) which = devices.indexOf(origin.device);
      const rounds = kind < 12 ? 0 : 1 + this.below(4);
      for (let i = 0; i < rounds; i++) bytes = this.#mutate(bytes, corpus);
    }
    // A port's frames are for those behind the bridge as well as for the port: leave more of them as they are.
    if (bytes.length >= 14 && this.below(10) < 4) this.#address(bytes, macs[which]);
    if (this.below(10) < 8) repair(bytes);
    return { which, bytes };
  }

  /** The frame is for the device: by its address, or to all. */
  #address(bytes, mac) {
    const all = this.below(8) === 0;
    for (let i = 0; i < 6; i++) bytes[i] = all ? 255 : Number((mac >> BigInt(40 - 8 * i)) & 255n);
  }

  #mutate(bytes, corpus) {
    const length = bytes.length;
    if (length === 0) return this.#random(this.below(80));
    switch (this.below(12)) {
      case 0: // bits
        for (let i = 1 + this.below(8); i > 0; i--) bytes[this.below(length)] ^= 1 << this.below(8);
        return bytes;
      case 1: // bits of the headers
        for (let i = 1 + this.below(4); i > 0; i--) bytes[this.below(Math.min(length, 110))] ^= 1 << this.below(8);
        return bytes;
      case 2:
        bytes[this.below(length)] = EDGES[this.below(EDGES.length)];
        return bytes;
      case 3:
        return bytes.slice(0, this.below(length + 1));
      case 4: {
        const longer = new Uint8Array(Math.min(MAX, length + this.below(200)));
        longer.set(bytes);
        return longer;
      }
      case 5:
        return this.#field(bytes);
      case 6: {
        // this head, that tail
        const other = corpus[this.below(corpus.length)].bytes;
        const cut = [14, 34, 42, 50, 64, 84][this.below(6)];
        const from = [14, 34, 42, 50, 64, 84][this.below(6)];
        const joined = new Uint8Array(Math.min(MAX, Math.min(cut, length) + Math.max(0, other.length - from)));
        joined.set(bytes.subarray(0, Math.min(cut, length)));
        joined.set(other.subarray(from, from + joined.length - Math.min(cut, length)), Math.min(cut, length));
        return joined;
      }
      case 7: {
        // a frame inside a tunnel's datagram
        const outer = corpus[this.below(corpus.length)].bytes;
        if (outer.length < 64 || get16(outer, 36) !== 4789) return bytes;
        const joined = new Uint8Array(Math.min(MAX, 50 + length));
        joined.set(outer.subarray(0, 50));
        joined.set(bytes.subarray(0, joined.length - 50), 50);
        put16(joined, 16, joined.length - 14);
        put16(joined, 38, joined.length - 34);
        return joined;
      }
      case 8: {
        // a fragment of it
        if (length < 60) return bytes;
        const offset = this.below(4) === 0 ? this.below(0x2000) : this.below(200);
        put16(bytes, 20, offset | (this.below(3) > 0 ? 0x2000 : 0));
        if (this.below(2) === 0) put16(bytes, 18, this.below(20));
        return bytes;
      }
      case 9: // other addresses and ports
        if (length < 38) return bytes;
        for (let i = 1 + this.below(2); i > 0; i--) bytes[[29, 33, 35, 37, 28, 32][this.below(6)]] = this.below(256);
        return bytes;
      case 10: {
        // the sender's and the receiver's side swapped
        if (length < 38) return bytes;
        for (const [a, b, n] of [
          [26, 30, 4],
          [34, 36, 2],
        ]) {
          const kept = bytes.slice(a, a + n);
          bytes.copyWithin(a, b, b + n);
          bytes.set(kept, b);
        }
        return bytes;
      }
      default: // random inside
        for (let at = this.below(length), n = this.below(24); n > 0 && at < length; n--, at++)
          bytes[at] = this.below(256);
        return bytes;
    }
  }

  /** A length, an offset or flags: of the outer headers or of those inside a tunnel. */
  #field(bytes) {
    const base = bytes.length > 100 && get16(bytes, 36) === 4789 && this.below(2) === 0 ? 50 : 0;
    const at = base + [12, 14, 16, 18, 20, 22, 24, 36, 38, 40, 42, 46, 48, 50, 52, 54, 56, 58][this.below(18)];
    if (at + 2 > bytes.length) return bytes;
    const how = this.below(3);
    if (how === 0) bytes[at] = EDGES[this.below(EDGES.length)];
    else if (how === 1) put16(bytes, at, get16(bytes, at) + this.below(17) - 8);
    else put16(bytes, at, EDGES16[this.below(EDGES16.length)]);
    return bytes;
  }
}
