/**
 * The third part of netlink that the overlay driver uses: NETLINK_XFRM, IPsec's states and policies of a network namespace.
 * Types only; `xfrm.ts` implements them over the Wasm module. Refusals throw KernelError with Linux's errno name.
 */
import type { Cidr, Ipv4 } from "../base/addr.ts";
import type { Time } from "../base/time.ts";

/** A value under a mask (XFRMA_MARK, `mark V mask M`). */
export interface XfrmMark {
  readonly value: number;
  readonly mask: number;
}

/** What identifies a state at its receiver: (daddr, SPI, protocol, mark). ESP is the only protocol. */
export interface XfrmStateId {
  readonly dst: Ipv4;
  readonly spi: number;
  readonly mark?: XfrmMark;
}

/** An AEAD as XFRMA_ALG_AEAD names it. */
export interface XfrmAead {
  readonly name: "rfc4106(gcm(aes))";
  /** AES key of 16, 24 or 32 bytes and the 4-byte salt after it (RFC 4106 §8.1). */
  readonly key: Uint8Array;
  /** Bits of the integrity check value: 64, 96 or 128. */
  readonly icvBits: number;
}

/** A security association to add (`ip xfrm state add`): ESP in transport mode. */
export interface XfrmStateSpec extends XfrmStateId {
  readonly src: Ipv4;
  readonly reqid: number;
  readonly aead: XfrmAead;
  /** Legacy replay window in packets, 0 … 32; 0 = no anti-replay. Larger ones need `replayExt`. */
  readonly replayWindow?: number;
  /** The extended attribute (XFRMA_REPLAY_ESN_VAL): a bitmap of up to 4096 packets, with ESN or without. */
  readonly replayExt?: { readonly window: number; readonly esn: boolean };
  /** Hard limits; undefined = infinite. */
  readonly limits?: { readonly hardBytes?: number; readonly hardPackets?: number };
  /** Where its sequence numbers start (XFRMA_REPLAY_VAL, `replay-oseq 4`): the highest number sent and seen so far. */
  readonly replayStart?: {
    readonly seq?: number;
    readonly seqHi?: number;
    readonly oseq?: number;
    readonly oseqHi?: number;
  };
  /** The packets that it is for (`sel`); undefined = all. */
  readonly selector?: XfrmSelector;
}

/** A state as `ip -s xfrm state` shows it. */
export interface XfrmStateInfo extends XfrmStateSpec {
  readonly replayWindow: number;
  /** Highest sequence number seen, and sent; the upper halves are 0 without ESN. */
  readonly seq: number;
  readonly seqHi: number;
  readonly oseq: number;
  readonly oseqHi: number;
  /** The replay bitmap, 32-bit words; one word for the legacy window. */
  readonly bitmap: readonly number[];
  /** Lifetime so far: bytes and packets before encryption, and when it was added and first used (undefined: never). */
  readonly bytes: number;
  readonly packets: number;
  readonly added: Time;
  readonly used: Time | undefined;
  /** Packets refused: outside the window, seen before, wrong ICV. */
  readonly stats: { readonly replayWindow: number; readonly replay: number; readonly failed: number };
}

/** Which packets a policy is about (xfrm_selector). Port 0 and protocol 0 mean any. */
export interface XfrmSelector {
  readonly src: Cidr;
  readonly dst: Cidr;
  /** IP protocol number. */
  readonly protocol: number;
  readonly sport: number;
  readonly dport: number;
}

/** What a policy asks for: the state is found by these (xfrm_user_tmpl). SPI 0 = any. */
export interface XfrmTemplate {
  readonly src: Ipv4;
  readonly dst: Ipv4;
  readonly spi: number;
  readonly reqid: number;
}

/** A policy (`ip xfrm policy add`); transport mode, level required. */
export interface XfrmPolicySpec {
  readonly selector: XfrmSelector;
  readonly dir: "in" | "out" | "fwd";
  readonly mark?: XfrmMark;
  readonly priority: number;
  readonly action: "allow" | "block";
  readonly templates: readonly XfrmTemplate[];
}

/** A policy as `ip xfrm policy` shows it. */
export interface XfrmPolicyInfo extends XfrmPolicySpec {
  readonly index: number;
  readonly added: Time;
  readonly used: Time | undefined;
}

/** What `ip xfrm monitor` tells: a state or a policy that came, was changed or went. */
export type XfrmEvent =
  | { readonly kind: "newsa" | "updsa" | "delsa"; readonly state: XfrmStateSpec }
  | { readonly kind: "newpolicy" | "updpolicy" | "delpolicy"; readonly policy: XfrmPolicySpec };

/** `ip xfrm` of a namespace: states, policies, counters. */
export interface XfrmApi {
  /** EEXIST when there is one with the same id; EINVAL for a key or ICV length that rfc4106 hasn't. */
  stateAdd(state: XfrmStateSpec): void;
  /** XFRM_MSG_UPDSA: as in Linux, a state in use takes over nothing but the limits; ESRCH when there is none. */
  stateUpdate(state: XfrmStateSpec): void;
  /** ESRCH when there is none. */
  stateDel(id: XfrmStateId): void;
  stateFlush(): void;
  /** In the order in which `ip xfrm state` lists them. */
  stateList(): XfrmStateInfo[];
  /** EEXIST when one with the same selector, direction and mark is there. */
  policyAdd(policy: XfrmPolicySpec): void;
  /** Adds it or replaces the one with the same selector, direction and mark (XFRM_MSG_UPDPOLICY). */
  policyUpdate(policy: XfrmPolicySpec): void;
  /** ENOENT when there is none. */
  policyDel(policy: Pick<XfrmPolicySpec, "selector" | "dir" | "mark">): void;
  policyFlush(): void;
  policyList(): XfrmPolicyInfo[];
  /** What happens to packets that no policy is about (`ip xfrm policy getdefault`); "allow" at first. */
  policyDefault(dir: XfrmPolicySpec["dir"]): XfrmPolicySpec["action"];
  setPolicyDefault(dir: XfrmPolicySpec["dir"], action: XfrmPolicySpec["action"]): void;
  /** /proc/net/xfrm_stat: its 28 counters in their order. */
  stat(): Record<string, number>;
}
