/**
 * Numbers of the two capture formats. "§" refers to draft-ietf-opsawg-pcapng (pcapng) and to
 * draft-ietf-opsawg-pcap (classic pcap); the section titles are given because drafts renumber.
 */

/** Block types (pcapng §11.1 "Block Type Codes"). */
export const BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  simplePacket: 3,
  names: 4,
  statistics: 5,
  packet: 6,
  secrets: 10,
} as const;

/** The byte-order magic of a section header (pcapng §4.1 "Section Header Block"). */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Options allowed in every block (pcapng §3.5 "Options"). */
export const OPT_END = 0;
export const OPT_COMMENT = 1;

/** Section header options (pcapng §4.1). */
export const SHB_OPTION = { hardware: 2, os: 3, userApplication: 4 } as const;

/** Interface options (pcapng §4.2 "Interface Description Block"). */
export const IF_OPTION = {
  name: 2,
  description: 3,
  ipv4: 4,
  mac: 6,
  speed: 8,
  timeResolution: 9,
  timeOffset: 14,
} as const;

/** Packet options (pcapng §4.3 "Enhanced Packet Block"). */
export const EPB_OPTION = { flags: 2, dropCount: 4 } as const;

/** Record types of a name resolution block (pcapng §4.5 "Name Resolution Block"). */
export const NAME_RECORD = { end: 0, ipv4: 1, ipv6: 2 } as const;

/** Statistics options (pcapng §4.6 "Interface Statistics Block"). */
export const ISB_OPTION = {
  start: 2,
  end: 3,
  received: 4,
  dropped: 5,
  filterAccepted: 6,
  osDropped: 7,
  delivered: 8,
} as const;

/** Secrets types (pcapng §4.7 "Decryption Secrets Block"): "TLSK", the NSS key log format. */
export const SECRETS_TLS_KEY_LOG = 0x544c534b;

/** Link types (the LINKTYPE_ registry, draft-ietf-opsawg-pcaplinktype). */
export const LINKTYPE = { ethernet: 1, raw: 101, linuxSll: 113, ipv4: 228 } as const;

/**
 * The direction of a packet as seen by its interface: bits 0 and 1 of epb_flags (pcapng §4.3.1
 * "Enhanced Packet Block Flags Word").
 */
export const DIRECTION = { unknown: 0, inbound: 1, outbound: 2 } as const;
/** A value of {@link DIRECTION}. */
export type Direction = (typeof DIRECTION)[keyof typeof DIRECTION];

/** Magic numbers of classic pcap (pcap §4 "File Header"): microseconds, and nanoseconds. */
export const PCAP_MAGIC_US = 0xa1b2c3d4;
export const PCAP_MAGIC_NS = 0xa1b23c4d;

/** Wireshark (wiretap's WTAP_MAX_PACKET_SIZE_STANDARD) calls a file with a longer packet damaged. */
export const MAX_PACKET_BYTES = 262144;
