/**
 * ESP in transport mode with rfc4106(gcm(aes)) (net/ipv4/esp4.c, crypto/seqiv.c, crypto/gcm.c; RFC 4303, RFC 4106), in place: on
 * the way out the IP header moves 16 bytes to the front, on the way in 16 bytes back; the payload stays where it is.
 *
 *   IP header | SPI 4 | sequence 4 | IV 8 | payload, pad 01 02 03 …, pad length 1, protocol 1 | ICV 8, 12 or 16
 *   nonce = salt 4 ‖ IV 8;  AAD = SPI ‖ sequence, with ESN SPI ‖ upper half ‖ lower half;  IV = be64(sequence) XOR mask
 */
import { EINVAL, IPPROTO_ESP } from "../abi";
import { gcmOpen, gcmSeal } from "../crypto/gcm";
import { NetNs } from "../link/netns";
import { Skb, ensureHeadroom, growTail, skbHeadroom } from "../memory/skb";
import { IP_MAX_LEN, ipHlen, ipProtocol } from "../wire/ipv4";
import { KeyEntry } from "./keys";
import { XFRM_REPLAY_MODE_ESN, XFRM_STATE_VALID, XfrmState, xfrmOf } from "./records";
import { stateLookup } from "./state";

/** SPI, sequence number and IV. */
const ESP_HLEN: u32 = 16;
const IP_HLEN: u32 = 20;
/** Pad 3, its length, the protocol, an ICV of 16. */
const TRAILER_MAX: u32 = 21;
/** Bytes behind the packet that the cipher may touch on its way. */
const CIPHER_SLACK: u32 = 32;
/** In front: the ESP header, a link header, and what the cipher may touch. */
const HEADROOM: u32 = 16 + 16 + 32;
/** RFC 4303 2.6: a dummy packet. */
const IPPROTO_NONE: u32 = 59;
const EBADMSG: i32 = 74;

/** Nonce, AAD and tag of the packet at hand: copies, so that the cipher meets no header of the packet. */
const nonce: usize = memory.data(16, 16);
const aad: usize = memory.data(16, 16);
const tag: usize = memory.data(16, 16);

/** Sets nonce and AAD from the ESP header at `esp`. Returns the length of the AAD. */
@inline
function associate(x: XfrmState, esp: usize, seqHi: u32): u32 {
  store<u32>(nonce, x.salt);
  store<u64>(nonce, load<u64>(esp, 8), 4);
  if (x.replayMode != XFRM_REPLAY_MODE_ESN) {
    store<u64>(aad, load<u64>(esp));
    return 8;
  }
  store<u32>(aad, load<u32>(esp));
  store<u32>(aad, bswap<u32>(seqHi), 4);
  store<u32>(aad, load<u32>(esp, 4), 8);
  return 12;
}

/** Moves an IP header of `length` bytes (a multiple of 4); `to` and `from` are at least 16 bytes apart, in either order. */
@inline
function moveHeader(to: usize, from: usize, length: u32): void {
  if (length == IP_HLEN) {
    const first = v128.load(from);
    const last = load<u32>(from, 16);
    v128.store(to, first);
    store<u32>(to, last, 16);
  } else memory.copy(to, from, length);
}

/** The pad bytes, 01 02 03. */
const PAD: u32 = 0x00030201;

/**
 * Encrypts a packet (skb.data = skb.nh = its IP header) with the number in x.oseq. Total length and checksum of the header
 * are left to __ip_local_out. Returns the buffer, another one when there was no room; 0 when the packet becomes too long
 * for IP (it is as it was).
 */
export function espOutput(x: XfrmState, given: Skb): usize {
  const header = ipHlen(given.nh);
  const length = given.len - header;
  const clear = (length + 2 + 3) & ~3;
  if (header + ESP_HLEN + clear + x.icv > IP_MAX_LEN) return 0;
  let skb = skbHeadroom(given) < HEADROOM ? ensureHeadroom(given, HEADROOM) : given;
  skb = growTail(skb, TRAILER_MAX + CIPHER_SLACK);
  const ip = skb.nh - ESP_HLEN;
  const protocol = ipProtocol(skb.nh);
  moveHeader(ip, skb.nh, header);
  const esp = ip + header;
  const payload = esp + ESP_HLEN;
  const pad = clear - length - 2;
  store<u32>(payload + length, PAD);
  store<u16>(payload + length + pad, <u16>(pad | (protocol << 8)));
  store<u8>(ip, IPPROTO_ESP, 9);
  store<u32>(esp, bswap<u32>(x.spi));
  store<u32>(esp, bswap<u32>(x.oseq), 4);
  store<u64>(esp, bswap<u64>((<u64>x.oseqHi << 32) | <u64>x.oseq) ^ x.ivMask, 8);
  gcmSeal(changetype<KeyEntry>(x.key).cipher, nonce, aad, associate(x, esp, x.oseqHi), payload, clear, tag, x.icv);
  const icv = payload + clear;
  store<u64>(icv, load<u64>(tag));
  if (x.icv > 8) store<u32>(icv, load<u32>(tag, 8), 8);
  if (x.icv > 12) store<u32>(icv, load<u32>(tag, 12), 12);
  skb.nh = ip;
  skb.data = ip;
  skb.th = esp;
  skb.len = header + ESP_HLEN + clear + x.icv;
  return changetype<usize>(skb);
}

/**
 * Verifies and decrypts (skb.data at the ESP header): returns the protocol inside, or -EINVAL (malformed), -EBADMSG
 * (wrong ICV). Afterwards skb.data is at the payload, the IP header in front of it; its fields are the caller's.
 */
export function espInput(x: XfrmState, skb: Skb, seqHi: u32): i32 {
  const esp = skb.data;
  if (skb.len < ESP_HLEN + x.icv) return -EINVAL;
  const length = skb.len - ESP_HLEN - x.icv;
  const payload = esp + ESP_HLEN;
  const end = payload + length;
  store<u64>(tag, load<u64>(end));
  store<u32>(tag, x.icv > 8 ? load<u32>(end, 8) : 0, 8);
  store<u32>(tag, x.icv > 12 ? load<u32>(end, 12) : 0, 12);
  // Nothing may follow the evaluation of the arguments: associate() fills nonce and AAD.
  const aadLength = associate(x, esp, seqHi);
  if (!gcmOpen(changetype<KeyEntry>(x.key).cipher, nonce, aad, aadLength, payload, length, tag, x.icv)) return -EBADMSG;
  // esp_remove_trailer: the pad must leave something.
  if (length < 2) return -EINVAL;
  const pad = <u32>load<u8>(end - 2);
  const protocol = <u32>load<u8>(end - 1);
  if (pad + 2 >= length || protocol == IPPROTO_NONE) return -EINVAL;
  const header = <u32>(esp - skb.nh);
  moveHeader(skb.nh + ESP_HLEN, skb.nh, header);
  skb.nh += ESP_HLEN;
  skb.data = payload;
  skb.th = payload;
  skb.len = length - pad - 2;
  return <i32>protocol;
}

export { EBADMSG };

/** xfrm_state_mtu: how long a packet may be so that encrypted it is no longer than `mtu`. */
export function espMtu(x: XfrmState, mtu: u32): u32 {
  if (x.km != XFRM_STATE_VALID) return mtu - ESP_HLEN;
  return ((mtu - ESP_HLEN - x.icv - IP_HLEN) & ~3) + IP_HLEN - 2;
}

/** esp4_err: an ICMP error quotes the ESP packet at `ip` (8 bytes of it are there): is it one of a state of ours? */
export function espErrorKnown(ns: NetNs, mark: u32, ip: usize, header: u32): bool {
  if (ns.xfrm == 0) return false;
  return stateLookup(xfrmOf(ns), mark, bswap<u32>(load<u32>(ip, 16)), bswap<u32>(load<u32>(ip + header))) != 0;
}
