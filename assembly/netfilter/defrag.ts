/**
 * Fragments of bridged packets: put together before tracking, taken apart before they leave by a port
 * (net/bridge/br_netfilter_hooks.c br_nf_ip_fragment, net/bridge/netfilter/nf_conntrack_bridge.c).
 */
import { DROP_PKT_TOO_BIG } from "../abi";
import { ipDefrag } from "../inet/frag";
import { NetDev, devXmit } from "../link/netdev";
import {
  SKB_FRAG_REASM,
  SKB_HEADROOM,
  Skb,
  allocSkb,
  consumeSkb,
  dropSkb,
  ensureHeadroom,
  skbPull,
  skbPush,
  skbPut,
} from "../memory/skb";
import { Host } from "../sim/host";
import { checksum } from "../wire/checksum";
import { ETH_HLEN } from "../wire/ethernet";
import { ipHlen } from "../wire/ipv4";

/** IP_DEFRAG_CONNTRACK_BRIDGE_IN: queues apart from those of routed and delivered packets. */
const FRAG_BRIDGE_IN: u32 = 4;

const header: usize = memory.data(16, 16);

/** Takes a bridged fragment (skb.data at its Ethernet header). The whole packet with that header, or 0. */
export function bridgeDefragment(skb: Skb): usize {
  memory.copy(header, skb.data, ETH_HLEN);
  const port = skb.inPort;
  const type = skb.pktType;
  skbPull(skb, ETH_HLEN);
  const at = ipDefrag(skb, FRAG_BRIDGE_IN);
  if (at == 0) return 0;
  const whole = ensureHeadroom(changetype<Skb>(at), ETH_HLEN);
  whole.nh = whole.data;
  whole.mac = skbPush(whole, ETH_HLEN);
  memory.copy(whole.data, header, ETH_HLEN);
  whole.inPort = port;
  whole.pktType = type;
  return changetype<usize>(whole);
}

/** br_nf_ip_fragment: sends a reassembled frame (skb.data at its Ethernet header) in pieces of the sender's size. */
export function brFragment(port: NetDev, skb: Skb): void {
  const ip = skb.data + ETH_HLEN;
  const ihl = ipHlen(ip);
  const mtu = skb.fragMax < port.mtu ? skb.fragMax : port.mtu;
  const piece = (mtu - ihl) & ~7;
  const end = skb.len - ETH_HLEN - ihl;
  const flags = <u32>bswap<u16>(load<u16>(ip, 6));
  // Pieces keep DF only if the pieces that came had it.
  if ((flags & 0x4000 && !(skb.flags & SKB_FRAG_REASM)) || mtu < ihl + 8) {
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  for (let at: u32 = 0; at < end; at += piece) {
    const last = at + piece >= end;
    const length = last ? end - at : piece;
    const out = allocSkb(changetype<Host>(skb.host), SKB_HEADROOM, ETH_HLEN + ihl + length);
    const to = skbPut(out, ETH_HLEN + ihl + length);
    memory.copy(to, skb.data, ETH_HLEN + ihl);
    memory.copy(to + ETH_HLEN + ihl, ip + ihl + at, length);
    const own = to + ETH_HLEN;
    const bits = (flags & 0x4000) | (at >> 3) | (last ? 0 : 0x2000);
    store<u16>(own, bswap<u16>(<u16>(ihl + length)), 2);
    store<u16>(own, bswap<u16>(<u16>bits), 6);
    store<u16>(own, 0, 10);
    store<u16>(own, checksum(own, ihl), 10);
    out.mac = to;
    out.nh = own;
    out.protocol = skb.protocol;
    out.mark = skb.mark;
    out.priority = skb.priority;
    out.journey = skb.journey;
    devXmit(port, out);
  }
  consumeSkb(skb);
}
