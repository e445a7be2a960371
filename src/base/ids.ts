/** Identifiers of Docker and swarmkit objects. */
import type { Random } from "./random.ts";

/**
 * A swarmkit object ID: 17 random bytes with the top bit set, in base 36 (27 digits), without the first
 * and the last digit: 25 characters (swarmkit identity/randomid.go NewID).
 */
export function newSwarmId(random: Random): string {
  let value = 0n;
  const bytes = random.bytes(17);
  bytes[0] = (bytes[0] as number) | 0x80;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value.toString(36).slice(1, 26);
}

/** A container, local network, endpoint or sandbox ID: 64 hex digits (docker pkg/stringid). */
export function newHexId(random: Random): string {
  return random.hex(64);
}

/** The short form that docker prints: the first 12 characters. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
