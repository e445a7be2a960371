/** What faults are called in transcripts and lists. */
import { formatDuration } from "../base/time.ts";
import type { Fault } from "./plan.ts";

/** A fault in words: `host2: drop udp port 4789`. */
export function faultText(fault: Fault): string {
  const parts: string[] = fault.at === undefined ? [] : [`at ${formatDuration(fault.at)}`];
  if (fault.heal) parts.push("heal");
  if (fault.drop !== undefined) parts.push(`drop ${fault.drop}`);
  if (fault.link !== undefined) parts.push(`link ${fault.link}`);
  if (fault.latency !== undefined) parts.push(`latency ${formatDuration(fault.latency)}`);
  if (fault.loss !== undefined) parts.push(`loss ${Number((fault.loss * 100).toFixed(6))}%`);
  if (fault.crash) parts.push("crash");
  if (fault.restart) parts.push("restart");
  if (fault.partition !== undefined)
    parts.push(`partition ${fault.partition.map((group) => group.join(" ")).join(" | ")}`);
  const { leaf, spine } = fault.switches ?? {};
  const ends = [...(leaf === undefined ? [] : [`leaf${leaf}`]), ...(spine === undefined ? [] : [`spine${spine}`])];
  if (ends.length > 0) return `${ends.join(" - ")}: ${parts.join(", ")}`;
  const where = [...fault.hosts, ...(fault.network === undefined ? [] : [`network ${fault.network}`])].join(", ");
  return `${where === "" ? "" : `${where}: `}${parts.join(", ")}`;
}
