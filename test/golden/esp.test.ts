/** Captured ESP frames in our kernel: each decrypts to what was captured before encryption, and we encrypt it to the same bytes. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import { US } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import {
  type GoldenSa,
  goldenAvailable,
  goldenFolder,
  goldenPackets,
  goldenText,
  goldenTitle,
  parseXfrmStates,
  xzAvailable,
} from "../support/golden.ts";
import { cidr, ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import { hex, inject, policy, REQID, withTtl } from "../xfrm/esp-net.ts";

const NODES = ["192.168.77.11", "192.168.77.12"];

/** All associations that the two nodes ever listed. */
function associations(scenario: string): GoldenSa[] {
  const found = new Map<number, GoldenSa>();
  const files = (readdirSync(join(goldenFolder, scenario), { recursive: true, encoding: "utf8" }) as string[])
    .filter((path) => /(host|xfrm-changes)\.txt(\.xz)?$/.test(path))
    .sort();
  for (const file of files) for (const sa of parseXfrmStates(goldenText(join(scenario, file)))) found.set(sa.spi, sa);
  return [...found.values()];
}

function spec(sa: GoldenSa): XfrmStateSpec {
  return {
    src: ip(sa.source),
    dst: ip(sa.destination),
    spi: sa.spi,
    reqid: REQID,
    aead: { name: "rfc4106(gcm(aes))", key: sa.key, icvBits: 8 * sa.icvBytes },
  };
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const isIp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0;

/** The IP packets of protocol 50 in a capture, padding of short frames off. */
function espPackets(path: string): Uint8Array[] {
  return goldenPackets(path)
    .map((packet) => packet.data)
    .filter((frame) => isIp(frame) && frame[23] === 50)
    .map((frame) => frame.slice(14, 14 + view(frame).getUint16(16)));
}

function clearPackets(path: string): Uint8Array[] {
  return goldenPackets(path).map(({ data }) =>
    (data[0]! >> 4 === 4 && data.length === view(data).getUint16(2) ? data : data.slice(14)).slice(),
  );
}

/** Two hosts with the nodes' addresses and all associations. */
async function nodes(sas: readonly GoldenSa[]): Promise<{ kernel: Kernel; hosts: Host[] }> {
  const { kernel, hosts } = await lan(2);
  for (const [i, host] of hosts.entries()) {
    host.root.addr.add("eth0", cidr(`${NODES[i]}/24`));
    for (const sa of sas) if (sa.destination === NODES[i]) host.root.xfrm.stateAdd(spec(sa));
  }
  return { kernel, hosts };
}

/** A router that encrypts what it forwards between the nodes. */
async function gateway(): Promise<{ kernel: Kernel; host: Host; sent(): Uint8Array[] }> {
  const { kernel, hosts } = await lan(1);
  const [host] = hosts as [Host];
  const { root } = host;
  root.sysctlSet("net.ipv4.ip_forward", 1);
  for (const dev of ["all", "eth0"]) root.sysctlSet(`net.ipv4.conf.${dev}.send_redirects`, 0);
  root.addr.add("eth0", cidr("192.168.77.1/24"));
  const [first, second] = NODES as [string, string];
  for (const [from, to] of [
    [first, second],
    [second, first],
  ] as const) {
    root.neigh.add("eth0", ip(to), 0x525400770099, { state: "PERMANENT" });
    root.xfrm.policyAdd(policy("out", `${from}/32`, `${to}/32`));
  }
  kernel.setCapture(root, root.link.get("eth0")!.index, 1, 65535);
  const sent = (): Uint8Array[] =>
    [...kernel.captured()].filter((frame) => frame.direction === 2).map((frame) => frame.data.slice(14));
  return { kernel, host, sent };
}

const CASES = [
  ["C-encrypted", "manager", 302],
  ["C-encrypted", "worker-1", 302],
  ["C2-key-rotation", "manager", 568],
  ["C2-key-rotation", "worker-1", 566],
] as const;

const skip = !goldenAvailable || !xzAvailable || !kernelBuilt;

describe.skipIf(skip)(goldenTitle("captured ESP", true), () => {
  it.each(CASES)("%s, %s: all %i frames decrypt and verify", async (scenario, vm, count) => {
    const packets = espPackets(`${scenario}/${vm}/pcap/host__eth0.pcap`);
    const clear = clearPackets(`${scenario}/decoded/esp-decrypted-${vm}.pcap`);
    expect([packets.length, clear.length]).toEqual([count, count]);
    const { kernel, hosts } = await nodes(associations(scenario));
    const raws = hosts.map((host) => host.root.socket.raw(17));
    let right = 0;
    for (const [i, packet] of packets.entries()) {
      const to = NODES.indexOf(formatIpv4(view(packet).getUint32(16)));
      inject(kernel, hosts[to]!, packet);
      pass(kernel, 10 * US);
      const got = raws[to]!.tryRecv();
      expect(got, `packet ${i}`).toBeDefined();
      expect(hex(got!.data)).toBe(hex(clear[i]!));
      right++;
    }
    expect(right).toBe(count);
    const decrypted = hosts.flatMap((host) => host.root.xfrm.stateList()).reduce((sum, sa) => sum + sa.packets, 0);
    expect(decrypted).toBe(count);
    for (const host of hosts) expect(Object.values(host.root.xfrm.stat()).every((value) => value === 0)).toBe(true);
  });

  it.each(["manager", "worker-1"])(
    "%s: associations count the packets and bytes that were counted there",
    async (vm) => {
      const listed = goldenText(`C-encrypted/${vm}/state-2-after-traffic/host.txt`);
      const pattern = /proto esp spi 0x([0-9a-f]+)[\s\S]*?lifetime current:\n\s+(\d+)\(bytes\), (\d+)\(packets\)/g;
      const golden = [...listed.matchAll(pattern)].map(([, spi, bytes, packets]) => ({
        spi: Number.parseInt(spi!, 16),
        bytes: Number(bytes),
        packets: Number(packets),
      }));
      const busy = golden.filter(({ packets }) => packets > 0);
      expect([golden.length, busy.length]).toEqual([4, 2]);
      expect(Math.min(...busy.map(({ packets }) => packets))).toBeGreaterThan(90);
      // The capture went on behind that: it counts up to there.
      const { kernel, hosts } = await nodes(associations("C-encrypted"));
      const left = new Map(busy.map(({ spi, packets }) => [spi, packets]));
      for (const packet of espPackets(`C-encrypted/${vm}/pcap/host__eth0.pcap`)) {
        const spi = view(packet.slice(20)).getUint32(0);
        const more = left.get(spi) ?? 0;
        left.set(spi, more - 1);
        if (more <= 0) continue;
        inject(kernel, hosts[NODES.indexOf(formatIpv4(view(packet).getUint32(16)))]!, packet);
        pass(kernel, 10 * US);
      }
      const ours = hosts.flatMap((host) => host.root.xfrm.stateList());
      for (const { spi, bytes, packets } of busy)
        expect(ours.find((sa) => sa.spi === spi)).toMatchObject({ spi, bytes, packets });
    },
  );

  it.each(CASES)("%s, %s: encrypted again, all %i frames are the same bytes", async (scenario, vm, count) => {
    const packets = espPackets(`${scenario}/${vm}/pcap/host__eth0.pcap`);
    const clear = clearPackets(`${scenario}/decoded/esp-decrypted-${vm}.pcap`);
    const sas = associations(scenario);
    const { kernel, host, sent } = await gateway();
    const known = new Set<number>();
    let same = 0;
    for (const [i, packet] of packets.entries()) {
      const fields = view(packet.slice(20));
      const spi = fields.getUint32(0);
      if (!known.has(spi)) {
        // Its first packet gives away the mask; all others follow from it.
        const seq = fields.getUint32(4);
        const mask = new Uint8Array(8);
        new DataView(mask.buffer).setBigUint64(0, fields.getBigUint64(8) ^ BigInt(seq));
        const sa = sas.find((one) => one.spi === spi)!;
        host.root.xfrm.stateAdd({ ...spec(sa), replayStart: { oseq: seq - 1 } }, mask);
        known.add(spi);
      }
      const { xfrm } = host.root;
      const { src, dst } = spec(sas.find((one) => one.spi === spi)!);
      xfrm.policyUpdate(policy("out", `${formatIpv4(src)}/32`, `${formatIpv4(dst)}/32`, { spi }));
      inject(kernel, host, withTtl(clear[i]!, clear[i]![8]! + 1));
      pass(kernel, 10 * US);
      const [out, ...more] = sent();
      expect(more).toEqual([]);
      expect(hex(out!), `packet ${i}`).toBe(hex(packet));
      same++;
    }
    expect(same).toBe(count);
  });

  it("rejects a captured frame with any bit flipped behind the IP header, and counts it", async () => {
    const [packet] = espPackets("C-encrypted/manager/pcap/host__eth0.pcap") as [Uint8Array];
    const { kernel, hosts } = await nodes(associations("C-encrypted"));
    const host = hosts[NODES.indexOf(formatIpv4(view(packet).getUint32(16)))]!;
    const raw = host.root.socket.raw(17);
    const bits = 8 * (packet.length - 20);
    for (let bit = 0; bit < bits; bit++) {
      const flipped = packet.slice();
      flipped[20 + (bit >> 3)]! ^= 1 << (bit & 7);
      inject(kernel, host, flipped);
      pass(kernel, 10 * US);
      expect(raw.tryRecv()).toBeUndefined();
    }
    const stat = host.root.xfrm.stat();
    // The SPI's 32 bits lead to no state, all others to a wrong ICV.
    expect(stat).toMatchObject({ XfrmInNoStates: 32, XfrmInStateProtoError: bits - 32 });
    const failed = host.root.xfrm.stateList().reduce((sum, sa) => sum + sa.stats.failed, 0);
    expect(failed).toBe(bits - 32);
    expect(host.drops()).toMatchObject({ XFRM_IN_NO_STATES: 32, XFRM_IN_STATE_PROTO_ERROR: bits - 32 });
    inject(kernel, host, packet);
    pass(kernel, 10 * US);
    expect(raw.tryRecv()).toBeDefined();
  });
});
