/**
 * How the overlay driver names its security associations: the SPI is a hash of the two nodes and the key's tag, and
 * it is the salt of the cipher too (moby libnetwork/drivers/overlay/encryption.go buildSPI, buildAeadAlgo; 20.10).
 */
import type { Ipv4 } from "../../base/addr.ts";
import { assert } from "../../base/errors.ts";
import type { XfrmAead } from "../../kernel/xfrm-types.ts";

/** Bits of the integrity check value that the driver asks for. */
const ICV_BITS = 64;

/** FNV-1a with 32 bits (hash/fnv New32a). */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The 16-byte form of an IPv4 address, ::ffff:a.b.c.d, as Go's net.ParseIP gives it. */
export function addr16(ip: Ipv4): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[10] = bytes[11] = 0xff;
  new DataView(bytes.buffer).setUint32(12, ip);
  return bytes;
}

/**
 * The SPI of the association that carries data from one node to another under a key.
 * @param src advertised (data path) address of the sender, 16 bytes
 * @param dst that of the receiver
 * @param tag Lamport time of the key; its low 32 bits count
 */
export function spiOfBytes(src: Uint8Array, dst: Uint8Array, tag: number): number {
  assert(src.length === 16 && dst.length === 16, "addresses have 16 bytes", src.length, dst.length);
  const bytes = new Uint8Array(36);
  bytes.set(src, 0);
  new DataView(bytes.buffer).setUint32(16, tag >>> 0);
  bytes.set(dst, 20);
  return fnv1a32(bytes);
}

/** {@link spiOfBytes} of IPv4 addresses. */
export function spiOf(src: Ipv4, dst: Ipv4, tag: number): number {
  return spiOfBytes(addr16(src), addr16(dst), tag);
}

/** The cipher of an association: AES-128-GCM with 8 bytes of check value, the SPI as salt. */
export function aeadOf(key: Uint8Array, spi: number): XfrmAead {
  const salted = new Uint8Array(key.length + 4);
  salted.set(key);
  new DataView(salted.buffer).setUint32(key.length, spi);
  return { name: "rfc4106(gcm(aes))", key: salted, icvBits: ICV_BITS };
}
