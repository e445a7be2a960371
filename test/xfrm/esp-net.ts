/** Hosts that speak IPsec, frames put on their wires by hand, and an ESP of node:crypto to compare with. */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { XfrmPolicySpec, XfrmSelector, XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { checksum } from "../inet/net.ts";
import { cidr, ip, lan } from "../support/kernel.ts";
import { hex, unhex } from "../support/wasm.ts";

export { hex, unhex };

export const KEY = "000102030405060708090a0b0c0d0e0f";
export const REQID = 13681891;

/** A state between two addresses of the test network; `salt` defaults to the SPI, as Docker has it. */
export function sa(
  src: string,
  dst: string,
  spi: number,
  more: Partial<XfrmStateSpec> & { icv?: number } = {},
): XfrmStateSpec {
  const { icv, ...rest } = more;
  return {
    src: ip(src),
    dst: ip(dst),
    spi,
    reqid: REQID,
    aead: { name: "rfc4106(gcm(aes))", key: unhex(KEY + spi.toString(16).padStart(8, "0")), icvBits: 8 * (icv ?? 8) },
    ...rest,
  };
}

export function selector(src: string, dst: string, more: Partial<XfrmSelector> = {}): XfrmSelector {
  return { src: cidr(src), dst: cidr(dst), protocol: 0, sport: 0, dport: 0, ...more };
}

/** A policy with one template for the same addresses. */
export function policy(
  dir: XfrmPolicySpec["dir"],
  src: string,
  dst: string,
  more: Partial<XfrmPolicySpec> & { spi?: number } = {},
): XfrmPolicySpec {
  const { spi, ...rest } = more;
  return {
    selector: selector(src, dst),
    dir,
    priority: 0,
    action: "allow",
    templates: [{ src: cidr(src).ip, dst: cidr(dst).ip, spi: spi ?? 0, reqid: REQID }],
    ...rest,
  };
}

/** Two hosts, 10.1.1.1 and .2, and what passes their NICs. */
export interface Pair {
  readonly kernel: Kernel;
  readonly a: Host;
  readonly b: Host;
  /** IP packets seen at both NICs since the last call, as sent. */
  wire(): Uint8Array[];
}

export const A = "10.1.1.1";
export const B = "10.1.1.2";
export const MAC_A = 0x525400000001;
export const MAC_B = 0x525400000002;

/** Made with all neighbours known, so that no ARP is on the wire. */
export async function pair(): Promise<Pair> {
  const { kernel, hosts } = await lan(2);
  const [a, b] = hosts as [Host, Host];
  a.root.neigh.add("eth0", ip(B), MAC_B, { state: "PERMANENT" });
  b.root.neigh.add("eth0", ip(A), MAC_A, { state: "PERMANENT" });
  for (const host of hosts) kernel.setCapture(host.root, host.root.link.get("eth0")!.index, host.index + 1, 65535);
  const wire = (): Uint8Array[] =>
    [...kernel.captured()]
      .filter(({ direction, data }) => direction === 2 && data[12] === 8 && data[13] === 0)
      .map(({ data }) => data.slice(14));
  return { kernel, a, b, wire };
}

/** Both directions encrypted, with SPIs 0x1001 (a to b) and 0x1002. */
export function encrypt({ a, b }: Pair, more: Partial<XfrmStateSpec> & { icv?: number } = {}): void {
  for (const [from, to, here, there, spi] of [
    [a, b, A, B, 0x1001],
    [b, a, B, A, 0x1002],
  ] as const) {
    for (const host of [from, to]) host.root.xfrm.stateAdd(sa(here, there, spi, more));
    from.root.xfrm.policyAdd(policy("out", `${here}/32`, `${there}/32`, { spi }));
  }
}

/** Puts an IP packet on the wire of a host's NIC (its port has the host's index), at the present moment. */
export function inject(kernel: Kernel, host: Host, packet: Uint8Array, mac = MAC_A + host.index): void {
  const frame = new Uint8Array(14 + packet.length);
  const view = new DataView(frame.buffer);
  view.setUint16(0, Math.floor(mac / 2 ** 32));
  view.setUint32(2, mac >>> 0);
  view.setUint16(6, 0x5254);
  view.setUint32(8, 0x99);
  view.setUint16(12, 0x0800);
  frame.set(packet, 14);
  const now = kernel.now;
  const at = kernel.exports.wireImport(
    host.index,
    Math.floor(now / 2 ** 32),
    now >>> 0,
    0x0ff00000,
    tie++,
    frame.length,
    0,
    0,
    0,
    0,
  );
  kernel.mem.bytes.set(frame, at);
}

let tie = 1;

/** What an ESP packet is made of. */
export interface EspFields {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  readonly spi: number;
  readonly seq: number;
  readonly seqHi?: number;
  readonly iv?: Uint8Array;
  readonly icv?: number;
  readonly esn?: boolean;
}

const u32 = (...words: number[]): Uint8Array => {
  const out = new Uint8Array(4 * words.length);
  words.forEach((word, i) => {
    new DataView(out.buffer).setUint32(4 * i, word);
  });
  return out;
};

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function cipherName(key: Uint8Array): "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm" {
  return key.length === 16 ? "aes-128-gcm" : key.length === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

/** ESP by node:crypto: header, IV, ciphertext, ICV. `clear` is the payload with its trailer. */
export function sealEsp(fields: EspFields, clear: Uint8Array): Uint8Array {
  const iv = fields.iv ?? u32(fields.seqHi ?? 0, fields.seq);
  const aad = fields.esn === true ? u32(fields.spi, fields.seqHi ?? 0, fields.seq) : u32(fields.spi, fields.seq);
  const nonce = concat(fields.salt, iv);
  const cipher = createCipheriv(cipherName(fields.key), fields.key, nonce);
  cipher.setAAD(aad);
  const sealed = concat(cipher.update(clear), cipher.final(), cipher.getAuthTag().subarray(0, fields.icv ?? 8));
  return concat(u32(fields.spi, fields.seq), iv, sealed);
}

/** The inverse, for what the kernel sends; throws when the ICV is wrong. Returns the clear bytes with their trailer. */
export function openEsp(fields: Omit<EspFields, "spi" | "seq">, esp: Uint8Array): Uint8Array {
  const icv = fields.icv ?? 8;
  const decipher = createDecipheriv(cipherName(fields.key), fields.key, concat(fields.salt, esp.subarray(8, 16)), {
    authTagLength: icv,
  });
  decipher.setAAD(
    fields.esn === true ? concat(esp.subarray(0, 4), u32(fields.seqHi ?? 0), esp.subarray(4, 8)) : esp.subarray(0, 8),
  );
  decipher.setAuthTag(esp.subarray(esp.length - icv));
  return concat(decipher.update(esp.subarray(16, esp.length - icv)), decipher.final());
}

/** Payload and RFC 4303 trailer. */
export function withTrailer(payload: Uint8Array, protocol: number): Uint8Array {
  const pad = (((payload.length + 2 + 3) & ~3) - payload.length - 2) as number;
  return concat(payload, Uint8Array.from([1, 2, 3].slice(0, pad)), Uint8Array.from([pad, protocol]));
}

/** An IPv4 packet. */
export function ipPacket(
  src: number,
  dst: number,
  protocol: number,
  payload: Uint8Array,
  ttl = 64,
  frag = 0,
): Uint8Array {
  const out = new Uint8Array(20 + payload.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, out.length);
  view.setUint16(6, frag);
  view.setUint16(8, (ttl << 8) | protocol);
  view.setUint32(12, src);
  view.setUint32(16, dst);
  view.setUint16(10, checksum(out.subarray(0, 20)));
  out.set(payload, 20);
  return out;
}

/** The same packet with another TTL and a right header checksum. */
export function withTtl(packet: Uint8Array, ttl: number): Uint8Array {
  const out = packet.slice();
  out[8] = ttl;
  out.fill(0, 10, 12);
  new DataView(out.buffer).setUint16(10, checksum(out.subarray(0, 20)));
  return out;
}

/** A UDP datagram without checksum. */
export function udp(sport: number, dport: number, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + data.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, out.length);
  out.set(data, 8);
  return out;
}

/** made + arrived = delivered + dropped + sent + live, and the drops by reason add up to those dropped. */
export function imbalance(host: Host): number {
  const { made, arrived, delivered, dropped, sent, live } = host.packets();
  const reasons = Object.values(host.drops()).reduce((sum, count) => sum + count, 0);
  return made + arrived - delivered - dropped - sent - live + (reasons - dropped);
}
