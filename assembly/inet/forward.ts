/** IPv4 forwarding (net/ipv4/ip_forward.c). */
import { DROP_IP_TTL, DROP_OTHERHOST, DROP_PKT_TOO_BIG, NF_ACCEPT, NF_FORWARD, SYS_FORWARD_USE_PMTU, XFRM_POLICY_FWD } from "../abi";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { PACKET_HOST, SKB_IGNORE_DF, SKB_SECPATH, Skb, dropSkb } from "../memory/skb";
import { nfForward } from "../netfilter/netfilter";
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_REDIRECT,
  ICMP_REDIR_HOST,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp";
import { IP_DF, ipDecreaseTtl, ipDst, ipFrag, ipSrc, ipTtl } from "../wire/ipv4";
import { xfrmPolicyCheck } from "../xfrm/input";
import { xfrmLookup, xfrmPacketMtu, xfrmReason } from "../xfrm/output";
import { XFRM_FLAG_FWD, XFRM_FLAG_OUT } from "../xfrm/records";
import { icmpSend } from "./icmp";
import { sysctl } from "./inet";
import { dstOutput } from "./output";
import { peerRedirectAllow } from "./peer";
import { devMtu, pmtuGet } from "./route";
import { SNMP_IP_FORW_DATAGRAMS, SNMP_IP_FRAG_FAILS, SNMP_IP_IN_HDR_ERRORS, snmpInc } from "./snmp";

/** ip_forward: skb is routed to skb.rtDev, skb.rtNextHop. */
export function ipForward(ns: NetNs, skb: Skb, redirect: bool): void {
  if (skb.pktType != PACKET_HOST) {
    dropSkb(skb, DROP_OTHERHOST);
    return;
  }
  if (ns.xfrmFlags & XFRM_FLAG_FWD) {
    const reason = xfrmPolicyCheck(ns, skb, XFRM_POLICY_FWD);
    if (reason != 0) {
      dropSkb(skb, reason);
      return;
    }
  }
  const ip = skb.data;
  if (ipTtl(ip) <= 1) {
    snmpInc(ns, SNMP_IP_IN_HDR_ERRORS);
    icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    dropSkb(skb, DROP_IP_TTL);
    return;
  }
  // xfrm4_route_forward.
  if (ns.xfrmFlags & XFRM_FLAG_OUT && xfrmLookup(ns, skb) != 0) {
    dropSkb(skb, xfrmReason);
    return;
  }
  // The device's MTU, not what was learned: anybody could have taught it (ip_forward_use_pmtu 0).
  let mtu = devMtu(changetype<NetDev>(skb.rtDev));
  if (sysctl(ns, SYS_FORWARD_USE_PMTU)) mtu = pmtuGet(ns, ipDst(ip), mtu);
  skb.rtMtu = mtu;
  mtu = xfrmPacketMtu(skb, mtu);
  if (exceedsMtu(skb, ip, mtu)) {
    snmpInc(ns, SNMP_IP_FRAG_FAILS);
    icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  ipDecreaseTtl(ip);
  if (redirect && !(skb.flags & SKB_SECPATH) && peerRedirectAllow(ns, ipSrc(ip)))
    icmpSend(skb, ICMP_REDIRECT, ICMP_REDIR_HOST, skb.rtNextHop);
  if (ns.nfHooks & (1 << NF_FORWARD)) {
    if (nfForward(ns, skb, skb.dev, skb.rtDev) != NF_ACCEPT) return;
  }
  snmpInc(ns, SNMP_IP_FORW_DATAGRAMS);
  dstOutput(ns, skb);
}

/** ip_exceeds_mtu. */
function exceedsMtu(skb: Skb, ip: usize, mtu: u32): bool {
  if (skb.len <= mtu || !(ipFrag(ip) & IP_DF)) return false;
  if (skb.fragMax > mtu) return true;
  return !(skb.flags & SKB_IGNORE_DF);
}
