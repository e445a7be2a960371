import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { completionsAt, namesIn } from "../../../web/page/labs/editor/complete.ts";
import { type Place, placeAt } from "../../../web/page/labs/editor/place.ts";

/** Where `‸` stands in a text. */
function place(marked: string): Place | undefined {
  const offset = marked.indexOf("‸");
  return placeAt(marked.replace("‸", ""), offset);
}

function path(marked: string): string {
  const found = place(marked);
  return found === undefined ? "nowhere" : `${found.kind} ${found.path.join("/")} <${found.typed}>`;
}

/** What is offered there. */
function offered(marked: string): string[] {
  const found = place(marked);
  const text = marked.replace("‸", "");
  return found === undefined ? [] : completionsAt(found, namesIn(text)).map(({ label }) => label);
}

const HOSTS = "hosts:\n  host1: {}\n  host2: { latency: 1ms }\n";

describe("the place of the cursor", () => {
  it.each([
    ["‸", "key  <>"],
    ["na‸", "key  <na>"],
    ["name: a‸", "value name <a>"],
    ["hosts:\n  ‸", "key hosts <>"],
    ["hosts:\n  host1:\n    lat‸", "key hosts/host1 <lat>"],
    ["hosts:\n  host1: {}\n‸", "key  <>"],
    ["hosts:\n  host1: {}\n  ho‸", "key hosts <ho>"],
    ["hosts:\n  host1: { ‸", "key hosts/host1 <>"],
    ["hosts:\n  host1: { latency: 1ms, l‸", "key hosts/host1 <l>"],
    ["hosts:\n  host1: { os: ‸", "value hosts/host1/os <>"],
    ["network: { fabric: { spines: 2, l‸ } }", "key network/fabric <l>"],
    ["steps:\n  - ‸", "key steps/0 <>"],
    ["steps:\n- ‸", "key steps/0 <>"],
    ["steps:\n  - host1: ls\n    ex‸", "key steps/0 <ex>"],
    ["steps:\n  - host1: ls\n  - wait: 1s\n  - fault: { host: h‸", "value steps/2/fault/host <h>"],
    ["steps:\n  - fault:\n      host: host1\n      dr‸", "key steps/0/fault <dr>"],
    ["steps:\n  - fault: { host: [host1, h‸", "value steps/0/fault/host/1 <h>"],
    ["steps:\n  - workload:\n      - from: a\n        ra‸", "key steps/0/workload/0 <ra>"],
    ["steps:\n  - host1: |\n      docker ‸\n", "nowhere"],
    ["steps:\n  - host1: |\n      docker run\n    ex‸", "key steps/0 <ex>"],
    ["# a comm‸ent", "nowhere"],
    ["steps:\n  - host1: ls\n\n# c\n‸", "key  <>"],
    ["steps:\n- host1: ls\nna‸", "key  <na>"],
    ["steps:\n  - fault: { host: host1,\n      dr‸", "key steps/0/fault <dr>"],
  ])("%j", (marked, expected) => expect(path(marked)).toBe(expected));

  it("knows the keys around it", () => {
    expect(place("network:\n  mtu: 1\n  ‸\n  loss: 0\nname: x\n")?.present).toEqual(["mtu", "loss"]);
    expect(place("network: { mtu: 1, ‸")?.present).toEqual(["mtu"]);
  });

  it("never fails on a text that is cut anywhere", () => {
    const text = `${HOSTS}steps:\n  - host1: 'a: {b'\n  - fault: { host: [host1, "h,2"], loss: 1% }\n  - host1: |\n      x: [\n`;
    for (let i = 0; i <= text.length; i++) expect(() => placeAt(text.slice(0, i), i)).not.toThrow();
  });
});

it("finds a place in whatever is typed", () => {
  const part = fc.constantFrom(
    "steps:",
    "hosts:",
    "\n",
    "  ",
    "- ",
    "a: ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "|",
    "'",
    '"',
    "#",
    "x",
    "é",
  );
  fc.assert(
    fc.property(fc.array(part), fc.nat(), (parts, at) => {
      const text = parts.join("");
      const found = placeAt(text, at % (text.length + 1));
      if (found === undefined) return;
      expect(found.from).toBeLessThanOrEqual(at % (text.length + 1));
      completionsAt(found, namesIn(text));
    }),
  );
});

describe("completion", () => {
  it("offers the schema's keys, without those that stand there", () => {
    expect(offered("na‸")).toContain("hosts");
    expect(offered("name: x\n‸")).not.toContain("name");
    expect(offered("network:\n  ‸")).toEqual(["latency", "bandwidth", "loss", "mtu", "subnet", "fabric"]);
    expect(offered(`${HOSTS}steps:\n  - fault: { host: host1, ‸`)).toContain("partition");
  });

  it("says what a key means and what it takes", () => {
    const found = place("network: { fabric: { ‸");
    const spines = found && completionsAt(found, namesIn("")).find(({ label }) => label === "spines");
    expect(spines).toMatchObject({ apply: "spines: ", info: "How many, and so ways from leaf to leaf." });
  });

  it("offers hosts and kinds where a step begins, and a command's options beside one", () => {
    expect(offered(`${HOSTS}steps:\n  - ‸`)).toEqual(["host1", "host2", "wait", "until", "workload", "fault", "show"]);
    const beside = offered(`${HOSTS}steps:\n  - host1: ls\n    ‸`);
    expect(beside).toEqual(expect.arrayContaining(["as", "expect", "exit", "timeout"]));
    expect(beside).not.toContain("wait");
    expect(beside).not.toContain("host2");
  });

  it("offers enums, constants, defaults and names as values", () => {
    expect(offered("hosts:\n  a: { os: ‸")).toEqual(["linux", "windows"]);
    expect(offered("engine: ‸")[0]).toBe('"20.10"');
    expect(offered(`${HOSTS}steps:\n  - fault: { link: ‸`)).toEqual(["up", "down"]);
    expect(offered(`${HOSTS}steps:\n  - fault: { crash: ‸`)).toEqual(["true"]);
    expect(offered(`${HOSTS}steps:\n  - fault: { host: ‸`)).toEqual(["host1", "host2"]);
    expect(offered(`${HOSTS}steps:\n  - workload: { from: ‸`)).toEqual(["host1", "host2"]);
    expect(offered(`${HOSTS}steps:\n  - workload: { from: host1, ‸`)).toContain("rate");
    expect(offered(`${HOSTS}steps:\n  - host1: ls\n    parallel: ‸`)).toEqual(["true", "false"]);
    expect(offered(`${HOSTS}networks:\n  storage: { subnet: 10.0.0.0/24 }\nsteps:\n  - fault: { network: ‸`)).toEqual([
      "storage",
    ]);
  });

  it("knows the names in a file", () => {
    const text =
      "params: { n: 2, size: 64 }\nhosts:\n  node: { count: 4 }\n  edge:\n    mtu: 1400\nsteps:\n  - edge: ls\n    as: token\n";
    expect(namesIn(text)).toEqual({
      hosts: ["node-*", "node-1", "edge"],
      networks: [],
      variables: ["n", "size", "token"],
    });
    expect(namesIn("hosts: { a: {}, b: { mtu: 1 } }").hosts).toEqual(["a", "b"]);
  });
});
