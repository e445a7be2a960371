/**
 * Bridged IPv4 frames through the IPv4 hooks, bridge-nf-call-iptables (net/bridge/br_netfilter_hooks.c).
 * The hooks see the bridge, not its ports, as in- and output device.
 *
 * SKB_NF_BRIDGED says: went through PRE_ROUTING here; so ipRcv's PRE_ROUTING lets it pass when the frame is
 * for the host (ip_sabotage_in), and POST_ROUTING is for frames that were forwarded from port to port only.
 */
import {
  DROP_IP_CSUM,
  DROP_IP_INHDR,
  NF_ACCEPT,
  NF_DROP,
  NF_FORWARD,
  NF_POST_ROUTING,
  NF_PRE_ROUTING,
  NF_STOLEN,
  RTN_UNICAST,
} from "../abi";
import { Neigh, neighConnected, neighLookup } from "../inet/neigh";
import { RtResult, routeLookupAnySrc } from "../inet/route";
import { snmpReady } from "../inet/snmp";
import { handleFrameFinish } from "../link/bridge";
import { NetDev } from "../link/netdev";
import { NetNs } from "../link/netns";
import { PACKET_HOST, PACKET_OTHERHOST, SKB_NF_BRIDGED, Skb, dropSkb, skbPull, skbPush } from "../memory/skb";
import { checksum } from "../wire/checksum";
import { ETH_HLEN, storeMac } from "../wire/ethernet";
import { ipDst, ipHlen, ipIsFragment } from "../wire/ipv4";
import { brFragment, bridgeDefragment } from "./defrag";
import { nfForward, nfPostRouting, nfPreRouting } from "./netfilter";
import { nfOf } from "./nfns";

/** br_validate_ipv4: checks the header, cuts padding off. False when the frame was dropped. */
function validate(skb: Skb): bool {
  const ip = skb.data + ETH_HLEN;
  const len = skb.len - ETH_HLEN;
  if (skb.len < ETH_HLEN + 20 || load<u8>(ip) >> 4 != 4 || ipHlen(ip) < 20 || ipHlen(ip) > len) {
    dropSkb(skb, DROP_IP_INHDR);
    return false;
  }
  if (checksum(ip, ipHlen(ip)) != 0) {
    dropSkb(skb, DROP_IP_CSUM);
    return false;
  }
  const total = <u32>bswap<u16>(load<u16>(ip, 2));
  if (total > len || total < ipHlen(ip)) {
    dropSkb(skb, DROP_IP_INHDR);
    return false;
  }
  skb.len = ETH_HLEN + total;
  skb.nh = ip;
  return true;
}

/** br_nf_pre_routing: a frame came in by a port (skb.data at its Ethernet header). */
export function brNfPreRouting(br: NetDev, port: NetDev, skb: Skb): u32 {
  const ns = changetype<NetNs>(br.ns);
  if (!validate(skb)) return NF_DROP;
  snmpReady(ns);
  if (!(ns.nfHooks & (1 << NF_PRE_ROUTING))) return NF_ACCEPT;
  if (nfOf(ns).ctUsers != 0 && ipIsFragment(skb.nh)) {
    // The whole packet takes the fragment's place, in a buffer of its own.
    const whole = bridgeDefragment(skb);
    if (whole != 0 && preRouting(br, ns, changetype<Skb>(whole))) handleFrameFinish(br, port, changetype<Skb>(whole));
    return NF_STOLEN;
  }
  return preRouting(br, ns, skb) ? NF_ACCEPT : NF_DROP;
}

function preRouting(br: NetDev, ns: NetNs, skb: Skb): bool {
  const destination = ipDst(skb.nh);
  const otherHost = skb.pktType == PACKET_OTHERHOST;
  if (otherHost) skb.pktType = PACKET_HOST;
  skb.flags &= ~SKB_NF_BRIDGED;
  skbPull(skb, ETH_HLEN);
  if (nfPreRouting(ns, skb, changetype<usize>(br)) != <u32>NF_ACCEPT) return false;
  skbPush(skb, ETH_HLEN);
  skb.flags |= SKB_NF_BRIDGED;
  if (otherHost) skb.pktType = PACKET_OTHERHOST;
  if (ipDst(skb.nh) != destination) redirect(br, ns, skb);
  return true;
}

/**
 * The end of br_nf_pre_routing_finish for a packet whose destination was translated: to a neighbour on the
 * same bridge it stays bridged, with that neighbour's address; else the host routes it.
 */
function redirect(br: NetDev, ns: NetNs, skb: Skb): void {
  let mac = br.mac;
  if (
    routeLookupAnySrc(ns, ipDst(skb.nh), 0, 0) == 0 &&
    RtResult.rtType == <u32>RTN_UNICAST &&
    RtResult.rtDev == changetype<usize>(br)
  ) {
    const found = neighLookup(br, RtResult.rtNextHop);
    if (found != 0 && neighConnected(changetype<Neigh>(found))) mac = changetype<Neigh>(found).mac;
  }
  if (mac == br.mac) skb.pktType = PACKET_HOST;
  storeMac(skb.data, mac);
}

/** br_nf_forward_ip: from port to port. */
export function brNfForward(br: NetDev, inPort: NetDev, outPort: NetDev, skb: Skb): u32 {
  const ns = changetype<NetNs>(br.ns);
  if (ns.nfHooks & (1 << NF_FORWARD)) {
    const type = skb.pktType;
    if (type == PACKET_OTHERHOST) skb.pktType = PACKET_HOST;
    skbPull(skb, ETH_HLEN);
    const verdict = nfForward(ns, skb, changetype<usize>(br), changetype<usize>(br));
    if (verdict != <u32>NF_ACCEPT) return verdict;
    skbPush(skb, ETH_HLEN);
    skb.pktType = type;
  }
  skb.flags |= SKB_NF_BRIDGED;
  return NF_ACCEPT;
}

/** br_nf_post_routing: about to leave by a port. Packets that tracking put together are taken apart again. */
export function brNfPostRouting(br: NetDev, outPort: NetDev, skb: Skb): u32 {
  if (!(skb.flags & SKB_NF_BRIDGED)) return NF_ACCEPT; // the host's own: it met POST_ROUTING before
  skb.flags &= ~SKB_NF_BRIDGED;
  const ns = changetype<NetNs>(br.ns);
  if (ns.nfHooks & (1 << NF_POST_ROUTING)) {
    skbPull(skb, ETH_HLEN);
    const verdict = nfPostRouting(ns, skb, changetype<usize>(br));
    if (verdict != <u32>NF_ACCEPT) return verdict;
    skbPush(skb, ETH_HLEN);
  }
  if (skb.fragMax != 0 && skb.len > outPort.mtu + ETH_HLEN) {
    brFragment(outPort, skb);
    return NF_STOLEN;
  }
  return NF_ACCEPT;
}
