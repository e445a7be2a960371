/**
 * Every lab of the gallery: all its expectations hold, and Wireshark finds nothing wrong in its trace. One frame on its way is captured on
 * many devices, and in one file Wireshark would take the copies for retransmissions; so what it remarks ("expert information") is judged
 * interface by interface, on the hosts' wires and the containers' eth0.
 */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GALLERY, galleryLab, runLab } from "../support/lab.ts";
import { splitTrace } from "../support/split-trace.ts";
import { openTrace } from "../support/wireshark.ts";

const LABS = (readdirSync(GALLERY, { recursive: true }) as string[])
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => name.replace(/\.yaml$/, ""))
  .sort();

/** Remarks about nothing but what a TCP connection is: its beginning, its end, a port that refuses. */
const ORDINARY = [
  "Connection establish request (SYN): server port #",
  "Connection establish acknowledge (SYN+ACK): server port #",
  "Connection finish (FIN)",
  "Connection reset (RST)",
  "This frame initiates the connection closing",
  "This frame undergoes the connection closing",
];

interface Expected {
  readonly iface: string;
  /** Over the packet list's Info and the remark behind it. */
  readonly remark: RegExp;
  readonly why: string;
}

/** Remarks that a lab's story brings with it. */
const EXPECTED: Readonly<Record<string, readonly Expected[]>> = {
  "firewall-2377": [
    {
      iface: "host2/host/eth0",
      remark: /→ 2377 \[SYN\] .*This frame is a \(suspected\) retransmission$/,
      why: "host1 drops what comes to 2377: the joining node's SYNs are sent again",
    },
  ],
  "firewall-4789": [
    {
      iface: "host1/host/eth0",
      remark: /^Echo \(ping\) request .*No response seen to ICMP request$/,
      why: "VXLAN is dropped: pings stay unanswered on the wire",
    },
    {
      iface: "host1/alpine1/eth0",
      remark: /^Echo \(ping\) request .*No response seen to ICMP request$/,
      why: "and in the container",
    },
  ],
  "firewall-7946": [
    {
      iface: "host2/host/eth0",
      remark: /→ 7946 \[SYN\] .*This frame is a \(suspected\) retransmission$/,
      why: "host1 drops gossip: the SYNs of the state exchange are sent again",
    },
  ],
};

/** Interfaces whose remarks count: the wires, and the containers' first card. Sandboxes' and overlays' show the same frames again. */
const JUDGED = /^[^/]+\/(host|(?!ingress_sbox|lb_|ingress\/)[^/]+)\/eth0$/;

describe.each(LABS)("lab %s", (name) => {
  it("does what it says, and Wireshark agrees", async () => {
    const run = await runLab(galleryLab(name), { capture: ["*"] });
    expect(run.failures).toEqual([]);
    const trace = await openTrace(run.trace);
    try {
      expect(trace.frames).toBeGreaterThan(50);
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
      expect(trace.warnings).toEqual([]);
    } finally {
      trace.close();
    }
    const unexpected: string[] = [];
    const met = new Set<number>();
    const expected = EXPECTED[name] ?? [];
    for (const [iface, file] of splitTrace(run.trace)) {
      if (!JUDGED.test(iface)) continue;
      const part = await openTrace(file);
      try {
        for (const { frame, text } of part.expertInfo()) {
          const remark = text.replace(/^Expert Info \(\w+\/\w+\): /, "").replace(/ \d+$/, " #");
          if (ORDINARY.includes(remark)) continue;
          const columns = part.columns(frame);
          const info = `${columns[6]?.replace(/^\[[^\]]*\] /, "")}: ${remark}`;
          const at = expected.findIndex((one) => one.iface === iface && one.remark.test(info));
          if (at === -1) unexpected.push(`${iface} frame ${frame} ${columns.slice(2).join(" ")}: ${text}`);
          else met.add(at);
        }
      } finally {
        part.close();
      }
    }
    expect(unexpected).toEqual([]);
    // What is expected does come: a remark that no longer does is no reason any more.
    expect(expected.filter((_, at) => !met.has(at)).map(({ why }) => why)).toEqual([]);
  });
});
