import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatCidr } from "../../src/base/addr.ts";
import { MS, SEC, US } from "../../src/base/time.ts";
import { parseLab } from "../../src/lab/parse.ts";
import { labErrorOf } from "../support/lab.ts";

const GALLERY = join(import.meta.dirname, "../../src/lab/gallery");

/** Aliases of aliases: ten to the ninth as plain data. */
const BOMB = Array.from(
  { length: 9 },
  (_, i) =>
    `x${i}: &x${i} [${Array(10)
      .fill(i === 0 ? 1 : `*x${i - 1}`)
      .join()}]\n`,
).join("");

describe("lab files", () => {
  it("expands defaults, addresses and counts", () => {
    const plan = parseLab(
      "labs/tri.yaml",
      `hosts:
  a: {}
  b: { latency: 200us, address: 10.9.0.12 }
  c: { count: 3, loss: 1% }
network: { subnet: 10.9.0.0/16, latency: 1ms, bandwidth: 1Gbit, mtu: 9000 }
pause: 0
steps:
  - c-*: hostname
  - b/box: exit
  - wait: 1h30m
  - fault: { host: [a, c-1], drop: udp port 4789 }
`,
    );
    expect(plan.name).toBe("tri");
    expect(plan.hosts.map((host) => [host.name, formatCidr(host.address)])).toEqual([
      ["a", "10.9.0.11/16"],
      ["b", "10.9.0.12/16"],
      ["c-1", "10.9.0.13/16"],
      ["c-2", "10.9.0.14/16"],
      ["c-3", "10.9.0.15/16"],
    ]);
    expect(plan.hosts[0]).toMatchObject({ latency: 1 * MS, bandwidth: 1e9, loss: 0, mtu: 9000 });
    expect(plan.hosts[1]?.latency).toBe(200 * US);
    expect(plan.hosts[2]?.loss).toBeCloseTo(0.01);
    expect(plan.pause).toBe(0);
    expect(plan.steps[0]).toMatchObject({ kind: "command", hosts: ["c-1", "c-2", "c-3"], exit: 0, timeout: 600 * SEC });
    expect(plan.steps[1]).toMatchObject({ hosts: ["b"], terminal: "box" });
    expect(plan.steps[2]).toEqual({ kind: "wait", duration: 5400 * SEC });
    expect(plan.steps[3]).toMatchObject({ kind: "fault", fault: { hosts: ["a", "c-1"], drop: "udp port 4789" } });
    expect(plan.steps[3]).toMatchObject({ text: "a, c-1: drop udp port 4789" });
  });

  it("a host's system, and its address behind NAT", () => {
    const { hosts } = parseLab(
      "x.yaml",
      "hosts: { a: {}, b: { os: windows, nat: true }, c: { count: 2, nat: true }, d: { nat: 172.16.5.9/28 }, e: { nat: false } }\n",
    );
    expect(hosts.map(({ os, nat }) => [os, nat === undefined ? undefined : formatCidr(nat)])).toEqual([
      ["linux", undefined],
      ["windows", "10.77.0.2/24"],
      ["linux", "10.77.0.3/24"],
      ["linux", "10.77.0.4/24"],
      ["linux", "172.16.5.9/28"],
      ["linux", undefined],
    ]);
  });

  it.each([
    ["hosts: {a: {os: macos}}\n", /^x\.yaml:1:\d+: hosts\.a\.os: expected one of linux, windows/],
    ["hosts: {a: {nat: 10.0.0.5}}\n", /^x\.yaml:1:\d+: hosts\.a\.nat: expected puts the host behind 1:1 NAT/],
    ["hosts: {a: {nat: 10.0.0.5/31}}\n", /^x\.yaml:1:\d+: hosts\.a\.nat: expected an address like 10\.77\.0\.2\/24/],
    [
      "hosts: {a: {nat: 10.0.0.1/24}}\n",
      /^x\.yaml:1:\d+: hosts\.a\.nat: 10\.0\.0\.1 is not an address for a host: the first/,
    ],
    ["hosts: {a: {nat: 192.168.77.200/25}}\n", /^x\.yaml:1:\d+: hosts\.a\.nat: overlaps the lab's network 192/],
    ["hosts: {a: {}}\nstpes: []\n", /^x\.yaml:2:\d+: stpes: unknown key; expected one of name, /],
    ["hosts:\n  a:\n    latncy: 5us\n", /^x\.yaml:3:\d+: hosts\.a\.latncy: unknown key; expected one of latency/],
    [
      "hosts:\n  a: { latency: fast }\n",
      /^x\.yaml:2:\d+: hosts\.a\.latency: expected a span of time with its unit, e\.g\. 50us/,
    ],
    ["hosts:\n  a: { latency: 5 }\n", /^x\.yaml:2:\d+: hosts\.a\.latency: expected a span of time with its unit/],
    ["hosts: {a: {}}\nsteps:\n  - wait: forever\n", /^x\.yaml:3:11: steps\[0\]\.wait: expected a span of time/],
    ["hosts:\n  a: *b\n", /^x\.yaml:2:6: \*b: no anchor &b stands before it/],
    [`${BOMB}hosts: {a: {}}\n`, /^x\.yaml:1:1: Excessive alias count/],
    ["name: x\n", /^x\.yaml:1:1: hosts: missing/],
    ["hosts: {a: {}}\nsteps:\n  - b: ls\n", /^x\.yaml:3:\d+: steps\[0\]\.b: no host is called b; there are a/],
    [
      "hosts: {a: {}}\nsteps:\n  - a: ls\n    wait: 5s\n",
      /^x\.yaml:4:5: steps\[0\]\.wait: a step is one thing: a or wait/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - expect: [x]\n",
      /^x\.yaml:3:\d+: steps\[0\]: expected a host and its command, or wait, until, fault, workload/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - workload: { from: a, to: b/c }\n",
      /^x\.yaml:3:\d+: steps\[0\]\.workload\.to: no host is called b/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - workload: [{ from: a, to: a }, { from: a, to: a, address: 1.2.3.999 }]\n",
      /^x\.yaml:3:\d+: steps\[0\]\.workload\[1\]\.address: expected an IPv4 address/,
    ],
    ["hosts: {a: {}}\nsteps:\n  - workload: { from: a }\n", /steps\[0\]\.workload/],
    [
      "hosts: {a: {}}\nsteps:\n  - workload: { from: a, to: a }\n    exit: 1\n",
      /^x\.yaml:4:5: steps\[0\]\.exit: means nothing beside workload/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - a: ls\n    expect: ['/(/']\n",
      /^x\.yaml:4:\d+: steps\[0\]\.expect\[0\]: not a regular expression/,
    ],
    [
      "hosts: {a: {address: 1.2.3.4}}\n",
      /^x\.yaml:1:22: hosts\.a\.address: 1\.2\.3\.4 is not an address for a host in 192\.168\.77\.0\/24/,
    ],
    ["hosts: {a: {address: 192.168.77.12}, b: {}, c: {}}\n", undefined],
    ["hosts: {a: {address: 192.168.77.12}, b: {address: 192.168.77.12}}\n", /192\.168\.77\.12 is a's/],
    ["hosts: {a: {}}\nsteps:\n  - fault: { drop: x }\n", /steps\[0\]\.fault\.host: missing/],
    ["hosts: {a: {address: 192.168.77.255}}\n", /192\.168\.77\.255 is not an address for a host/],
    ["hosts: {wait: {}}\n", /^x\.yaml:1:9: hosts\.wait: is a word of steps/],
    ["hosts: {a: {dns: [1.2.3.444]}}\n", /^x\.yaml:1:19: hosts\.a\.dns\[0\]: expected an IPv4 address/],
    ["hosts: {a: {bandwidth: 0Gbit}}\n", /hosts\.a\.bandwidth: expected more than 0/],
    ["hosts: {'a b': {}}\n", /^x\.yaml:1:9: hosts\.a b: expected a name of letters/],
    [
      "hosts: {a: {}}\nsteps:\n  - a: ls\n    expcet: x\n",
      /^x\.yaml:4:5: steps\[0\]\.expcet: no host is called expcet; there are a, and the words wait, /,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - wait: 5s\n    exit: 1\n",
      /^x\.yaml:4:5: steps\[0\]\.exit: means nothing beside wait/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - a/c: ls\n    stdin: y\n",
      /^x\.yaml:4:5: steps\[0\]\.stdin: means nothing on a terminal/,
    ],
    [
      "hosts: {a: {}, b: {}}\nsteps:\n  - '*': hostname\n    parallel: true\n    as: name\n",
      /^x\.yaml:5:\d+: steps\[0\]\.as: can't stand beside parallel/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - a: hostname\n    parallel: often\n",
      /^x\.yaml:4:\d+: steps\[0\]\.parallel: expected/,
    ],
    ["hosts: {parallel: {}}\n", /^x\.yaml:1:9: hosts\.parallel: is a word of steps/],
    [
      "hosts: {a: {}}\nsteps:\n  - wait: 5s\n    parallel: true\n",
      /^x\.yaml:4:5: steps\[0\]\.parallel: means nothing beside wait/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - fault: { host: a, drop: udp prt 4 }\n",
      /^x\.yaml:3:29: steps\[0\]\.fault\.drop: filter "udp prt 4"/,
    ],
    [
      "hosts: {a: {}, b: {}}\nsteps:\n  - fault: { partition: [[a], [a, b]] }\n",
      /fault\.partition: a is in two groups/,
    ],
    ["hosts: {a: {}}\nsteps:\n  - fault: { heal: true, loss: 5% }\n", /steps\[0\]\.fault\.host: missing/],
    [
      "hosts: {a: {}}\nsteps:\n  - fault: { host: a, bandwidth: 1Gbit }\n",
      /^x\.yaml:3:\d+: steps\[0\]\.fault\.bandwidth: unknown key/,
    ],
    ["hosts: [\n", /^x\.yaml:\d+:\d+: /],
    ["hosts: {a: {}}\nhosts: {b: {}}\n", /^x\.yaml:2:1: Map keys must be unique/],
  ])("names file, line, column and field: %j", (text, message) => {
    if (message === undefined)
      expect(parseLab("x.yaml", text).hosts.map((host) => formatCidr(host.address))).toHaveLength(3);
    else expect(labErrorOf(text)).toMatch(message);
  });

  it("a workload: one flow or several, each with a port of its own, and the receiver's name unless an address is given", () => {
    const { steps } = parseLab(
      "x.yaml",
      `hosts: { a: {}, b: {} }
steps:
  - workload: { from: a/c1, to: b/c2, rate: 500, size: 1400, for: 10s }
    expect: 0 lost
  - workload: [{ from: a, to: b }, { from: b/c, to: a/d, address: 10.0.1.9 }]
  - until: 12h
`,
    );
    expect(steps).toEqual([
      {
        kind: "workload",
        flows: [
          {
            from: { host: "a", container: "c1" },
            to: { host: "b", container: "c2" },
            address: "c2",
            port: 9000,
            load: { rate: 500, size: 1400, duration: 10e9 },
          },
        ],
        expect: ["0 lost"],
        reject: [],
        text: "a/c1 to b/c2, 500/s of 1400 bytes for 10s",
      },
      {
        kind: "workload",
        flows: [
          {
            from: { host: "a", container: undefined },
            to: { host: "b", container: undefined },
            address: "192.168.77.12",
            port: 9000,
            load: { rate: 1000, size: 64, duration: 1e9 },
          },
          {
            from: { host: "b", container: "c" },
            to: { host: "a", container: "d" },
            address: "10.0.1.9",
            port: 9001,
            load: { rate: 1000, size: 64, duration: 1e9 },
          },
        ],
        expect: [],
        reject: [],
        text: "a to b, 1000/s of 64 bytes for 1s; b/c to a/d, 1000/s of 64 bytes for 1s",
      },
      { kind: "until", time: 12 * 3600e9 },
    ]);
  });

  it("reads every lab of the gallery", () => {
    const files = (readdirSync(GALLERY, { recursive: true }) as string[]).filter((name) => name.endsWith(".yaml"));
    expect(files.length).toBeGreaterThan(4);
    for (const file of files)
      expect(parseLab(file, readFileSync(join(GALLERY, file), "utf8")).description).not.toBe("");
  });
});
