/**
 * Every kind of packet of B-standalone-attachable, sent again by the same commands and compared field by field at the same capture
 * points: the container's eth0 and lo, the overlay's bridge, vxlan0 and veth, and the wire.
 *
 * What can't be equal, and is a numbered label in the lines that are compared (frames.ts): IP ids (zero or not is compared),
 * ephemeral ports and outer source ports (range and symmetry are compared), ICMP echo ids, initial sequence numbers, TCP
 * timestamps, random MACs (br0), the clock in an echo's first bytes. Times are compared only where a timer makes them.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatMac } from "../../src/base/addr.ts";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { type DescribeOptions, Describer, type Frame } from "./frames.ts";
import { GOLDEN_MACS, goldenCommand, goldenFrames, type Ran, Scenario } from "./scenario.ts";
import { goldenTables, ourTables } from "./tables.ts";

const B = "B-standalone-attachable/manager";
const TRAFFIC = `${B}/traffic-alpine1.txt`;
/** Golden capture files by our capture points. */
const POINTS = {
  "manager/alpine1/eth0": `${B}/pcap/ctr-alpine1__eth0.pcap`,
  "manager/alpine1/lo": `${B}/pcap/ctr-alpine1__lo.pcap`,
  "manager/test-net/br0": `${B}/pcap/1-k6jjce19a4__br0.pcap`,
  "manager/test-net/vxlan0": `${B}/pcap/1-k6jjce19a4__vxlan0.pcap`,
  "manager/test-net/veth1": `${B}/pcap/1-k6jjce19a4__veth1.pcap`,
  "manager/host/eth0": `${B}/pcap/host__eth0.pcap`,
} as const;
type Point = keyof typeof POINTS;

/** Fields that hold a clock: busybox's ping stores 4 bytes of time, iputils' a timeval. */
const BUSYBOX: DescribeOptions = { echoClock: 4 };
const IPUTILS: DescribeOptions = { echoClock: 16 };

const isArp = (frame: Frame): boolean => frame.type === 0x0806;
const isVxlan = (frame: Frame): boolean => frame.inner !== undefined;
const between = (a: string, b: string) => (frame: Frame) => {
  const ip = frame.inner?.ip ?? frame.ip;
  return ip !== undefined && ((ip.src === a && ip.dst === b) || (ip.src === b && ip.dst === a));
};

function lines(frames: readonly Frame[], macs: Readonly<Record<string, string>>, options: DescribeOptions): string[] {
  const describer = new Describer({ ...options, macs });
  return frames.map((frame) => describer.frame(frame));
}

describe.skipIf(!goldenAvailable || !xzAvailable)(
  goldenTitle("B-standalone-attachable, packet by packet", true),
  () => {
    let lab: Scenario;
    let pid: string;
    beforeAll(async () => {
      lab = await Scenario.start();
      await lab.swarm();
      await lab.containers();
      pid = await lab.pid("manager", "alpine1");
    });
    afterAll(async () => await lab?.close());

    /** Runs a golden command here. Its text, but for the process id, is the capture's. */
    async function again(command: string): Promise<Ran> {
      const golden = goldenCommand(TRAFFIC, command);
      return await lab.run("manager", command.replace("-t 2845", `-t ${pid}`), golden.exit);
    }

    function same(
      point: Point,
      ran: Ran,
      command: string,
      options: DescribeOptions,
      which: (frame: Frame) => boolean,
    ): void {
      const golden = goldenFrames(POINTS[point], goldenCommand(TRAFFIC, command)).filter(which);
      const ours = lab.frames(point, ran).filter(which);
      expect(golden.length, `the capture has frames at ${point}`).toBeGreaterThan(0);
      expect(lines(ours, lab.macs(), options), point).toEqual(lines(golden, GOLDEN_MACS, options));
    }

    it.each(["cat /etc/resolv.conf", "cat /etc/hosts", "ip addr", "ip route", "ip neigh"])(
      "in the container: %s",
      async (program) => {
        const command = `docker exec alpine1 ${program}`;
        const ran = await again(command);
        const settled = (text: string) => text.replace(/\r/g, "").replace(/\b[0-9a-f]{12}\b/g, "HEX12");
        expect(settled(ran.stdout)).toBe(settled(goldenCommand(TRAFFIC, command).output));
      },
    );

    it("the first ping: ARP answered by the vxlan's proxy, then ICMP in VXLAN", async () => {
      const command = "docker exec alpine1 ping -c 5 alpine2";
      const ran = await again(command);
      same("manager/alpine1/eth0", ran, command, BUSYBOX, () => true);
      same("manager/test-net/veth1", ran, command, BUSYBOX, () => true);
      // tcpdump made br0 promiscuous: it shows all that passes.
      same("manager/test-net/br0", ran, command, BUSYBOX, () => true);
      same("manager/test-net/vxlan0", ran, command, BUSYBOX, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", ran, command, { ...BUSYBOX, checksums: true }, isVxlan);
      // No ARP and no broadcast ever goes through the tunnel.
      const tunnelled = lab.frames("manager/host/eth0").flatMap((frame) => frame.inner ?? []);
      expect(tunnelled.length).toBeGreaterThanOrEqual(10);
      expect(tunnelled.filter((frame) => isArp(frame) || frame.dst === "ff:ff:ff:ff:ff:ff")).toEqual([]);
    });

    it("the outer header: a port per flow and host, from the hash, within the local range; UDP checksum; DF off", () => {
      for (const frames of [lab.frames("manager/host/eth0"), goldenFrames(POINTS["manager/host/eth0"])]) {
        const outer = frames.filter(isVxlan);
        const ports = new Map<string, Set<number>>();
        for (const { ip, ports: [port] = [0], inner } of outer) {
          expect(port).toBeGreaterThanOrEqual(32768);
          expect(port).toBeLessThanOrEqual(60999);
          expect(ip).toMatchObject({ ttl: 64, tos: 0, df: false, mf: false });
          expect(ip?.id).not.toBe(0);
          if (inner?.ip?.protocol !== 1) continue;
          const key = `${ip?.src} ${inner.ip.src} > ${inner.ip.dst}`;
          ports.set(key, (ports.get(key) ?? new Set()).add(port));
        }
        const flows = [...ports].filter(
          ([key]) => key.includes("10.0.1.2 > 10.0.1.4") || key.includes("10.0.1.4 > 10.0.1.2"),
        );
        expect(flows.map(([key]) => key).sort()).toEqual([
          "192.168.77.11 10.0.1.2 > 10.0.1.4",
          "192.168.77.12 10.0.1.4 > 10.0.1.2",
        ]);
        // Constant within a flow; each machine's hash has a key of its own, so the way back has another port.
        for (const [, used] of flows) expect(used.size).toBe(1);
        expect(new Set(flows.flatMap(([, used]) => [...used])).size).toBe(2);
      }
    });

    it("DNS on lo: to the resolver's own port, back from port 53, 48 bytes", async () => {
      const command = "docker exec alpine1 nslookup alpine2";
      const ran = await again(command);
      const settled = (frames: readonly Frame[]) => exchanges(lines(frames, {}, {}).map(withoutQueryId));
      const golden = goldenFrames(POINTS["manager/alpine1/lo"], goldenCommand(TRAFFIC, command));
      expect(golden).toHaveLength(4);
      expect(settled(lab.frames("manager/alpine1/lo", ran))).toEqual(settled(golden));
    });

    it.each([
      ["alpine2 A", 48],
      ["alpine2 AAAA", 25],
      ["alpine2 MX", 25],
      ["alpine2.test-net A", 66],
      ["ALPINE2 A", 48],
      ["-x 10.0.1.4", 90],
    ])("dig %s: the answer's bytes", async (query, size) => {
      const command = `nsenter -t 2845 -n dig +tries=1 +time=3 @127.0.0.11 ${query}`;
      const ran = await again(command);
      const payloads = (frames: readonly Frame[]) => lines(frames, {}, {}).map(withoutQueryId).map(withoutCookie);
      const golden = goldenFrames(POINTS["manager/alpine1/lo"], goldenCommand(TRAFFIC, command));
      const ours = lab.frames("manager/alpine1/lo", ran);
      expect(payloads(ours)).toEqual(payloads(golden));
      expect(ours.at(-1)?.ip?.payload).toHaveLength(8 + size);
      const text = (output: string) => output.replace(/id: \d+|Query time: .*|WHEN: .*/g, "…");
      expect(text(ran.stdout)).toBe(text(goldenCommand(TRAFFIC, command).output));
    });

    it("the gateway: br0 answers, and asks back after five seconds", async () => {
      const command = "docker exec alpine1 ping -c 2 -W 1 10.0.1.1";
      const ran = await again(command);
      await lab.wait(4);
      const asked = (frame: Frame) => isArp(frame) || between("10.0.1.1", "10.0.1.2")(frame);
      const until = (frames: readonly Frame[]) =>
        frames.filter(asked).filter((frame) => !/10\.0\.1\.99/.test(lines([frame], {}, {})[0] ?? ""));
      const golden = until(
        goldenFrames(POINTS["manager/alpine1/eth0"], { ...goldenCommand(TRAFFIC, command), end: 35037 }),
      );
      const ours = until(lab.frames("manager/alpine1/eth0", ran));
      expect(golden).toHaveLength(8);
      expect(lines(ours, {}, BUSYBOX)).toEqual(lines(golden, {}, BUSYBOX));
      for (const frames of [golden, ours]) {
        const answered = frames[3]?.time ?? 0;
        // delay_first_probe_time after the first reply made br0's entry.
        expect((frames[6]?.time ?? 0) - answered).toBeCloseTo(5, 0);
      }
    });

    it("an address that nobody has: three requests, one second apart, then host unreachable on lo", async () => {
      const command = "docker exec alpine1 ping -c 2 -W 1 10.0.1.99";
      const ran = await again(command);
      await lab.wait(3);
      const asks = (frame: Frame) => isArp(frame) && frame.bytes[41] === 99;
      same("manager/alpine1/eth0", ran, command, BUSYBOX, asks);
      same("manager/test-net/vxlan0", ran, command, BUSYBOX, asks);
      const wait = { ...goldenCommand(TRAFFIC, command), end: 35037 };
      for (const frames of [
        lab.frames("manager/alpine1/eth0", ran),
        goldenFrames(POINTS["manager/alpine1/eth0"], wait),
      ]) {
        const [first = 0, second = 0, third = 0] = frames.filter(asks).map(({ time }) => time);
        expect([second - first, third - second].map((gap) => Math.round(gap))).toEqual([1, 1]);
      }
      const unreachable = (frames: readonly Frame[]) =>
        lines(frames, {}, {}).map((line) => line.replace(/(quotes .*len 84).*/, "$1"));
      const golden = goldenFrames(POINTS["manager/alpine1/lo"], wait);
      expect(golden).toHaveLength(2);
      expect(unreachable(lab.frames("manager/alpine1/lo", ran))).toEqual(unreachable(golden));
      const output = goldenCommand(TRAFFIC, command).output;
      expect(ran.stdout).toBe(output);
    });

    it("a stale entry: unicast ARP probe five seconds after it is used again", async () => {
      // 26 s after its last use in the capture; here long enough for any reachable time (at most 45 s).
      await lab.wait(50);
      const command = "docker exec alpine1 ping -c 7 10.0.1.4";
      const ran = await lab.run("manager", command);
      const arps = lab.frames("manager/alpine1/eth0", ran).filter(isArp);
      const golden = goldenFrames(
        POINTS["manager/alpine1/eth0"],
        goldenCommand(TRAFFIC, "docker exec alpine1 ping -c 3 -s 1422 10.0.1.4"),
      ).filter(isArp);
      expect(golden).toHaveLength(2);
      const ownProbe = lines(golden, {}, {});
      expect(lines(arps, {}, {})).toEqual(expect.arrayContaining(ownProbe));
      expect(arps.every((frame) => frame.dst !== "ff:ff:ff:ff:ff:ff")).toBe(true);
      const first = lab.frames("manager/alpine1/eth0", ran)[0]?.time ?? 0;
      expect((arps[0]?.time ?? 0) - first).toBeCloseTo(5, 2);
      // The proxy has answered for the other side; nothing of it went through the tunnel.
      expect(lab.frames("manager/host/eth0", ran).filter((frame) => frame.inner?.type === 0x0806)).toEqual([]);
    });

    it.each([1400, 1422, 1423, 3000])(
      "ping of %i bytes: whole or in fragments, each a VXLAN packet with the same outer port",
      async (size) => {
        const command = `docker exec alpine1 ping -c 3 -s ${size} 10.0.1.4`;
        const ran = await again(command);
        const data = between("10.0.1.2", "10.0.1.4");
        same("manager/alpine1/eth0", ran, command, BUSYBOX, data);
        same("manager/test-net/vxlan0", ran, command, BUSYBOX, data);
        same("manager/host/eth0", ran, command, { ...BUSYBOX, checksums: true }, isVxlan);
        expect(ran.stdout.replace(/[\d.]+ ms|[\d./]+ ms/g, "…")).toBe(
          goldenCommand(TRAFFIC, command).output.replace(/[\d.]+ ms|[\d./]+ ms/g, "…"),
        );
      },
    );

    it("DF forced: 1422 goes through with id 0", async () => {
      const command = "nsenter -t 2845 -n ping -c 3 -M do -s 1422 10.0.1.4";
      const ran = await again(command);
      same("manager/alpine1/eth0", ran, command, IPUTILS, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", ran, command, { ...IPUTILS, checksums: true }, isVxlan);
    });

    it.each([1423, 1472])(
      "DF forced: %i is refused locally, with iputils' message, and nothing is sent",
      async (size) => {
        const command = `nsenter -t 2845 -n ping -c 3 -W 2 -M do -s ${size} 10.0.1.4`;
        const ran = await again(command);
        const text = (output: string) => output.replace(/time \d+ms/, "time …");
        expect(
          text(ran.stdout + ran.stderr)
            .split("\n")
            .sort(),
        ).toEqual(text(goldenCommand(TRAFFIC, command).output).split("\n").sort());
        expect(lab.frames("manager/alpine1/eth0", ran).filter(between("10.0.1.2", "10.0.1.4"))).toEqual([]);
      },
    );

    it("traceroute: a datagram of TTL 1, and the port's absence from the other end", async () => {
      const command = "docker exec alpine1 traceroute -n -m 3 -q 1 -w 2 10.0.1.4";
      const ran = await again(command);
      same("manager/alpine1/eth0", ran, command, {}, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", ran, command, { checksums: true }, isVxlan);
      expect(ran.stdout.replace(/[\d.]+ ms/, "…")).toBe(
        goldenCommand(TRAFFIC, command).output.replace(/[\d.]+ ms/, "…"),
      );
    });

    it("UDP to a listener: 10 bytes with DF, 4000 bytes in three fragments", async () => {
      // The capture's listener said nothing back; a bare socket does the same.
      lab.namespace("worker-1", "alpine2").socket.udp().bind(0, 9001);
      const small = "echo udp-hello | nsenter -t 2845 -n nc -u -w 1 10.0.1.4 9001";
      const first = await again(small);
      same("manager/alpine1/eth0", first, small, {}, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", first, small, { checksums: true }, isVxlan);
      const large = "head -c 4000 /dev/zero | tr '\\0' U | nsenter -t 2845 -n nc -u -w 1 10.0.1.4 9001";
      const second = await lab.run(
        "manager",
        `seq 2000 | head -c 4000 | nsenter -t ${pid} -n nc -u -w 1 10.0.1.4 9001`,
      );
      // Other bytes are sent: the program, not the packets, makes them.
      same("manager/alpine1/eth0", second, large, { payload: "length" }, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", second, large, { payload: "length", checksums: true }, isVxlan);
    });

    it("a closed UDP port: ICMP 3/3 with TOS 0xc0 that quotes the datagram", async () => {
      const command = "echo udp-closed | nsenter -t 2845 -n nc -u -w 1 10.0.1.4 4445";
      const ran = await again(command);
      same("manager/alpine1/eth0", ran, command, {}, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", ran, command, { checksums: true }, isVxlan);
    });

    it("a closed TCP port: RST, ACK with id 0, no options, window 0", async () => {
      const command = "docker exec alpine1 sh -c nc -w 2 10.0.1.4 4444 </dev/null; echo refused rc=$?";
      const ran = await lab.run(
        "manager",
        `docker exec alpine1 sh -c 'nc -w 2 10.0.1.4 4444 </dev/null; echo refused rc=$?'`,
      );
      same("manager/alpine1/eth0", ran, command, {}, between("10.0.1.2", "10.0.1.4"));
      same("manager/host/eth0", ran, command, { checksums: true }, isVxlan);
      expect(ran.stdout + ran.stderr).toContain("nc: can't connect to remote host (10.0.1.4): Connection refused");
      expect(ran.stdout).toContain("refused rc=1");
    });

    it("what traffic leaves in the tables: learned MACs, neighbours gone stale and failed", async () => {
      await lab.wait(60);
      // The capture's container had also talked to its default gateway.
      const kept = (list: readonly string[]) =>
        list.filter((line) => !line.startsWith("172.18.0.1 ")).map((line) => line.replace(/02:5a:34:55:45:3a/, "~"));
      const gateway = formatMac(lab.namespace("manager", "test-net").link.get("br0").mac);
      for (const [file, name] of [
        ["ns-1-k6jjce19a4", "test-net"],
        ["ns-ctr-alpine1", "alpine1"],
      ] as const) {
        const golden = goldenTables(`${B}/state-2-after-traffic/${file}.txt`);
        const ours = ourTables(lab.namespace("manager", name));
        expect(kept(ours.fdb), name).toEqual(kept(golden.fdb));
        expect(kept(ours.neighbours.map((line) => line.replace(gateway, "~"))), name).toEqual(kept(golden.neighbours));
      }
    });
  },
);

/** Query ids are random. */
function withoutQueryId(line: string): string {
  return line.replace(/( bytes )[0-9a-f]{4}/, "$1id..");
}

/** dig's client cookie (RFC 7873) is random: the last 8 bytes of its query. */
function withoutCookie(line: string): string {
  return line.replace(/(000c000a0008)[0-9a-f]{16}$/, "$1cookie");
}

/** A client that asks for A and AAAA at once may send both before the first answer: their order is timing. */
function exchanges(lines: readonly string[]): string[] {
  return [...lines].sort();
}
