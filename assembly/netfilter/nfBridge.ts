/** Placeholder signatures, filled within minutes. */
import { NF_ACCEPT } from "../abi";
import { NetDev } from "../link/netdev";
import { Skb } from "../memory/skb";

export function brNfPreRouting(br: NetDev, port: NetDev, skb: Skb): u32 {
  return NF_ACCEPT;
}
export function brNfForward(br: NetDev, inPort: NetDev, outPort: NetDev, skb: Skb): u32 {
  return NF_ACCEPT;
}
export function brNfPostRouting(br: NetDev, outPort: NetDev, skb: Skb): u32 {
  return NF_ACCEPT;
}
