/** What faults have done to a wire, in words. */
import type { ChangedWire } from "../../../src/scheduler/wires.ts";

/** A part of 1. */
export function percent(part: number): string {
  return `${Number((100 * part).toPrecision(3))}%`;
}

/** What faults have done to a wire. */
export function faultWords({ down, loss, filters, group, latency }: ChangedWire, usual = latency): string[] {
  const filter = filters.map(({ protocol, port, ip, ethertype }) => {
    const names: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 50: "esp" };
    const what = protocol > 0 ? (names[protocol] ?? `proto ${protocol}`) : ethertype === 0x0806 ? "arp" : "";
    const address = ip === 0 ? "" : `host ${[24, 16, 8, 0].map((bits) => (ip >>> bits) & 255).join(".")}`;
    return `drops ${[what, port === 0 ? "" : `port ${port}`, address].filter((word) => word !== "").join(" ") || "all"}`;
  });
  return [
    ...(down ? ["link down"] : []),
    ...(loss > 0 ? [`loss ${percent(loss)}`] : []),
    ...filter,
    ...(group === 0 ? [] : [`partition ${group}`]),
    ...(latency === usual ? [] : [`latency ${latency / 1000} µs`]),
  ];
}
