/**
 * Path MTU of a tunnel whose device is a bridge port (net/ipv4/ip_tunnel_core.c skb_tunnel_check_pmtu,
 * iptunnel_pmtud_build_icmp): the offending frame is answered with an ICMP frag-needed through the device.
 */
import { DROP_PKT_TOO_BIG, IPPROTO_ICMP } from "../abi";
import { PACKET_HOST, SKB_CSUM_OK, SKB_HEADROOM, Skb, allocSkb, dropSkb, skbPut } from "../memory/skb";
import { checksum, ipHeaderChecksum } from "../wire/checksum";
import { ETH_HLEN, ETH_P_IP, emitEth, ethDst, ethSrc, ethType, isMulticast } from "../wire/ethernet";
import { Host } from "../sim/host";
import { journeyBack, journeyBecause, journeyBegin, marking } from "./marks";
import { NetDev, netifRx } from "./netdev";
import { countBypass } from "./vxlan";

/** The smallest MTU that is reported (IPv4 minimum reassembly size). */
const MIN_REPORTED: u32 = 576;
/** Quoted bytes: 576 − IP header − ICMP header. */
const QUOTE: u32 = 548;

/** True when the frame was consumed: it is too long for a tunnel over a path of `mtu`, has DF, and its sender was told. */
export function tunnelPmtuExceeded(dev: NetDev, skb: Skb, mtu: u32, overhead: u32): bool {
  const ipLen = skb.len - ETH_HLEN;
  if (mtu <= overhead || ipLen <= mtu - overhead) return false;
  if (dev.master == 0 || skb.pktType == PACKET_HOST) return false;
  const limit = mtu - overhead;
  if (limit < MIN_REPORTED || ethType(skb.data) != ETH_P_IP || ipLen < 20 || isMulticast(ethDst(skb.data))) return false;
  const ip = skb.data + ETH_HLEN;
  if (load<u16>(ip, 6) != 0x0040 || isIcmpError(ip, ipLen)) return false; // exactly DF
  fragNeeded(dev, changetype<Host>(dev.host), skb, ip, limit);
  dropSkb(skb, DROP_PKT_TOO_BIG);
  return true;
}

function isIcmpError(ip: usize, ipLen: u32): bool {
  if (load<u8>(ip, 9) != IPPROTO_ICMP) return false;
  const header = <u32>(load<u8>(ip) & 15) << 2;
  if (ipLen < header + 1) return true;
  const type = <u32>load<u8>(ip + header);
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

function fragNeeded(dev: NetDev, host: Host, skb: Skb, ip: usize, mtu: u32): void {
  const ipLen = skb.len - ETH_HLEN;
  const quoted = ipLen < QUOTE ? ipLen : QUOTE;
  const reply = allocSkb(host, SKB_HEADROOM, ETH_HLEN + 28 + quoted);
  const frame = skbPut(reply, ETH_HLEN + 28 + quoted);
  emitEth(frame, ethSrc(skb.data), ethDst(skb.data), ETH_P_IP);
  const out = frame + ETH_HLEN;
  store<u32>(out, <u32>0x45 | (<u32>bswap<u16>(<u16>(28 + quoted)) << 16));
  store<u32>(out, 0x00400000, 4); // id 0, DF
  store<u32>(out, <u32>load<u8>(ip, 8) | (<u32>IPPROTO_ICMP << 8), 8); // TTL of the offending packet
  store<u32>(out, load<u32>(ip, 16), 12);
  store<u32>(out, load<u32>(ip, 12), 16);
  store<u16>(out, ipHeaderChecksum(out), 10);
  const icmp = out + 20;
  store<u32>(icmp, 0x00000403);
  store<u32>(icmp, bswap<u32>(mtu), 4);
  memory.copy(icmp + 8, ip, quoted);
  store<u16>(icmp, checksum(icmp, 8 + quoted), 2);
  reply.flags |= SKB_CSUM_OK;
  if (marking) {
    const before = journeyBecause(changetype<usize>(skb));
    journeyBegin(reply);
    journeyBack(before);
  }
  countBypass(dev, dev, reply.len);
  netifRx(dev, reply);
}
