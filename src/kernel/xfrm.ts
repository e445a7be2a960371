/** NETLINK_XFRM of a namespace (net/xfrm/xfrm_user.c): states, policies and their counters. */
import * as abi from "../../assembly/abi.ts";
import { formatCidr, formatIpv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { readDump } from "./addresses.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type {
  XfrmApi,
  XfrmEvent,
  XfrmMark,
  XfrmPolicyInfo,
  XfrmPolicySpec,
  XfrmSelector,
  XfrmStateId,
  XfrmStateInfo,
  XfrmStateSpec,
  XfrmTemplate,
} from "./xfrm-types.ts";

/** Names of the counters in /proc/net/xfrm_stat, in its order (net/xfrm/xfrm_proc.c). */
export const XFRM_STAT_NAMES: readonly string[] = (
  "InError InBufferError InHdrError InNoStates InStateProtoError InStateModeError InStateSeqError InStateExpired " +
  "InStateMismatch InStateInvalid InTmplMismatch InNoPols InPolBlock InPolError OutError OutBundleGenError " +
  "OutBundleCheckError OutNoStates OutStateProtoError OutStateModeError OutStateSeqError OutStateExpired OutPolBlock " +
  "OutPolDead OutPolError FwdHdrError OutStateInvalid AcquireError"
)
  .split(" ")
  .map((name) => `Xfrm${name}`);

const DIRECTIONS: Record<XfrmPolicySpec["dir"], number> = {
  in: abi.XFRM_POLICY_IN,
  out: abi.XFRM_POLICY_OUT,
  fwd: abi.XFRM_POLICY_FWD,
};

const ACTIONS: Record<XfrmPolicySpec["action"], number> = {
  allow: abi.XFRM_POLICY_ALLOW,
  block: abi.XFRM_POLICY_BLOCK,
};

/** Bytes of the salt behind the AES key (RFC 4106 §8.1). */
const SALT = 4;
const TEMPLATE_BYTES = 16;
const IV_BYTES = 8;

function nameOf<T extends string>(table: Record<T, number>, value: number): T {
  const found = (Object.keys(table) as T[]).find((name) => table[name] === value);
  assert(found !== undefined, "a known number", value);
  return found;
}

function describe(id: XfrmStateId): string {
  return `dst ${formatIpv4(id.dst)} proto esp spi 0x${id.spi.toString(16)}`;
}

/** A policy's selector, direction and mark. */
type PolicyId = Pick<XfrmPolicySpec, "selector" | "dir" | "mark">;

/** IPsec of a namespace, over the kernel's border. */
export class Xfrm implements XfrmApi {
  readonly #ns: Namespace;

  /** Made by Namespace. */
  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  // ------------------------------------------------------------------------------------------------ states

  /** @param ivMask the 8 bytes that are XORed into each IV, which the kernel draws by itself: to repeat what was captured */
  stateAdd(state: XfrmStateSpec, ivMask?: Uint8Array): void {
    const operation = `ip xfrm state add ${describe(state)}`;
    this.#putState(state, operation, ivMask);
    check(this.#ns.kernel.exports.xfrmStateAdd(this.#ns.handle), operation);
    this.#tell({ kind: "newsa", state });
  }

  stateUpdate(state: XfrmStateSpec): void {
    const operation = `ip xfrm state update ${describe(state)}`;
    this.#putState(state, operation);
    check(this.#ns.kernel.exports.xfrmStateUpdate(this.#ns.handle), operation);
    this.#tell({ kind: "updsa", state });
  }

  stateDel(id: XfrmStateId): void {
    const operation = `ip xfrm state delete ${describe(id)}`;
    const before = this.stateList();
    const { exports } = this.#ns.kernel;
    this.#zeroScratch(abi.XSA_RECORD);
    this.#putId(id);
    check(exports.xfrmStateDel(this.#ns.handle), operation);
    // Which one it was: another of the same id may be left, under another mark.
    const left = this.stateList();
    const gone = before.find((state, i) => left[i] === undefined || !same(left[i], state));
    assert(gone !== undefined, "a state went", operation);
    this.#tell({ kind: "delsa", state: gone });
  }

  stateFlush(): void {
    const before = this.stateList();
    this.#ns.kernel.exports.xfrmStateFlush(this.#ns.handle);
    for (const state of before) this.#tell({ kind: "delsa", state });
  }

  stateList(): XfrmStateInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ip xfrm state");
    return readDump(
      ns,
      abi.XSA_RECORD,
      (skip) => ns.kernel.exports.xfrmStateDump(ns.handle, skip),
      (at) => this.#readState(at),
    );
  }

  #zeroScratch(length: number): number {
    const { exports, mem } = this.#ns.kernel;
    const at = exports.scratch();
    mem.bytes.fill(0, at, at + length);
    return at;
  }

  #putWords(at: number, words: readonly number[]): void {
    const { view } = this.#ns.kernel.mem;
    words.forEach((word, i) => {
      view.setUint32(at + 4 * i, word, true);
    });
  }

  #putId(id: XfrmStateId): void {
    const at = this.#ns.kernel.exports.scratch();
    this.#putWords(at + abi.XSA_DST, [id.dst, id.spi, id.mark?.value ?? 0, id.mark?.mask ?? 0]);
  }

  #putState(state: XfrmStateSpec, operation: string, ivMask?: Uint8Array): void {
    this.#ns.requireAlive(operation);
    const { aead, replayExt, replayStart, limits, selector } = state;
    const keyLength = aead.key.length - SALT;
    if (![16, 24, 32].includes(keyLength) || aead.icvBits % 8 !== 0) refuse("EINVAL", operation);
    const at = this.#zeroScratch(abi.XSA_RECORD);
    const flags =
      (replayExt === undefined ? 0 : abi.XSA_F_EXT) |
      (replayExt?.esn === true ? abi.XSA_F_ESN : 0) |
      (selector === undefined ? 0 : abi.XSA_F_SELECTOR) |
      (ivMask === undefined ? 0 : abi.XSA_F_IV_MASK);
    this.#putId(state);
    this.#putWords(at + abi.XSA_SRC, [state.src]);
    this.#putWords(at + abi.XSA_REQID, [
      state.reqid,
      keyLength,
      aead.icvBits / 8,
      flags,
      replayExt?.window ?? state.replayWindow ?? 0,
      replayStart?.seq ?? 0,
      replayStart?.seqHi ?? 0,
      replayStart?.oseq ?? 0,
      replayStart?.oseqHi ?? 0,
    ]);
    const { view, bytes } = this.#ns.kernel.mem;
    view.setFloat64(at + abi.XSA_HARD_BYTES, limits?.hardBytes ?? Number.POSITIVE_INFINITY, true);
    view.setFloat64(at + abi.XSA_HARD_PACKETS, limits?.hardPackets ?? Number.POSITIVE_INFINITY, true);
    if (selector !== undefined) this.#putSelector(at + abi.XSA_SEL, selector);
    bytes.set(aead.key, at + abi.XSA_KEY);
    if (ivMask === undefined) return;
    assert(ivMask.length === IV_BYTES, "length of an IV mask", ivMask.length);
    bytes.set(ivMask, at + abi.XSA_IV_MASK);
  }

  #putSelector(at: number, { src, dst, protocol, sport, dport }: XfrmSelector): void {
    this.#putWords(at, [src.ip, src.prefix, dst.ip, dst.prefix, protocol, sport, dport]);
  }

  #readSelector(at: number): XfrmSelector {
    const { mem } = this.#ns.kernel;
    return {
      src: { ip: mem.u32(at + abi.XSEL_SRC), prefix: mem.u32(at + abi.XSEL_SRC_PREFIX) },
      dst: { ip: mem.u32(at + abi.XSEL_DST), prefix: mem.u32(at + abi.XSEL_DST_PREFIX) },
      protocol: mem.u32(at + abi.XSEL_PROTO),
      sport: mem.u32(at + abi.XSEL_SPORT),
      dport: mem.u32(at + abi.XSEL_DPORT),
    };
  }

  /** A mark; undefined when there is none (value and mask 0, which fits all packets). */
  #readMark(at: number): { mark?: XfrmMark } {
    const { mem } = this.#ns.kernel;
    const mark = { value: mem.u32(at), mask: mem.u32(at + 4) };
    return mark.value === 0 && mark.mask === 0 ? {} : { mark };
  }

  #readState(at: number): XfrmStateInfo {
    const { mem } = this.#ns.kernel;
    const flags = mem.u32(at + abi.XSA_FLAGS);
    const extended = (flags & abi.XSA_F_EXT) !== 0;
    const window = mem.u32(at + abi.XSA_WINDOW);
    const words = mem.u32(at + abi.XSA_WORDS);
    return {
      src: mem.u32(at + abi.XSA_SRC),
      dst: mem.u32(at + abi.XSA_DST),
      spi: mem.u32(at + abi.XSA_SPI),
      ...this.#readMark(at + abi.XSA_MARK),
      reqid: mem.u32(at + abi.XSA_REQID),
      aead: {
        name: "rfc4106(gcm(aes))",
        key: mem.copy(at + abi.XSA_KEY, mem.u32(at + abi.XSA_KEY_LEN) + SALT),
        icvBits: 8 * mem.u32(at + abi.XSA_ICV),
      },
      replayWindow: extended ? 0 : window,
      ...(extended ? { replayExt: { window, esn: (flags & abi.XSA_F_ESN) !== 0 } } : {}),
      ...this.#readLimits(at),
      ...((flags & abi.XSA_F_SELECTOR) === 0 ? {} : { selector: this.#readSelector(at + abi.XSA_SEL) }),
      seq: mem.u32(at + abi.XSA_SEQ),
      seqHi: mem.u32(at + abi.XSA_SEQ_HI),
      oseq: mem.u32(at + abi.XSA_OSEQ),
      oseqHi: mem.u32(at + abi.XSA_OSEQ_HI),
      bitmap: Array.from({ length: words }, (_, i) => mem.u32(at + abi.XSA_BITMAP + 4 * i)),
      bytes: mem.u64(at + abi.XSA_BYTES),
      packets: mem.u64(at + abi.XSA_PACKETS),
      added: mem.i64(at + abi.XSA_ADDED),
      used: this.#readUsed(at + abi.XSA_USED),
      stats: {
        replayWindow: mem.u32(at + abi.XSA_STAT_WINDOW),
        replay: mem.u32(at + abi.XSA_STAT_REPLAY),
        failed: mem.u32(at + abi.XSA_STAT_FAILED),
      },
    };
  }

  #readUsed(at: number): number | undefined {
    const used = this.#ns.kernel.mem.i64(at);
    return used < 0 ? undefined : used;
  }

  #readLimits(at: number): Pick<XfrmStateSpec, "limits"> {
    const { view } = this.#ns.kernel.mem;
    const hardBytes = view.getFloat64(at + abi.XSA_HARD_BYTES, true);
    const hardPackets = view.getFloat64(at + abi.XSA_HARD_PACKETS, true);
    const limits = {
      ...(Number.isFinite(hardBytes) ? { hardBytes } : {}),
      ...(Number.isFinite(hardPackets) ? { hardPackets } : {}),
    };
    return Object.keys(limits).length === 0 ? {} : { limits };
  }

  // ------------------------------------------------------------------------------------------------ policies

  policyAdd(policy: XfrmPolicySpec): void {
    this.#insertPolicy(policy, true);
    this.#tell({ kind: "newpolicy", policy });
  }

  policyUpdate(policy: XfrmPolicySpec): void {
    const known = this.policyList().some((one) => samePolicy(one, policy));
    this.#insertPolicy(policy, false);
    this.#tell({ kind: known ? "updpolicy" : "newpolicy", policy });
  }

  #insertPolicy(policy: XfrmPolicySpec, exclusive: boolean): void {
    const operation = `ip xfrm policy ${exclusive ? "add" : "update"} ${describePolicy(policy)}`;
    this.#ns.requireAlive(operation);
    if (policy.templates.length > abi.XPOL_MAX_TMPLS) refuse("EINVAL", operation);
    const at = this.#zeroScratch(abi.XPOL_RECORD);
    this.#putPolicyId(at, policy);
    this.#putWords(at + abi.XPOL_PRIORITY, [policy.priority, ACTIONS[policy.action], policy.templates.length]);
    policy.templates.forEach(({ src, dst, spi, reqid }, i) => {
      this.#putWords(at + abi.XPOL_TMPL + i * TEMPLATE_BYTES, [src, dst, spi, reqid]);
    });
    check(this.#ns.kernel.exports.xfrmPolicyInsert(this.#ns.handle, exclusive ? 1 : 0), operation);
  }

  #putPolicyId(at: number, { selector, dir, mark }: PolicyId): void {
    this.#putSelector(at + abi.XPOL_SEL, selector);
    this.#putWords(at + abi.XPOL_DIR, [DIRECTIONS[dir], mark?.value ?? 0, mark?.mask ?? 0]);
  }

  policyDel(id: PolicyId): void {
    const operation = `ip xfrm policy delete ${describePolicy(id)}`;
    const policy = this.policyList().find((one) => samePolicy(one, id));
    this.#putPolicyId(this.#zeroScratch(abi.XPOL_RECORD), id);
    check(this.#ns.kernel.exports.xfrmPolicyDel(this.#ns.handle), operation);
    assert(policy !== undefined, "a policy went", operation);
    this.#tell({ kind: "delpolicy", policy });
  }

  policyFlush(): void {
    const before = this.policyList();
    this.#ns.kernel.exports.xfrmPolicyFlush(this.#ns.handle);
    for (const policy of before) this.#tell({ kind: "delpolicy", policy });
  }

  policyList(): XfrmPolicyInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ip xfrm policy");
    return readDump(
      ns,
      abi.XPOL_RECORD,
      (skip) => ns.kernel.exports.xfrmPolicyDump(ns.handle, skip),
      (at) => this.#readPolicy(at),
    );
  }

  #readPolicy(at: number): XfrmPolicyInfo {
    const { mem } = this.#ns.kernel;
    return {
      selector: this.#readSelector(at + abi.XPOL_SEL),
      dir: nameOf(DIRECTIONS, mem.u32(at + abi.XPOL_DIR)),
      ...this.#readMark(at + abi.XPOL_MARK),
      priority: mem.u32(at + abi.XPOL_PRIORITY),
      action: nameOf(ACTIONS, mem.u32(at + abi.XPOL_ACTION)),
      templates: Array.from({ length: mem.u32(at + abi.XPOL_TMPLS) }, (_, i) => this.#readTemplate(at, i)),
      index: mem.u32(at + abi.XPOL_INDEX),
      added: mem.i64(at + abi.XPOL_ADDED),
      used: this.#readUsed(at + abi.XPOL_USED),
    };
  }

  #readTemplate(policy: number, index: number): XfrmTemplate {
    const { mem } = this.#ns.kernel;
    const at = policy + abi.XPOL_TMPL + index * TEMPLATE_BYTES;
    return { src: mem.u32(at), dst: mem.u32(at + 4), spi: mem.u32(at + 8), reqid: mem.u32(at + 12) };
  }

  policyDefault(dir: XfrmPolicySpec["dir"]): XfrmPolicySpec["action"] {
    this.#ns.requireAlive("ip xfrm policy getdefault");
    return nameOf(ACTIONS, this.#ns.kernel.exports.xfrmDefaultGet(this.#ns.handle, DIRECTIONS[dir]));
  }

  setPolicyDefault(dir: XfrmPolicySpec["dir"], action: XfrmPolicySpec["action"]): void {
    const operation = `ip xfrm policy setdefault ${dir} ${action}`;
    this.#ns.requireAlive(operation);
    check(this.#ns.kernel.exports.xfrmDefaultSet(this.#ns.handle, DIRECTIONS[dir], ACTIONS[action]), operation);
  }

  // ------------------------------------------------------------------------------------------------ counters, events

  stat(): Record<string, number> {
    this.#ns.requireAlive("/proc/net/xfrm_stat");
    const { exports, mem } = this.#ns.kernel;
    const at = exports.xfrmStat(this.#ns.handle);
    return Object.fromEntries(XFRM_STAT_NAMES.map((name, i) => [name, mem.u64(at + 8 * i)]));
  }

  #tell(event: XfrmEvent): void {
    this.#ns.kernel.xfrmEvent(this.#ns, event);
  }
}

function same(a: XfrmStateInfo, b: XfrmStateInfo): boolean {
  return a.dst === b.dst && a.spi === b.spi && a.mark?.value === b.mark?.value && a.mark?.mask === b.mark?.mask;
}

/** The selector as a text that is equal for equal ones. */
function selectorKey({ src, dst, protocol, sport, dport }: XfrmSelector): string {
  return `${formatCidr(src)} ${formatCidr(dst)} ${protocol} ${sport} ${dport}`;
}

function samePolicy(a: PolicyId, b: PolicyId): boolean {
  const fits = a.dir === b.dir && (a.mark?.value ?? 0) === (b.mark?.value ?? 0);
  return fits && (a.mark?.mask ?? 0) === (b.mark?.mask ?? 0) && selectorKey(a.selector) === selectorKey(b.selector);
}

function describePolicy({ selector, dir }: PolicyId): string {
  return `src ${formatCidr(selector.src)} dst ${formatCidr(selector.dst)} dir ${dir}`;
}
