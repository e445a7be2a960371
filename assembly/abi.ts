/**
 * Numbers that the kernel (AssemblyScript) and its typed face `src/kernel` (TypeScript) share. This file
 * is valid in both languages: plain integer constants only.
 */

// Device kinds (NetDev.kind).
export const DEV_LOOPBACK = 1;
export const DEV_VETH = 2;
export const DEV_BRIDGE = 3;
export const DEV_VXLAN = 4;
export const DEV_NIC = 5;

// Return codes of run().
export const RUN_DONE = 0; // reached `until`
export const RUN_WAKES = 1; // sockets have news for programs
export const RUN_CAPTURE = 2; // the capture buffer wants draining
export const RUN_BUDGET = 3; // the event budget is used up

// Netfilter hooks (include/uapi/linux/netfilter.h) and verdicts.
export const NF_PRE_ROUTING = 0;
export const NF_LOCAL_IN = 1;
export const NF_FORWARD = 2;
export const NF_LOCAL_OUT = 3;
export const NF_POST_ROUTING = 4;
export const NF_DROP = 0;
export const NF_ACCEPT = 1;
export const NF_STOLEN = 2;

// Tables, in the order of their hook priorities.
export const TABLE_RAW = 0;
export const TABLE_MANGLE = 1;
export const TABLE_NAT = 2;
export const TABLE_FILTER = 3;

// IP protocols.
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ESP = 50;

// Neighbour states (include/uapi/linux/neighbour.h NUD_*).
export const NUD_NONE = 0x00;
export const NUD_INCOMPLETE = 0x01;
export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;

// Route types (RTN_*) and scopes (RT_SCOPE_*) of rtnetlink.
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BROADCAST = 3;
export const RTN_MULTICAST = 5;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export const SCOPE_GLOBAL = 0;
export const SCOPE_LINK = 253;
export const SCOPE_HOST = 254;
export const SCOPE_NOWHERE = 255;

// TCP states (include/net/tcp_states.h).
export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;

// Errno numbers (asm-generic/errno.h); functions of the border return them negated.
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const EPIPE = 32;
export const EXFULL = 54;
export const EPROTO = 71;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENETUNREACH = 101;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const EISCONN = 106;
export const ENOTCONN = 107;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTUNREACH = 113;
export const EALREADY = 114;
export const EINPROGRESS = 115;

/*
 * Drop reasons. Each packet that is not delivered ends under exactly one of them. The names (see
 * DROP_REASON_NAMES in src/kernel/reasons.ts, same order) are the kernel's (include/net/dropreason.h)
 * where it has one.
 */
export const DROP_NOT_SPECIFIED = 0;
export const DROP_PKT_TOO_SMALL = 1; // frame shorter than its headers
export const DROP_OTHERHOST = 2; // MAC address of somebody else
export const DROP_UNHANDLED_PROTO = 3; // no handler for the ethertype
export const DROP_DEV_DOWN = 4; // device or its peer is down
export const DROP_PKT_TOO_BIG = 5; // beyond the device's MTU, or DF set and beyond the path's
export const DROP_FULL_RING = 6; // NIC queue full (tail drop)
export const DROP_WIRE_LOSS = 7; // lost on a lossy link
export const DROP_WIRE_DOWN = 8; // link cut
export const DROP_WIRE_PARTITION = 9; // partitioned
export const DROP_WIRE_FILTER = 10; // fault filter (a firewall on the way)
export const DROP_WIRE_NO_PORT = 11; // no such MAC on the segment
export const DROP_BRIDGE_NO_PORT = 12; // flooded to nobody, or same port
export const DROP_BRIDGE_INVALID_SOURCE = 13; // multicast or zero source MAC
export const DROP_BRIDGE_LINK_LOCAL = 14; // 01-80-C2-00-00-0X not forwarded
export const DROP_VXLAN_HDR = 15; // I bit missing, unknown bits
export const DROP_VXLAN_VNI = 16; // no device with that VNI
export const DROP_VXLAN_L2MISS = 17; // no FDB entry and no default destination
export const DROP_VXLAN_MAC_MOVED = 18; // permanent FDB entry with another VTEP
export const DROP_VXLAN_OWN_MAC = 19; // inner source is the device's own MAC
export const DROP_VXLAN_ECN = 20; // RFC 6040 says drop
export const DROP_VXLAN_REMOTE_ZERO = 21; // FDB entry with remote 0.0.0.0
export const DROP_ARP_PROXY_CONSUMED = 22; // ARP that ended at a proxying vxlan device
export const DROP_ARP_INVALID = 23;
export const DROP_ARP_CONSUMED = 24; // ARP for somebody else
export const DROP_IP_INHDR = 25; // version, ihl, length
export const DROP_IP_CSUM = 26;
export const DROP_IP_NOPROTO = 27; // protocol unreachable
export const DROP_IP_INADDRERRORS = 28; // martian, invalid destination
export const DROP_IP_RPFILTER = 29;
export const DROP_IP_INNOROUTES = 30; // no route in (forwarding off, or none)
export const DROP_IP_OUTNOROUTES = 31; // no route out
export const DROP_IP_TTL = 32; // time exceeded
export const DROP_NEIGH_FAILED = 33; // neighbour resolution failed
export const DROP_NEIGH_QUEUEFULL = 34; // too many packets wait for one neighbour
export const DROP_NEIGH_TABLE_FULL = 35;
export const DROP_FRAG_REASM_TIMEOUT = 36;
export const DROP_FRAG_DUP = 37; // duplicate fragment
export const DROP_FRAG_OVERLAP = 38;
export const DROP_FRAG_TOO_FAR = 39; // memory or distance limits
export const DROP_NETFILTER_DROP = 40;
export const DROP_NF_CT_INVALID = 41;
export const DROP_NF_CT_TABLE_FULL = 42;
export const DROP_NF_CT_CLASH = 43; // lost the race at confirmation
export const DROP_ICMP_CSUM = 44;
export const DROP_INVALID_ICMP = 45;
export const DROP_UDP_CSUM = 46;
export const DROP_UDP_NO_SOCKET = 47;
export const DROP_SOCKET_RCVBUFF = 48;
export const DROP_TCP_CSUM = 49;
export const DROP_TCP_NO_SOCKET = 50;
export const DROP_TCP_FLAGS = 51; // nonsense flags, unexpected in this state
export const DROP_TCP_INVALID_SEQUENCE = 52; // out of window
export const DROP_TCP_OLD_DATA = 53; // duplicate
export const DROP_TCP_OFOMERGE = 54; // already in the out-of-order queue
export const DROP_TCP_LISTEN_OVERFLOW = 55; // accept or SYN queue full
export const DROP_TCP_PAWS = 56;
export const DROP_TCP_CLOSE = 57; // connection is gone
export const DROP_TCP_RESET = 58; // an RST that was not acceptable
export const DROP_TCP_ABORT_ON_DATA = 59;
export const DROP_RAW_NO_SOCKET = 60;
export const DROP_NS_GONE = 61; // its namespace or device was destroyed
export const DROP_XFRM = 62; // see the xfrm counters
export const DROP_IPVS = 63;
export const DROP_CAPACITY = 64; // a limit of the emulator itself
export const DROP_REASONS = 65; // how many there are

// Capture record (see assembly/link/capture.ts), byte offsets.
export const CAP_TIME = 0; // u64 virtual time, ns
export const CAP_SEQ = 8; // u32 per-host sequence number of the record
export const CAP_HOST = 12; // u32 host index
export const CAP_POINT = 16; // u32 capture point id
export const CAP_LEN = 20; // u32 length on the wire
export const CAP_CAPLEN = 24; // u32 bytes that follow
export const CAP_DIR = 28; // u32: 1 inbound, 2 outbound (pcapng epb_flags)
export const CAP_HEADER = 32; // the record's size is CAP_HEADER + caplen rounded up to 8

// Outbox record: a frame that leaves for another worker, byte offsets.
export const OUT_ARRIVAL = 0; // u64 virtual time of arrival at the far port
export const OUT_TIE = 8; // u64 order among equal times: kind, source host, its counter
export const OUT_DATA = 16; // u32 address of the frame in the sender's memory
export const OUT_LEN = 20; // u32
export const OUT_PORT = 24; // u32 destination port id
export const OUT_FLAGS = 28; // u32 SKB_CSUM_OK travels with the frame
export const OUT_SKB = 32; // u32 the sender's buffer, freed when the outbox is reused
export const OUT_RECORD = 40;
