/** Which entry of which table: what a decision about a packet was made by. Plain data. */
import { formatIpv4, formatMac, type Ipv4, type Mac } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import type { TableId } from "./tables/list.ts";

/** An address and a port. */
export interface End {
  readonly ip: Ipv4;
  readonly port: number;
}

/** Which entry. */
export type EntryRef =
  | { readonly table: "links"; readonly device: string }
  | { readonly table: "neighbours"; readonly device: string; readonly ip: Ipv4 }
  | { readonly table: "fdb"; readonly device: string; readonly mac: Mac }
  /** The route that an address takes. */
  | { readonly table: "routes"; readonly ip: Ipv4 }
  /** A rule of a chain by its number from 1; 0: the chain's policy. */
  | { readonly table: "iptables"; readonly name: string; readonly chain: string; readonly number: number }
  /** By its firewall mark, or by protocol and address. */
  | {
      readonly table: "ipvs";
      readonly fwmark: number;
      readonly protocol: "tcp" | "udp" | "sctp";
      readonly service: End;
    }
  | { readonly table: "xfrm-states"; readonly spi: number; readonly destination: Ipv4 }
  /** The sockets that are bound to a port. */
  | { readonly table: "sockets"; readonly protocol: "tcp" | "udp" | "sctp"; readonly port: number }
  /** The flow one of whose directions goes between these. */
  | { readonly table: "conntrack"; readonly protocol: number; readonly source: End; readonly destination: End };

/** A question for an entry. */
export interface EntryQuery {
  readonly namespace: string;
  readonly ref: EntryRef;
}

/** The answer. */
export interface EntryText {
  readonly time: Time;
  /** What to type to see it. */
  readonly command: string;
  /** What the command prints of it; "" when there is no such entry. */
  readonly text: string;
  /** The table that it stands in. */
  readonly table: TableId;
}

/** What to type, in the namespace, to see an entry. */
export function entryCommand(ref: EntryRef): string {
  switch (ref.table) {
    case "links":
      return `ip link show dev ${ref.device}`;
    case "neighbours":
      return `ip neigh show ${formatIpv4(ref.ip)} dev ${ref.device}`;
    case "fdb":
      return `bridge fdb show dev ${ref.device} | grep ${formatMac(ref.mac)}`;
    case "routes":
      return `ip route show match ${formatIpv4(ref.ip)} table all`;
    case "iptables":
      return `iptables -t ${ref.name} -S ${ref.chain}`;
    case "ipvs":
      return "ipvsadm -Ln";
    case "xfrm-states":
      return `ip xfrm state list dst ${formatIpv4(ref.destination)} spi 0x${ref.spi.toString(16)}`;
    case "sockets":
      return `ss -anp | grep :${ref.port}`;
    case "conntrack":
      return "conntrack -L";
  }
}
