/**
 * Where connections and ports stand in the socket tables. Linux keys these hashes with a secret of its own
 * (inet_ehashfn), so there is nothing to be equal to: a quick mixer of 32 bits serves.
 */

@inline
function mix(h: u32): u32 {
  h ^= h >> 16;
  h *= 0x7feb352d;
  h ^= h >> 15;
  h *= 0x846ca68b;
  return h ^ (h >> 16);
}

/** Of a connection: namespace, addresses and ports in host order. */
@inline
export function tupleHash(ns: usize, localIp: u32, localPort: u32, remoteIp: u32, remotePort: u32): u32 {
  return mix((localIp * 0x9e3779b1) ^ mix(remoteIp + ((localPort << 16) | remotePort) * 0x85ebca6b) ^ <u32>(ns >> 4));
}

/** Of a local port. */
@inline
export function portHash(ns: usize, port: u32): u32 {
  return mix((port * 0x9e3779b1) ^ <u32>(ns >> 4));
}
