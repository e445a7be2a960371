/**
 * A run so far as a lab of its own: the lab's steps that have begun, what was typed between them, and what was broken by
 * hand, each at its time. The command line makes the same trace of it. What no lab can say is said in comments.
 */
import { type Document, isNode, isSeq, YAMLSeq } from "yaml";
import { formatDuration, SEC, type Time } from "../../../src/base/time.ts";
import type { Fault, LabPlan } from "../../../src/lab/plan.ts";
import type { Settings } from "../../../src/lab/settings.ts";
import { Source } from "../../../src/lab/source.ts";

/** Something that has an effect on a run, in the order in which it came. */
export type RunRecord =
  /** The lab's next step began. */
  | { readonly kind: "step" }
  /** A command was typed between two steps. */
  | {
      readonly kind: "command";
      readonly host: string;
      /** The container on whose open terminal it was typed. */
      readonly terminal: string | undefined;
      readonly command: string;
      /** Undefined where it isn't known, or it waits for input. */
      readonly exit: number | undefined;
    }
  /** Something was broken or mended. */
  | { readonly kind: "fault"; readonly time: Time; readonly fault: Fault; readonly within: boolean }
  /** Time passed. */
  | { readonly kind: "pass"; readonly end: Time }
  /** What a lab can't say. */
  | { readonly kind: "other"; readonly text: string };

/** A run, as far as it has come. */
export interface RunSoFar {
  /** The lab's file. */
  readonly file: string;
  readonly text: string;
  readonly settings: Settings;
  readonly plan: LabPlan;
  readonly seed: string;
  readonly now: Time;
  readonly records: readonly RunRecord[];
}

/** What was typed by hand may take so long (open-terminal.ts), and a second passes behind it. */
const TYPED_TIMEOUT = "1h";

/** A lab's text. @returns it, and what it leaves out */
export function labOfRun(run: RunSoFar): { readonly text: string; readonly left: readonly string[] } {
  const { plan, records } = run;
  const { doc } = new Source(run.file, run.text, run.settings);
  const list = stepsOf(doc);
  const items = list.items;
  const left: string[] = [];
  /** Nodes of the lab's own steps, and new ones. */
  const steps: unknown[] = [];
  /** Where what happens during the last step has to stand: before it. */
  let before = 0;
  let begun = 0;
  for (const record of records) {
    if (record.kind === "fault") {
      const node = doc.createNode({ fault: rawFault(record.fault, record.time) });
      if (record.within) steps.splice(before++, 0, node);
      else steps.push(node);
      continue;
    }
    if (record.kind === "other") left.push(record.text);
    else {
      before = steps.length;
      if (record.kind === "step") steps.push(items[begun++]);
      else if (record.kind === "pass") steps.push(doc.createNode({ until: formatDuration(record.end) }));
      else steps.push(doc.createNode(rawCommand(record)));
    }
  }
  const typed = records.some(({ kind }) => kind === "command");
  if (typed && plan.pause !== SEC) left.push("after what was typed a second passed, and not the lab's pause");
  if (begun < items.length) left.push(`the lab's last ${items.length - begun} steps, which had not begun`);
  doc.set("name", plan.name);
  doc.set("seed", run.seed);
  list.items = steps;
  const head = [
    ` ${plan.name}, seed ${run.seed}, as it was run up to ${formatDuration(run.now)}.`,
    ...left.map((text) => ` Not in here: ${text}.`),
  ];
  doc.commentBefore = [...head, ...(doc.commentBefore == null ? [] : ["", doc.commentBefore])].join("\n");
  return { text: doc.toString({ lineWidth: 0 }), left };
}

/** The lab's list of steps; what is said before it is said of its first one. */
function stepsOf(doc: Document): YAMLSeq {
  const own = doc.get("steps", true);
  if (!isSeq(own)) {
    const none = new YAMLSeq();
    doc.set("steps", none);
    return none;
  }
  const first = own.items[0];
  if (isNode(first) && own.commentBefore != null) {
    first.commentBefore = [own.commentBefore, first.commentBefore ?? []].flat().join("\n");
    own.commentBefore = null;
  }
  return own;
}

function rawCommand({ host, terminal, command, exit }: Extract<RunRecord, { kind: "command" }>): object {
  const key = terminal === undefined ? host : `${host}/${terminal}`;
  return {
    [key]: command,
    ...(exit === undefined || (exit === 0 && terminal === undefined) ? {} : { exit }),
    timeout: TYPED_TIMEOUT,
  };
}

/** A fault as a lab's file says it. */
export function rawFault(fault: Fault, at: Time): Readonly<Record<string, unknown>> {
  const { hosts, network, drop, link, latency, loss, crash, restart, heal, partition, switches } = fault;
  const fields: Readonly<Record<string, unknown>> = {
    at: formatDuration(at),
    ...switches,
    host: hosts.length === 0 ? undefined : hosts.length === 1 ? hosts[0] : hosts,
    network,
    drop,
    link,
    latency: latency === undefined ? undefined : formatDuration(latency),
    loss,
    crash,
    restart,
    heal,
    partition,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
