/** `ip xfrm`: the command line of its states (iproute2 6.1 ip/xfrm_state.c), and the way to its policies. */
import type { XfrmAead, XfrmSelector, XfrmStateId, XfrmStateInfo, XfrmStateSpec } from "../../kernel/xfrm-types.ts";
import { Answer, netlink, type Request, take } from "./ip-request.ts";
import { policy } from "./ip-xfrm-policy.ts";
import {
  buckets,
  idPart,
  limitOf,
  MAX_BUCKETS,
  markOf,
  number,
  type Parts,
  parts,
  selectorOf,
  selectorPart,
  unsupported,
  verbOf,
  word,
  wrong,
} from "./ip-xfrm-request.ts";
import { stateText } from "./ip-xfrm-show.ts";

/** Windows that don't fit the legacy attribute. */
const LEGACY_BITS = 32;
const MAX_WINDOW = 4096;

/** A key: `0x…`, or text. */
function keyOf(text: string): Uint8Array {
  if (!text.startsWith("0x")) return new TextEncoder().encode(text);
  if (!/^0x([0-9a-f]{2})*$/i.test(text)) wrong(text, '"ALGO-KEYMAT" value is invalid');
  return Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function aeadOf(request: Request): XfrmAead {
  const name = take(request, "ALGO-NAME");
  const key = keyOf(take(request, "ALGO-KEYMAT"));
  const icvBits = number(request, "ALGO-ICV-LEN");
  if (name !== "rfc4106(gcm(aes))") throw new Answer("RTNETLINK answers: Function not implemented", 2);
  return { name, key, icvBits };
}

/** What `ip xfrm state add` adds to an id. */
interface StateParts extends Parts {
  aead: XfrmAead | undefined;
  window: number;
  esn: boolean;
  start: { seq?: number; seqHi?: number; oseq?: number; oseqHi?: number };
  selector: XfrmSelector | undefined;
}

const STARTS: Record<string, keyof StateParts["start"]> = {
  "replay-seq": "seq",
  "replay-oseq": "oseq",
  "replay-seq-hi": "seqHi",
  "replay-oseq-hi": "oseqHi",
};

/** `sel SELECTOR`: it takes all words that belong to one. */
function innerSelector(request: Request): XfrmSelector {
  const found = parts();
  while (request.words.length > 0) {
    const name = request.words.shift() as string;
    if (selectorPart(request, name, found)) continue;
    request.words.unshift(name);
    break;
  }
  return selectorOf(found);
}

function statePart(request: Request, name: string, into: StateParts): void {
  const start = STARTS[name];
  if (start !== undefined) into.start[start] = number(request, name);
  else if (name === "mode") {
    if (word(request, "MODE", ["transport", "tunnel", "ro", "in_trigger", "beet"]) !== "transport") unsupported();
  } else if (name === "mark") into.mark = markOf(request);
  else if (name === "reqid") into.reqid = number(request, "reqid");
  else if (name === "replay-window") into.window = number(request, name);
  else if (name === "flag") {
    if (word(request, "FLAG", ["esn", "noecn", "nopmtudisc"]) === "esn") into.esn = true;
  } else if (name === "sel") into.selector = innerSelector(request);
  else if (name === "limit") limitOf(request, into.limits);
  else if (name === "aead") into.aead = aeadOf(request);
  else if (["enc", "auth", "auth-trunc", "comp"].includes(name))
    throw new Answer("RTNETLINK answers: Function not implemented", 2);
  else if (!idPart(request, name, into)) wrong(name, "unknown");
}

function replayOf({ window, esn }: StateParts): Pick<XfrmStateSpec, "replayWindow" | "replayExt"> {
  if (esn && window === 0) throw new Answer("Error: esn flag set without replay-window.", 255);
  if (window > MAX_WINDOW)
    throw new Answer(`Error: replay-window (${window}) > XFRMA_REPLAY_ESN_MAX (${MAX_WINDOW}).`, 255);
  return esn || window > LEGACY_BITS ? { replayExt: { window, esn } } : { replayWindow: window };
}

function stateModify(request: Request, update: boolean): string {
  const found: StateParts = {
    ...parts(),
    aead: undefined,
    window: 0,
    esn: false,
    start: {},
    selector: undefined,
  };
  while (request.words.length > 0) statePart(request, request.words.shift() as string, found);
  const { aead, mark, start, limits, selector } = found;
  if (found.protocol === 0) throw new Answer('Not enough information: "ID" is required', 1);
  if (aead === undefined)
    throw new Answer('ALGO-TYPE value "enc" or "aead" is required with XFRM-PROTO value "esp"', 1);
  const state: XfrmStateSpec = {
    src: found.src.ip,
    dst: found.dst.ip,
    spi: found.spi ?? 0,
    reqid: found.reqid ?? 0,
    aead,
    ...replayOf(found),
    ...(mark === undefined ? {} : { mark }),
    ...(Object.keys(start).length === 0 ? {} : { replayStart: start }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(selector === undefined ? {} : { selector }),
  };
  const { xfrm } = request.ns;
  netlink(request.options.style, () => (update ? xfrm.stateUpdate(state) : xfrm.stateAdd(state)));
  return "";
}

/** `src`, `dst`, `proto`, `spi`, `mark`, `reqid`, `mode` of a listing; `nokeys` is told apart. */
function stateFilter(request: Request): { fits: (state: XfrmStateInfo) => boolean; noKeys: boolean } {
  const wanted = parts();
  let noKeys = false;
  while (request.words.length > 0) {
    const name = request.words.shift() as string;
    if (name === "nokeys") noKeys = true;
    else if (name === "reqid") wanted.reqid = number(request, name);
    else if (name === "mode") word(request, "MODE", ["transport"]);
    else if (name === "mark") wanted.mark = markOf(request);
    else if (!idPart(request, name, wanted)) wrong(name, "unknown");
  }
  const same = (value: number | undefined, found: number): boolean => value === undefined || value === found;
  const fits = (state: XfrmStateInfo): boolean =>
    (wanted.src.prefix === 0 || wanted.src.ip === state.src) &&
    (wanted.dst.prefix === 0 || wanted.dst.ip === state.dst) &&
    same(wanted.spi, state.spi) &&
    same(wanted.reqid, state.reqid);
  return { fits, noKeys };
}

/** The state that an id names: `get` and `delete`. */
function stateNamed(request: Request): XfrmStateId {
  const found = parts();
  while (request.words.length > 0) {
    const name = request.words.shift() as string;
    if (name === "mark") found.mark = markOf(request);
    else if (!idPart(request, name, found)) wrong(name, "unknown");
  }
  if (found.protocol === 0) throw new Answer('Not enough information: "ID" is required', 1);
  return { dst: found.dst.ip, spi: found.spi ?? 0, ...(found.mark === undefined ? {} : { mark: found.mark }) };
}

function stateGet(request: Request): string {
  const { dst, spi, mark } = stateNamed(request);
  const value = mark === undefined ? 0 : mark.value & mark.mask;
  const found = request.ns.xfrm
    .stateList()
    .find((one) => one.dst === dst && one.spi === spi && (value & (one.mark?.mask ?? 0)) === (one.mark?.value ?? 0));
  if (found === undefined) throw new Answer("RTNETLINK answers: No such process", 2);
  return stateText(found, { stats: request.options.stats });
}

function stateCount(request: Request): string {
  const count = request.ns.xfrm.stateList().length;
  const more = request.options.stats ? ` (buckets count ${buckets(count)} Max ${MAX_BUCKETS})` : "";
  return `\t SAD count ${count}${more}\n`;
}

function stateRemove(request: Request, all: boolean): string {
  const { xfrm } = request.ns;
  if (!all) {
    const id = stateNamed(request);
    netlink(request.options.style, () => xfrm.stateDel(id));
    return "";
  }
  const { fits } = stateFilter(request);
  for (const state of xfrm.stateList().filter(fits)) xfrm.stateDel(state);
  return "";
}

const STATE_VERBS = ["add", "update", "delete", "deleteall", "delall", "list", "show", "lst", "get", "flush", "count"];

function state(request: Request): string {
  const verb = verbOf(request, STATE_VERBS, "list");
  switch (verb) {
    case "add":
    case "update":
      return stateModify(request, verb === "update");
    case "delete":
      return stateRemove(request, false);
    case "deleteall":
    case "delall":
      return stateRemove(request, true);
    case "list":
    case "show":
    case "lst": {
      const { fits, noKeys } = stateFilter(request);
      const shown = request.ns.xfrm.stateList().filter(fits);
      return shown.map((one) => stateText(one, { stats: request.options.stats, noKeys })).join("");
    }
    case "get":
      return stateGet(request);
    case "flush":
      if (request.words.shift() === "proto") word(request, "XFRM-PROTO", ["esp", "any"]);
      request.ns.xfrm.stateFlush();
      return "";
    case "count":
      return stateCount(request);
    default:
      throw new Answer(`Command "${verb}" is unknown, try "ip xfrm state help".`, 255);
  }
}

/** `ip xfrm …`; the word `xfrm` is gone. */
export function xfrm(request: Request): string {
  const object = request.words.shift() ?? "";
  if (object !== "" && "state".startsWith(object)) return state(request);
  if (object === "sa") return state(request);
  if (object !== "" && "policy".startsWith(object)) return policy(request);
  throw new Answer(`Command "${object}" is unknown, try "ip xfrm help".`, 255);
}
