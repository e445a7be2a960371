/** What the form of faults says, as a fault of a lab file. */
import type { FaultRequest } from "../../session/faults/protocol.ts";

/** What can be done, in the order of the list: what it is called, and what it needs. */
export const ACTIONS = {
  cut: { text: "Cut the link", where: "wire" },
  join: { text: "Put the link back", where: "wire" },
  loss: { text: "Lose frames", where: "wire", value: "Probability", example: "10%" },
  latency: { text: "Delay frames", where: "wire", value: "One-way delay", example: "50ms" },
  drop: { text: "Drop what matches", where: "host", value: "Filter, as tcpdump writes it", example: "udp port 4789" },
  partition: {
    text: "Part hosts",
    where: "none",
    value: "Groups, with | between them",
    example: "host1 | host2 host3",
  },
  crash: { text: "Cut the power", where: "host" },
  restart: { text: "Switch on again", where: "host" },
  mend: { text: "Mend the wire", where: "wire" },
  heal: { text: "Mend everything", where: "none" },
} as const satisfies Readonly<Record<string, FaultAction>>;

/** Something that can be done. */
export interface FaultAction {
  readonly text: string;
  /** To a host, to its wire (or a link between switches), or to nothing in particular. */
  readonly where: "host" | "wire" | "none";
  /** What the value is called, where it takes one. */
  readonly value?: string;
  readonly example?: string;
}

/** Its name. */
export type ActionName = keyof typeof ACTIONS;

/** What stands in the form. */
export interface FaultForm {
  readonly action: ActionName;
  /** Names or patterns, with blanks or commas between them. */
  readonly hosts: string;
  /** A further network; empty for all cards. */
  readonly network: string;
  /** Numbers of switches; both empty: it is about hosts. */
  readonly leaf: string;
  readonly spine: string;
  readonly value: string;
}

/** The fault that a form describes: not checked. */
export function faultOf(form: FaultForm): FaultRequest {
  return { ...placeOf(form), ...changeOf(form) };
}

function placeOf({ action, hosts, network, leaf, spine }: FaultForm): FaultRequest {
  const { where } = ACTIONS[action];
  const number = (text: string): unknown => (/^\d+$/.test(text.trim()) ? Number(text) : text.trim());
  if (where === "none") return {};
  if (where === "wire" && (leaf.trim() !== "" || spine.trim() !== ""))
    return {
      ...(leaf.trim() === "" ? {} : { leaf: number(leaf) }),
      ...(spine.trim() === "" ? {} : { spine: number(spine) }),
    };
  const names = wordsOf(hosts);
  return {
    ...(names.length === 0 ? {} : { host: names.length === 1 ? names[0] : names }),
    ...(network === "" || action === "crash" || action === "restart" ? {} : { network }),
  };
}

function changeOf({ action, value }: FaultForm): FaultRequest {
  const text = value.trim();
  switch (action) {
    case "cut":
      return { link: "down" };
    case "join":
      return { link: "up" };
    case "loss":
      return { loss: /^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : text };
    case "latency":
      return { latency: text };
    case "drop":
      return { drop: text };
    case "partition":
      return { partition: text.split("|").map(wordsOf) };
    case "crash":
      return { crash: true };
    case "restart":
      return { restart: true };
    case "mend":
    case "heal":
      return { heal: true };
  }
}

function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
