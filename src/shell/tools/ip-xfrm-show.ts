/** What `ip xfrm state` and `ip xfrm policy` print (iproute2 6.1 ip/ipxfrm.c). */
import { formatCidr, formatIpv4 } from "../../base/addr.ts";
import type { Time } from "../../base/time.ts";
import { formatRfc3339 } from "../../base/wall-clock.ts";
import type {
  XfrmMark,
  XfrmPolicyInfo,
  XfrmSelector,
  XfrmStateInfo,
  XfrmStateSpec,
  XfrmTemplate,
} from "../../kernel/xfrm-types.ts";

/** How `ip` was called: `-s`, and `nokeys`. */
export interface XfrmStyle {
  readonly stats: boolean;
  readonly noKeys?: boolean;
}

const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 50: "esp", 132: "sctp" };
const IPPROTO_ICMP = 1;
/** XFRM_STATE_ESN. */
const FLAG_ESN = 0x80;

const hex = (value: number): string => `0x${value.toString(16)}`;
const hex32 = (value: number): string => value.toString(16).padStart(8, "0");
/** printf's %#x. */
const sharp = (value: number): string => (value === 0 ? "0" : hex(value));

/** strxf_mask8: eight binary digits. */
const mask8 = (flags: number): string => flags.toString(2).padStart(8, "0");

function date(time: Time | undefined): string {
  return time === undefined ? "-" : formatRfc3339(time).slice(0, 19).replace("T", " ");
}

/** xfrm_id_info_print. */
function idLines(
  id: { readonly src: number; readonly dst: number; readonly spi: number; readonly reqid: number },
  indent: string,
  title: string,
  always: boolean,
  stats: boolean,
): string {
  const spi = always || stats || id.spi !== 0 ? `spi 0x${hex32(id.spi)}${stats ? `(${id.spi})` : ""} ` : "";
  const reqid = `reqid ${id.reqid}${stats ? `(0x${hex32(id.reqid)})` : ""} `;
  const first = `${indent}${title}src ${formatIpv4(id.src)} dst ${formatIpv4(id.dst)}\n`;
  return `${first}${indent}\tproto esp ${spi}${reqid}mode transport\n`;
}

/** xfrm_selector_print. */
function selectorLine(selector: XfrmSelector, stats: boolean): string {
  const { src, dst, protocol, sport, dport } = selector;
  const [first, second] = protocol === IPPROTO_ICMP ? ["type", "code"] : ["sport", "dport"];
  const name = protocol === 0 ? "" : `proto ${PROTOCOLS[protocol] ?? protocol} `;
  const ports = (sport === 0 ? "" : `${first} ${sport} `) + (dport === 0 ? "" : `${second} ${dport} `);
  return `src ${formatCidr(src)} dst ${formatCidr(dst)} ${name}${ports}${stats ? "uid 0" : ""}\n`;
}

function markLine(mark: XfrmMark | undefined): string {
  return mark === undefined ? "" : `\tmark ${sharp(mark.value)}/${sharp(mark.mask)} \n`;
}

const limit = (value: number | undefined): string => (value === undefined ? "(INF)" : String(value));

interface Life {
  readonly limits?: XfrmStateSpec["limits"];
  readonly bytes: number;
  readonly packets: number;
  readonly added: Time;
  readonly used: Time | undefined;
}

/** xfrm_lifetime_print. */
function lifetimeLines({ limits, bytes, packets, added, used }: Life): string {
  return [
    "\tlifetime config:",
    `\t  limit: soft (INF)(bytes), hard ${limit(limits?.hardBytes)}(bytes)`,
    `\t  limit: soft (INF)(packets), hard ${limit(limits?.hardPackets)}(packets)`,
    "\t  expire add: soft 0(sec), hard 0(sec)",
    "\t  expire use: soft 0(sec), hard 0(sec)",
    "\tlifetime current:",
    `\t  ${bytes}(bytes), ${packets}(packets)`,
    `\t  add ${date(added)} use ${date(used)}`,
    "",
  ].join("\n");
}

/** Eight words of a bitmap a line, the last word first. */
function bitmapLines(bitmap: readonly number[]): string {
  let out = "";
  [...bitmap].reverse().forEach((word, i) => {
    out += `${i % 8 === 0 ? "\n\t " : ""}${hex32(word)} `;
  });
  return out;
}

/** XFRMA_REPLAY_VAL or XFRMA_REPLAY_ESN_VAL. */
function replayLines(state: XfrmStateInfo): string {
  const { replayExt, seq, seqHi, oseq, oseqHi, bitmap } = state;
  if (replayExt === undefined)
    return `\tanti-replay context: seq ${hex(seq)}, oseq ${hex(oseq)}, bitmap 0x${hex32(bitmap[0] ?? 0)}\n`;
  return (
    "\tanti-replay esn context:\n" +
    `\t seq-hi ${hex(seqHi)}, seq ${hex(seq)}, oseq-hi ${hex(oseqHi)}, oseq ${hex(oseq)}\n` +
    `\t replay_window ${replayExt.window}, bitmap-length ${bitmap.length}${bitmapLines(bitmap)}\n`
  );
}

function flagWords(state: XfrmStateInfo, stats: boolean): string {
  const flags = state.replayExt?.esn === true ? FLAG_ESN : 0;
  if (flags === 0 && !stats) return "";
  return `flag ${flags === 0 ? "" : "esn"}${stats ? ` (0x${mask8(flags)})` : ""}`;
}

function aeadLine({ aead }: XfrmStateInfo, style: XfrmStyle): string {
  const digits = Array.from(aead.key, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const size = style.stats ? ` (${8 * aead.key.length} bits)` : "";
  return `\taead ${aead.name} ${style.noKeys === true ? "<<Keys hidden>>" : `0x${digits}${size}`} ${aead.icvBits}\n`;
}

const EVERYTHING: XfrmSelector = {
  src: { ip: 0, prefix: 0 },
  dst: { ip: 0, prefix: 0 },
  protocol: 0,
  sport: 0,
  dport: 0,
};

/** One state (xfrm_state_info_print). */
export function stateText(state: XfrmStateInfo, style: XfrmStyle): string {
  const { stats } = style;
  const { replayWindow, replay, failed } = state.stats;
  return (
    idLines(state, "", "", true, stats) +
    `\treplay-window ${state.replayWindow} ${stats ? "seq 0x00000000 " : ""}${flagWords(state, stats)}\n` +
    markLine(state.mark) +
    aeadLine(state, style) +
    replayLines(state) +
    `\tsel ${selectorLine(state.selector ?? EVERYTHING, stats)}` +
    (stats
      ? `${lifetimeLines(state)}\tstats:\n\t  replay-window ${replayWindow} replay ${replay} failed ${failed}\n`
      : "")
  );
}

/** xfrm_tmpl_print. */
function templateText(template: XfrmTemplate, stats: boolean): string {
  const more = "\t\tlevel required share any \n\t\tenc-mask ffffffff auth-mask ffffffff comp-mask ffffffff\n";
  return idLines(template, "\t", "tmpl ", false, stats) + (stats ? more : "");
}

/** One policy (xfrm_policy_info_print). */
export function policyText(policy: XfrmPolicyInfo, { stats }: XfrmStyle): string {
  const action = policy.action === "block" ? "action block " : stats ? "action allow " : "";
  const index = stats ? `index ${policy.index} ` : "";
  const share = stats ? `share any flag  (0x${mask8(0)})` : "";
  return (
    selectorLine(policy.selector, stats) +
    `\tdir ${policy.dir} ${action}${index}priority ${policy.priority} ptype main ${share}\n` +
    (stats ? lifetimeLines({ ...policy, bytes: 0, packets: 0 }) : "") +
    markLine(policy.mark) +
    policy.templates.map((template) => templateText(template, stats)).join("")
  );
}
