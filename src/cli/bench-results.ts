/** The results of `swarmwire bench mesh`, as tables and as one JSON object. */
import { formatDuration, type Time, US } from "../base/time.ts";
import type { FlowClass, MeshResult } from "../lab/mesh/result.ts";
import type { ThreadProfile } from "../scheduler/profile.ts";
import type { MeshOptions } from "../workload/mesh/types.ts";
import { formatColumns } from "./columns.ts";
import { formatProfile, profileJson } from "./profile.ts";
import { version } from "./version.ts";

/** What the machine that it ran on had to give: all that isn't the same the next time. */
export interface BenchMachine {
  readonly workers: number;
  readonly memory: {
    /** Bytes that the kernels' structures take. */
    readonly kernel: number;
    /** Bytes that the kernels hold of their Wasm memories. */
    readonly held: number;
    /** JavaScript heaps of all threads, in use. */
    readonly heap: number;
    /** Resident set of the whole process. */
    readonly resident: number;
  };
  readonly profile: readonly ThreadProfile[] | undefined;
}

/** `1 host`, `16 hosts`. */
const count = (number: number, what: string): string => `${grouped(number)} ${what}${number === 1 ? "" : "s"}`;

/** 1,234,567. */
function grouped(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** With three digits that count, in the unit of tc's that fits. */
function rateText(bits: number): string {
  const units = ["bit", "kbit", "Mbit", "Gbit", "Tbit"];
  let unit = 0;
  let value = bits;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${Number(value.toPrecision(3))} ${units[unit]}/s`;
}

/** Three digits that count. */
function delayText(ns: Time): string {
  if (ns < US) return formatDuration(Math.round(ns));
  return formatDuration(Number(ns.toPrecision(3)));
}

function bytesText(bytes: number): string {
  const mib = bytes / 2 ** 20;
  return mib < 1024 ? `${mib.toFixed(1)} MiB` : `${(mib / 1024).toFixed(2)} GiB`;
}

const wallText = (ms: number): string => `${(ms / 1000).toFixed(3)} s`;

function underlayText({ underlay }: MeshOptions): string {
  const { kind, bandwidth, latency, loss, hostsPerLeaf, spines, apart, uplinkBandwidth, uplinkLatency } = underlay;
  const rate = (bits: number): string =>
    bits === 0 ? "not limited" : rateText(bits).replace(" ", "").replace("/s", "");
  const lost = loss === 0 ? "" : `, ${Number((100 * loss).toFixed(6))}% loss`;
  const links = `${rate(bandwidth)}, ${formatDuration(latency)}${lost}`;
  if (kind === "flat") return `flat underlay (${links})`;
  return `leaf-spine underlay (${links}; ${count(hostsPerLeaf, "host")} a leaf, neighbours ${apart ? "apart" : "together"}, ${count(spines, "spine")}, uplinks ${rate(uplinkBandwidth)}, ${formatDuration(uplinkLatency)})`;
}

/** What ran, in words: the control plane first. */
export function shapeText(options: MeshOptions): string {
  const { control, hosts, containers, flows, networks, span, encrypted, services, schedulers } = options;
  const secret = encrypted === 0 ? "none" : encrypted === networks ? "all" : grouped(encrypted);
  const balanced = services === 0 ? "" : `, ${count(services, "service")} each (${schedulers.join(", ")})`;
  return `mesh, control plane ${control}: ${count(hosts, "host")}, ${count(containers, "container")}, ${count(flows, "flow")}
${count(networks, "network")} over ${count(span, "host")} each, ${secret} encrypted${balanced}; ${underlayText(options)}
`;
}

function phasesTable({ phases }: MeshResult): string {
  const wall = phases.reduce((sum, phase) => sum + phase.wall, 0);
  const virtual = phases.reduce((sum, phase) => sum + phase.virtual, 0);
  return formatColumns([
    ["phase", "virtual time", "wall time"],
    ...phases.map((phase) => [phase.name, formatDuration(phase.virtual), wallText(phase.wall)]),
    ["total", formatDuration(virtual), wallText(wall)],
  ]);
}

/** Wall time of the traffic and of what was on its way after it, s. */
function trafficWall({ phases }: MeshResult): number {
  return phases.reduce((sum, { name, wall }) => sum + (name === "traffic" || name === "drain" ? wall : 0), 0) / 1000;
}

function packetsTable(result: MeshResult): string {
  const { packets, drops } = result;
  if (packets === undefined) return "";
  const seconds = trafficWall(result);
  const rate = (number: number): string => (seconds === 0 ? "" : grouped(number / seconds));
  return formatColumns([
    ["", "number", "a second of wall time"],
    ["packets made", grouped(packets.made), rate(packets.made)],
    ["frames from host to host", grouped(packets.frames), rate(packets.frames)],
    ["hops", grouped(packets.hops), rate(packets.hops)],
    ["dropped", grouped(packets.dropped), ""],
    ...Object.entries(drops).map(([reason, number]) => [`  ${reason}`, grouped(number), ""]),
  ]);
}

const className = ({ kind, viaVip, encrypted }: FlowClass): string[] => [
  kind,
  viaVip ? "VIP" : "direct",
  encrypted ? "ESP" : "plain",
];

function flowsTable({ classes }: MeshResult): string {
  if (classes.length === 0) return "";
  return formatColumns(
    [
      ["traffic", "to", "", "flows", "sent", "failed", "received", "least", "median", "most", "fairness"],
      ...classes.map((one) => [
        ...className(one),
        ...[one.flows, one.sent, one.failed, one.received].map(grouped),
        ...[one.throughput.min, one.throughput.median, one.throughput.max].map(rateText),
        one.fairness.toFixed(3),
      ]),
    ],
    3,
  );
}

function failuresTable({ failures, strays }: MeshResult): string {
  const rows = Object.entries(failures).map(([what, number]) => [what, grouped(number)]);
  if (strays > 0) rows.push(["datagrams of no flow", grouped(strays)]);
  return rows.length === 0 ? "" : formatColumns([["failed", "number"], ...rows]);
}

function delaysTable({ classes }: MeshResult): string {
  const rows = classes.flatMap((one) => {
    const { delays } = one;
    if (delays === null) return [];
    const { count: number, p50, p90, p99, p999, max } = delays;
    return [[...className(one), grouped(number), ...[p50, p90, p99, p999, max].map(delayText)]];
  });
  if (rows.length === 0) return "";
  return formatColumns([["delays", "to", "", "number", "p50", "p90", "p99", "p99.9", "max"], ...rows], 3);
}

function balanceTable({ schedulers }: MeshResult): string {
  if (schedulers.length === 0) return "";
  return formatColumns([
    ["scheduler", "services", "backends", "received", "connections", "least", "mean", "most", "variation"],
    ...schedulers.map(({ scheduler, services, backends, received, connections, min, mean, max, variation }) => [
      scheduler,
      ...[services, backends, received, connections, min].map(grouped),
      mean.toFixed(1),
      grouped(max),
      variation === null ? "" : `${(100 * variation).toFixed(1)} %`,
    ]),
  ]);
}

/** Links that are shown: the busiest. */
const LINKS = 8;

function linksTable({ links }: MeshResult): string {
  const busiest = [...links].sort((a, b) => b.bytes - a.bytes).slice(0, LINKS);
  if (busiest.length === 0) return "";
  const rest = links.length - busiest.length;
  return formatColumns([
    ["link", "frames", "bytes", "load", "dropped", "most waiting"],
    ...busiest.map(({ from, to, frames, bytes, load, drops, peakBytes }) => [
      `${from} > ${to}`,
      ...[
        grouped(frames),
        grouped(bytes),
        `${(100 * load).toFixed(1)} %`,
        grouped(drops),
        `${grouped(peakBytes)} bytes`,
      ],
    ]),
    ...(rest > 0 ? [[`${count(rest, "link")} less busy`]] : []),
  ]);
}

function machineTable({ workers, memory }: BenchMachine): string {
  return formatColumns([
    [`memory (${count(workers, "worker")})`, ""],
    ["kernel structures", bytesText(memory.kernel)],
    ["held for them (Wasm)", bytesText(memory.held)],
    ["JavaScript heap, all threads", bytesText(memory.heap)],
    ["resident, whole process", bytesText(memory.resident)],
  ]);
}

/** What a person reads. */
export function formatMesh(result: MeshResult, machine: BenchMachine): string {
  const parts = [
    shapeText(result.options),
    phasesTable(result),
    packetsTable(result),
    flowsTable(result),
    failuresTable(result),
    delaysTable(result),
    balanceTable(result),
    linksTable(result),
    machineTable(machine),
    machine.profile === undefined ? "" : formatProfile(machine.profile),
    result.cut ? "Stopped before the end: these are the results so far.\n" : "",
  ];
  return parts.filter((part) => part !== "").join("\n");
}

/**
 * One JSON object. Times are ns, rates bits a second. What stands in `machine` differs from run to run (workers, wall times in
 * ms, memory in bytes); everything else is the same for the same flags.
 */
export function meshJson(result: MeshResult, machine: BenchMachine): string {
  const { phases, packets, events, memory: _memory, ...rest } = result;
  const seconds = trafficWall(result);
  const rate = (number: number | undefined): number | null =>
    number === undefined || seconds === 0 ? null : Math.round(number / seconds);
  const wall = Object.fromEntries(phases.map(({ name, wall }) => [name, Number(wall.toFixed(3))]));
  return `${JSON.stringify({
    bench: "mesh",
    version: version(),
    ...rest,
    phases: phases.map(({ name, virtual }) => ({ name, virtual })),
    packets: packets ?? null,
    machine: {
      workers: machine.workers,
      wall,
      packetsPerSecond: rate(packets?.made),
      framesPerSecond: rate(packets?.frames),
      hopsPerSecond: rate(packets?.hops),
      events,
      memory: machine.memory,
      ...(machine.profile === undefined ? {} : { profile: profileJson(machine.profile) }),
    },
  })}\n`;
}
