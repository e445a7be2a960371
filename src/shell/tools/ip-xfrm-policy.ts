/** `ip xfrm policy`: its command line (iproute2 6.1 ip/xfrm_policy.c). */
import type { Cidr } from "../../base/addr.ts";
import type { XfrmPolicyInfo, XfrmPolicySpec, XfrmSelector, XfrmTemplate } from "../../kernel/xfrm-types.ts";
import { Answer, netlink, type Request, take } from "./ip-request.ts";
import {
  buckets,
  idPart,
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
import { policyText } from "./ip-xfrm-show.ts";

type Direction = XfrmPolicySpec["dir"];

/** What `ip xfrm policy` reads beside a selector. */
interface PolicyParts extends Parts {
  dir: Direction | undefined;
  priority: number;
  action: XfrmPolicySpec["action"];
  index: number | undefined;
  templates: XfrmTemplate[];
}

/** `tmpl src A dst B proto esp spi S reqid R mode transport level required`: all words that belong to it. */
function templateOf(request: Request): XfrmTemplate {
  const found = parts();
  while (request.words.length > 0) {
    const name = request.words.shift() as string;
    if (name === "mode") {
      if (word(request, "MODE", ["transport", "tunnel", "beet"]) !== "transport") unsupported();
    } else if (name === "reqid") found.reqid = number(request, name);
    else if (name === "level") {
      if (word(request, "LEVEL", ["required", "use"]) === "use") unsupported();
    } else if (!idPart(request, name, found)) {
      request.words.unshift(name);
      break;
    }
  }
  return { src: found.src.ip, dst: found.dst.ip, spi: found.spi ?? 0, reqid: found.reqid ?? 0 };
}

function policyParts(request: Request): PolicyParts {
  const found: PolicyParts = {
    ...parts(),
    dir: undefined,
    priority: 0,
    action: "allow",
    index: undefined,
    templates: [],
  };
  while (request.words.length > 0) {
    const name = request.words.shift() as string;
    if (name === "dir") found.dir = word(request, "DIR", ["in", "out", "fwd"]) as Direction;
    else if (name === "mark") found.mark = markOf(request);
    else if (name === "index") found.index = number(request, name);
    else if (name === "ptype") word(request, "PTYPE", ["main"]);
    else if (name === "action") found.action = word(request, "ACTION", ["allow", "block"]) as XfrmPolicySpec["action"];
    else if (name === "priority") found.priority = number(request, name);
    else if (name === "limit") unsupported();
    else if (name === "tmpl") found.templates.push(templateOf(request));
    else if (!selectorPart(request, name, found)) wrong(name, "unknown");
  }
  return found;
}

/** The policy's direction, selector and mark, as `add`, `delete` and `get` need them. */
function policyId(found: PolicyParts): Pick<XfrmPolicySpec, "selector" | "dir" | "mark"> {
  if (found.dir === undefined) throw new Answer("Not enough information: DIR is required.", 1);
  const selector = selectorOf(found);
  return { selector, dir: found.dir, ...(found.mark === undefined ? {} : { mark: found.mark }) };
}

function sameSelector(a: XfrmSelector, b: XfrmSelector): boolean {
  const same = (one: Cidr, other: Cidr): boolean => one.ip === other.ip && one.prefix === other.prefix;
  const ports = a.protocol === b.protocol && a.sport === b.sport && a.dport === b.dport;
  return same(a.src, b.src) && same(a.dst, b.dst) && ports;
}

/** The policy that a command line names by selector or index; ENOENT as the kernel answers. */
function policyNamed(request: Request, found: PolicyParts): XfrmPolicyInfo {
  const id = policyId(found);
  const named = request.ns.xfrm.policyList().find((one) => {
    if (one.dir !== id.dir) return false;
    if (found.index !== undefined) return one.index === found.index;
    const marks = (one.mark?.value ?? 0) === (id.mark?.value ?? 0) && (one.mark?.mask ?? 0) === (id.mark?.mask ?? 0);
    return marks && sameSelector(one.selector, id.selector);
  });
  if (named === undefined) throw new Answer("RTNETLINK answers: No such file or directory", 2);
  return named;
}

function policyModify(request: Request, update: boolean): string {
  const found = policyParts(request);
  const { priority, action, templates } = found;
  const policy: XfrmPolicySpec = { ...policyId(found), priority, action, templates };
  const { xfrm } = request.ns;
  netlink(request.options.style, () => (update ? xfrm.policyUpdate(policy) : xfrm.policyAdd(policy)));
  return "";
}

/** `list` and `deleteall`: the policies that fit all that was said. */
function policyFiltered(request: Request): XfrmPolicyInfo[] {
  const wanted = policyParts(request);
  const same = (value: number, found: number): boolean => value === 0 || value === found;
  const prefix = (value: Cidr, found: Cidr): boolean =>
    value.prefix === 0 || (value.ip === found.ip && value.prefix === found.prefix);
  return request.ns.xfrm.policyList().filter(({ dir, selector, index }) => {
    if (wanted.dir !== undefined && wanted.dir !== dir) return false;
    if (wanted.index !== undefined && wanted.index !== index) return false;
    const ports = same(wanted.sport, selector.sport) && same(wanted.dport, selector.dport);
    return (
      prefix(wanted.src, selector.src) &&
      prefix(wanted.dst, selector.dst) &&
      same(wanted.protocol, selector.protocol) &&
      ports
    );
  });
}

function policyCount(request: Request): string {
  const all = request.ns.xfrm.policyList();
  const [incoming, outgoing, forwarded] = (["in", "out", "fwd"] as const).map(
    (dir) => all.filter((one) => one.dir === dir).length,
  );
  const line = `\t SPD IN  ${incoming} OUT ${outgoing} FWD ${forwarded}`;
  if (!request.options.stats) return `${line}\n`;
  return `${line} (Sock: IN 0 OUT 0 FWD 0)\n\t SPD buckets: count ${buckets(all.length)} Max ${MAX_BUCKETS}\n`;
}

/** `setdefault in block out accept`. */
function setDefaults(request: Request): string {
  const { xfrm } = request.ns;
  while (request.words.length > 0) {
    const dir = request.words.shift() as Direction;
    if (!["in", "out", "fwd"].includes(dir)) wrong(dir, "unknown direction");
    const text = take(request, dir);
    if (text !== "accept" && text !== "block") wrong(text, "invalid policy");
    netlink(request.options.style, () => xfrm.setPolicyDefault(dir, text === "block" ? "block" : "allow"));
  }
  return "";
}

function getDefaults(request: Request): string {
  const say = (dir: Direction): string => (request.ns.xfrm.policyDefault(dir) === "block" ? "block" : "accept");
  return `Default policies:\n in:  ${say("in")}\n fwd: ${say("fwd")}\n out: ${say("out")}\n`;
}

const POLICY_VERBS = [
  ...["add", "update", "delete", "deleteall", "delall", "list", "show", "lst", "get", "flush", "count"],
  ...["setdefault", "getdefault"],
];

/** `ip xfrm policy`: what it prints. */
export function policy(request: Request): string {
  const verb = verbOf(request, POLICY_VERBS, "list");
  const { xfrm } = request.ns;
  const style = { stats: request.options.stats };
  switch (verb) {
    case "add":
    case "update":
      return policyModify(request, verb === "update");
    case "delete": {
      const named = policyNamed(request, policyParts(request));
      xfrm.policyDel(named);
      return "";
    }
    case "deleteall":
    case "delall":
      for (const one of policyFiltered(request)) xfrm.policyDel(one);
      return "";
    case "list":
    case "show":
    case "lst":
      return policyFiltered(request)
        .map((one) => policyText(one, style))
        .join("");
    case "get":
      return policyText(policyNamed(request, policyParts(request)), style);
    case "flush":
      xfrm.policyFlush();
      return "";
    case "count":
      return policyCount(request);
    case "setdefault":
      return setDefaults(request);
    case "getdefault":
      return getDefaults(request);
    default:
      throw new Answer(`Command "${verb}" is unknown, try "ip xfrm policy help".`, 255);
  }
}
