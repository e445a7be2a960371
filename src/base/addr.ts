/**
 * IPv4 and MAC addresses as numbers: an IPv4 address is an unsigned 32-bit integer in host order
 * (10.0.0.1 = 0x0a000001), a MAC address an unsigned 48-bit integer (02:42:0a:00:01:02 = 0x02420a000102).
 */

/** An IPv4 address as an unsigned number, first byte most significant. */
export type Ipv4 = number;

/** A MAC address as a number of 48 bits, first byte most significant. */
export type Mac = number;

/** An address with its prefix length, e.g. 10.0.1.2/24. */
export interface Cidr {
  readonly ip: Ipv4;
  readonly prefix: number;
}

/** Parses dotted decimal; undefined when the text is no IPv4 address. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (let i = 1; i <= 4; i++) {
    const byte = Number(match[i]);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return value;
}

/** `10.0.0.1`. */
export function formatIpv4(ip: Ipv4): string {
  return `${(ip >>> 24) & 255}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/** Parses `a.b.c.d/len`; a missing length means /32. Host bits are kept. */
export function parseCidr(text: string): Cidr | undefined {
  const [address, length, extra] = text.split("/");
  const ip = parseIpv4(address ?? "");
  if (ip === undefined || extra !== undefined) return undefined;
  if (length === undefined) return { ip, prefix: 32 };
  if (!/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined;
  return { ip, prefix: Number(length) };
}

/** `10.0.0.0/24`; the address as it stands, host bits included. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpv4(cidr.ip)}/${cidr.prefix}`;
}

/** The netmask of a prefix length, unsigned. */
export function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** The network address of a CIDR. */
export function networkOf(cidr: Cidr): Cidr {
  return { ip: (cidr.ip & maskOf(cidr.prefix)) >>> 0, prefix: cidr.prefix };
}

/** The broadcast address of a CIDR. */
export function broadcastOf(cidr: Cidr): Ipv4 {
  return (cidr.ip | ~maskOf(cidr.prefix)) >>> 0;
}

/** The address is in the network. */
export function cidrContains(cidr: Cidr, ip: Ipv4): boolean {
  return ((ip ^ cidr.ip) & maskOf(cidr.prefix)) === 0;
}

/** Two networks share an address. */
export function cidrOverlaps(a: Cidr, b: Cidr): boolean {
  return cidrContains({ ip: a.ip, prefix: Math.min(a.prefix, b.prefix) }, b.ip);
}

/** Reads `02:42:0a:00:00:02`, in either case; undefined for anything else. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text)) return undefined;
  return text.split(":").reduce((value, byte) => value * 256 + Number.parseInt(byte, 16), 0);
}

/** `02:42:0a:00:00:02`. */
export function formatMac(mac: Mac): string {
  const hex = mac.toString(16).padStart(12, "0");
  return (hex.match(/../g) as string[]).join(":");
}

/** Docker's MAC of an endpoint: 02:42 followed by the IPv4 address (libnetwork netutils.GenerateMACFromIP). */
export function macFromIp(ip: Ipv4): Mac {
  return 0x0242 * 2 ** 32 + ip;
}
