/** The simple filter. */
import { expect, it } from "vitest";
import type { PacketRow } from "../../../web/session/packets/protocol.ts";
import { parseSearch } from "../../../web/session/packets/search.ts";

const ROW: PacketRow = {
  index: 0,
  time: 0,
  length: 60,
  source: "",
  destination: "",
  protocol: "",
  summary: "",
  point: "",
};
const ROWS: PacketRow[] = [
  { ...ROW, source: "10.0.1.2", destination: "10.0.1.4", protocol: "ICMP", point: "host1/host/eth0" },
  { ...ROW, source: "10.0.1.2", destination: "10.0.1.44", protocol: "TCP", point: "host2/host/eth0" },
  { ...ROW, source: "192.168.77.11", destination: "192.168.77.12", protocol: "gossip", point: "host2/host/eth0" },
].map((row, index) => ({
  ...row,
  index,
  summary: [
    "VXLAN 4097 192.168.77.11 → 192.168.77.12 | ICMP echo request, id 7, seq 2, length 8",
    "VXLAN 4097 192.168.77.11 → 192.168.77.12 | 40080 → 80 Flags [S], seq 7946, win 1, length 0",
    "7946 → 7946 UDP, length 80",
  ][index] as string,
}));
const found = (text: string): number[] => ROWS.filter(parseSearch(text)).map(({ index }) => index);

it.each([
  ["", [0, 1, 2]],
  ["icmp", [0]],
  ["ECHO request", [0]],
  ["host=10.0.1.4", [0]],
  ["host=192.168.77.12", [0, 1, 2]],
  ["src=192.168.77.11", [2]],
  ["dst=10.0.1.44", [1]],
  ["port=80", [1]],
  ["port=7946", [2]],
  ["port=4789", [0, 1]],
  ["proto=tcp", [1]],
  ["on=host2", [1, 2]],
  ["!proto=gossip !icmp", [1]],
  ["on=host2 !port=80", [2]],
])("%s", (text, expected) => {
  expect(found(text)).toEqual(expected);
});

it.each([
  ["foo=1", /foo=: expected one of host=, src=, dst=/],
  ["port=http", /port=http: expected a number/],
  ["host=", /host=: expected a value/],
  ["!port=x", /expected a number/],
])("refuses %s", (text, message) => {
  expect(() => parseSearch(text)).toThrow(message);
});
