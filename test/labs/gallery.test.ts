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
  // docs.test.ts runs these.
  .filter((name) => !/^(docs|services)\//.test(name))
  // Two virtual days with a hundred thousand packets: too much for the dissectors; rotation.test.ts runs it.
  .filter((name) => name !== "rotation")
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

const UNANSWERED = /^Echo \(ping\) request .*No response seen to ICMP request$/;

/** Remarks that a lab's story brings with it. */
const EXPECTED: Readonly<Record<string, readonly Expected[]>> = {
  nat: [
    ...["host1/c1/eth0", "host1/host/eth0", "host2/nat/eth0", "host2/host/eth0", "host2/c2/eth0"].map((iface) => ({
      iface,
      remark: UNANSWERED,
      why: `the encrypted overlay's pings stay unanswered: seen on ${iface}`,
    })),
    ...["host1/host/eth0", "host2/nat/eth0", "host2/host/eth0"].map((iface) => ({
      iface,
      remark: /^Echo \(ping\) request .*Bad checksum \[should be 0x[0-9a-f]{4}\]$/,
      why: `the datagram inside ESP has the checksum from before the router: seen on ${iface}`,
    })),
  ],
  windows: [
    ...["host1/c1/eth0", "host1/host/eth0", "win1/host/eth0", "win1/w1/eth0"].map((iface) => ({
      iface,
      remark: UNANSWERED,
      why: `on the encrypted overlay Linux and Windows don't hear each other: seen on ${iface}`,
    })),
  ],
  "published-sctp": [
    ...["manager", "worker-2"].map((host) => ({
      iface: `${host}/host/eth0`,
      remark: /DATA \(TSN=\d+\) \(retransmission\) : Retransmitted TSN$/,
      why: `the wire of a node without the task carries a chunk twice, the second time in VXLAN: seen on ${host}`,
    })),
    {
      iface: "client/host/eth0",
      remark: /^DATA \(TSN=\d+\) \(retransmission\) : Retransmitted TSN$/,
      why: "chunks that were too large for the overlay go again, in fragments",
    },
  ],
  "leaf-spine": [
    {
      iface: "host3/host/eth0",
      remark: /Wrong Sequence Number for SPI [0-9a-f]{8} - \d+ missing$/,
      why: "the one link that all ESP takes is overloaded: what it drops is missing in what arrives",
    },
  ],
  "esp-blocked": [
    {
      iface: "host1/host/eth0",
      remark: /^Echo \(ping\) request .*No response seen to ICMP request$/,
      why: "ESP is dropped: pings stay unanswered on the wire",
    },
    {
      iface: "host1/e1/eth0",
      remark: /^Echo \(ping\) request .*No response seen to ICMP request$/,
      why: "and in the container",
    },
    {
      iface: "host2/host/eth0",
      remark: /^Echo \(ping\) request .*No response seen to ICMP request$/,
      why: "later they arrive at a host that has lost its keys",
    },
  ],
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

/**
 * Frames whose checksum is wrong because the lab is about that. nat: what is inside ESP, once the router has rewritten
 * the outer address that it was computed over: host2's in what comes from it, the public one in what goes there.
 */
const WRONG_CHECKSUMS: Readonly<Record<string, string>> = {
  nat: "esp && (ip.src == 192.168.77.12 || ip.dst == 10.77.0.2)",
};

/** Interfaces whose remarks count: the wires, and the containers' first card. Sandboxes' and overlays' show the same frames again. */
const JUDGED = /^[^/]+\/(host|(?!ingress_sbox|lb_|ingress\/)[^/]+)\/eth0$/;

describe.each(LABS)("lab %s", (name) => {
  it("does what it says, and Wireshark agrees", async () => {
    const run = await runLab(galleryLab(name), { capture: ["*"] });
    expect(run.failures).toEqual([]);
    const trace = await openTrace(run.trace, { espSa: run.espSa });
    try {
      expect(trace.frames).toBeGreaterThan(50);
      expect(trace.malformed()).toEqual([]);
      const wrong = WRONG_CHECKSUMS[name];
      expect(trace.badChecksums()).toEqual(wrong === undefined ? [] : trace.filter(wrong));
      if (wrong !== undefined) expect(trace.badChecksums()).not.toEqual([]);
      expect(trace.warnings).toEqual([]);
    } finally {
      trace.close();
    }
    const unexpected: string[] = [];
    const met = new Set<number>();
    const expected = EXPECTED[name] ?? [];
    for (const [iface, file] of splitTrace(run.trace)) {
      if (!JUDGED.test(iface)) continue;
      const part = await openTrace(file, { espSa: run.espSa });
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
