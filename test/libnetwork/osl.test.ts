import { describe, expect, it } from "vitest";
import { macFromIp } from "../../src/base/addr.ts";
import { NeighborSearchError, OslNamespace, setSysctlIfKnown } from "../../src/libnetwork/osl.ts";
import { FakeHostKernel } from "../support/fake-netns.ts";
import { ip } from "../support/fake-swarm.ts";

const MAC = macFromIp(ip("10.0.1.9"));
const VTEP = ip("192.168.77.12");

function overlay(): { host: FakeHostKernel; osl: OslNamespace; log: string[] } {
  const host = new FakeHostKernel("h", 0, { ip: ip("192.168.77.11"), prefix: 24 });
  const log: string[] = [];
  const osl = new OslNamespace(host.createNs("n"), false, (_level, message) => log.push(message));
  host.root.link.add({ kind: "vxlan", name: "vx-1", vni: 4097, port: 4789 });
  osl.addInterface("ov-1", "br", { bridge: true, address: { ip: ip("10.0.1.1"), prefix: 24 } });
  osl.addInterface("vx-1", "vxlan", { master: "ov-1" });
  return { host, osl, log };
}

describe("a namespace under libnetwork", () => {
  it("takes the entry that the bridge learnt away with the permanent one", () => {
    const { osl, log } = overlay();
    osl.addNeighbor(VTEP, MAC, "vx-1", true);
    osl.ns.fdb.add("vxlan0", MAC, { owner: "master" });
    osl.deleteNeighbor(VTEP, MAC);
    expect(osl.ns.fdb.list("vxlan0").filter((f) => f.mac === MAC)).toEqual([]);
    expect(log).toEqual([]);
  });

  it("logs what the kernel refuses to delete, and forgets it", () => {
    const { osl, log } = overlay();
    osl.addNeighbor(ip("10.0.1.9"), MAC, "vx-1", false);
    osl.ns.neigh.del("vxlan0", ip("10.0.1.9"));
    osl.deleteNeighbor(ip("10.0.1.9"), MAC);
    expect(log).toEqual([
      "error while deleting neighbor entry for mac 02:42:0a:00:01:09: neigh del: No such file or directory",
    ]);
    expect(() => osl.deleteNeighbor(ip("10.0.1.9"), MAC)).toThrow(NeighborSearchError);
  });

  it("hands links back to the host under their old names", () => {
    const { host, osl } = overlay();
    expect(osl.interfaces.map((i) => i.dstName)).toEqual(["br0", "vxlan0"]);
    osl.removeInterface("vx-1");
    osl.removeInterface("ov-1");
    expect(host.root.link.get("vx-1").up).toBe(false);
    expect(osl.ns.link.list().map((l) => l.name)).toEqual(["lo"]);
    osl.destroy();
    expect(host.namespaces().map((n) => n.name)).toEqual(["host"]);
  });

  it("tells of sysctls that the kernel doesn't know, and no other refusal", () => {
    const { osl, log } = overlay();
    expect(setSysctlIfKnown(osl.ns, "net.ipv4.vs.nothing", 1, (_l, m) => log.push(m))).toBe(false);
    expect(log).toEqual(["sysctl net.ipv4.vs.nothing is not known in n"]);
    expect(setSysctlIfKnown(osl.ns, "net.ipv4.vs.conn_reuse_mode", 0, () => {})).toBe(true);
    expect(osl.ns.sysctlGet("net.ipv4.vs.conn_reuse_mode")).toBe(0);
  });
});
