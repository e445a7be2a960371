import { afterEach, describe, expect, it } from "vitest";
import { DIRECTION, EspSaFile, MemorySink, PcapngWriter, PcapWriter } from "../../src/pcap-writer/index.ts";
import {
  goldenAvailable,
  goldenBytes,
  goldenPackets,
  goldenText,
  goldenTitle,
  parseXfrmStates,
  xzAvailable,
} from "../support/golden.ts";
import { dump, field, fields, openTrace, type Trace, type TraceOptions } from "../support/wireshark.ts";
import { vxlanPing } from "../support/wireshark-frames.ts";

const EPOCH = 1_700_000_000; // 2023-11-14 22:13:20 UTC
const opened: Trace[] = [];

async function open(bytes: Uint8Array, options?: TraceOptions): Promise<Trace> {
  const trace = await openTrace(bytes, options);
  opened.push(trace);
  return trace;
}

afterEach(() => {
  for (const trace of opened.splice(0)) trace.close();
});

/** A file with one interface and the given frames, one a microsecond. */
function fileOf(...frames: Uint8Array[]): Uint8Array {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, { epochSeconds: EPOCH });
  const id = writer.addInterface({ name: "eth0" });
  for (const [i, frame] of frames.entries()) writer.packet(id, i * 1000, frame, 0, frame.length);
  writer.close();
  return sink.bytes();
}

describe.each(["little", "big"] as const)("a %s-endian pcapng file in Wireshark", (byteOrder) => {
  it("has its VNI, inner packet, times, names, comments and interfaces", async () => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink, {
      epochSeconds: EPOCH,
      byteOrder,
      hardware: "none",
      os: "swarmwire",
      userApplication: "swarmwire test",
      comment: "the file's comment",
    });
    const first = writer.addInterface({
      name: "host1/host/eth0",
      description: "the wire of host1",
      mac: "52:54:00:77:00:11",
      ipv4: "192.168.77.11/24",
      speedBps: 10e9,
    });
    writer.names([
      { address: "10.0.1.2", names: ["alpine1"] },
      { address: "10.0.1.4", names: ["alpine2", "alpine2.test-net"] },
      { address: "192.168.77.11", names: ["host1"] },
      { address: "fd00::2", names: ["six"] },
    ]);
    const ping = vxlanPing(4097, 0);
    writer.packet(first, 1, ping, 0, ping.length, DIRECTION.outbound);
    const second = writer.addInterface({ name: "host2/host/eth0" });
    writer.packet(second, 2_000_000_003, ping, 0, ping.length, DIRECTION.inbound, {
      comment: ["12 hours of quiet were skipped", 'a "quoted" \\ remark\nof two lines, été'],
      dropCount: 3,
    });
    writer.tlsSecrets("# no keys\n");
    writer.statistics(first, 3e9, { startNs: 0, endNs: 3e9, received: 1, dropped: 0 });
    writer.close();

    const trace = await open(sink.bytes());
    expect(trace.frames).toBe(2);
    expect(trace.warnings).toEqual([]);
    expect(trace.malformed()).toEqual([]);
    expect(trace.badChecksums()).toEqual([]);
    expect(trace.columns(1).slice(2)).toEqual([
      "alpine1",
      "alpine2",
      "ICMP",
      String(ping.length),
      expect.stringContaining("Echo (ping) request  id=0x0007, seq=0/0, ttl=63"),
    ]);
    expect(trace.columns(2)[1]).toBe("2.000000002");

    const one = trace.frame(1);
    expect(fields(one, "vxlan.vni")).toEqual(["4097"]);
    expect(fields(one, "ip.ttl")).toEqual(["64", "63"]);
    expect(fields(one, "ip.src")).toEqual(["192.168.77.11", "10.0.1.2"]);
    expect(field(one, "icmp.type")).toBe("8");
    expect(field(one, "udp.dstport")).toBe("4789");
    expect(field(one, "frame.interface_name")).toBe("host1/host/eth0");
    expect(field(one, "frame.interface_description")).toBe("the wire of host1");
    expect(field(one, "frame.time_epoch")).toContain(`${EPOCH}.000000001`);
    expect(dump(one)).toContain("Source Address: host1 (192.168.77.11)");
    const two = trace.frame(2);
    expect(field(two, "frame.time_epoch")).toContain(`${EPOCH + 2}.000000003`);
    expect(field(two, "frame.interface_name")).toBe("host2/host/eth0");
    expect(two.comments).toEqual(["12 hours of quiet were skipped", 'a "quoted" \\ remark\nof two lines, été']);
    expect(trace.filter("frame.packet_flags_direction == 1")).toEqual([2]);
    expect(trace.filter("frame.packet_flags_direction == 2")).toEqual([1]);
    expect(trace.filter("frame.drop_count == 3")).toEqual([2]);
    expect(trace.filter('frame.comment contains "12 hours"')).toEqual([2]);
    expect(trace.filter('vxlan && ip.host == "alpine2"')).toEqual([1, 2]);
  });
});

describe("classic pcap in Wireshark", () => {
  it.each([
    ["ns", "0.000001999"],
    ["us", "0.000001000"],
  ] as const)("keeps time in %s", async (resolution, time) => {
    const sink = new MemorySink();
    const writer = new PcapWriter(sink, { resolution, epochSeconds: EPOCH });
    const ping = vxlanPing(4096, 1);
    writer.packet(0, ping, 0, ping.length);
    writer.packet(1999, ping, 0, ping.length);
    writer.close();
    const trace = await open(sink.bytes());
    expect(trace.frames).toBe(2);
    expect(Number(trace.columns(2)[1])).toBe(Number(time));
    expect(trace.malformed()).toEqual([]);
  });
});

describe("the harness sees what is wrong", () => {
  const good = vxlanPing(4097, 0);

  /** The frame with one byte changed. */
  function broken(at: number): Uint8Array {
    const copy = good.slice();
    copy[at] = copy[at]! ^ 0x55;
    return copy;
  }

  it("wrong checksums: outer IP, outer UDP, inner IP, inner ICMP", async () => {
    // 14 outer Ethernet, 20 IP, 8 UDP, 8 VXLAN, 14 inner Ethernet, 20 IP, 8 ICMP.
    const trace = await open(fileOf(good, broken(14 + 10), broken(34 + 6), broken(64 + 10), broken(84 + 2)));
    expect(trace.badChecksums()).toEqual([2, 3, 4, 5]);
    expect(trace.filter("ip.checksum.status == 0")).toEqual([2, 4]);
    expect(trace.filter("icmp.checksum.status == 0")).toEqual([5]);
    const remarks = trace.expertInfo("frame.number == 2").map((remark) => remark.text);
    expect(remarks).toContainEqual(expect.stringMatching(/^Expert Info \(Error\/Checksum\): Bad checksum/));
  });

  it("cut packets, at every byte inside the headers", async () => {
    const cuts = Array.from({ length: 88 - 15 }, (_, i) => 15 + i);
    const trace = await open(fileOf(...cuts.map((length) => good.slice(0, length))));
    const seen = new Set([...trace.malformed(), ...trace.filter("_ws.expert")]);
    expect(cuts.filter((_, i) => !seen.has(i + 1))).toEqual([]);
  });

  it("packets of which the file holds only the beginning", async () => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink);
    writer.addInterface({ snapLength: 60 });
    writer.packet(0, 0, good, 0, good.length);
    writer.close();
    const trace = await open(sink.bytes());
    expect(trace.malformed()).toEqual([1]);
    expect(field(trace.frame(1), "frame.len")).toBe(String(good.length));
  });

  it("unreadable files, wrong filters, unknown preferences, frames that are not there", async () => {
    await expect(open(Uint8Array.of(1, 2, 3, 4))).rejects.toThrow(/Wireshark cannot read the file/);
    await expect(open(fileOf(good).slice(0, -10))).rejects.toThrow(/Wireshark cannot read the file/);
    await expect(open(fileOf(good), { prefs: { "ip.nonsense": "TRUE" } })).rejects.toThrow(/ip\.nonsense/);
    const trace = await open(fileOf(good));
    expect(() => trace.filter("no such filter")).toThrow(/display filter/);
    expect(() => trace.frame(2)).toThrow(/frame 2 of 1/);
    trace.close();
    expect(() => trace.filter("ip")).toThrow(/closed/);
  });
});

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("golden captures in Wireshark", true), () => {
  it("opens the wire of a real host", async () => {
    const path = "B-standalone-attachable/manager/pcap/host__eth0.pcap";
    const trace = await open(goldenBytes(path));
    expect(trace.frames).toBe(goldenPackets(path).length);
    const vxlanFrames = trace.filter("vxlan.vni == 4097 && icmp");
    expect(vxlanFrames.length).toBeGreaterThan(0);
    expect(trace.badChecksums()).toEqual([]);
    expect(trace.malformed()).toEqual([]);
  });

  it("decrypts real ESP with rows made from the kernel's states", async () => {
    const states = parseXfrmStates(goldenText("C-encrypted/manager/state-2-after-traffic/host.txt"));
    expect(states.length).toBe(4);
    const table = new EspSaFile();
    for (const sa of states) table.add(sa);
    const bytes = goldenBytes("C-encrypted/manager/pcap/host__eth0.pcap");
    const trace = await open(bytes, { espSa: table.toString() });
    // decoded/esp-summary-manager.txt: "decrypted 302 auth-failed 0".
    expect(trace.filter("esp").length).toBe(302);
    expect(trace.filter("esp && vxlan.vni == 4098").length).toBe(302);
    expect(trace.filter("esp.icv_good == 1").length).toBe(302);
    expect(trace.malformed()).toEqual([]);
    expect(trace.warnings).toEqual([]);

    // The harness must be able to fail: one wrong bit in a key, and its ICVs are bad.
    const spoiled = new EspSaFile();
    for (const sa of states) spoiled.add({ ...sa, key: sa.key.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) });
    const other = await open(bytes, { espSa: spoiled.toString() });
    expect(other.filter("esp.icv_good == 1")).toEqual([]);
    expect(other.filter("esp.icv_bad == 1").length).toBeGreaterThan(290); // a few garbled frames stop its dissector
  });
});
