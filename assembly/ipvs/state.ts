/**
 * The state machines of connections: TCP (net/netfilter/ipvs/ip_vs_proto_tcp.c), UDP (ip_vs_proto_udp.c), SCTP
 * (ip_vs_proto_sctp.c). A state sets the timeout, and whether the destination counts the connection as active.
 */
import { IPPROTO_TCP, IPPROTO_UDP, VSCTL_SECURE_TCP, VS_CONN_F_NOOUTPUT } from "../abi";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, tcpFlags } from "../wire/tcp";
import { connSetActive, controlAssure } from "./conn";
import { Conn, IpvsNs, SECOND, TIMEOUT_SCTP, TIMEOUT_TCP, TIMEOUT_UDP, vsCtl } from "./records";

/** Direction of a packet of a connection (IP_VS_DIR_*). */
export const DIR_INPUT: u32 = 0;
export const DIR_OUTPUT: u32 = 1;
const DIR_INPUT_ONLY: u32 = 2;

// TCP states (IP_VS_TCP_S_*).
const TCP_STATES: u32 = 11;
const S_ESTABLISHED: u32 = 1;
/** TCP states that others ask for (IP_VS_TCP_S_*). */
export const S_TCP_FIN_WAIT: u32 = 4;
export const S_TCP_TIME_WAIT: u32 = 5;
export const S_TCP_CLOSE: u32 = 6;
/** tcp_state_active_table, a bit a state: ESTABLISHED, SYN_SENT, SYN_RECV, SYNACK. */
const TCP_ACTIVE: u32 = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 10);

/** tcp_states: rows by direction and event, columns by state. */
// biome-ignore format: a table
const TCP_TABLE: usize = memory.data<u8>([
  // NO ES SS SR FW TW CL CW LA LI SA
  3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, // in, syn
  6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 5, // in, fin
  1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, // in, ack
  6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 3, // in, rst
  2, 1, 2, 3, 2, 2, 2, 2, 2, 9, 3, // out, syn
  5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5, // out, fin
  1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1, // out, ack
  6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6, // out, rst
  3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, // in only, syn
  6, 4, 2, 5, 4, 5, 6, 7, 8, 9, 5, // in only, fin
  1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, // in only, ack
  6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, // in only, rst
]);

/** tcp_states_dos: with net.ipv4.vs.secure_tcp a client's ACK alone doesn't establish a connection. */
// biome-ignore format: a table
const TCP_TABLE_SECURE: usize = memory.data<u8>([
  // NO ES SS SR FW TW CL CW LA LI SA
  3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 10, // in, syn
  6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 10, // in, fin
  1, 1, 2, 3, 4, 5, 6, 7, 6, 9, 10, // in, ack
  6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, // in, rst
  2, 1, 2, 10, 2, 2, 2, 2, 2, 9, 10, // out, syn
  5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5, // out, fin
  1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1, // out, ack
  6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6, // out, rst
  10, 1, 1, 3, 10, 10, 10, 10, 10, 10, 10, // in only, syn
  6, 4, 2, 5, 4, 5, 6, 7, 8, 9, 5, // in only, fin
  1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1, // in only, ack
  6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 6, // in only, rst
]);

const SCTP_STATES: u32 = 14;
const SCTP_EVENTS: u32 = 10;
const SCTP_S_ESTABLISHED: u32 = 8;
/** IP_VS_SCTP_S_CLOSED. */
export const S_SCTP_CLOSED: u32 = 13;
/** sctp_events: the event of each chunk type 0 … 14; others are data. */
const SCTP_EVENT: usize = memory.data<u8>([0, 1, 2, 0, 0, 0, 9, 5, 6, 8, 3, 4, 0, 0, 7]);
/** Types of SCTP chunks. */
export const CHUNK_INIT: u32 = 1;
export const CHUNK_ABORT: u32 = 6;
const CHUNK_COOKIE_ECHO: u32 = 10;
const CHUNK_COOKIE_ACK: u32 = 11;

/** sctp_states. */
// biome-ignore format: a table
const SCTP_TABLE: usize = memory.data<u8>([
  // NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
  8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // in, d
  1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 2, // in, i
  5, 5, 5, 3, 4, 6, 6, 7, 8, 9, 10, 11, 12, 13, // in, ia
  4, 2, 2, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // in, ce
  8, 1, 2, 3, 4, 5, 6, 8, 8, 9, 10, 11, 12, 13, // in, ca
  10, 1, 2, 3, 4, 5, 6, 7, 10, 9, 10, 11, 12, 13, // in, s
  13, 2, 2, 3, 4, 5, 6, 7, 8, 13, 10, 13, 12, 13, // in, sa
  13, 13, 13, 3, 4, 5, 6, 7, 8, 9, 10, 13, 12, 13, // in, sc
  13, 1, 2, 3, 4, 5, 6, 13, 8, 9, 10, 11, 12, 13, // in, e
  13, 13, 13, 13, 13, 12, 13, 13, 13, 13, 13, 13, 13, 13, // in, ab
  8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // out, d
  5, 5, 5, 5, 5, 5, 5, 5, 8, 5, 5, 5, 5, 5, // out, i
  3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // out, ia
  7, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 11, 12, 13, // out, ce
  8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 10, 11, 12, 13, // out, ca
  9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 11, 12, 13, // out, s
  11, 11, 11, 11, 11, 5, 6, 7, 8, 11, 11, 11, 12, 13, // out, sa
  13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // out, sc
  13, 13, 13, 13, 13, 5, 6, 7, 8, 9, 10, 11, 12, 13, // out, e
  13, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, // out, ab
  8, 1, 2, 3, 4, 8, 6, 7, 8, 9, 10, 11, 12, 13, // in only, d
  1, 2, 2, 2, 2, 2, 6, 7, 8, 9, 10, 11, 2, 2, // in only, i
  7, 7, 7, 7, 7, 7, 6, 7, 8, 9, 10, 11, 12, 13, // in only, ia
  8, 8, 8, 8, 8, 8, 6, 7, 8, 9, 10, 11, 12, 13, // in only, ce
  8, 1, 2, 8, 8, 5, 8, 8, 8, 9, 10, 11, 12, 13, // in only, ca
  10, 1, 2, 3, 4, 5, 6, 7, 10, 9, 10, 11, 12, 13, // in only, s
  13, 2, 2, 3, 4, 5, 6, 7, 13, 13, 10, 13, 12, 13, // in only, sa
  13, 13, 13, 13, 13, 5, 6, 7, 8, 9, 13, 13, 12, 13, // in only, sc
  13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, // in only, e
  13, 13, 13, 13, 13, 12, 13, 13, 13, 13, 13, 13, 13, 13, // in only, ab
]);

/** Next state of TCP: by direction, event (0 SYN, 1 FIN, 2 ACK, 3 RST) and state. */
@inline
export function tcpNext(secure: bool, direction: u32, event: u32, state: u32): u32 {
  return <u32>load<u8>((secure ? TCP_TABLE_SECURE : TCP_TABLE) + (direction * 4 + event) * TCP_STATES + state);
}

/** Next state of SCTP: by direction, type of chunk and state. */
@inline
export function sctpNext(direction: u32, chunk: u32, state: u32): u32 {
  const event: u32 = chunk < 15 ? load<u8>(SCTP_EVENT + chunk) : 0;
  return <u32>load<u8>(SCTP_TABLE + (direction * SCTP_EVENTS + event) * SCTP_STATES + state);
}

@inline
function timeoutOf(vs: IpvsNs, index: u32): i64 {
  return <i64>load<u32>(vs.timeouts + (<usize>index << 2)) * SECOND;
}

/** A connection without replies through here is judged by the client's packets alone; a reply ends that. */
@inline
function effective(cp: Conn, direction: u32): u32 {
  if (!(cp.flags & VS_CONN_F_NOOUTPUT)) return direction;
  if (direction != DIR_OUTPUT) return DIR_INPUT_ONLY;
  cp.flags &= ~VS_CONN_F_NOOUTPUT;
  return direction;
}

/** set_tcp_state. */
function tcpState(vs: IpvsNs, cp: Conn, direction: u32, th: usize): void {
  const flags = tcpFlags(th);
  const dir = effective(cp, direction);
  let next = S_TCP_CLOSE;
  let event: i32 = -1;
  if (flags & TCPHDR_RST) event = 3;
  else if (flags & TCPHDR_SYN) event = 0;
  else if (flags & TCPHDR_FIN) event = 1;
  else if (flags & TCPHDR_ACK) event = 2;
  if (event >= 0) next = tcpNext(vsCtl(vs, VSCTL_SECURE_TCP) > 1, dir, event, cp.state);
  if (next != cp.state) {
    connSetActive(cp, ((TCP_ACTIVE >> next) & 1) != 0);
    if (next == S_ESTABLISHED) controlAssure(cp);
  }
  cp.state = next;
  cp.timeout = timeoutOf(vs, TIMEOUT_TCP + next);
}

/** The type of the chunk that decides; an ABORT behind a cookie counts. `left` bytes at the first chunk, at least 4. */
function sctpChunk(chunk: usize, left: u32): u32 {
  const type = <u32>load<u8>(chunk);
  if (type != CHUNK_COOKIE_ECHO && type != CHUNK_COOKIE_ACK) return type;
  const length = (<u32>bswap<u16>(load<u16>(chunk, 2)) + 3) & ~3;
  if (length < 4 || left < length + 4) return type;
  return <u32>load<u8>(chunk + length) == CHUNK_ABORT ? CHUNK_ABORT : type;
}

/** set_sctp_state. */
function sctpState(vs: IpvsNs, cp: Conn, direction: u32, chunk: usize, left: u32): void {
  const next = sctpNext(effective(cp, direction), sctpChunk(chunk, left), cp.state);
  if (next != cp.state) {
    connSetActive(cp, next == SCTP_S_ESTABLISHED);
    if (next == SCTP_S_ESTABLISHED) controlAssure(cp);
  }
  cp.state = next;
  cp.timeout = timeoutOf(vs, TIMEOUT_SCTP + next);
}

/** ip_vs_set_state: a packet whose transport header stands at `th`, `left` bytes of it, passes. */
export function setState(vs: IpvsNs, cp: Conn, direction: u32, th: usize, left: u32): void {
  if (cp.protocol == <u32>IPPROTO_TCP) {
    if (left >= 20) tcpState(vs, cp, direction, th);
  } else if (cp.protocol == <u32>IPPROTO_UDP) {
    cp.timeout = timeoutOf(vs, TIMEOUT_UDP);
    if (direction == DIR_OUTPUT) controlAssure(cp);
  } else if (left >= 16) sctpState(vs, cp, direction, th + 12, left - 12);
}
