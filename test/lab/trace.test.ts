/** What a trace says of itself: devices without a frame count as captured on, and have no interface block. */
import { expect, it } from "vitest";
import { LabTrace } from "../../src/lab/trace.ts";
import { MemorySink, readPcapng } from "../../src/pcap-writer/index.ts";
import { labOf } from "../support/lab.ts";

it("a quiet wire is no missing device", () => {
  const sink = new MemorySink();
  const trace = new LabTrace(sink, labOf("hosts: { host1: {} }\n"), "1");
  expect(trace.points).toBe(0);
  const device = { host: "host1", namespace: "host", device: "eth0", mac: 0x525400000001, mtu: 1500, speed: 0 };
  trace.point({ ...device, id: 1, hostIndex: 0, since: 0 });
  trace.close(0);
  expect(trace.points).toBe(1);
  expect(trace.packets).toBe(0);
  expect([...readPcapng(sink.bytes())].filter(({ kind }) => kind === "interface")).toEqual([]);
});
