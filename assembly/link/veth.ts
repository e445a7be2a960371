/** Virtual Ethernet pairs (drivers/net/veth.c): what one end sends, the other receives, in its own namespace. */
import { DEV_VETH, DROP_DEV_DOWN, DROP_PKT_TOO_BIG } from "../abi";
import { Skb, dropSkb } from "../memory/skb";
import { IFF_UP, NetDev, devCreate, forwardable, netifRx, scrub } from "./netdev";
import { NetNs } from "./netns";

/** Frames that an end of a pair sent and its peer took, of all hosts since the kernel's start. */
export let vethHops: u64 = 0;

/** Makes a pair, the first end first (it gets the lower ifindex). Returns the first; its `priv` is the peer. */
export function vethCreate(ns: NetNs, peerNs: NetNs): NetDev {
  // rtnl_newlink makes the peer first, so that a pair's first end has the higher index of the two; Docker
  // names the container's end first and sees it with the lower one (libnetwork facts 1.3), because
  // vishvananda/netlink passes it as the peer. The order here is the callers': first argument, lower index.
  const first = devCreate(ns, DEV_VETH, 0);
  const second = devCreate(peerNs, DEV_VETH, 0);
  first.priv = changetype<usize>(second);
  second.priv = changetype<usize>(first);
  return first;
}

/** Cuts the pair; returns the peer, which the caller destroys too, or 0. */
export function vethDestroy(dev: NetDev): usize {
  const peer = dev.priv;
  dev.priv = 0;
  if (peer != 0) changetype<NetDev>(peer).priv = 0;
  return peer;
}

/** veth_xmit and dev_forward_skb. The packet stays charged to its socket across namespaces (skb_scrub_packet since 4.19). */
export function vethXmit(dev: NetDev, skb: Skb): void {
  const peer = changetype<NetDev>(dev.priv);
  if (dev.priv == 0 || !(peer.flags & IFF_UP)) {
    dev.txDropped++;
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  if (!forwardable(peer, skb.len)) {
    dev.txDropped++;
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  dev.txPackets++;
  dev.txBytes += skb.len;
  vethHops++;
  scrub(skb, dev.ns != peer.ns);
  netifRx(peer, skb);
}
