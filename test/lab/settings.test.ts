/** Parameters of labs, and fields that are set from outside. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { MS } from "../../src/base/time.ts";
import { parseLab, parseLabWith } from "../../src/lab/parse.ts";
import type { Settings } from "../../src/lab/settings.ts";

const LAB = `seed: 7
params: { nodes: 3, encrypted: false, image: "1.0", far: 5ms, opt: "" }
hosts:
  first:
  node: { count: $nodes, latency: "\${far}" }
network: { loss: 0 }
steps:
  - first: docker run \${image} $nodes $encrypted $opt \${other} $nodes_ $HOME
    as: id
  - wait: \${nodes}s
  - workload: { from: first, to: node-1, rate: 10 }
`;

function errorOf(text: string, settings: Settings = {}): string {
  try {
    parseLab("x.yaml", text, settings);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  throw new Error("no error");
}

const command = (settings: Settings) => parseLab("x.yaml", LAB, settings).steps[0];

describe("parameters", () => {
  it("stand in values with their types, in texts as text; other names stay", () => {
    const { hosts, steps } = parseLab("x.yaml", LAB);
    expect(hosts.map(({ name }) => name)).toEqual(["first", "node-1", "node-2", "node-3"]);
    expect(hosts[1]?.latency).toBe(5 * MS);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the lab's
    expect(steps[0]).toMatchObject({ command: "docker run 1.0 3 false  ${other} $nodes_ $HOME" });
    expect(steps[1]).toEqual({ kind: "wait", duration: 3000 * MS });
  });

  it("don't stand in keys", () => {
    expect(errorOf("params: { p: a }\nhosts: { a: {} }\nsteps:\n  - $p: ls")).toMatch(
      /^x\.yaml:4:5: steps\[0\]\.\$p: no host is called \$p; there are a,/,
    );
  });

  it("are set with the type of their defaults", () => {
    const { plan, settings } = parseLabWith("x.yaml", LAB, { nodes: "1", encrypted: "true", image: "2.0", opt: "-d" });
    expect(plan.hosts).toHaveLength(2);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the lab's
    expect(plan.steps[0]).toMatchObject({ command: "docker run 2.0 1 true -d ${other} $nodes_ $HOME" });
    expect(settings).toEqual({ nodes: 1, encrypted: true, image: "2.0", opt: "-d" });
    expect(command({ "params.image": "x" })).toMatchObject({ command: expect.stringContaining("run x 3") });
    expect(errorOf(LAB, { nodes: "many" })).toBe(
      "x.yaml: nodes=many: expected a number, like the parameter's default 3",
    );
    expect(errorOf(LAB, { encrypted: "1" })).toMatch(/expected true or false, like the parameter's default false$/);
  });

  it("errors keep line and column", () => {
    expect(errorOf(LAB, { nodes: "0" })).toBe("x.yaml:5:18: hosts.node.count: must be >= 1 (with nodes=0)");
    expect(errorOf("params: { seed: 1 }\nhosts: { a: {} }")).toMatch(
      /^x\.yaml:1:11: params\.seed: is a field of the lab/,
    );
    expect(errorOf("params:\n  p: [1]\nhosts: { a: {} }")).toBe(
      "x.yaml:2:6: params.p: expected string or number or boolean",
    );
    expect(errorOf("params: { p: 1 }\nhosts: { a: {} }\nsteps:\n  - a: ls\n    as: p")).toBe(
      "x.yaml:5:9: steps[0].as: p is a parameter of the lab",
    );
  });
});

describe("fields set from outside", () => {
  it("are there or could be", () => {
    const settings = {
      seed: "8",
      "network.loss": "1%",
      "network.latency": "2ms",
      "hosts.first.loss": "0.5",
      "hosts.node.count": "1",
      "steps.2.workload.rate": "20",
      "steps[1].wait": "9s",
    };
    const { seed, hosts, steps } = parseLab("x.yaml", LAB, settings);
    expect(seed).toBe("8");
    expect(hosts.map(({ name, latency, loss }) => [name, latency, loss])).toEqual([
      ["first", 2 * MS, 0.5],
      ["node-1", 5 * MS, 0.01],
    ]);
    expect(steps.slice(1)).toMatchObject([{ duration: 9000 * MS }, { flows: [{ load: { rate: 20 } }] }]);
    expect(parseLab("x.yaml", "hosts: { a: {} }", { "network.mtu": "9000" }).hosts[0]?.mtu).toBe(9000);
  });

  it("an alias is set where it stands, not where its anchor stands", () => {
    const { hosts } = parseLab("x.yaml", "hosts: { a: &h { mtu: 1400 }, b: *h, c: *h }", { "hosts.b.loss": "0.1" });
    expect(hosts.map(({ mtu, loss }) => [mtu, loss])).toEqual([
      [1400, 0],
      [1400, 0.1],
      [1400, 0],
    ]);
  });

  it.each([
    "los",
    "network.los",
    "network",
    "hosts",
    "hosts.nobody.loss",
    "hosts.node.dns",
    "steps.0",
    "steps.9.wait",
    "",
  ])("%j is not: what there is is said", (key) => {
    expect(errorOf(LAB, { [key]: "1" })).toBe(
      `x.yaml: there is no ${key} to set; there are the parameters nodes, encrypted, image, far, opt, and seed, engine, pause, network.(latency|bandwidth|loss|mtu|subnet), network.fabric.(leaves|hostsPerLeaf|spines|bandwidth|latency|queue), hosts.(first|node).(latency|bandwidth|loss|mtu|address|count|os|nat|leaf), values in steps, like steps.0.wait`,
    );
  });

  it("a wrong value names the field and what was set", () => {
    expect(errorOf(LAB, { "network.loss": "2" })).toBe("x.yaml:6:18: network.loss: must be <= 1 (with network.loss=2)");
    expect(errorOf(LAB, { "network.latency": "fast" })).toBe(
      "x.yaml:6:10: network.latency: expected a span of time with its unit, e.g. 50us, 1.5s, 12h (with network.latency=fast)",
    );
  });
});
