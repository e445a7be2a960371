/**
 * Numbers that the kernel (AssemblyScript) and its typed face `src/kernel` (TypeScript) share. This file
 * is valid in both languages: plain integer constants only.
 */

/** Device kinds (NetDev.kind). */
export const DEV_LOOPBACK = 1;
export const DEV_VETH = 2;
export const DEV_BRIDGE = 3;
export const DEV_VXLAN = 4;
export const DEV_NIC = 5;

/** Return codes of run(). */
export const RUN_DONE = 0; // reached `until`
export const RUN_WAKES = 1; // sockets have news for programs
export const RUN_CAPTURE = 2; // the capture buffer wants draining
export const RUN_BUDGET = 3; // the event budget is used up

/** Netfilter hooks (include/uapi/linux/netfilter.h) and verdicts. */
export const NF_PRE_ROUTING = 0;
export const NF_LOCAL_IN = 1;
export const NF_FORWARD = 2;
export const NF_LOCAL_OUT = 3;
export const NF_POST_ROUTING = 4;
export const NF_DROP = 0;
export const NF_ACCEPT = 1;
export const NF_STOLEN = 2;

/** Tables, in the order of their hook priorities. */
export const TABLE_RAW = 0;
export const TABLE_MANGLE = 1;
export const TABLE_NAT = 2;
export const TABLE_FILTER = 3;

/** IP protocols. */
export const IPPROTO_ICMP = 1;
export const IPPROTO_IPIP = 4;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ESP = 50;
export const IPPROTO_SCTP = 132;

/** Neighbour states (include/uapi/linux/neighbour.h NUD_*). */
export const NUD_NONE = 0x00;
export const NUD_INCOMPLETE = 0x01;
export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;

/** Route types (RTN_*) and scopes (RT_SCOPE_*) of rtnetlink. */
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

/** TCP states (include/net/tcp_states.h). */
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

/** Errno numbers (asm-generic/errno.h); functions of the border return them negated. */
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
export const ERANGE = 34;
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

/**
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
export const DROP_WIRE_NO_PORT = 11; // nobody else on the segment, or sent to its own port's MAC
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
export const DROP_XFRM_POLICY = 62; // IPsec: no policy, and the default is to block
export const DROP_IPVS = 63;
export const DROP_CAPACITY = 64; // a limit of the emulator itself
/** Those that /proc/net/xfrm_stat counts, in its order: DROP_XFRM_IN_ERROR + XFRM_*. */
export const DROP_XFRM_IN_ERROR = 65;
export const DROP_XFRM_IN_BUFFER_ERROR = 66;
export const DROP_XFRM_IN_HDR_ERROR = 67;
export const DROP_XFRM_IN_NO_STATES = 68;
export const DROP_XFRM_IN_STATE_PROTO_ERROR = 69;
export const DROP_XFRM_IN_STATE_MODE_ERROR = 70;
export const DROP_XFRM_IN_STATE_SEQ_ERROR = 71;
export const DROP_XFRM_IN_STATE_EXPIRED = 72;
export const DROP_XFRM_IN_STATE_MISMATCH = 73;
export const DROP_XFRM_IN_STATE_INVALID = 74;
export const DROP_XFRM_IN_TMPL_MISMATCH = 75;
export const DROP_XFRM_IN_NO_POLS = 76;
export const DROP_XFRM_IN_POL_BLOCK = 77;
export const DROP_XFRM_IN_POL_ERROR = 78;
export const DROP_XFRM_OUT_ERROR = 79;
export const DROP_XFRM_OUT_BUNDLE_GEN_ERROR = 80;
export const DROP_XFRM_OUT_BUNDLE_CHECK_ERROR = 81;
export const DROP_XFRM_OUT_NO_STATES = 82;
export const DROP_XFRM_OUT_STATE_PROTO_ERROR = 83;
export const DROP_XFRM_OUT_STATE_MODE_ERROR = 84;
export const DROP_XFRM_OUT_STATE_SEQ_ERROR = 85;
export const DROP_XFRM_OUT_STATE_EXPIRED = 86;
export const DROP_XFRM_OUT_POL_BLOCK = 87;
export const DROP_XFRM_OUT_POL_DEAD = 88;
export const DROP_XFRM_OUT_POL_ERROR = 89;
export const DROP_XFRM_FWD_HDR_ERROR = 90;
export const DROP_XFRM_OUT_STATE_INVALID = 91;
export const DROP_XFRM_ACQUIRE_ERROR = 92;
export const DROP_SCTP_CSUM = 93;
export const DROP_SCTP_NO_SOCKET = 94; // out of the blue: no association, no listener
export const DROP_SCTP_VTAG = 95; // verification tag of nobody
export const DROP_SCTP_CHUNK = 96; // chunks that are malformed, or bundled against the rules
export const DROP_SCTP_COOKIE = 97; // a cookie that this host did not sign, or a stale one
export const DROP_SCTP_LISTEN_OVERFLOW = 98; // accept queue full
export const DROP_WIRE_QUEUE = 99; // queue of a switch's link full (tail drop)
export const DROP_REASONS = 100; // how many there are

/** What a run may be stopped for (sim/watch.ts); bits. */
export const WATCH_FRAME = 1; // a frame is captured for a trace
export const WATCH_DROP = 2; // a packet is lost: dropped for a reason other than *_CONSUMED
/** Capture points from this one on are no trace's. */
export const CAP_PRIVATE = 0x80000000;
/** Bit of points that are captured for the lives of packets only. */
export const CAP_HOP = 0x8000;

/** Capture record (see assembly/link/capture.ts), byte offsets. With CAP_POINT 0 it is a mark (link/marks.ts). */
export const CAP_TIME = 0; // u64 virtual time, ns
export const CAP_SEQ = 8; // u32 per-host sequence number of the record
export const CAP_HOST = 12; // u32 host index
export const CAP_POINT = 16; // u32 capture point id; 0: a mark
export const CAP_LEN = 20; // u32 length on the wire
export const CAP_CAPLEN = 24; // u32 bytes that follow
export const CAP_DIR = 28; // u32: 1 inbound, 2 outbound (pcapng epb_flags); of a mark: MARK_*
export const CAP_JOURNEY = 32; // u64: the packet's journey (link/marks.ts): host index << 32 | number from 1
export const CAP_HEADER = 40; // the record's size is CAP_HEADER + caplen rounded up to 8

/** Kinds of marks (CAP_DIR of a record whose CAP_POINT is 0). What MARK_ARGS says: u32 each, MAC addresses two words. */
export const MARK_CAUSE = 1; // the packet is an answer to, or was sent because of, another: its journey, low and high word
export const MARK_DROP = 2; // reason, next hop, RTN_* of the route, with DROP_PKT_TOO_BIG its MTU, packet mark
export const MARK_OUTPUT = 3; // a packet goes to LOCAL_OUT: next hop, RTN_*, MTU
export const MARK_ROUTE = 4; // routed on input, or again after NAT: next hop, RTN_*
export const MARK_NEIGH = 5; // next hop, NUD_* state, MAC, 1 where the packet waits for it
export const MARK_FDB = 6; // a bridge's choice: FDB_CHOICE_*, ports of a flood, MAC looked up, ifindex of the bridge
export const MARK_VXLAN_OUT = 7; // remote VTEP, VNI, own VTEP, UDP source and destination port, MAC looked up, FDB_MATCH_*
export const MARK_VXLAN_IN = 8; // remote VTEP, VNI, own VTEP, UDP source and destination port, inner source MAC
export const MARK_NAT = 9; // 1 = destination, old address, old port, new address, new port, NF_* hook, protocol
export const MARK_RULE = 10; // a rule that decided: TABLE_*, NF_* hook, T_* target, its number from 1 (0 = policy); bytes: chain
export const MARK_IPVS = 11; // protocol, client, its port, virtual address and port, destination and its port, flags: see IPVS_MARK_*
export const MARK_ESP_OUT = 12; // SPI, sequence number, source, destination, reqid
export const MARK_ESP_IN = 13; // the same
export const MARK_FRAGMENT = 14; // cut into pieces for an MTU: it, the packet's length
export const MARK_REASSEMBLED = 15; // the whole's length, the largest piece's
export const MARK_DELIVER = 16; // to a socket or the kernel itself: DELIVER_*, local address and port, remote address and port

/** Body of a mark, byte offsets from CAP_HEADER on; MARK_BYTES of the packet, or what the kind says, follow. */
export const MARK_NS = 0; // u32: 1 + the host-unique number of the namespace, 0 where there is none
export const MARK_IFINDEX = 4; // u32 of the device, 0 where there is none
export const MARK_DEVICE = 8; // 16 bytes: its name, zero-padded
export const MARK_ARGS = 24; // MARK_WORDS u32
export const MARK_WORDS = 8;
export const MARK_BODY = 56;
export const MARK_PACKET = 128; // bytes of a packet at most
/** CAP_LEN of a mark with bytes of a packet: its length, and where they begin. */
export const MARK_AT_IP = 0x80000000; // at an IPv4 header; else an Ethernet header
/** What a bridge chose (MARK_FDB). */
export const FDB_CHOICE_PORT = 1; // the device is the port
export const FDB_CHOICE_FLOOD = 2; // unknown, or for everybody
export const FDB_CHOICE_LOCAL = 3; // up, to the bridge device itself
/** How a VXLAN device found the VTEP (MARK_VXLAN_OUT). */
export const FDB_MATCH_LEARNED = 1;
export const FDB_MATCH_PERMANENT = 2;
export const FDB_MATCH_DEFAULT = 3; // no entry of that MAC: the all-zero one
/** Last word of a MARK_IPVS: VS_CONN_F_FWD_MASK, and these. */
export const IPVS_MARK_REPLY = 0x100; // from the server, back to the client
export const IPVS_MARK_NEW = 0x200; // this packet began the connection
/** Who took a packet (MARK_DELIVER). */
export const DELIVER_UDP = 1;
export const DELIVER_TCP = 2;
export const DELIVER_TCP_LISTEN = 3;
export const DELIVER_TCP_WAIT = 4; // TIME_WAIT, or a connection request
export const DELIVER_ICMP = 5; // the kernel's ICMP; local port: the type
export const DELIVER_RAW = 6; // a raw or ping socket; local port: protocol or id
export const DELIVER_ARP = 7;
export const DELIVER_SCTP = 8;
export const DELIVER_ARP_PROXY = 9; // a VXLAN device answers for the address asked for: local

/** Outbox record: a frame that leaves for another worker, byte offsets. */
export const OUT_ARRIVAL = 0; // u64 virtual time of the first event that the receiving worker has with it
export const OUT_TIE = 8; // u64 order among equal times: kind, source host, its counter
export const OUT_DATA = 16; // u32 address of the frame in the sender's memory
export const OUT_LEN = 20; // u32
export const OUT_PORT = 24; // u32 destination port id
export const OUT_FLAGS = 28; // u32 SKB_CSUM_OK travels with the frame
export const OUT_VIA = 32; // u32 0, or 1 + the spine to whose link it comes (link/fabric.ts); then also:
export const OUT_FROM = 36; // u32 the sender's port, and whether it is for all of the leaf
export const OUT_LATE = 40; // u32 ns by which the link is served after it came there
export const OUT_JOURNEY = 48; // u64: Skb.journey
export const OUT_RECORD = 56;

/**
 * Netfilter (netfilter/border.ts). A rule's body: what src/kernel/rules.ts encodes and the kernel keeps
 * byte by byte, so that two rules are equal when their bodies are. Byte offsets; all u32 but where said.
 */
export const RULE_FLAGS = 0; // M_*: which matches it has
export const RULE_INVERT = 4; // M_* of those that are inverted
export const RULE_SRC = 8; // address, host order, and its mask
export const RULE_SRC_MASK = 12;
export const RULE_DST = 16;
export const RULE_DST_MASK = 20;
export const RULE_IN = 24; // 16 bytes: device name, zero-padded
export const RULE_OUT = 40;
export const RULE_IN_MASK = 56; // 16 bytes: 0xff where the name is compared (a `+` ends it)
export const RULE_OUT_MASK = 72;
export const RULE_PROTO = 88;
export const RULE_SPORT_MIN = 92; // u16 each
export const RULE_SPORT_MAX = 94;
export const RULE_DPORT_MIN = 96;
export const RULE_DPORT_MAX = 98;
export const RULE_CTSTATE = 100; // CTSTATE_* bits
export const RULE_ADDRTYPE_SRC = 104; // RTN_*
export const RULE_ADDRTYPE_DST = 108;
export const RULE_MARK = 112;
export const RULE_MARK_MASK = 116;
export const RULE_POLICY = 120; // POLICY_* bits
export const RULE_ICMP_TYPE = 124;
export const RULE_PROBABILITY = 128; // of 2^31
export const RULE_TARGET = 132; // T_*
export const RULE_T_IP = 136; // NAT: first and last address
export const RULE_T_IP_MAX = 140;
export const RULE_T_PORT_MIN = 144; // u16 each
export const RULE_T_PORT_MAX = 146;
export const RULE_T_NAT = 148; // NAT_RANGE_* flags
export const RULE_T_MARK = 152; // mark = (mark & ~mask) ^ value
export const RULE_T_MARK_MASK = 156;
export const RULE_T_REJECT = 160; // 0 icmp-port-unreachable, 1 tcp-reset
export const RULE_U32_WORDS = 164; // u16: words of the u32 program behind the head
export const RULE_COMMENT_LEN = 166; // u16: bytes of comment behind it
export const RULE_CHAIN = 168; // 32 bytes: name of the chain jumped to
export const RULE_HEAD = 200; // the u32 program, then the comment
export const CHAIN_NAME = 32; // bytes of a chain's name, zero-padded; at most 28 are used

/** Matches of a rule. */
export const M_SRC = 0x0001;
export const M_DST = 0x0002;
export const M_IN = 0x0004;
export const M_OUT = 0x0008;
export const M_PROTO = 0x0010;
export const M_SPORT = 0x0020;
export const M_DPORT = 0x0040;
export const M_CTSTATE = 0x0080;
export const M_ADDRTYPE_SRC = 0x0100;
export const M_ADDRTYPE_DST = 0x0200;
export const M_MARK = 0x0400;
export const M_U32 = 0x0800;
export const M_POLICY = 0x1000;
export const M_IPVS = 0x2000;
export const M_ICMP_TYPE = 0x4000;
export const M_PROBABILITY = 0x8000;
export const M_STATE = 0x10000; // M_CTSTATE was asked for as `-m state`; matches nothing itself
/** xt_conntrack's state bits (XT_CONNTRACK_STATE_*). */
export const CTSTATE_INVALID = 1;
export const CTSTATE_ESTABLISHED = 2;
export const CTSTATE_RELATED = 4;
export const CTSTATE_NEW = 8;
export const CTSTATE_UNTRACKED = 64;
export const POLICY_OUT = 1; // else in
export const POLICY_IPSEC = 2; // else none
/** Targets of a rule. */
export const T_NONE = 0;
export const T_ACCEPT = 1;
export const T_DROP = 2;
export const T_RETURN = 3;
export const T_JUMP = 4;
export const T_REJECT = 5;
export const T_MARK = 6;
export const T_DNAT = 7;
export const T_SNAT = 8;
export const T_MASQUERADE = 9;
export const T_REDIRECT = 10;
export const T_NOTRACK = 11;
/** NF_NAT_RANGE_* flags. */
export const NAT_RANGE_MAP_IPS = 1;
export const NAT_RANGE_PROTO_SPECIFIED = 2;
/** Operators of a u32 program (XT_U32_*): `tests`, then per test: numbers | values << 16, (op, number)…, (min, max)… */
export const U32_AND = 0;
export const U32_LEFTSH = 1;
export const U32_RIGHTSH = 2;
export const U32_AT = 3;

/** A chain in scratch (nfChainInfo). */
export const CHAIN_INFO_NAME = 0; // 32 bytes
export const CHAIN_INFO_HOOK = 32; // i32: NF_* hook, -1 for a user's chain
export const CHAIN_INFO_POLICY = 36; // NF_ACCEPT or NF_DROP
export const CHAIN_INFO_RULES = 40; // how many
export const CHAIN_INFO_FIRST = 44; // handle of the first rule, 0 = none
export const CHAIN_INFO_PACKETS = 48; // u64
export const CHAIN_INFO_BYTES = 56; // u64
/** A rule in scratch (nfRuleInfo). */
export const RULE_INFO_PACKETS = 0; // u64
export const RULE_INFO_BYTES = 8; // u64
export const RULE_INFO_LEN = 16; // bytes of the body
export const RULE_INFO_NEXT = 20; // handle of the next rule, 0 = none
export const RULE_INFO_BODY = 24;

/** A connection in scratch (nfCtDump). */
export const CT_HANDLE = 0; // u32
export const CT_PROTO = 4; // u32
export const CT_STATUS = 8; // u32 IPS_* bits
export const CT_STATE = 12; // u32: TCP state of tracking (0 NONE … 9 SYN_SENT2)
export const CT_MARK = 16;
export const CT_USE = 20;
export const CT_TIMEOUT = 24; // f64: ns left
export const CT_ORIG_SRC = 32;
export const CT_ORIG_DST = 36;
export const CT_ORIG_SPORT = 40; // u16; ICMP: the id
export const CT_ORIG_DPORT = 42; // u16; ICMP: type << 8 | code
export const CT_REPLY_SRC = 44;
export const CT_REPLY_DST = 48;
export const CT_REPLY_SPORT = 52;
export const CT_REPLY_DPORT = 54;
export const CT_RECORD = 56;
/** Status bits of a connection (enum ip_conntrack_status). */
export const IPS_SEEN_REPLY = 0x02;
export const IPS_ASSURED = 0x04;
export const IPS_CONFIRMED = 0x08;
export const IPS_SRC_NAT = 0x10;
export const IPS_DST_NAT = 0x20;
export const IPS_SRC_NAT_DONE = 0x80;
export const IPS_DST_NAT_DONE = 0x100;
export const IPS_DYING = 0x200;

/** net.netfilter.nf_conntrack_*: numbers for nfCtSysctlGet/Set. Timeouts in seconds. */
export const CTL_TCP_SYN_SENT = 1;
export const CTL_TCP_SYN_RECV = 2;
export const CTL_TCP_ESTABLISHED = 3;
export const CTL_TCP_FIN_WAIT = 4;
export const CTL_TCP_CLOSE_WAIT = 5;
export const CTL_TCP_LAST_ACK = 6;
export const CTL_TCP_TIME_WAIT = 7;
export const CTL_TCP_CLOSE = 8;
export const CTL_TCP_SYN_SENT2 = 9; // no sysctl of its own
export const CTL_TCP_MAX_RETRANS_TIMEOUT = 10; // tcp_timeout_max_retrans
export const CTL_TCP_UNACKNOWLEDGED = 11;
export const CTL_UDP = 12; // udp_timeout
export const CTL_UDP_STREAM = 13; // udp_timeout_stream
export const CTL_ICMP = 14;
export const CTL_GENERIC = 15;
export const CTL_TCP_LOOSE = 16;
export const CTL_TCP_BE_LIBERAL = 17;
export const CTL_TCP_MAX_RETRANS = 18;
export const CTL_CHECKSUM = 19;
export const CTL_TCP_IGNORE_INVALID_RST = 20;
export const CTL_MAX = 21; // nf_conntrack_max: one for all namespaces of a host
export const CTL_COUNT = 22; // nf_conntrack_count, read-only
export const CTL_SCTP_CLOSED = 23; // in the order of the states 1 … 8
export const CTL_SCTP_COOKIE_WAIT = 24;
export const CTL_SCTP_COOKIE_ECHOED = 25;
export const CTL_SCTP_ESTABLISHED = 26;
export const CTL_SCTP_SHUTDOWN_SENT = 27;
export const CTL_SCTP_SHUTDOWN_RECD = 28;
export const CTL_SCTP_SHUTDOWN_ACK_SENT = 29;
export const CTL_SCTP_HEARTBEAT_SENT = 30;
export const CTLS = 31;

/** Errno of a chain that would jump to itself, or too deep. */
export const EMLINK = 31;

/**
 * inet. Sysctls of a namespace (inetSysctlGet/Set): net.ipv4.NAME unless said otherwise.
 */
export const SYS_IP_FORWARD = 0;
export const SYS_IP_DEFAULT_TTL = 1;
export const SYS_LOCAL_PORT_MIN = 2; // ip_local_port_range, first number
export const SYS_LOCAL_PORT_MAX = 3; // … second number
export const SYS_IP_NONLOCAL_BIND = 4;
export const SYS_IP_NO_PMTU_DISC = 5;
export const SYS_MIN_PMTU = 6; // route.min_pmtu
export const SYS_MTU_EXPIRES = 7; // route.mtu_expires, seconds
export const SYS_ICMP_ECHO_IGNORE_ALL = 8;
export const SYS_ICMP_ECHO_IGNORE_BROADCASTS = 9;
export const SYS_ICMP_RATELIMIT = 10; // ms
export const SYS_ICMP_RATEMASK = 11;
export const SYS_ICMP_MSGS_PER_SEC = 12;
export const SYS_ICMP_MSGS_BURST = 13;
export const SYS_ICMP_ERRORS_USE_INBOUND_IFADDR = 14;
export const SYS_IPFRAG_TIME = 15; // seconds
export const SYS_IPFRAG_HIGH_THRESH = 16; // bytes
export const SYS_IPFRAG_MAX_DIST = 17;
export const SYS_GC_THRESH1 = 18; // neigh.default.gc_thresh1, shared by all namespaces of the host
export const SYS_GC_THRESH2 = 19;
export const SYS_GC_THRESH3 = 20;
export const SYS_FORWARD_USE_PMTU = 21; // ip_forward_use_pmtu
export const SYS_COUNT = 32;

/**
 * Values per device (inetConfGet/Set): net.ipv4.conf.DEV.NAME; which = CONF_ALL, CONF_DEFAULT or a device handle.
 * From CONF_BASE_REACHABLE_MS on: net.ipv4.neigh.DEV.NAME.
 */
export const CONF_ALL = 0;
export const CONF_DEFAULT = 1;
export const CONF_FORWARDING = 0;
export const CONF_RP_FILTER = 1;
export const CONF_ACCEPT_REDIRECTS = 2;
export const CONF_SECURE_REDIRECTS = 3;
export const CONF_SEND_REDIRECTS = 4;
export const CONF_SHARED_MEDIA = 5;
export const CONF_ACCEPT_LOCAL = 6;
export const CONF_ROUTE_LOCALNET = 7;
export const CONF_ARP_IGNORE = 8;
export const CONF_ARP_ANNOUNCE = 9;
export const CONF_ARP_FILTER = 10;
export const CONF_ARP_NOTIFY = 11;
export const CONF_ARP_ACCEPT = 12;
export const CONF_PROXY_ARP = 13;
export const CONF_LOG_MARTIANS = 14;
export const CONF_PROMOTE_SECONDARIES = 15;
export const CONF_BASE_REACHABLE_MS = 16; // base_reachable_time_ms
export const CONF_DELAY_FIRST_PROBE_MS = 17; // delay_first_probe_time (s) x 1000
export const CONF_UCAST_SOLICIT = 18;
export const CONF_MCAST_SOLICIT = 19;
export const CONF_MCAST_RESOLICIT = 20;
export const CONF_RETRANS_MS = 21; // retrans_time_ms
export const CONF_GC_STALE_MS = 22; // gc_stale_time (s) x 1000
export const CONF_LOCKTIME_MS = 23; // locktime
export const CONF_UNRES_QLEN_BYTES = 24;
export const CONF_COUNT = 32;

/** Route tables and protocols (rtnetlink). */
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;
export const RTPROT_STATIC = 4;

/** Record of addrDump, byte offsets; all u32. */
export const ADDR_IP = 0;
export const ADDR_PREFIX = 4;
export const ADDR_BROADCAST = 8;
export const ADDR_SCOPE = 12;
export const ADDR_DEV = 16; // ifindex
export const ADDR_FLAGS = 20; // 1 secondary
export const ADDR_RECORD = 24;

/** Record of routeDump. */
export const ROUTE_DST = 0;
export const ROUTE_PREFIX = 4;
export const ROUTE_VIA = 8; // 0 none
export const ROUTE_DEV = 12; // ifindex, 0 none
export const ROUTE_SRC = 16; // 0 none
export const ROUTE_SCOPE = 20;
export const ROUTE_PROTOCOL = 24;
export const ROUTE_TYPE = 28;
export const ROUTE_METRIC = 32;
export const ROUTE_TABLE = 36;
export const ROUTE_RECORD = 40;

/** Record of routeGet (one, in scratch). */
export const RTGET_DEV = 0; // ifindex
export const RTGET_VIA = 4;
export const RTGET_SRC = 8;
export const RTGET_TYPE = 12;
export const RTGET_MTU = 16;

/** Record of neighDump. */
export const NEIGH_IP = 0;
export const NEIGH_DEV = 4; // ifindex
export const NEIGH_STATE = 8; // NUD_*
export const NEIGH_PROBES = 12;
export const NEIGH_MAC = 16; // u64
export const NEIGH_USED = 24; // i64 ns
export const NEIGH_CONFIRMED = 32; // i64
export const NEIGH_UPDATED = 40; // i64
export const NEIGH_RECORD = 48;

/** Header that udpRecv and rawRecv fill in scratch. */
export const DGRAM_DATA = 0; // u32 address of the bytes
export const DGRAM_LEN = 4;
export const DGRAM_SRC = 8;
export const DGRAM_SPORT = 12;
export const DGRAM_DST = 16;
export const DGRAM_TTL = 20;
export const DGRAM_TIME = 24; // i64 ns
export const DGRAM_TYPE = 32; // icmpRecv: ICMP type, code, id, sequence, MTU of a frag-needed
export const DGRAM_CODE = 36;
export const DGRAM_ID = 40;
export const DGRAM_SEQ = 44;
export const DGRAM_INFO = 48;

/** Record of socketDump (UDP, raw and ping sockets). */
export const SOCK_HANDLE = 0;
export const SOCK_REC_TYPE = 4; // 1 UDP, 3 ping, 4 raw
export const SOCK_LOCAL_IP = 8;
export const SOCK_LOCAL_PORT = 12; // ping: the id; raw: the protocol
export const SOCK_REMOTE_IP = 16;
export const SOCK_REMOTE_PORT = 20;
export const SOCK_RX_BYTES = 24;
export const SOCK_TX_BYTES = 28;
export const SOCK_RECORD = 32;

/** Errno numbers of ICMP errors (net/ipv4/icmp.c icmp_err_convert). */
export const ENOPROTOOPT = 92;
export const EDESTADDRREQ = 89;
export const EHOSTDOWN = 112;
export const ENONET = 64;

/** nfProbe: what it leaves in scratch beside the packet. */
export const PROBE_INFO = 131072; // u32 each: Skb.ctInfo, mark, SKB_* flags, IPS_* status (0 = no connection), packet length

/** Record of tcpInfo: u32 each, then two u64. */
export const TCPINFO_STATE = 0;
export const TCPINFO_CA_STATE = 4;
export const TCPINFO_SRTT = 8; // µs
export const TCPINFO_RTTVAR = 12; // µs (mdev)
export const TCPINFO_RTO = 16; // µs
export const TCPINFO_CWND = 20;
export const TCPINFO_SSTHRESH = 24; // 0x7fffffff = none yet
export const TCPINFO_MSS = 28;
export const TCPINFO_RETRANS = 32; // timeouts of the present episode
export const TCPINFO_TOTAL_RETRANS = 36;
export const TCPINFO_RCV_WND = 40;
export const TCPINFO_SND_WND = 44;
export const TCPINFO_UNACKED = 48; // segments in flight or lost
export const TCPINFO_RCV_SPACE = 52; // receive buffer, bytes
export const TCPINFO_REORDERING = 56;
export const TCPINFO_PMTU = 60;
export const TCPINFO_LOST = 64;
export const TCPINFO_SACKED = 68;
export const TCPINFO_MIN_RTT = 72; // µs, 0xffffffff = no sample
export const TCPINFO_BACKOFF = 76;
export const TCPINFO_SEGS_IN = 80;
export const TCPINFO_SEGS_OUT = 84;
export const TCPINFO_BYTES_ACKED = 88; // u64
export const TCPINFO_BYTES_RECEIVED = 96; // u64
export const TCPINFO_RECORD = 104;

/** Record of tcpDump. */
export const TCPREC_HANDLE = 0; // 0 = a connection request or TIME_WAIT record
export const TCPREC_STATE = 4; // TCP_*
export const TCPREC_LOCAL_IP = 8;
export const TCPREC_LOCAL_PORT = 12;
export const TCPREC_REMOTE_IP = 16;
export const TCPREC_REMOTE_PORT = 20;
export const TCPREC_RXQ = 24; // bytes to read; of a listener: connections that wait
export const TCPREC_TXQ = 28; // bytes not acknowledged; of a listener: backlog
export const TCPREC_TIMER = 32; // f64 ns until the retransmission (TIME_WAIT) timer, -1 = none
export const TCPREC_RECORD = 40;

/** States of an SCTP association (enum sctp_state), and of a socket that waits for some. */
export const SCTP_CLOSED = 0;
export const SCTP_COOKIE_WAIT = 1;
export const SCTP_COOKIE_ECHOED = 2;
export const SCTP_ESTABLISHED = 3;
export const SCTP_SHUTDOWN_PENDING = 4;
export const SCTP_SHUTDOWN_SENT = 5;
export const SCTP_SHUTDOWN_RECEIVED = 6;
export const SCTP_SHUTDOWN_ACK_SENT = 7;
export const SCTP_LISTEN = 10;

/** Record of sctpInfo: u32 each (struct sctp_status, as far as there is one path). */
export const SCTPINFO_STATE = 0; // SCTP_*
export const SCTPINFO_RWND = 4; // the peer's
export const SCTPINFO_UNACKED = 8; // chunks sent and not acknowledged
export const SCTPINFO_PENDING = 12; // chunks received and not yet delivered
export const SCTPINFO_INSTREAMS = 16;
export const SCTPINFO_OUTSTREAMS = 20;
export const SCTPINFO_FRAG_POINT = 24;
export const SCTPINFO_CWND = 28;
export const SCTPINFO_SSTHRESH = 32;
export const SCTPINFO_SRTT = 36; // ms
export const SCTPINFO_RTO = 40; // ms
export const SCTPINFO_MTU = 44;
export const SCTPINFO_RETRANS = 48; // chunks sent again so far
export const SCTPINFO_MY_TAG = 52;
export const SCTPINFO_PEER_TAG = 56;
export const SCTPINFO_NEXT_TSN = 60; // of the next chunk to be queued
export const SCTPINFO_CTSN = 64; // highest TSN received in sequence
export const SCTPINFO_RECORD = 68;

/** What sctpRecv tells of the bytes that it gave, in front of them in scratch: u32 each (struct sctp_rcvinfo). */
export const SCTPMSG_STREAM = 0;
export const SCTPMSG_SSN = 4;
export const SCTPMSG_PPID = 8;
export const SCTPMSG_TSN = 12;
export const SCTPMSG_FLAGS = 16; // SCTPMSG_F_*
export const SCTPMSG_DATA = 20;
export const SCTPMSG_F_EOR = 1; // the message ends here
export const SCTPMSG_F_UNORDERED = 2;

/** Record of sctpDump. */
export const SCTPREC_HANDLE = 0;
export const SCTPREC_STATE = 4; // SCTP_*
export const SCTPREC_LOCAL_IP = 8;
export const SCTPREC_LOCAL_PORT = 12;
export const SCTPREC_REMOTE_IP = 16;
export const SCTPREC_REMOTE_PORT = 20;
export const SCTPREC_RXQ = 24; // bytes to read; of a listener: associations that wait
export const SCTPREC_TXQ = 28; // bytes not acknowledged; of a listener: backlog
export const SCTPREC_RECORD = 32;

/**
 * IPsec (xfrm/border.ts). Counters of /proc/net/xfrm_stat (LINUX_MIB_XFRM…), in its order.
 */
export const XFRM_IN_ERROR = 0;
export const XFRM_IN_BUFFER_ERROR = 1;
export const XFRM_IN_HDR_ERROR = 2;
export const XFRM_IN_NO_STATES = 3;
export const XFRM_IN_STATE_PROTO_ERROR = 4;
export const XFRM_IN_STATE_MODE_ERROR = 5;
export const XFRM_IN_STATE_SEQ_ERROR = 6;
export const XFRM_IN_STATE_EXPIRED = 7;
export const XFRM_IN_STATE_MISMATCH = 8;
export const XFRM_IN_STATE_INVALID = 9;
export const XFRM_IN_TMPL_MISMATCH = 10;
export const XFRM_IN_NO_POLS = 11;
export const XFRM_IN_POL_BLOCK = 12;
export const XFRM_IN_POL_ERROR = 13;
export const XFRM_OUT_ERROR = 14;
export const XFRM_OUT_BUNDLE_GEN_ERROR = 15;
export const XFRM_OUT_BUNDLE_CHECK_ERROR = 16;
export const XFRM_OUT_NO_STATES = 17;
export const XFRM_OUT_STATE_PROTO_ERROR = 18;
export const XFRM_OUT_STATE_MODE_ERROR = 19;
export const XFRM_OUT_STATE_SEQ_ERROR = 20;
export const XFRM_OUT_STATE_EXPIRED = 21;
export const XFRM_OUT_POL_BLOCK = 22;
export const XFRM_OUT_POL_DEAD = 23;
export const XFRM_OUT_POL_ERROR = 24;
export const XFRM_FWD_HDR_ERROR = 25;
export const XFRM_OUT_STATE_INVALID = 26;
export const XFRM_ACQUIRE_ERROR = 27;
export const XFRM_COUNTERS = 28;

/** Directions and actions of a policy (include/uapi/linux/xfrm.h). */
export const XFRM_POLICY_IN = 0;
export const XFRM_POLICY_OUT = 1;
export const XFRM_POLICY_FWD = 2;
export const XFRM_POLICY_ALLOW = 0;
export const XFRM_POLICY_BLOCK = 1;

/** A selector: u32 each; seven words. */
export const XSEL_SRC = 0;
export const XSEL_SRC_PREFIX = 4;
export const XSEL_DST = 8;
export const XSEL_DST_PREFIX = 12;
export const XSEL_PROTO = 16;
export const XSEL_SPORT = 20;
export const XSEL_DPORT = 24;

/** A state in scratch, to add (xfrmStateAdd) and listed (xfrmStateDump). Byte offsets; u32 but where said. */
export const XSA_SRC = 0;
export const XSA_DST = 4;
export const XSA_SPI = 8;
export const XSA_MARK = 12;
export const XSA_MARK_MASK = 16;
export const XSA_REQID = 20;
export const XSA_KEY_LEN = 24; // bytes of the key, salt not counted
export const XSA_ICV = 28; // bytes
export const XSA_FLAGS = 32; // XSA_F_*
export const XSA_WINDOW = 36; // packets
export const XSA_SEQ = 40;
export const XSA_SEQ_HI = 44;
export const XSA_OSEQ = 48;
export const XSA_OSEQ_HI = 52;
export const XSA_HARD_BYTES = 56; // f64, Infinity = none
export const XSA_HARD_PACKETS = 64; // f64
export const XSA_SEL = 72; // XSEL_*
export const XSA_KEY = 100; // key and 4-byte salt, up to 36 bytes
export const XSA_IV_MASK = 136; // 8 bytes: XORed into the IV, with XSA_F_IV_MASK
/** What only a list of states tells, behind those. */
export const XSA_BYTES = 144; // u64
export const XSA_PACKETS = 152; // u64
export const XSA_ADDED = 160; // i64 ns
export const XSA_USED = 168; // i64 ns, -1 = never
export const XSA_STAT_WINDOW = 176;
export const XSA_STAT_REPLAY = 180;
export const XSA_STAT_FAILED = 184;
export const XSA_WORDS = 188; // of the bitmap
export const XSA_BITMAP = 192; // XSA_MAX_WORDS words
export const XSA_RECORD = 704;
export const XSA_MAX_WORDS = 128; // XFRMA_REPLAY_ESN_MAX / 32
export const XSA_F_EXT = 1; // the extended replay attribute
export const XSA_F_ESN = 2; // … with extended sequence numbers
export const XSA_F_SELECTOR = 4;
export const XSA_F_IV_MASK = 8; // the IV's random part is given

/** A policy in scratch, to add and listed; u32 but where said. */
export const XPOL_SEL = 0; // XSEL_*
export const XPOL_DIR = 28; // XFRM_POLICY_*
export const XPOL_MARK = 32;
export const XPOL_MARK_MASK = 36;
export const XPOL_PRIORITY = 40;
export const XPOL_ACTION = 44; // XFRM_POLICY_ALLOW, XFRM_POLICY_BLOCK
export const XPOL_TMPLS = 48; // how many
export const XPOL_TMPL = 52; // XPOL_MAX_TMPLS times source, destination, SPI, reqid
export const XPOL_INDEX = 148;
export const XPOL_ADDED = 152; // i64 ns
export const XPOL_USED = 160; // i64 ns, -1 = never
export const XPOL_RECORD = 168;
export const XPOL_MAX_TMPLS = 6; // XFRM_MAX_DEPTH

/** Errno numbers of IPVS and others. */
export const EREMOTE = 66;

/**
 * IPVS (ipvs/border.ts). A virtual service, a destination and a connection in scratch; u32 but where said.
 */
export const VS_FWMARK = 0; // 0 = by protocol, address and port
export const VS_PROTO = 4;
export const VS_ADDR = 8;
export const VS_PORT = 12; // 0 = every port
export const VS_SCHED = 16; // VS_SCHED_*
export const VS_FLAGS = 20; // VS_SVC_F_*
export const VS_TIMEOUT = 24; // of persistence, seconds
export const VS_NETMASK = 28;
/** … and what only the list tells. */
export const VS_BUCKET = 32; // of its table
export const VS_HANDLE = 36; // for ipvsDestDump
export const VS_STATS = 40; // connections, packets in, out, bytes in, out: u64 each
export const VS_RECORD = 80;
export const VD_ADDR = 0;
export const VD_PORT = 4; // 0 = the packet's
export const VD_METHOD = 8; // VS_CONN_F_* of the method
export const VD_WEIGHT = 12; // i32
export const VD_UPPER = 16;
export const VD_LOWER = 20;
/** … and what only the list tells. */
export const VD_ACTIVE = 24;
export const VD_INACTIVE = 28;
export const VD_PERSISTENT = 32;
export const VD_STATS = 40; // as VS_STATS
export const VD_RECORD = 80;
export const VC_PROTO = 0;
export const VC_CADDR = 4;
export const VC_CPORT = 8;
export const VC_VADDR = 12;
export const VC_VPORT = 16;
export const VC_DADDR = 20;
export const VC_DPORT = 24;
export const VC_FWMARK = 28;
export const VC_STATE = 32;
export const VC_FLAGS = 36; // VS_CONN_F_*
export const VC_BUCKET = 40; // of Linux's table of 4096
export const VC_EXPIRES = 48; // i64 ns left
export const VC_RECORD = 56;
/** Schedulers. */
export const VS_SCHED_RR = 0;
export const VS_SCHED_WRR = 1;
export const VS_SCHED_LC = 2;
export const VS_SCHED_WLC = 3;
export const VS_SCHED_FO = 4;
export const VS_SCHED_OVF = 5;
export const VS_SCHED_LBLC = 6;
export const VS_SCHED_LBLCR = 7;
export const VS_SCHED_DH = 8;
export const VS_SCHED_SH = 9;
export const VS_SCHED_MH = 10;
export const VS_SCHED_SED = 11;
export const VS_SCHED_NQ = 12;
export const VS_SCHEDS = 13;
/** Flags of a service (IP_VS_SVC_F_*). */
export const VS_SVC_F_PERSISTENT = 1;
export const VS_SVC_F_ONEPACKET = 4;
export const VS_SVC_F_SCHED1 = 8; // sh-fallback, mh-fallback
export const VS_SVC_F_SCHED2 = 16; // sh-port, mh-port
/** Flags of a connection (IP_VS_CONN_F_*). */
export const VS_CONN_F_MASQ = 0;
export const VS_CONN_F_LOCALNODE = 1;
export const VS_CONN_F_TUNNEL = 2;
export const VS_CONN_F_DROUTE = 3;
export const VS_CONN_F_FWD_MASK = 7;
export const VS_CONN_F_NOOUTPUT = 0x0080;
export const VS_CONN_F_INACTIVE = 0x0100;
export const VS_CONN_F_TEMPLATE = 0x1000;
export const VS_CONN_F_ONE_PACKET = 0x2000;
export const VS_CONN_F_NFCT = 0x10000;
/** net.ipv4.vs.*: numbers for ipvsSysctlGet/Set. */
export const VSCTL_AMEMTHRESH = 0;
export const VSCTL_AM_DROPRATE = 1;
export const VSCTL_DROP_ENTRY = 2;
export const VSCTL_DROP_PACKET = 3;
export const VSCTL_CONNTRACK = 4;
export const VSCTL_SECURE_TCP = 5;
export const VSCTL_SNAT_REROUTE = 6;
export const VSCTL_SYNC_VERSION = 7;
export const VSCTL_SYNC_PORTS = 8;
export const VSCTL_SYNC_PERSIST_MODE = 9;
export const VSCTL_SYNC_QLEN_MAX = 10;
export const VSCTL_SYNC_SOCK_SIZE = 11;
export const VSCTL_CACHE_BYPASS = 12;
export const VSCTL_EXPIRE_NODEST_CONN = 13;
export const VSCTL_SLOPPY_TCP = 14;
export const VSCTL_SLOPPY_SCTP = 15;
export const VSCTL_EXPIRE_QUIESCENT_TEMPLATE = 16;
export const VSCTL_SYNC_THRESHOLD = 17; // first number
export const VSCTL_SYNC_PERIOD = 18; // … second number
export const VSCTL_SYNC_REFRESH_PERIOD = 19;
export const VSCTL_SYNC_RETRIES = 20;
export const VSCTL_NAT_ICMP_SEND = 21;
export const VSCTL_PMTU_DISC = 22;
export const VSCTL_BACKUP_ONLY = 23;
export const VSCTL_CONN_REUSE_MODE = 24;
export const VSCTL_SCHEDULE_ICMP = 25;
export const VSCTL_IGNORE_TUNNELED = 26;
export const VSCTL_RUN_ESTIMATION = 27;
export const VSCTL_COUNT = 28;

/** Histograms of delays: buckets of an octave, and all of them (socket/histogram.ts). */
export const HIST_OCTAVE = 32;
export const HIST_BUCKETS = 1184;
/** Measured traffic (socket/meter.ts): groups of flows whose delays are counted together, and bytes of a datagram's header. */
export const METER_GROUPS = 32;
export const METER_HEADER = 24;
/** Numbers of errors that failures are counted by are below it. */
export const METER_ERRORS = 128;
/** Record of what a flow sent. */
export const METER_SENT_FLOW = 0;
export const METER_SENT_COUNT = 8; // f64
export const METER_SENT_FAILED = 16; // f64
export const METER_SENT_RECEIVED = 24; // f64: answers
export const METER_SENT_BYTES = 32; // f64: of answers
export const METER_SENT_RECORD = 40;
/** Record of what came of a flow to a sink. */
export const METER_SEEN_FLOW = 0;
export const METER_SEEN_TAG = 4;
export const METER_SEEN_COUNT = 8; // f64
export const METER_SEEN_BYTES = 16; // f64
export const METER_SEEN_REORDERED = 24;
export const METER_SEEN_DUPLICATES = 28;
export const METER_SEEN_RECORD = 32;
/** Delays of a group: count, sum, min, max as f64; the buckets begin here. */
export const METER_DELAYS = 32;
