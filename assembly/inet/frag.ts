/** Fragmentation (net/ipv4/ip_output.c ip_fragment, ip_do_fragment; net/ipv4/ip_options.c ip_options_fragment). */
import { DROP_PKT_TOO_BIG, EMSGSIZE, MARK_FRAGMENT } from "../abi";
import { mark, marking } from "../link/marks";
import { NetDev } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import {
  SKB_FRAG_REASM,
  SKB_HEADROOM,
  SKB_IGNORE_DF,
  SKB_SECPATH,
  Skb,
  allocSkb,
  consumeSkb,
  dropSkb,
  skbPut,
} from "../memory/skb";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../wire/icmp";
import { IP_DF, IP_HLEN, IP_MF, IP_OFFSET, ipFrag, ipHlen, ipSendCheck } from "../wire/ipv4";
import { icmpSend } from "./icmp";
import { neighOutput } from "./neigh";
import { SNMP_IP_FRAG_CREATES, SNMP_IP_FRAG_FAILS, SNMP_IP_FRAG_OKS, snmpInc } from "./snmp";

export { FRAG_CONNTRACK_IN, FRAG_CONNTRACK_OUT, FRAG_LOCAL_DELIVER, ipDefrag } from "./defrag";

/** Sends a packet that is longer than its route's MTU, or was reassembled on the way, in pieces. 0 or -EMSGSIZE. */
export function ipFragment(ns: NetNs, skb: Skb): i32 {
  const ip = skb.data;
  let mtu = skb.rtMtu;
  if (ipFrag(ip) & IP_DF && !(skb.flags & (SKB_IGNORE_DF | SKB_FRAG_REASM) && skb.fragMax <= mtu)) {
    if (skb.len <= mtu) return neighOutput(changetype<NetDev>(skb.rtDev), skb.rtNextHop, skb);
    snmpInc(ns, SNMP_IP_FRAG_FAILS);
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return -EMSGSIZE;
  }
  // Pieces no larger than the sender's were.
  if (skb.fragMax != 0 && skb.fragMax < mtu) mtu = skb.fragMax;
  if (skb.len <= mtu) return neighOutput(changetype<NetDev>(skb.rtDev), skb.rtNextHop, skb);
  return split(ns, skb, mtu);
}

function split(ns: NetNs, skb: Skb, mtu: u32): i32 {
  const ip = skb.data;
  const header = ipHlen(ip);
  const piece = (mtu - header) & ~7;
  const flags = ipFrag(ip);
  const end = skb.len - header;
  // IPSKB_FRAG_PMTU: the largest piece had DF, so the new ones have it too.
  const df = flags & IP_DF && skb.flags & SKB_FRAG_REASM ? IP_DF : 0;
  if (marking) mark(MARK_FRAGMENT, changetype<usize>(ns), skb.rtDev, skb, mtu, skb.len);
  let at: u32 = 0;
  let result: i32 = 0;
  while (at < end) {
    const left = end - at;
    const length = header + left <= mtu ? left : piece;
    const last = at + length == end;
    const out = allocSkb(nsHost(ns), SKB_HEADROOM, header + length);
    const to = skbPut(out, header + length);
    memory.copy(to, ip, header);
    if (at != 0 && header > IP_HLEN) blankOptions(to, header);
    memory.copy(to + header, ip + header + at, length);
    const frag = ((flags & IP_OFFSET) + (at >> 3)) | df | (!last || flags & IP_MF ? IP_MF : 0);
    store<u16>(to, bswap<u16>(<u16>(header + length)), 2);
    store<u16>(to, bswap<u16>(<u16>frag), 6);
    ipSendCheck(to);
    copyMetadata(out, skb, to, to + header);
    snmpInc(ns, SNMP_IP_FRAG_CREATES);
    const error = neighOutput(changetype<NetDev>(out.rtDev), out.rtNextHop, out);
    at += length;
    if (error != 0) {
      result = error;
      break;
    }
  }
  snmpInc(ns, result == 0 ? SNMP_IP_FRAG_OKS : SNMP_IP_FRAG_FAILS);
  consumeSkb(skb);
  return result;
}

/** ip_copy_metadata. */
function copyMetadata(to: Skb, from: Skb, nh: usize, th: usize): void {
  to.nh = nh;
  to.th = th;
  to.dev = from.dev;
  to.journey = from.journey;
  to.pktType = from.pktType;
  to.protocol = from.protocol;
  to.priority = from.priority;
  to.mark = from.mark;
  to.hash = from.hash;
  to.flags = from.flags & ~(SKB_IGNORE_DF | SKB_FRAG_REASM | SKB_SECPATH);
  to.rtDev = from.rtDev;
  to.rtNextHop = from.rtNextHop;
  to.rtType = from.rtType;
  to.rtMtu = from.rtMtu;
}

/** Options without the copied bit become no-operations in all fragments but the first (ip_options_fragment). */
function blankOptions(ip: usize, header: u32): void {
  let at: u32 = IP_HLEN;
  while (at < header) {
    const kind = <u32>load<u8>(ip + at);
    if (kind == 0) return;
    if (kind == 1) {
      at++;
      continue;
    }
    if (at + 1 >= header) return;
    const length = <u32>load<u8>(ip + at, 1);
    if (length < 2 || at + length > header) return;
    if (!(kind & 0x80)) memory.fill(ip + at, 1, length);
    at += length;
  }
}
