/**
 * What netfilter keeps per network namespace: its tables, whether connections are tracked, the sysctls
 * of tracking (struct netns_ct, include/net/netns/conntrack.h), and the list of its connections.
 */
import { CTLS } from "../abi";
import { NetNs } from "../link/netns";
import { valuesOwn } from "../memory/shared";

/** Netfilter state of a namespace. */
@unmanaged
export class NfNs {
  ns: usize;
  /** Table records by TABLE_*, 0 = never used (tables.ts). */
  table0: usize;
  table1: usize;
  table2: usize;
  table3: usize;
  /** Distinguishes namespaces in tuples; unique in the worker, never observable. */
  zone: u32;
  hashKey: u64;
  /** Bit 8 * table + hook: the chain has a rule, or a policy other than ACCEPT. */
  active: u32;
  /** Links of the connections' table found last, for packets that came in and that leave; 0 = none. */
  recentIn: usize;
  recentOut: usize;
  /** Rules and others that need tracking here (nf_ct_netns_get); 0 = not tracked. */
  ctUsers: u32;
  /** Connections, confirmed or not (cnet->count). */
  count: u32;
  /** Connections in order of creation: Ct.listPrev/listNext. */
  first: usize;
  last: usize;
  /** Where the next early drop looks first. */
  evict: usize;
  /** Timer of the sweep, 0 before the first connection. */
  gc: usize;
  /** CTLS values, u32 each: a block of memory/shared. */
  ctl: usize;
}

/** Netfilter state of a namespace. */
@inline
export function nfOf(ns: NetNs): NfNs {
  return changetype<NfNs>(ns.nf);
}

/** A table's record, 0 if it was never used. */
@inline
export function tableOf(nf: NfNs, table: u32): usize {
  return <usize>load<u32>(changetype<usize>(nf) + (<usize>table << 2), offsetof<NfNs>("table0"));
}

/** The sysctls of tracking, to be written. */
export function ctlOwn(nf: NfNs): usize {
  return valuesOwn(changetype<usize>(nf) + offsetof<NfNs>("ctl"), CTLS);
}

/** A sysctl of tracking (CTL_*). */
@inline
export function ctlOf(nf: NfNs, index: u32): u32 {
  return load<u32>(nf.ctl + (<usize>index << 2));
}
