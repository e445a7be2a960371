/** ARP (net/ipv4/arp.c): asking for neighbours and answering for local addresses. */
import {
  CONF_ARP_ACCEPT,
  CONF_ARP_ANNOUNCE,
  CONF_ARP_FILTER,
  CONF_ARP_IGNORE,
  CONF_FORWARDING,
  CONF_LOCKTIME_MS,
  CONF_PROXY_ARP,
  CONF_ROUTE_LOCALNET,
  CONF_UCAST_SOLICIT,
  DEV_LOOPBACK,
  DROP_ARP_CONSUMED,
  DROP_ARP_INVALID,
  DROP_OTHERHOST,
  NUD_REACHABLE,
  NUD_STALE,
  RTN_LOCAL,
  RTN_UNICAST,
  SCOPE_HOST,
  SCOPE_LINK, DELIVER_ARP, MARK_DELIVER,
} from "../abi";
import { journeyBegin, mark, marking } from "../link/marks";
import { NetDev, devXmit } from "../link/netdev";
import { NetNs, nsHost } from "../link/netns";
import { PACKET_HOST, PACKET_OTHERHOST, SKB_HEADROOM, Skb, allocSkb, consumeSkb, dropSkb, skbPut } from "../memory/skb";
import { now } from "../sim/event";
import {
  ARPOP_REPLY,
  ARPOP_REQUEST,
  ARP_HLEN,
  arpOp,
  arpSha,
  arpSip,
  arpTha,
  arpTip,
  arpValid,
  emitArp,
} from "../wire/arp";
import { ETH_HLEN, ETH_P_ARP, MAC_BROADCAST, emitEth } from "../wire/ethernet";
import { INADDR_ANY, ipSrc, isLoopbackIp, isMulticastIp } from "../wire/ipv4";
import { Addr, ifaMatch, selectAddr } from "./addr";
import { fibAddrType } from "./fib";
import { InDev, confDev, confMax } from "./inet";
import { NEIGH_OVERRIDE, Neigh, neighCreate, neighEventNs, neighLookup, neighUpdate } from "./neigh";
import { InRoute, routeInput } from "./route-input";
import { RtResult, routeLookup } from "./route";

/** Sends one ARP packet (arp_send_dst). */
export function arpSend(dev: NetDev, op: u32, ethDst: u64, tip: u32, sip: u32, sha: u64, tha: u64): void {
  if (dev.kind == DEV_LOOPBACK) return;
  const skb = allocSkb(nsHost(changetype<NetNs>(dev.ns)), SKB_HEADROOM, ETH_HLEN + ARP_HLEN);
  const frame = skbPut(skb, ETH_HLEN + ARP_HLEN);
  emitEth(frame, ethDst, dev.mac, ETH_P_ARP);
  emitArp(frame + ETH_HLEN, op, sha, sip, tha, tip);
  skb.protocol = ETH_P_ARP;
  if (marking) journeyBegin(skb);
  devXmit(dev, skb);
}

/** arp_solicit: asks for a neighbour; `waiting` is the packet that waits, or 0. */
export function arpSolicit(neigh: Neigh, waiting: usize): void {
  const dev = changetype<NetDev>(neigh.dev);
  const ns = changetype<NetNs>(dev.ns);
  let src: u32 = 0;
  if (waiting != 0) {
    const packetSrc = ipSrc(changetype<Skb>(waiting).data);
    const announce = confMax(dev, CONF_ARP_ANNOUNCE);
    if (announce < 2 && fibAddrType(ns, packetSrc) == RTN_LOCAL) {
      if (announce == 0 || onLink(dev, neigh.ip, packetSrc)) src = packetSrc;
    }
  }
  if (src == 0) src = selectAddr(dev, neigh.ip, SCOPE_LINK);
  const unicast = neigh.probes < confDev(dev, CONF_UCAST_SOLICIT);
  arpSend(dev, ARPOP_REQUEST, unicast ? neigh.mac : MAC_BROADCAST, neigh.ip, src, dev.mac, 0);
}

/** Both addresses lie in one network of the device (inet_addr_onlink). */
export function onLink(dev: NetDev, a: u32, b: u32): bool {
  if (dev.inDev == 0) return false;
  for (let p = changetype<InDev>(dev.inDev).addrs; p != 0; p = changetype<Addr>(p).next) {
    const addr = changetype<Addr>(p);
    if (ifaMatch(a, addr) && (b == 0 || ifaMatch(b, addr))) return true;
  }
  return false;
}

/** arp_ignore: whether a request for a local address is left unanswered. */
function ignored(dev: NetDev, sip: u32, tip: u32): bool {
  const mode = confMax(dev, CONF_ARP_IGNORE);
  if (mode == 1) return !confirmAddr(dev, INADDR_ANY, tip, SCOPE_HOST);
  if (mode == 2) return !confirmAddr(dev, sip, tip, SCOPE_HOST);
  if (mode == 3) {
    for (let p = changetype<NetNs>(dev.ns).devs; p != 0; p = changetype<NetDev>(p).nsNext) {
      if (confirmAddr(changetype<NetDev>(p), INADDR_ANY, tip, SCOPE_LINK)) return false;
    }
    return true;
  }
  return mode == 8;
}

/** confirm_addr_indev: the device has `local`, within that scope, and (if given) in one network with `dst`. */
function confirmAddr(dev: NetDev, dst: u32, local: u32, scope: u32): bool {
  if (dev.inDev == 0) return false;
  let has = false;
  let same = false;
  for (let p = changetype<InDev>(dev.inDev).addrs; p != 0; p = changetype<Addr>(p).next) {
    const addr = changetype<Addr>(p);
    const own: u32 = addr.scope < <u32>SCOPE_HOST ? addr.scope : SCOPE_HOST;
    if (addr.ip == local && own <= scope) has = true;
    if (ifaMatch(local, addr) && (dst == 0 || ifaMatch(dst, addr))) same = true;
  }
  return has && same;
}

/** arp_rcv: skb.data at the ARP header. */
export function arpRcv(skb: Skb): void {
  const dev = changetype<NetDev>(skb.dev);
  if (skb.pktType == PACKET_OTHERHOST) {
    dropSkb(skb, DROP_OTHERHOST);
    return;
  }
  if (skb.len < ARP_HLEN || dev.kind == DEV_LOOPBACK || !arpValid(skb.data)) {
    dropSkb(skb, DROP_ARP_INVALID);
    return;
  }
  const op = arpOp(skb.data);
  const tip = arpTip(skb.data);
  if (
    op < ARPOP_REQUEST ||
    op > ARPOP_REPLY ||
    isMulticastIp(tip) ||
    (isLoopbackIp(tip) && !confMax(dev, CONF_ROUTE_LOCALNET))
  ) {
    dropSkb(skb, DROP_ARP_INVALID);
    return;
  }
  const used = process(dev, skb, op, tip);
  if (marking && used) mark(MARK_DELIVER, dev.ns, changetype<usize>(dev), skb, DELIVER_ARP, tip, op, arpSip(skb.data), 0);
  if (used) consumeSkb(skb);
  else dropSkb(skb, DROP_ARP_CONSUMED);
}

/** arp_process. False when the packet had no effect. */
function process(dev: NetDev, skb: Skb, op: u32, tip: u32): bool {
  const ns = changetype<NetNs>(dev.ns);
  const arp = skb.data;
  const sip = arpSip(arp);
  const sha = arpSha(arp);
  if (sip == INADDR_ANY) {
    // Duplicate address detection: answered, nothing learned.
    if (op != ARPOP_REQUEST || fibAddrType(ns, tip) != RTN_LOCAL || ignored(dev, sip, tip)) return false;
    arpSend(dev, ARPOP_REPLY, sha, sip, tip, dev.mac, sha);
    return true;
  }
  if (op == ARPOP_REQUEST && routeInput(ns, dev, tip, sip, false) == 0) {
    if (InRoute.type == RTN_LOCAL) {
      if (ignored(dev, sip, tip) || (confMax(dev, CONF_ARP_FILTER) && filtered(ns, dev, sip, tip))) return false;
      if (neighEventNs(dev, sip, sha)) arpSend(dev, ARPOP_REPLY, sha, sip, tip, dev.mac, sha);
      return true;
    }
    if (
      confDev(dev, CONF_FORWARDING) &&
      InRoute.type == RTN_UNICAST &&
      InRoute.outDev != changetype<usize>(dev) &&
      confMax(dev, CONF_PROXY_ARP)
    ) {
      neighEventNs(dev, sip, sha);
      arpSend(dev, ARPOP_REPLY, sha, sip, tip, dev.mac, sha);
      return true;
    }
  }
  return learn(ns, dev, skb, op, sip, tip, sha);
}

/** arp_filter: the way back to the asker leaves by another device. */
function filtered(ns: NetNs, dev: NetDev, sip: u32, tip: u32): bool {
  return routeLookup(ns, sip, tip, 0) != 0 || RtResult.rtDev != changetype<usize>(dev);
}

/** Updates the entry of the sender; unknown senders are ignored unless arp_accept is set. */
function learn(ns: NetNs, dev: NetDev, skb: Skb, op: u32, sip: u32, tip: u32, sha: u64): bool {
  let found = neighLookup(dev, sip);
  const accept = confMax(dev, CONF_ARP_ACCEPT) != 0;
  if (found == 0 && !accept) return false;
  const unicast = fibAddrType(ns, sip) == RTN_UNICAST;
  // arp_is_garp: tip is the sender's own address, a reply repeats its MAC, the address is no local or broadcast one.
  const garp = sip == tip && unicast && (op == ARPOP_REQUEST || arpTha(skb.data) == sha);
  if (found == 0) {
    if (!garp && (op != ARPOP_REPLY || !unicast)) return false;
    found = neighCreate(dev, sip, false);
    if (found == 0) return false;
  }
  const neigh = changetype<Neigh>(found);
  const locked = now <= neigh.updated + <i64>confDev(dev, CONF_LOCKTIME_MS) * 1_000_000;
  const state: u32 = op == ARPOP_REPLY && skb.pktType == PACKET_HOST ? NUD_REACHABLE : NUD_STALE;
  neighUpdate(neigh, true, sha, state, locked && !garp ? 0 : NEIGH_OVERRIDE);
  return true;
}
