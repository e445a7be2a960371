/** DNS messages from a client's side (RFC 1035; EDNS0 of RFC 6891): making queries and reading whole answers. */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { DNS_TYPE, encodeName, parseResponse } from "../../libnetwork/dns.ts";

export { DNS_RCODE, DNS_TYPE, type DnsResponse, parseResponse } from "../../libnetwork/dns.ts";

/** Names of record types that tools print and accept. */
export const TYPE_NAMES: Readonly<Record<string, number>> = { ...DNS_TYPE, NS: 2, CNAME: 5, SOA: 6 };

export function typeName(type: number): string {
  return Object.keys(TYPE_NAMES).find((name) => TYPE_NAMES[name] === type) ?? `TYPE${type}`;
}

export const RCODE_NAMES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"] as const;

/** A recursive query; undefined for a name that has no wire form. @param ednsSize adds an OPT record */
export function makeQuery(id: number, name: string, type: number, ednsSize?: number): Uint8Array | undefined {
  const owner = encodeName(name);
  if (owner === undefined) return undefined;
  const opt = ednsSize === undefined ? [] : [0, 0, DNS_TYPE.OPT, ednsSize >> 8, ednsSize & 255, 0, 0, 0, 0, 0, 0];
  const head = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, ednsSize === undefined ? 0 : 1];
  return Uint8Array.from([...head, ...owner, type >> 8, type & 255, 0, 1, ...opt]);
}

/** Numbers of records in a message's four sections. */
export function sectionCounts(message: Uint8Array): [number, number, number, number] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return [view.getUint16(4), view.getUint16(6), view.getUint16(8), view.getUint16(10)];
}

/** `4.1.0.10.in-addr.arpa` */
export function reverseName(ip: Ipv4): string {
  return `${formatIpv4(ip).split(".").reverse().join(".")}.in-addr.arpa`;
}

/** IPv4 addresses among the answers. */
export function addressesOf(message: Uint8Array): Ipv4[] {
  const found: Ipv4[] = [];
  for (const answer of parseResponse(message)?.answers ?? []) {
    if (answer.type !== DNS_TYPE.A || answer.rdata.length !== 4) continue;
    found.push(new DataView(answer.rdata.buffer, answer.rdata.byteOffset, 4).getUint32(0));
  }
  return found;
}
