/** CRC-32 as of IEEE 802.3, which memberlist's hasCrc wrapper carries (Go hash/crc32 ChecksumIEEE). */

const TABLE = new Int32Array(256);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  TABLE[i] = value;
}

/** The checksum of the bytes from `start` on, unsigned. */
export function crc32(data: Uint8Array, start = 0): number {
  let crc = -1;
  for (let i = start; i < data.length; i++) crc = (crc >>> 8) ^ (TABLE[(crc ^ (data[i] as number)) & 255] as number);
  return ~crc >>> 0;
}
