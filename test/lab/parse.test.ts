import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatCidr } from "../../src/base/addr.ts";
import { UserError } from "../../src/base/errors.ts";
import { MS, SEC, US } from "../../src/base/time.ts";
import { parseLab } from "../../src/lab/parse.ts";

const GALLERY = join(import.meta.dirname, "../../src/lab/gallery");

function errorOf(text: string): string {
  try {
    parseLab("x.yaml", text);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  throw new Error("no error");
}

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

  it.each([
    ["hosts: {a: {}}\nstpes: []\n", /^x\.yaml:2:\d+: stpes: unknown key; expected one of name, /],
    ["hosts:\n  a:\n    latncy: 5us\n", /^x\.yaml:3:\d+: hosts\.a\.latncy: unknown key; expected one of latency/],
    ["hosts:\n  a: { latency: fast }\n", /^x\.yaml:2:\d+: hosts\.a\.latency: expected one-way delay/],
    ["name: x\n", /^x\.yaml:1:1: hosts: missing/],
    ["hosts: {a: {}}\nsteps:\n  - b: ls\n", /^x\.yaml:3:\d+: steps\[0\]\.b: no host is called b; there are a/],
    [
      "hosts: {a: {}}\nsteps:\n  - a: ls\n    wait: 5s\n",
      /^x\.yaml:4:5: steps\[0\]\.wait: a step is one thing: a or wait/,
    ],
    [
      "hosts: {a: {}}\nsteps:\n  - expect: [x]\n",
      /^x\.yaml:3:\d+: steps\[0\]: expected a host and its command, wait or fault/,
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
    else expect(errorOf(text)).toMatch(message);
  });

  it("reads every lab of the gallery", () => {
    const files = (readdirSync(GALLERY, { recursive: true }) as string[]).filter((name) => name.endsWith(".yaml"));
    expect(files.length).toBeGreaterThan(4);
    for (const file of files)
      expect(parseLab(file, readFileSync(join(GALLERY, file), "utf8")).description).not.toBe("");
  });
});
