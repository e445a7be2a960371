/** IPsec: security associations and policies. */
import { formatCidr, formatIpv4 } from "../../../base/addr.ts";
import type { NetNs } from "../../../kernel/types.ts";
import type { XfrmMark, XfrmSelector } from "../../../kernel/xfrm-types.ts";
import { address, type HostTable, KEY, number, type Row, text, time, VOLATILE } from "./table.ts";

const hex = (value: number): string => `0x${value.toString(16)}`;
const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
const markText = (mark: XfrmMark | undefined): string =>
  mark === undefined ? "" : `${hex(mark.value)}/${hex(mark.mask)}`;

const STATES = [
  address("src", KEY),
  address("dst", KEY),
  text("spi", KEY),
  number("reqid"),
  text("aead"),
  text("key"),
  text("mark", KEY),
  number("replay-window"),
  number("seq", VOLATILE),
  number("oseq", VOLATILE),
  number("bytes", VOLATILE),
  number("packets", VOLATILE),
  number("replayed", VOLATILE),
  number("out of window", VOLATILE),
  number("failed", VOLATILE),
  time("added"),
  time("used", VOLATILE),
];

/** `ip -s xfrm state`. */
export function xfrmStates(ns: NetNs): HostTable {
  const rows = ns.xfrm.stateList().map((state): Row => {
    const { stats, aead } = state;
    const key = Array.from(aead.key, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [
      ...[formatIpv4(state.src), formatIpv4(state.dst), hex32(state.spi), state.reqid],
      ...[`${aead.name} ${aead.icvBits}`, `0x${key}`, markText(state.mark)],
      state.replayExt?.window ?? state.replayWindow,
      ...[state.seqHi * 2 ** 32 + state.seq, state.oseqHi * 2 ** 32 + state.oseq, state.bytes, state.packets],
      ...[stats.replay, stats.replayWindow, stats.failed, state.added, state.used ?? ""],
    ];
  });
  return { columns: STATES, rows };
}

const POLICIES = [
  text("dir", KEY),
  text("selector", KEY),
  text("mark", KEY),
  text("action"),
  number("priority"),
  text("templates"),
  number("index"),
  time("added"),
  time("used", VOLATILE),
];

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 132: "sctp" };

function selectorText({ src, dst, protocol, sport, dport }: XfrmSelector): string {
  const name = protocol === 0 ? "" : ` proto ${PROTOCOLS[protocol] ?? protocol}`;
  const ports = `${sport === 0 ? "" : ` sport ${sport}`}${dport === 0 ? "" : ` dport ${dport}`}`;
  return `src ${formatCidr(src)} dst ${formatCidr(dst)}${name}${ports}`;
}

/** `ip -s xfrm policy`. */
export function xfrmPolicies(ns: NetNs): HostTable {
  const rows = ns.xfrm.policyList().map((policy): Row => {
    const templates = policy.templates.map(({ src, dst, spi, reqid }) => {
      return `src ${formatIpv4(src)} dst ${formatIpv4(dst)} proto esp${spi === 0 ? "" : ` spi ${hex32(spi)}`} reqid ${reqid}`;
    });
    const what = [policy.dir, selectorText(policy.selector), markText(policy.mark), policy.action, policy.priority];
    return [...what, templates.join("; "), policy.index, policy.added, policy.used ?? ""];
  });
  return { columns: POLICIES, rows };
}
