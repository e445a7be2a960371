/**
 * Traces of encrypted networks, and the table of keys beside them, before tshark: it decrypts every ESP frame, with a right
 * integrity check value, and finds nothing malformed inside; over rotations, hosts and networks, as README tells to type it.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import type { Host } from "../../src/kernel/host.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { espSaRow, readPackets } from "../../src/pcap-writer/index.ts";
import { galleryLab, labOf, runLab } from "../support/lab.ts";
import { TsharkTrace, tally, tsharkAvailable, tsharkTitle } from "../support/tshark.ts";
import { openTrace } from "../support/wireshark.ts";

const MALFORMED = "_ws.malformed || _ws.short";
const BAD = ["ip", "udp", "tcp", "icmp"].map((layer) => `${layer}.checksum.status == 0`).join(" || ");

/** ESP frames by verdict on the ICV and network inside. */
function espTally(trace: TsharkTrace): Record<string, number> {
  return tally(trace.rows("ip.proto == 50", "esp.icv_good", "esp.icv_bad", "vxlan.vni"));
}

describe.skipIf(!tsharkAvailable)(tsharkTitle("tshark and the gallery's labs"), () => {
  // ESP frames are counted on the wires of all hosts; where one is behind a router, on its cable too.
  it.each([
    ["encrypted", 4097],
    ["esp-blocked", 4097],
    ["nat", 4098],
    ["windows", 4098],
  ])("%s: every ESP frame is decrypted, its ICV is correct", async (name, vni) => {
    const run = await runLab(galleryLab(name), { capture: ["*/host/eth0", "*/nat/eth0"] });
    expect(run.failures).toEqual([]);
    const trace = new TsharkTrace(run.trace, run.espSa);
    try {
      const all = Object.entries(espTally(trace));
      expect(all.map(([what]) => what)).toEqual([`1 0 ${vni}`]);
      expect(all[0]?.[1]).toBeGreaterThan(3);
      expect(trace.rows(MALFORMED, "frame.number")).toEqual([]);
      // Behind a translating router the checksum inside is what it is about.
      if (name !== "nat") expect(trace.rows(BAD, "frame.number")).toEqual([]);
    } finally {
      trace.close();
    }
  });
});

/** Three hosts, two encrypted networks and one that isn't, two rotations (a second after the hour) with traffic around them. */
const ROTATIONS = `
hosts: { host1: {}, host2: { latency: 20ms }, host3: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host3: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --opt encrypted --driver overlay --attachable one
  - host1: docker network create --opt encrypted --driver overlay --attachable two
  - host1: docker network create --driver overlay --attachable plain
  - host1: docker run -dit --name a1 --network one alpine
  - host2: docker run -dit --name a2 --network one alpine
  - host2: docker run -dit --name b2 --network two alpine
  - host3: docker run -dit --name b3 --network two alpine
  - host1: docker run -dit --name p1 --network plain alpine
  - host3: docker run -dit --name p3 --network plain alpine
  - host1: docker exec p1 ping -c 2 p3
${["12h600ms", "24h600ms"]
  .map(
    (until) => `  - until: ${until}
  - workload:
      - { from: host1/a1, to: host2/a2, rate: 1000, size: 300, for: 1s }
      - { from: host2/a2, to: host1/a1, rate: 1000, size: 1, for: 1s }
      - { from: host2/b2, to: host3/b3, rate: 1000, size: 1396, for: 1s }
      - { from: host3/b3, to: host2/b2, rate: 1000, size: 3000, for: 1s }
    reject: ["/received, [1-9]\\\\d* lost/"]
`,
  )
  .join("")}`;

describe("the table of keys", () => {
  it("has a row for each association that ever was on any host, and opens every frame", {
    timeout: 300_000,
  }, async () => {
    const made = new Set<string>();
    let told: Host | undefined;
    const run = await runLab(labOf(ROTATIONS), {
      capture: ["host2/host/eth0"],
      machines: (...parts) => {
        if (told === undefined) {
          told = parts[0].kernel as Host;
          told.kernel.onXfrm((_ns, event) => {
            if (event.kind !== "newsa") return;
            const { src, dst, spi, aead } = event.state;
            const [source, destination] = [formatIpv4(src), formatIpv4(dst)];
            made.add(espSaRow({ source, destination, spi, key: aead.key, icvBytes: aead.icvBits / 8 }));
          });
        }
        return createMachine(...parts);
      },
    });
    expect(run.failures).toEqual([]);
    expect(run.transcript.match(/1000 sent, 1000 received, 0 lost/g)).toHaveLength(8);
    const rows = run.espSa.trimEnd().split("\n");
    // Two pairs of hosts, both ways, three keys and one more a rotation.
    expect(rows).toHaveLength(2 * 2 * (3 + 2));
    expect(new Set(rows)).toEqual(made);

    // Each way before, between and after the rotations: three associations of the five encrypted something.
    const used = new Map<number, number>();
    for (const { data } of readPackets(run.trace)) {
      const view = new DataView(data.buffer, data.byteOffset);
      if (view.getUint16(12) === 0x800 && data[23] === 50)
        used.set(view.getUint32(34), (used.get(view.getUint32(34)) ?? 0) + 1);
    }
    expect([...used.values()].filter((frames) => frames > 100)).toHaveLength(2 * 2 * 3);

    const trace = await openTrace(run.trace, { espSa: run.espSa });
    try {
      const esp = trace.filter("ip.proto == 50");
      // All of it passes host2; 3000 bytes go in three packets.
      expect(esp).toHaveLength(2 * 1000 * (1 + 1 + 1 + 3));
      expect(trace.filter("esp.icv_good == 1 && vxlan.vni in {4097, 4098}")).toEqual(esp);
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
    } finally {
      trace.close();
    }
    if (!tsharkAvailable) return;
    const program = new TsharkTrace(run.trace, run.espSa);
    try {
      expect(espTally(program)).toEqual({ "1 0 4097": 2 * 1000 * 2, "1 0 4098": 2 * 1000 * 4 });
      expect(program.rows(MALFORMED, "frame.number")).toEqual([]);
      expect(program.rows(BAD, "frame.number")).toEqual([]);
    } finally {
      program.close();
    }
  });
});

const ROOT = join(import.meta.dirname, "../..");

describe.skipIf(!tsharkAvailable)(tsharkTitle("README's commands"), () => {
  it("show what is inside ESP, typed as they stand there", { timeout: 60_000 }, () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const section = readme.slice(readme.indexOf("### Encrypted overlays"));
    const block = /```console\n([\s\S]*?)```/.exec(section)?.[1] ?? "";
    const typed = block.split("\n").flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : []));
    expect(typed).toHaveLength(3);
    const folder = mkdtempSync(join(tmpdir(), "swarmwire-readme-"));
    try {
      const program = `swarmwire() { "${process.execPath}" "${join(ROOT, "bin/swarmwire.js")}" "$@"; }`;
      const [run, ...more] = typed.map((command) =>
        spawnSync("bash", ["-c", `${program}\n${command}`], { cwd: folder, encoding: "utf8" }),
      );
      expect(run?.stdout).toContain("all as expected");
      expect(more.map(({ status }) => status)).toEqual([0, 0]);
      const lines = more.at(-1)?.stdout.trimEnd().split("\n") ?? [];
      expect(lines.filter((line) => /ICMP .* Echo \(ping\) request/.test(line)).length).toBeGreaterThan(5);
      expect(lines.filter((line) => /ICMP .* Echo \(ping\) reply/.test(line)).length).toBeGreaterThan(5);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
