/**
 * Ethernet II (IEEE 802.3). A MAC address is a u64 of 48 bits as it is read from the wire: the first byte is the least
 * significant one, so that a frame's addresses are loaded and compared without turning bytes around. At the kernel's
 * border, and where addresses are ordered, the first byte is the most significant one (macOrder).
 *
 *   +0 destination 6 | +6 source 6 | +12 ethertype 2
 */

/** Bytes of the header, ethertypes, and the broadcast address. */
export const ETH_HLEN: u32 = 14;
export const ETH_P_IP: u32 = 0x0800;
export const ETH_P_ARP: u32 = 0x0806;
export const MAC_BROADCAST: u64 = 0xffffffffffff;

/** An address of either order in the other one. */
@inline
export function macOrder(mac: u64): u64 {
  return bswap<u64>(mac << 16);
}

/** Reads a MAC address at `at`. Reads 8 bytes: there are always 2 behind it in a frame. */
@inline
export function loadMac(at: usize): u64 {
  return load<u64>(at) & 0xffffffffffff;
}

/** Writes a MAC address (6 bytes). */
@inline
export function storeMac(at: usize, mac: u64): void {
  store<u32>(at, <u32>mac);
  store<u16>(at, <u16>(mac >> 32), 4);
}

/** Destination MAC. */
@inline
export function ethDst(frame: usize): u64 {
  return loadMac(frame);
}

/** Source MAC. */
@inline
export function ethSrc(frame: usize): u64 {
  return loadMac(frame + 6);
}

/** Ethertype. */
@inline
export function ethType(frame: usize): u32 {
  return <u32>bswap<u16>(load<u16>(frame, 12));
}

/** Group bit: multicast or broadcast. */
@inline
export function isMulticast(mac: u64): bool {
  return <bool>(mac & 1);
}

/** Neither multicast nor zero (is_valid_ether_addr). */
@inline
export function isValidUnicast(mac: u64): bool {
  return mac != 0 && !isMulticast(mac);
}

/** Writes a whole header. */
@inline
export function emitEth(at: usize, dst: u64, src: u64, type: u32): void {
  storeMac(at, dst);
  storeMac(at + 6, src);
  store<u16>(at, bswap<u16>(<u16>type), 12);
}
