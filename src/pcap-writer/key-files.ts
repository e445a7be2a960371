/** The text files with which Wireshark decrypts a trace: its table of ESP keys, and TLS key logs. */
import { formatIp, parseIpv4, parseIpv6 } from "./addresses.ts";

/** A security association with rfc4106(gcm(aes)), as `ip xfrm state` shows it. */
export interface EspSa {
  /** Source address, IPv4 or IPv6. */
  source: string;
  /** Destination address, of the same family. */
  destination: string;
  /** Security parameters index. */
  spi: number;
  /** AES key of 16, 24 or 32 bytes and the 4-byte salt after it, as in RFC 4106 §8.1. */
  key: Uint8Array;
  /** Length of the integrity check value in bytes: 8, 12 or 16 (RFC 4106 §6). Default: 8, as Docker's. */
  icvBytes?: number;
}

/**
 * One row of Wireshark's table "ESP SAs" (`esp_sa` in its profile folder), without the line end: protocol,
 * source, destination, SPI, encryption, its key, authentication, its key. Checked with Wireshark
 * 4.4.5: the length of the ICV is part of the encryption's name ("AES-GCM [RFC4106]" alone stands for
 * none), and any authentication but NULL is refused with GCM. 4.4 knows two more columns
 * (sequence number length and its upper half) and fills them in itself if a row has 8.
 */
export function espSaRow(sa: EspSa): string {
  const source = parseIpv4(sa.source) ?? parseIpv6(sa.source);
  const destination = parseIpv4(sa.destination) ?? parseIpv6(sa.destination);
  if (source === undefined) throw new RangeError(`source is not an IP address: ${sa.source}`);
  if (destination?.length !== source.length) {
    throw new RangeError(`destination is not an address of the source's family: ${sa.destination}`);
  }
  if (!Number.isSafeInteger(sa.spi) || sa.spi < 0 || sa.spi > 0xffffffff) {
    throw new RangeError(`spi must be a 32-bit number, got ${sa.spi}`);
  }
  if (![20, 28, 36].includes(sa.key.length)) {
    throw new RangeError(`key must have 20, 28 or 36 bytes (with the salt), got ${sa.key.length}`);
  }
  const icvBytes = sa.icvBytes ?? 8;
  if (![8, 12, 16].includes(icvBytes)) throw new RangeError(`icvBytes must be 8, 12 or 16, got ${icvBytes}`);
  const fields = [
    source.length === 4 ? "IPv4" : "IPv6",
    formatIp(source),
    formatIp(destination),
    `0x${sa.spi.toString(16).padStart(8, "0")}`,
    `AES-GCM with ${icvBytes} octet ICV [RFC4106]`,
    `0x${hex(sa.key)}`,
    "NULL",
    "",
  ];
  return fields.map((field) => `"${field}"`).join(",");
}

/** The rows of an `esp_sa` file, each once, in the order in which they were first added. */
export class EspSaFile {
  #rows = new Set<string>();

  /** Adds an association. Adding it again changes nothing. Returns whether it was new. */
  add(sa: EspSa): boolean {
    const row = espSaRow(sa);
    if (this.#rows.has(row)) return false;
    this.#rows.add(row);
    return true;
  }

  /** Number of rows. */
  get size(): number {
    return this.#rows.size;
  }

  /** The file's text; empty without rows. */
  toString(): string {
    let text = "";
    for (const row of this.#rows) text += `${row}\n`;
    return text;
  }
}

/** Labels of a TLS 1.3 key log, and the one of TLS 1.2 (RFC 9850 §2.1, §2.2). */
export type TlsSecretLabel =
  | "CLIENT_RANDOM"
  | "CLIENT_EARLY_TRAFFIC_SECRET"
  | "EARLY_EXPORTER_SECRET"
  | "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
  | "SERVER_HANDSHAKE_TRAFFIC_SECRET"
  | "CLIENT_TRAFFIC_SECRET_0"
  | "SERVER_TRAFFIC_SECRET_0"
  | "EXPORTER_SECRET";

/** One line of a TLS key log (SSLKEYLOGFILE, RFC 9850 §2), with its line end. */
export function tlsKeyLogLine(label: TlsSecretLabel, clientRandom: Uint8Array, secret: Uint8Array): string {
  if (clientRandom.length !== 32) throw new RangeError(`clientRandom must have 32 bytes, got ${clientRandom.length}`);
  if (secret.length === 0) throw new RangeError("secret is empty");
  return `${label} ${hex(clientRandom)} ${hex(secret)}\n`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
