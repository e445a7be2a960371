/** What a trace says of itself: devices without a frame count as captured on, and have no interface block. */
import { describe, expect, it } from "vitest";
import { LabTrace } from "../../src/lab/trace.ts";
import { MemorySink, readPcapng } from "../../src/pcap-writer/index.ts";
import type { CapturedFrame, CapturedSa } from "../../src/scheduler/captures.ts";
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

it("no name stands before the first interface, for editcap and mergecap", () => {
  const sink = new MemorySink();
  const trace = new LabTrace(sink, labOf("hosts: { host1: {} }\n"), "1");
  const device = { host: "host1", namespace: "host", device: "eth0", mac: 0x525400000001, mtu: 1500, speed: 0 };
  trace.point({ ...device, id: 1, hostIndex: 0, since: 0 });
  trace.names([{ address: "10.0.1.2", names: ["c1"] }]);
  trace.frame({ point: 1, time: 5, direction: 1, length: 60, data: new Uint8Array(60) } as CapturedFrame);
  trace.names([{ address: "10.0.1.3", names: ["c2"] }]);
  trace.close(9);
  const kinds = [...readPcapng(sink.bytes())].map(({ kind }) => kind);
  expect(kinds).toEqual(["section", "interface", "names", "packet", "names", "statistics"]);
});

describe("keys of ESP packets", () => {
  const sa: CapturedSa = {
    time: 5,
    hostIndex: 0,
    seq: 0,
    source: 0xc0a84d0b,
    destination: 0xc0a84d0c,
    spi: 0xf6bfc5b0,
    key: new Uint8Array(20).fill(0xab),
    icvBytes: 8,
  };

  it("one row an association, although both of its hosts make it; those that ended stay", () => {
    const rows: string[] = [];
    class Recording extends LabTrace {
      protected override newKeyRow(row: string): void {
        rows.push(row);
      }
    }
    const trace = new Recording(new MemorySink(), labOf("hosts: { host1: {} }\n"), "1");
    trace.association(sa);
    trace.association({ ...sa, hostIndex: 1, time: 6 });
    trace.association({ ...sa, spi: 0x12, time: 7, icvBytes: 16 });
    expect(rows).toEqual([
      `"IPv4","192.168.77.11","192.168.77.12","0xf6bfc5b0","AES-GCM with 8 octet ICV [RFC4106]","0x${"ab".repeat(20)}","NULL",""`,
      `"IPv4","192.168.77.11","192.168.77.12","0x00000012","AES-GCM with 16 octet ICV [RFC4106]","0x${"ab".repeat(20)}","NULL",""`,
    ]);
    expect(trace.espSa.toString()).toBe(`${rows.join("\n")}\n`);
  });
});
