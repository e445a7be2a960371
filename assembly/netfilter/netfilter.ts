/** Placeholder signatures, filled within minutes. */
import { NF_ACCEPT } from "../abi";
import { NetNs } from "../link/netns";
import { Skb } from "../memory/skb";

export function nfNsInit(ns: NetNs): void {
  ns.nf = 0;
}
export function nfNsExit(ns: NetNs): void {
  ns.nf = 0;
}
export function nfHook(ns: NetNs, hook: u32, skb: Skb, inDev: usize, outDev: usize): u32 {
  return NF_ACCEPT;
}
export function nfMasqDevDown(ns: NetNs, ifindex: u32): void {}
export function nfMasqAddrGone(ns: NetNs, ifindex: u32, addr: u32): void {}
