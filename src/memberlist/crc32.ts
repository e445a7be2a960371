/** CRC-32 as of IEEE 802.3, which memberlist's hasCrc wrapper carries (Go hash/crc32 ChecksumIEEE). */

/** Four tables of 256, so that four bytes go in at a time: table k has what a byte becomes with k zero bytes behind it. */
const TABLE = new Int32Array(1024);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  TABLE[i] = value;
}
for (let i = 256; i < 1024; i++) {
  const before = TABLE[i - 256] as number;
  TABLE[i] = (before >>> 8) ^ (TABLE[before & 255] as number);
}

/** The checksum of the bytes from `start` on, unsigned. */
export function crc32(data: Uint8Array, start = 0): number {
  let crc = -1;
  let i = start;
  for (const end = data.length - 3; i < end; i += 4) {
    crc ^= (data[i] as number) | ((data[i + 1] as number) << 8);
    crc ^= ((data[i + 2] as number) << 16) | ((data[i + 3] as number) << 24);
    crc =
      (TABLE[768 + (crc & 255)] as number) ^
      (TABLE[512 + ((crc >>> 8) & 255)] as number) ^
      (TABLE[256 + ((crc >>> 16) & 255)] as number) ^
      (TABLE[crc >>> 24] as number);
  }
  for (; i < data.length; i++) crc = (crc >>> 8) ^ (TABLE[(crc ^ (data[i] as number)) & 255] as number);
  return ~crc >>> 0;
}
