import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.ts";
import { parseLab } from "../../../src/lab/parse.ts";
import { parseFault } from "../../../src/lab/parse-fault.ts";
import { ACTIONS, type ActionName, type FaultForm, faultOf } from "../../../web/page/faults/form.ts";

const PLAN = parseLab(
  "lab.yaml",
  "hosts: { host1: {}, host2: {}, host3: {} }\nnetworks: { storage: { subnet: 10.0.0.0/24 } }",
);
const FABRIC = parseLab("lab.yaml", "hosts: { node: { count: 4 } }\nnetwork: { fabric: { leaves: 2, spines: 2 } }");
const EMPTY: FaultForm = { action: "cut", hosts: "host2", network: "", leaf: "", spine: "", value: "" };

/** What a form would do, in words. */
function says(form: Partial<FaultForm>, plan = PLAN): string {
  return parseFault(plan, faultOf({ ...EMPTY, ...form })).text;
}

describe("the form of faults", () => {
  it.each<[Partial<FaultForm>, string]>([
    [{ action: "cut" }, "host2: link down"],
    [{ action: "join", hosts: "host1, host2" }, "host1, host2: link up"],
    [{ action: "loss", value: "10%" }, "host2: loss 10%"],
    [{ action: "loss", value: "0.25", network: "storage" }, "host2, network storage: loss 25%"],
    [{ action: "latency", hosts: "host*", value: "50ms" }, "host1, host2, host3: latency 50ms"],
    [{ action: "drop", value: " udp port 4789 " }, "host2: drop udp port 4789"],
    [{ action: "partition", value: "host1 | host2, host3" }, "partition host1 | host2 host3"],
    [{ action: "crash" }, "host2: crash"],
    [{ action: "restart", network: "storage" }, "host2: restart"],
    [{ action: "mend" }, "host2: heal"],
    [{ action: "heal" }, "heal"],
  ])("%j", (form, text) => expect(says(form)).toBe(text));

  it("links between switches", () => {
    expect(says({ action: "cut", leaf: "1", spine: "2" }, FABRIC)).toBe("leaf1 - spine2: link down");
    expect(says({ action: "loss", spine: "2", value: "5%" }, FABRIC)).toBe("spine2: loss 5%");
  });

  it.each<[Partial<FaultForm>, string]>([
    [{ hosts: "" }, "host: missing"],
    [{ hosts: "nobody" }, "no host is called nobody"],
    [{ action: "loss", value: "much" }, "loss: expected a probability: 0.01 or 1%"],
    [{ action: "loss", value: "2" }, "loss: must be <= 1"],
    [{ action: "latency", value: "50" }, "latency: expected a span of time with its unit"],
    [{ action: "drop", value: "udp prot 4789" }, 'drop: filter "udp prot 4789"'],
    [{ action: "drop", value: "" }, "it is empty"],
    [{ action: "partition", value: "host1" }, "partition: must NOT have fewer than 2 items"],
    [{ action: "partition", value: "host1 | host1" }, "host1 is in two groups"],
    [{ leaf: "1" }, "leaf: means nothing without network.fabric"],
    [{ leaf: "x" }, "leaf: expected integer"],
  ])("%j is refused as the lab's own would be", (form, message) => {
    expect(() => says(form)).toThrow(UserError);
    expect(() => says(form)).toThrow(message);
  });

  it("has an example that works for each thing that takes a value", () => {
    for (const [action, { example }] of Object.entries(ACTIONS) as [ActionName, { example?: string }][])
      if (example !== undefined) expect(says({ action, value: example })).not.toBe("");
  });
});
