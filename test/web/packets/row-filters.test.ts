/** Filters that a row of the list offers. */
import { expect, it } from "vitest";
import { rowFilters } from "../../../web/page/packets/row-filters.ts";
import { parseSearch } from "../../../web/session/packets/search.ts";

const PING = { source: "10.0.1.2", destination: "10.0.1.4", protocol: "ICMP" };
const ARP = { source: "52:54:00:0f:d5:90", destination: "Broadcast", protocol: "ARP" };
const filters = (row: typeof PING, wireshark: boolean): string[] =>
  rowFilters(row, wireshark).map(({ filter }) => filter);

it("are Wireshark's where it reads the packets", () => {
  expect(filters(PING, true)).toEqual([
    "ip.src == 10.0.1.2",
    "ip.dst == 10.0.1.4",
    "ip.addr == 10.0.1.2 && ip.addr == 10.0.1.4",
    "icmp",
  ]);
  expect(filters(ARP, true)).toEqual(["eth.src == 52:54:00:0f:d5:90", "arp"]);
  expect(filters({ ...PING, source: "host1" }, true)[0]).toBe('ip.src_host == "host1"');
});

it("are words where it doesn't, and find the row itself", () => {
  expect(filters(PING, false)).toEqual(["src=10.0.1.2", "dst=10.0.1.4", "host=10.0.1.2 host=10.0.1.4", "proto=ICMP"]);
  const row = { ...PING, index: 0, time: 0, length: 98, summary: "ICMP echo request", point: "host1/host/eth0" };
  for (const filter of filters(PING, false)) expect(parseSearch(filter)(row)).toBe(true);
});

it("there are none of what can't be read", () => {
  expect(filters({ source: "", destination: "", protocol: "Ethernet" }, true)).toEqual([]);
});
