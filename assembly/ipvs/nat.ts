/**
 * Rewriting for masquerading (the protocols' dnat_handler and snat_handler, ip_vs_core.c ip_vs_nat_icmp), and what becomes of
 * the packet's tracked connection (ip_vs_nfct.c).
 */
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, VS_CONN_F_FWD_MASK, VS_CONN_F_MASQ, VS_CONN_F_NFCT, VS_CONN_F_ONE_PACKET } from "../abi";
import { SKB_CSUM_OK, Skb, resetCt } from "../memory/skb";
import { Ct, IP_CT_UNTRACKED, ctSetReplySource, dirOfInfo } from "../netfilter/conntrack";
import { adjust16, adjust32 } from "../wire/checksum";
import { icmpSetCheck } from "../wire/icmp";
import { ipHlen, ipProtocol, ipSendCheck } from "../wire/ipv4";
import { sctpSetCheck } from "../wire/sctp";
import { udpSetCheck } from "../wire/udp";
import { Conn } from "./records";

/**
 * Writes a port (at `field`) and takes the change of an address along in the checksum: the IP header still has the old one.
 * `ipField` is where that stands. False: the header is cut off.
 */
function rewrite(skb: Skb, th: usize, left: u32, field: usize, port: u32, ipField: usize, addr: u32): bool {
  const protocol = ipProtocol(skb.nh);
  const oldPort = load<u16>(field);
  const newPort = bswap<u16>(<u16>port);
  const oldAddr = load<u32>(ipField);
  const newAddr = bswap<u32>(addr);
  if (protocol == <u32>IPPROTO_TCP) {
    if (left < 20) return false;
    store<u16>(field, newPort);
    store<u16>(th, adjust16(adjust32(load<u16>(th, 16), oldAddr, newAddr), oldPort, newPort), 16);
  } else if (protocol == <u32>IPPROTO_UDP) {
    if (left < 8) return false;
    store<u16>(field, newPort);
    const check = load<u16>(th, 6);
    if (check != 0) {
      const adjusted = adjust16(adjust32(check, oldAddr, newAddr), oldPort, newPort);
      store<u16>(th, adjusted == 0 ? 0xffff : adjusted, 6);
    } else {
      // None until now: computed over the addresses that it will have.
      store<u32>(ipField, newAddr);
      udpSetCheck(skb.nh, th, left);
      skb.flags |= SKB_CSUM_OK;
    }
  } else {
    if (left < 12) return false;
    if (oldPort != newPort) {
      store<u16>(field, newPort);
      sctpSetCheck(th, left);
    }
  }
  return true;
}

/** dnat_handler: towards the server. The caller writes the address. */
export function natRequest(skb: Skb, cp: Conn, th: usize, left: u32): bool {
  return rewrite(skb, th, left, th + 2, cp.dport, skb.nh + 16, cp.daddr);
}

/** snat_handler: towards the client. The caller writes the address. */
export function natReply(skb: Skb, cp: Conn, th: usize, left: u32): bool {
  return rewrite(skb, th, left, th, cp.vport, skb.nh + 12, cp.vaddr);
}

/**
 * ip_vs_nat_icmp: an ICMP error (header at `icmp`, `left` bytes of it), and the packet that it quotes. `out`: about a reply,
 * towards the server's side of it.
 */
export function natIcmp(skb: Skb, cp: Conn, icmp: usize, left: u32, out: bool): void {
  const ip = skb.nh;
  const quoted = icmp + 8;
  if (out) {
    store<u32>(ip, bswap<u32>(cp.vaddr), 12);
    store<u32>(quoted, bswap<u32>(cp.vaddr), 16);
  } else {
    store<u32>(ip, bswap<u32>(cp.daddr), 16);
    store<u32>(quoted, bswap<u32>(cp.daddr), 12);
  }
  ipSendCheck(ip);
  ipSendCheck(quoted);
  const ports = quoted + ipHlen(quoted);
  const protocol = ipProtocol(quoted);
  if (protocol == <u32>IPPROTO_TCP || protocol == <u32>IPPROTO_UDP || protocol == <u32>IPPROTO_SCTP) {
    if (out) store<u16>(ports, bswap<u16>(<u16>cp.vport), 2);
    else store<u16>(ports, bswap<u16>(<u16>cp.dport));
  }
  icmpSetCheck(icmp, left);
  skb.flags |= SKB_CSUM_OK;
}

/** ip_vs_notrack. */
@inline
export function notrack(skb: Skb): void {
  if (skb.ct == 0) return;
  resetCt(skb);
  skb.ctInfo = IP_CT_UNTRACKED;
}

/**
 * With net.ipv4.vs.conntrack the tracked connection, while unconfirmed, learns where answers will come from
 * (ip_vs_update_conntrack); without, the packet leaves its tracked connection.
 */
export function settleConntrack(skb: Skb, cp: Conn, request: bool): void {
  if (!(cp.flags & VS_CONN_F_NFCT)) {
    notrack(skb);
    return;
  }
  if (skb.ct == 0 || !request || cp.flags & VS_CONN_F_ONE_PACKET) return;
  if ((cp.flags & VS_CONN_F_FWD_MASK) != <u32>VS_CONN_F_MASQ || dirOfInfo(skb.ctInfo) != 0) return;
  ctSetReplySource(changetype<Ct>(skb.ct), cp.daddr, cp.dport);
}
