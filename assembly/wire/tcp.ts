/**
 * TCP header (RFC 9293) and the options that Linux uses (RFC 7323 window scale and timestamps, RFC 2018 SACK).
 *
 *   +0 source port 2 | +2 destination port 2 | +4 sequence 4 | +8 acknowledgement 4 |
 *   +12 data offset (4 bits), reserved | +13 flags | +14 window 2 | +16 checksum 2 | +18 urgent pointer 2 | options
 */

/** Bytes of a header without options. */
export const TCP_HLEN: u32 = 20;

/** Flags. */
export const TCPHDR_FIN: u32 = 0x01;
export const TCPHDR_SYN: u32 = 0x02;
export const TCPHDR_RST: u32 = 0x04;
export const TCPHDR_PSH: u32 = 0x08;
export const TCPHDR_ACK: u32 = 0x10;
export const TCPHDR_URG: u32 = 0x20;
export const TCPHDR_ECE: u32 = 0x40;
export const TCPHDR_CWR: u32 = 0x80;

/** Kinds of options. */
export const TCPOPT_EOL: u32 = 0;
export const TCPOPT_NOP: u32 = 1;
export const TCPOPT_MSS: u32 = 2;
export const TCPOPT_WINDOW: u32 = 3;
export const TCPOPT_SACK_PERM: u32 = 4;
export const TCPOPT_SACK: u32 = 5;
export const TCPOPT_TIMESTAMP: u32 = 8;

/** Bytes of `01 01 08 0a tsval tsecr` in front of data. */
export const TCPOLEN_TSTAMP_ALIGNED: u32 = 12;
/** Bytes of all options of a SYN: MSS, SACK permitted, timestamps, NOP, window scale. */
export const TCPOLEN_SYN_FULL: u32 = 20;

/** Source port. */
@inline
export function tcpSport(th: usize): u32 {
  return <u32>bswap<u16>(load<u16>(th));
}

/** Destination port. */
@inline
export function tcpDport(th: usize): u32 {
  return <u32>bswap<u16>(load<u16>(th, 2));
}

/** Sequence number. */
@inline
export function tcpSeq(th: usize): u32 {
  return bswap<u32>(load<u32>(th, 4));
}

/** Acknowledgement number. */
@inline
export function tcpAckSeq(th: usize): u32 {
  return bswap<u32>(load<u32>(th, 8));
}

/** Header length in bytes, as the data offset says. */
@inline
export function tcpDoff(th: usize): u32 {
  return <u32>(load<u8>(th, 12) >> 4) << 2;
}

/** Flags (TCPHDR_*). */
@inline
export function tcpFlags(th: usize): u32 {
  return <u32>load<u8>(th, 13);
}

/** Window as it stands, unscaled. */
@inline
export function tcpWindow(th: usize): u32 {
  return <u32>bswap<u16>(load<u16>(th, 14));
}

/** Writes the 20 bytes in front of the options; the checksum stays 0. `doff` in bytes. */
@inline
export function emitTcp(th: usize, sport: u32, dport: u32, seq: u32, ack: u32, doff: u32, flags: u32, window: u32): void {
  store<u16>(th, bswap<u16>(<u16>sport));
  store<u16>(th, bswap<u16>(<u16>dport), 2);
  store<u32>(th, bswap<u32>(seq), 4);
  store<u32>(th, bswap<u32>(ack), 8);
  store<u8>(th, <u8>(doff << 2), 12);
  store<u8>(th, <u8>flags, 13);
  store<u16>(th, bswap<u16>(<u16>window), 14);
  store<u32>(th, 0, 16);
}

/** Writes `01 01 08 0a tsval tsecr`. */
@inline
export function emitTimestamps(at: usize, tsval: u32, tsecr: u32): void {
  store<u32>(at, 0x0a080101);
  store<u32>(at, bswap<u32>(tsval), 4);
  store<u32>(at, bswap<u32>(tsecr), 8);
}

/** seq1 < seq2, modulo 2^32. */
@inline
export function before(seq1: u32, seq2: u32): bool {
  return <i32>(seq1 - seq2) < 0;
}

/** seq1 > seq2, modulo 2^32. */
@inline
export function after(seq1: u32, seq2: u32): bool {
  return <i32>(seq2 - seq1) < 0;
}

/** low <= seq <= high, modulo 2^32 (net/tcp.h between()). */
@inline
export function between(seq: u32, low: u32, high: u32): bool {
  return high - low >= seq - low;
}

// -------------------------------------------------------------------------------- the option parser's results

/** MSS option of a SYN, 0 = none. */
export let optMss: u32 = 0;
/** Window scale of a SYN; -1 = not present. Limited to 14. */
export let optWscale: i32 = -1;
export let optSackPerm: bool = false;
/** A timestamps option was there. */
export let optSawTs: bool = false;
export let optTsval: u32 = 0;
export let optTsecr: u32 = 0;
/** Address of the first SACK block (8 bytes each, network order), 0 = none. */
export let optSack: usize = 0;
export let optSackCount: u32 = 0;

/**
 * Parses the options of a segment whose header length was checked against its buffer (tcp_parse_options).
 * Malformed options end the parse; what was found before stands. `estab`: SYN-only options are ignored.
 */
export function parseTcpOptions(th: usize, estab: bool): void {
  optMss = 0;
  optWscale = -1;
  optSackPerm = false;
  optSawTs = false;
  optSack = 0;
  optSackCount = 0;
  const doff = tcpDoff(th);
  let at = th + TCP_HLEN;
  // Fast path of tcp_fast_parse_options: nothing, or exactly the aligned timestamps.
  if (doff == TCP_HLEN) return;
  if (doff == TCP_HLEN + TCPOLEN_TSTAMP_ALIGNED && load<u32>(at) == 0x0a080101) {
    optSawTs = true;
    optTsval = bswap<u32>(load<u32>(at, 4));
    optTsecr = bswap<u32>(load<u32>(at, 8));
    return;
  }
  const syn = !estab && (tcpFlags(th) & TCPHDR_SYN) != 0;
  const end = th + doff;
  while (at < end) {
    const kind = <u32>load<u8>(at);
    if (kind == TCPOPT_EOL) return;
    if (kind == TCPOPT_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const len = <u32>load<u8>(at, 1);
    if (len < 2 || at + len > end) return;
    parseOption(at, kind, len, syn);
    at += len;
  }
}

function parseOption(at: usize, kind: u32, len: u32, syn: bool): void {
  switch (kind) {
    case TCPOPT_MSS: {
      if (len == 4 && syn) optMss = <u32>bswap<u16>(load<u16>(at, 2));
      break;
    }
    case TCPOPT_WINDOW: {
      if (len == 3 && syn) {
        optWscale = <i32>load<u8>(at, 2);
        if (optWscale > 14) optWscale = 14;
      }
      break;
    }
    case TCPOPT_SACK_PERM: {
      if (len == 2 && syn) optSackPerm = true;
      break;
    }
    case TCPOPT_TIMESTAMP: {
      if (len == 10) {
        optSawTs = true;
        optTsval = bswap<u32>(load<u32>(at, 2));
        optTsecr = bswap<u32>(load<u32>(at, 6));
      }
      break;
    }
    case TCPOPT_SACK: {
      if (len >= 10 && (len - 2) % 8 == 0) {
        optSack = at + 2;
        optSackCount = (len - 2) >> 3;
      }
      break;
    }
    default:
  }
}
