/** Leaf-spine networks of labs: how they are written, which host is where, faults of switch links, what is shown. */
import { describe, expect, it } from "vitest";
import { US } from "../../src/base/time.ts";
import { formatLinks, linksSince } from "../../src/lab/fabric.ts";
import { createMachine } from "../../src/lab/machine.ts";
import { parseLab } from "../../src/lab/parse.ts";
import { type LabResult, runSteps } from "../../src/lab/run.ts";
import { LabSession } from "../../src/lab/session.ts";
import type { LinkSummary } from "../../src/scheduler/counters.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { labErrorOf, labOf } from "../support/lab.ts";

const leavesOf = (hosts: string, fabric: string): number[] =>
  parseLab("x.yaml", `hosts: { ${hosts} }\nnetwork: { fabric: { ${fabric} } }`).hosts.map((host) => host.leaf);

describe("a fabric in a lab file", () => {
  it("has defaults, and none without the word", () => {
    expect(parseLab("x.yaml", "hosts: { a: {} }").fabric).toBeUndefined();
    expect(parseLab("x.yaml", "hosts: { a: {} }\nnetwork: { fabric: { leaves: 2, spines: 3 } }").fabric).toEqual({
      leaves: 2,
      spines: 3,
      bandwidth: 40e9,
      latency: 5 * US,
      queue: 1000,
    });
    const text =
      "hosts: { a: {} }\nnetwork:\n  fabric: { hostsPerLeaf: 2, spines: 1, bandwidth: 1Gbit, latency: 1ms, queue: 9 }";
    expect(parseLab("x.yaml", text).fabric).toEqual({
      leaves: 1,
      spines: 1,
      bandwidth: 1e9,
      latency: 1000 * US,
      queue: 9,
    });
    expect(parseLab("x.yaml", text, { "network.fabric.spines": "8" }).fabric?.spines).toBe(8);
  });

  it("puts hosts on leaves in equal blocks, or so many on each, unless they say where", () => {
    expect(leavesOf("a: { count: 6 }", "leaves: 3, spines: 1")).toEqual([0, 0, 1, 1, 2, 2]);
    expect(leavesOf("a: { count: 5 }", "leaves: 2, spines: 1")).toEqual([0, 0, 0, 1, 1]);
    expect(leavesOf("a: { count: 5 }", "hostsPerLeaf: 2, spines: 1")).toEqual([0, 0, 1, 1, 2]);
    expect(leavesOf("a: {}, b: { leaf: 3 }, c: { count: 2 }", "leaves: 3, spines: 1")).toEqual([0, 2, 1, 2]);
    expect(leavesOf("a: { count: 2, leaf: 2 }", "leaves: 2, spines: 1")).toEqual([1, 1]);
  });

  it.each([
    ["network: { fabric: { leaves: 2 } }", /^x\.yaml:2:20: network\.fabric\.spines: missing/],
    ["network: { fabric: { spines: 2 } }", /^x\.yaml:2:\d+: network\.fabric: expected leaves or hostsPerLeaf/],
    [
      "network: { fabric: { spines: 2, leaves: 1, hostsPerLeaf: 1 } }",
      /^x\.yaml:2:44: network\.fabric\.hostsPerLeaf: can't/,
    ],
    ["network: { fabric: { leaves: 2, spines: 65 } }", /^x\.yaml:2:\d+: network\.fabric\.spines: must be <= 64/],
    ["network: { fabric: { leaves: 2, spines: 1, latency: 2s } }", /network\.fabric\.latency: expected 1s at most/],
    [
      "network: { fabric: { leaves: 2, spines: 1, bandwidth: 0bit } }",
      /network\.fabric\.bandwidth: expected more than 0/,
    ],
    [
      "network: { latency: 2s, fabric: { leaves: 2, spines: 1 } }",
      /^x\.yaml:2:\d+: network: latency of a: expected 1s/,
    ],
    ["steps: [{ show: fabric }]", /^x\.yaml:2:\d+: steps\[0\]\.show: the network has no fabric to show/],
    ["steps: [{ fault: { spine: 1, link: down } }]", /steps\[0\]\.fault\.spine: means nothing without network\.fabric/],
  ])("%s is refused", (text, message) => {
    expect(labErrorOf(`hosts: { a: {} }\n${text}`)).toMatch(message);
  });

  it.each([
    ["{ leaf: 3, link: down }", /steps\[0\]\.fault\.leaf: there are 2$/],
    ["{ spine: 2, link: down }", /steps\[0\]\.fault\.spine: there is 1$/],
    ["{ spine: 1 }", /steps\[0\]\.fault: expected one of link, latency, loss, heal beside spine/],
    ["{ spine: 1, host: a, link: down }", /steps\[0\]\.fault\.host: means nothing beside spine/],
    ["{ leaf: 1, spine: 1, latency: 2s }", /steps\[0\]\.fault\.latency: expected 1s at most/],
  ])("fault %s is refused", (fault, message) => {
    expect(
      labErrorOf(`hosts: { a: {} }\nnetwork: { fabric: { leaves: 2, spines: 1 } }\nsteps: [{ fault: ${fault} }]`),
    ).toMatch(message);
  });

  it("refuses a leaf that isn't there, or without a fabric", () => {
    expect(labErrorOf("hosts: { a: { leaf: 2 } }")).toMatch(/^x\.yaml:1:\d+: hosts\.a\.leaf: means nothing without/);
    expect(labErrorOf("hosts: { a: { leaf: 3 } }\nnetwork: { fabric: { leaves: 2, spines: 1 } }")).toMatch(
      /^x\.yaml:1:\d+: hosts\.a\.leaf: there are 2 leaves/,
    );
  });

  it("says faults of switch links in words", () => {
    const { steps } = parseLab(
      "x.yaml",
      "hosts: { a: {} }\nnetwork: { fabric: { leaves: 2, spines: 1 } }\nsteps: [{ fault: { leaf: 2, spine: 1, loss: 1% } }, { fault: { spine: 1, heal: true } }]",
    );
    expect(steps.map((step) => (step.kind === "fault" ? step.text : ""))).toEqual([
      "leaf2 - spine1: loss 1%",
      "spine1: heal",
    ]);
  });
});

describe("a fabric that runs", () => {
  async function run(steps: string): Promise<LabResult> {
    const text = `hosts: { host1: {}, host2: {}, host3: { nat: true } }
network: { latency: 10us, fabric: { leaves: 3, spines: 2, latency: 5us } }
steps:
${steps}`;
    const session = await LabSession.start(labOf(text), { module: await loadKernel(), machines: createMachine });
    try {
      return await runSteps(session, {});
    } finally {
      await session.close();
    }
  }

  const ping = (time: RegExp | string): string => `  - host1: ping -c 1 192.168.77.12\n    expect: ["${time}"]\n`;

  it("takes faults of its links, and heals", async () => {
    const { steps, counters } = await run(
      [
        ping("0% packet loss"),
        "  - show: fabric\n",
        // 2 · (10 + 5 + 5 + 10) µs and what 98 bytes take at 10 Gbit/s.
        ping("time=0.060 ms"),
        "  - fault: { leaf: 1, latency: 105us }\n",
        ping("time=0.260 ms"),
        "  - fault: { leaf: 1, link: down }\n",
        "  - host1: ping -c 1 -W 1 192.168.77.12\n    exit: 1\n",
        "  - fault: { leaf: 1, spine: 2, link: up }\n",
        ping("time=0.260 ms"),
        "  - show: fabric\n    expect: ['/leaf1 > spine1 +\\d+ /']\n",
        "  - fault: { heal: true }\n",
        ping("time=0.060 ms"),
        "  - fault: { spine: 1, loss: 100% }\n",
        "  - fault: { spine: 2, loss: 100% }\n",
        "  - host1: ping -c 1 -W 1 192.168.77.12\n    exit: 1\n",
        "  - host1: ping -c 1 -W 1 192.168.77.13\n    exit: 1\n",
        "  - fault: { heal: true }\n  - wait: 5s\n", // until ARP has given up
        "  - host1: ping -c 1 -W 1 192.168.77.13\n    expect: ['0% packet loss']\n",
      ].join(""),
    );
    expect(
      steps.flatMap(({ step, stdout, failures }) => (failures.length > 0 ? [step, stdout, failures] : [])),
    ).toEqual([]);
    expect(counters.drops["WIRE_DOWN"]).toBeGreaterThan(0);
    expect(counters.drops["WIRE_LOSS"]).toBeGreaterThan(1);
    const [first, second] = steps.filter((step) => step.links !== undefined);
    const frames = (links: readonly LinkSummary[] = []): number => links.reduce((sum, link) => sum + link.frames, 0);
    // ARP's and ping's request and answer, two links each.
    expect(frames(first?.links)).toBe(8);
    expect(first?.stdout).toBe(formatLinks(first?.links ?? []));
    // Two pings; the neighbours are still known, but those of the ping that found no way are asked for afterwards.
    expect(frames(second?.links)).toBeGreaterThanOrEqual(12);
    expect(frames(counters.links)).toBeGreaterThan(frames(first?.links) + frames(second?.links));
  });
});

describe("the table of links", () => {
  const links: LinkSummary[] = [
    { segment: "s", from: "leaf1", to: "spine1", frames: 5, bytes: 500, drops: 1, peakBytes: 90 },
    { segment: "s", from: "spine1", to: "leaf1", frames: 50, bytes: 5000, drops: 0, peakBytes: 0 },
    { segment: "s", from: "leaf1", to: "spine2", frames: 7, bytes: 700, drops: 0, peakBytes: 12345 },
  ];

  it("has a line a link, or only the busiest", () => {
    expect(formatLinks(links)).toBe(
      [
        "link            frames  bytes  dropped  most waiting",
        "leaf1 > spine1       5    500        1            90",
        "spine1 > leaf1      50   5000        0             0",
        "leaf1 > spine2       7    700        0         12345",
        "",
      ].join("\n"),
    );
    expect(formatLinks(links, 2).split("\n").slice(1)).toEqual([
      "spine1 > leaf1      50   5000        0             0",
      "leaf1 > spine2       7    700        0         12345",
      "and 1 link with less",
      "",
    ]);
  });

  it("counts from an earlier count on", () => {
    expect(linksSince(links, [])).toEqual(links);
    const later = links.map((link) => ({ ...link, frames: link.frames + 2, bytes: link.bytes + 200, drops: 4 }));
    expect(linksSince(later, links).map(({ frames, bytes, drops }) => [frames, bytes, drops])).toEqual([
      [2, 200, 3],
      [2, 200, 4],
      [2, 200, 4],
    ]);
  });
});
