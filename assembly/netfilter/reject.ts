/** The target REJECT (net/ipv4/netfilter/nf_reject_ipv4.c). */
import { IPPROTO_TCP, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST, RULE_T_REJECT } from "../abi";
import { isLocalAddr } from "../inet/addr";
import { fibAddrType } from "../inet/fib";
import { icmpSend } from "../inet/icmp";
import { ipLocalOut } from "../inet/output";
import { routeLookupAnySrc, setRoute } from "../inet/route";
import { NetNs, nsHost } from "../link/netns";
import { SKB_CSUM_OK, SKB_HEADROOM, Skb, allocSkb, skbPut } from "../memory/skb";
import { checksum, fold64, pseudoSum, sumBytes } from "../wire/checksum";
import {
  TCPHDR_ACK,
  TCPHDR_FIN,
  TCPHDR_RST,
  TCPHDR_SYN,
  emitTcp,
  tcpAckSeq,
  tcpDoff,
  tcpDport,
  tcpFlags,
  tcpSeq,
  tcpSport,
} from "../wire/tcp";
import { ipDst, ipHlen, ipLaterFragment, ipProtocol, ipSrc } from "../wire/ipv4";
import { ICMP_DEST_UNREACH } from "../wire/icmp";
import { Ct } from "./conntrack";
import { ctAttach, l4ChecksumOk } from "./ct-proto";
import { tcpSetClosing } from "./ct-tcp";
import { nfOf } from "./nfns";

const ICMP_PORT_UNREACH: u32 = 3;

/** Answers a packet that is about to be dropped. */
export function reject(ns: NetNs, skb: Skb, body: usize): void {
  const ip = skb.nh;
  if (ipLaterFragment(ip)) return;
  if (load<u32>(body, RULE_T_REJECT) == 1) {
    sendReset(ns, skb);
    return;
  }
  if (!checksumFits(skb)) return;
  // A bridged packet has no route; the bridge gives it a fake one (br_netfilter_rtable_init). It ends here anyway.
  if (skb.rtType == 0) skb.rtType = RTN_UNICAST;
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
}

/** nf_send_unreach answers only packets whose checksum is right. */
function checksumFits(skb: Skb): bool {
  const ip = skb.nh;
  const th = ip + ipHlen(ip);
  const len = <u32>(skb.data + skb.len - th);
  const protocol = ipProtocol(ip);
  if (skb.flags & SKB_CSUM_OK) return true;
  if (protocol == <u32>IPPROTO_TCP) return l4ChecksumOk(skb, ip, th, len);
  if (protocol == 17) return len < 8 || load<u16>(th, 6) == 0 || l4ChecksumOk(skb, ip, th, len);
  return protocol != 1 || checksum(th, len) == 0;
}

/** nf_send_reset. */
function sendReset(ns: NetNs, skb: Skb): void {
  const ip = skb.nh;
  const th = ip + ipHlen(ip);
  const len = <u32>(skb.data + skb.len - th);
  if (ipProtocol(ip) != <u32>IPPROTO_TCP || len < 20) return;
  const flags = tcpFlags(th);
  if (flags & TCPHDR_RST || !l4ChecksumOk(skb, ip, th, len)) return;
  const src = ipDst(ip);
  const dst = ipSrc(ip);
  const type = fibAddrType(ns, src);
  if (type == <u32>RTN_BROADCAST || type == <u32>RTN_MULTICAST) return;
  if (routeLookupAnySrc(ns, dst, isLocalAddr(ns, src) ? src : 0, 0) != 0) return;
  const answer = allocSkb(nsHost(ns), SKB_HEADROOM, 40);
  setRoute(answer);
  const at = skbPut(answer, 40);
  memory.fill(at, 0, 40);
  answer.nh = at;
  answer.th = at + 20;
  store<u16>(at, 0x0045);
  store<u16>(at, bswap<u16>(40), 2);
  store<u16>(at, 0x0040, 6); // DF, id 0
  store<u8>(at, 64, 8);
  store<u8>(at, IPPROTO_TCP, 9);
  store<u32>(at, bswap<u32>(src), 12);
  store<u32>(at, bswap<u32>(dst), 16);
  if (flags & TCPHDR_ACK) emitTcp(at + 20, tcpDport(th), tcpSport(th), tcpAckSeq(th), 0, 20, TCPHDR_RST, 0);
  else {
    const end = tcpSeq(th) + <u32>((flags & TCPHDR_SYN) != 0) + <u32>((flags & TCPHDR_FIN) != 0) + len - tcpDoff(th);
    emitTcp(at + 20, tcpDport(th), tcpSport(th), 0, end, 20, TCPHDR_RST | TCPHDR_ACK, 0);
  }
  store<u16>(at + 20, <u16>~fold64(pseudoSum(at, IPPROTO_TCP, 20) + sumBytes(at + 20, 20)), 16);
  answer.flags |= SKB_CSUM_OK;
  ctAttach(answer, skb);
  if (skb.ct != 0) tcpSetClosing(nfOf(ns), changetype<Ct>(skb.ct));
  ipLocalOut(ns, answer);
}
