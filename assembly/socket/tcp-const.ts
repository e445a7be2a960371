/**
 * Constants of TCP: flags and states of a socket's record (tcp-sock.ts) and of its segments, and the numbers of include/net/tcp.h
 * with which Linux runs it.
 */
/** Units of time in ns. */
export const NS_PER_US: i64 = 1000;
export const NS_PER_MS: i64 = 1000000;
export const NS_PER_SEC: i64 = 1000000000;
/** HZ = 250: RTOs are rounded up to whole jiffies. */
export const JIFFY: i64 = 4000000;

/** TcpSock.tf */
export const TF_NODELAY: u32 = 1;
/** A send found the buffer full: wake the program when there is room (SOCK_NOSPACE). */
export const TF_NOSPACE: u32 = 2;
export const TF_SHUT_WR: u32 = 4;
export const TF_SHUT_RD: u32 = 8;
export const TF_KEEPALIVE: u32 = 16;
export const TF_WSCALE_OK: u32 = 32;
export const TF_SACK_OK: u32 = 64;
export const TF_TS_OK: u32 = 128;
/** Peer closed: FIN consumed (sk->sk_shutdown RCV, SOCK_DONE). */
export const TF_DONE: u32 = 256;
/** Stands in its listener's accept queue: no program has it yet. */
export const TF_IN_ACCEPT: u32 = 512;
export const TF_CWND_LIMITED: u32 = 1024;
export const TF_FRTO: u32 = 2048;
export const TF_REORD_SEEN: u32 = 4096;
export const TF_RACK_ADVANCED: u32 = 8192;
export const TF_RACK_DSACK: u32 = 16384;
export const TF_TLP_RETRANS: u32 = 32768;
/** bind() chose the port by hand or bind(0): it is ours before connect(). */
export const TF_BOUND: u32 = 65536;
/** bind() chose the address. */
export const TF_BOUND_ADDR: u32 = 131072;
/** The send stopped at the limit of what may wait in the host's own queues (TSQ_THROTTLED). */
export const TF_TSQ: u32 = 524288;

/** ackPending (ICSK_ACK_*) */
export const ACK_SCHED: u32 = 1;
export const ACK_TIMER: u32 = 2;
export const ACK_PUSHED: u32 = 4;
export const ACK_PUSHED2: u32 = 8;
export const ACK_NOW: u32 = 16;

/** timerKind (ICSK_TIME_*): what the retransmit timer stands for */
export const TIME_NONE: u32 = 0;
export const TIME_RETRANS: u32 = 1;
export const TIME_PROBE0: u32 = 3;
export const TIME_LOSS_PROBE: u32 = 5;
export const TIME_REO: u32 = 6;

/** caState (enum tcp_ca_state) */
export const CA_OPEN: u32 = 0;
export const CA_DISORDER: u32 = 1;
export const CA_CWR: u32 = 2;
export const CA_RECOVERY: u32 = 3;
export const CA_LOSS: u32 = 4;

/** TxSeg.sacked (TCPCB_*) */
export const SEG_SACKED: u32 = 1;
export const SEG_RETRANS: u32 = 2;
export const SEG_LOST: u32 = 4;
export const SEG_EVER_RETRANS: u32 = 0x80;

/** Constants of include/net/tcp.h: segments, ns (…_US: µs), bytes. */
export const TCP_INIT_CWND: u32 = 10;
export const TCP_INFINITE_SSTHRESH: u32 = 0x7fffffff;
export const TCP_RTO_MIN: i64 = 200 * NS_PER_MS;
export const TCP_RTO_MIN_US: u32 = 200000;
export const TCP_RTO_MAX: i64 = 120 * NS_PER_SEC;
export const TCP_TIMEOUT_INIT: i64 = NS_PER_SEC;
export const TCP_ATO_MIN: i64 = 40 * NS_PER_MS;
export const TCP_DELACK_MAX: i64 = 200 * NS_PER_MS;
export const TCP_TIMEWAIT_LEN: i64 = 60 * NS_PER_SEC;
export const TCP_FIN_TIMEOUT: i64 = 60 * NS_PER_SEC;
export const TCP_MAX_QUICKACKS: u32 = 16;
export const TCP_MSS_DEFAULT: u32 = 536;
export const TCP_MIN_MSS: u32 = 88;
/** TCP_PINGPONG_THRESH of 6.1: replies that make a connection interactive. */
export const TCP_PINGPONG_THRESH: u32 = 3;
export const TCP_REORDERING: u32 = 3;
export const TCP_MAX_REORDERING: u32 = 300;
/** tcp_rmem[1], [2] and tcp_wmem[1], [2]. */
export const TCP_RMEM_DEFAULT: u32 = 131072;
export const TCP_RMEM_MAX: u32 = 6291456;
export const TCP_WMEM_DEFAULT: u32 = 16384;
export const TCP_WMEM_MAX: u32 = 4194304;
export const TCP_SYN_RETRIES: u32 = 6;
export const TCP_SYNACK_RETRIES: u32 = 5;
export const TCP_RETR1: u32 = 3;
export const TCP_RETR2: u32 = 15;
/** tcp_orphan_retries' default. */
export const TCP_ORPHAN_RETRIES: u32 = 8;
/** PAWS: a timestamp older than this is not trusted to be monotonic (24 days). */
export const PAWS_24DAYS: i64 = 60 * 60 * 24 * 24 * NS_PER_SEC;
