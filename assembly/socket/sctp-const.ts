/** Constants of SCTP: flags of a socket's record (sctp-sock.ts) and the numbers with which Linux runs it (include/net/sctp/constants.h). */
import { NS_PER_MS, NS_PER_SEC } from "./tcp-const";

// SctpSock.sf
/** Bound to an address and a port by bind(), or by listen() and connect(). */
export const SF_BOUND: u32 = 1;
/** The peer has shut down, or the association has ended: behind what is queued comes the end of the stream (RCV_SHUTDOWN). */
export const SF_RCV_SHUT: u32 = 2;
/** This side has shut down (SEND_SHUTDOWN). */
export const SF_SND_SHUT: u32 = 4;
/** A send found the buffer full: wake the program when there is room (SOCK_NOSPACE). */
export const SF_NOSPACE: u32 = 8;
export const SF_NODELAY: u32 = 16;
/** Stands in the table of associations. */
export const SF_HASHED: u32 = 32;
/** A chunk is being timed (rto_pending). */
export const SF_RTT: u32 = 64;
/** In fast recovery until frExit is acknowledged. */
export const SF_FAST_RECOVERY: u32 = 128;
/** A HEARTBEAT is not answered yet (hb_sent). */
export const SF_HB_SENT: u32 = 256;
/** The peer has announced a window of 0. */
export const SF_ZERO_WINDOW: u32 = 512;
/** A message is being delivered piece by piece (partial delivery); its next fragment is pdNext. */
export const SF_PARTIAL: u32 = 1024;
/** Counts in CurrEstab. */
export const SF_ESTAB_COUNTED: u32 = 2048;

// SctpTx.tf
/** Sent at least once. */
export const TX_SENT: u32 = 1;
/** Acknowledged by a gap block, which the peer may still take back. */
export const TX_GAP_ACKED: u32 = 2;
/** To be sent again. */
export const TX_RETRANSMIT: u32 = 4;
/** Was sent again: its acknowledgement says nothing about the round trip (Karn). */
export const TX_RESENT: u32 = 8;
/** Its round trip is being timed. */
export const TX_TIMED: u32 = 16;
/** Was fast-retransmitted, which is done once (SCTP_DONT_FRTX). */
export const TX_FAST_DONE: u32 = 32;
/** Of a message in several fragments: not delayed for bundling. */
export const TX_FRAGMENT: u32 = 64;
/** Counts in the flight size. */
export const TX_IN_FLIGHT: u32 = 128;

/** net.sctp.rto_initial, rto_min, rto_max. */
export const SCTP_RTO_INITIAL: i64 = 3 * NS_PER_SEC;
export const SCTP_RTO_MIN: i64 = NS_PER_SEC;
export const SCTP_RTO_MAX: i64 = 60 * NS_PER_SEC;
/** net.sctp.max_init_retransmits and association_max_retrans. */
export const SCTP_MAX_INIT_RETRANS: u32 = 8;
export const SCTP_MAX_RETRANS: u32 = 10;
/** hb_interval, sack_timeout, valid_cookie_life; the guard of a shutdown is 5 times RTO.Max. */
export const SCTP_HB_INTERVAL: i64 = 30 * NS_PER_SEC;
export const SCTP_SACK_TIMEOUT: i64 = 200 * NS_PER_MS;
export const SCTP_COOKIE_LIFE: i64 = 60 * NS_PER_SEC;
export const SCTP_SHUTDOWN_GUARD: i64 = 5 * SCTP_RTO_MAX;
/** A SACK at least for every second packet (SCTP_DEFAULT_SACK_FREQ). */
export const SCTP_SACK_FREQ: u32 = 2;
export const SCTP_MAX_BURST: u32 = 4;
export const SCTP_OUT_STREAMS: u32 = 10;
export const SCTP_IN_STREAMS: u32 = 65535;
/** How far behind the cumulative TSN a TSN may be (SCTP_TSN_MAP_SIZE): bits of the map. */
export const SCTP_TSN_WINDOW: u32 = 4096;
/** Duplicates that one SACK reports (SCTP_MAX_DUP_TSNS). */
export const SCTP_MAX_DUPS: u32 = 16;
/** Gap blocks that one SACK reports (SCTP_MAX_GABS). */
export const SCTP_MAX_GAPS: u32 = 16;
/** Least window that a peer must offer (SCTP_DEFAULT_MINWINDOW). */
export const SCTP_MIN_WINDOW: u32 = 1500;
/** rwnd_update_shift: a window that grew by this part of the buffer is told. */
export const SCTP_RWND_SHIFT: u32 = 4;
/** Smallest path MTU that is believed (SCTP_DEFAULT_MINSEGMENT). */
export const SCTP_MIN_PMTU: u32 = 512;
/** net.core.somaxconn. */
export const SCTP_MAX_BACKLOG: u32 = 4096;
/** What a received chunk is charged besides its bytes. */
export const SCTP_RX_OVERHEAD: u32 = 64;
