import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cidrOverlaps } from "../../../src/base/addr.ts";
import { NEW_META, type NetworkObject } from "../../../src/swarm/api/objects.ts";
import { AddressSpace } from "../../../src/swarm/manager/allocator/ipam.ts";
import { NetworkAllocator, VXLAN_ID_LIST } from "../../../src/swarm/manager/allocator/network-allocator.ts";
import { NextFit } from "../../../src/swarm/manager/allocator/next-fit.ts";

function network(id: string, subnets: readonly string[] = [], vnis = "", gateway = "", range = ""): NetworkObject {
  return {
    id,
    meta: NEW_META,
    spec: {
      annotations: { name: id, labels: {} },
      driverConfig: { name: "overlay", options: vnis === "" ? {} : { [VXLAN_ID_LIST]: vnis } },
      ipv6Enabled: false,
      internal: false,
      ipam: { driver: undefined, configs: subnets.map((subnet) => ({ subnet, range, gateway })) },
      attachable: true,
      ingress: false,
    },
  };
}

const vnisOf = (n: NetworkObject) => n.driverState?.options[VXLAN_ID_LIST];

describe("next-fit", () => {
  it("goes on behind the last one, wraps, and is not moved by wishes", () => {
    const set = new NextFit(1, 4);
    expect([set.next(), set.next()]).toEqual([1, 2]);
    set.release(1);
    expect(set.take(4)).toBe(true);
    expect([set.next(), set.next(), set.next()]).toEqual([3, 1, undefined]);
    set.release(2);
    expect(set.next()).toBe(2);
  });

  it("never hands out what is taken, and fails only when all is", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8, max: 8 }), { maxLength: 60 }), (steps) => {
        const set = new NextFit(1, 8);
        const taken = new Set<number>();
        for (const step of steps) {
          if (step < 0) {
            set.release(-step);
            taken.delete(-step);
          } else if (step > 0 && set.take(step)) taken.add(step);
          else if (step === 0) {
            const got = set.next();
            if (got === undefined) expect(taken.size).toBe(8);
            else {
              expect(taken.has(got)).toBe(false);
              taken.add(got);
            }
          }
        }
      }),
    );
  });
});

describe("pools", () => {
  it("are cut next-fit: freed blocks wait for the wrap", () => {
    const space = new AddressSpace(["10.20.0.0/24"], 26);
    const pools = [space.requestAny(""), space.requestAny("")];
    expect(pools.map((pool) => pool.text)).toEqual(["10.20.0.0/26", "10.20.0.64/26"]);
    for (const pool of pools) space.release(pool);
    expect([1, 2, 3].map(() => space.requestAny("").text)).toEqual([
      "10.20.0.128/26",
      "10.20.0.192/26",
      "10.20.0.0/26",
    ]);
    space.requestAny("");
    expect(() => space.requestAny("")).toThrow("could not find an available, non-overlapping IPv4 address pool");
  });

  it("never overlap, whatever is asked for", () => {
    const wish = fc.record({ third: fc.nat(3), prefix: fc.integer({ min: 22, max: 28 }), any: fc.boolean() });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 20 }), (wishes) => {
        const space = new AddressSpace(["10.0.0.0/22"], 24);
        const got = [];
        for (const { third, prefix, any } of wishes) {
          try {
            got.push(any ? space.requestAny("") : space.request(`10.0.${third}.16/${prefix}`, ""));
          } catch (error) {
            expect((error as Error).name).toBe("AllocationError");
          }
        }
        for (const [i, a] of got.entries()) {
          for (const b of got.slice(i + 1)) expect(cidrOverlaps(a.subnet, b.subnet)).toBe(false);
        }
      }),
    );
  });
});

describe("network allocator", () => {
  it("gives VNIs per subnet; wished ones don't move the cursor", () => {
    const allocator = new NetworkAllocator([], 0);
    expect(vnisOf(allocator.allocateNetwork(network("a")))).toBe("4096");
    expect(vnisOf(allocator.allocateNetwork(network("b", ["10.30.0.0/24", "10.31.0.0/24"])))).toBe("4097,4098");
    expect(vnisOf(allocator.allocateNetwork(network("c", [], "5000")))).toBe("5000");
    expect(vnisOf(allocator.allocateNetwork(network("d")))).toBe("4099");
    // A creation that fails because of its VNI has used up its subnet.
    expect(() => allocator.allocateNetwork(network("e", [], "5000"))).toThrow(
      "could not obtain vxlan id for pool 10.0.3.0/24: requested bit is already allocated",
    );
    expect(allocator.allocateNetwork(network("f")).ipam?.configs[0]?.subnet).toBe("10.0.4.0/24");
  });

  it("keeps a subnet's host bits, and a wished gateway doesn't move the cursor", () => {
    const allocator = new NetworkAllocator([], 0);
    const a = allocator.allocateNetwork(network("a", ["10.53.0.5/24"]));
    expect(a.ipam?.configs).toEqual([{ subnet: "10.53.0.5/24", range: "", gateway: "10.53.0.1" }]);
    expect(allocator.allocateAddress("a", [])).toBe("10.53.0.2/24");
    allocator.allocateNetwork(network("b", ["10.11.0.0/24"], "", "10.11.0.2"));
    expect(allocator.allocateAddress("b", [])).toBe("10.11.0.1/24");
    expect(allocator.allocateAddress("b", [])).toBe("10.11.0.3/24");
  });

  it("stays within --ip-range", () => {
    const allocator = new NetworkAllocator([], 0);
    allocator.allocateNetwork(network("a", ["10.60.0.0/24"], "", "10.60.0.1", "10.60.0.128/30"));
    const got = [1, 2, 3, 4].map(() => allocator.allocateAddress("a", []));
    expect(got).toEqual([128, 129, 130, 131].map((n) => `10.60.0.${n}/24`));
    expect(() => allocator.allocateAddress("a", [])).toThrow("could not find an available IP");
    expect(() => allocator.allocateAddress("a", ["10.61.0.1"])).toThrow("could not find an available IP");
    expect(() => allocator.allocateAddress("a", ["10.60.0.1"])).toThrow("Address already in use");
  });

  it("restores from the store's objects; its cursors start at the lowest free number then", () => {
    const old = new NetworkAllocator([], 0);
    const [a, b] = [old.allocateNetwork(network("a")), old.allocateNetwork(network("b"))];
    old.deallocateNetwork("a");
    const addresses = [old.allocateAddress("b", []), old.allocateAddress("b", [])];
    const fresh = new NetworkAllocator([], 0);
    fresh.restoreNetwork(b);
    fresh.restoreAddresses([{ network: b, addresses: [addresses[1] as string], aliases: [] }]);
    expect(fresh.allocateAddress("b", [])).toBe("10.0.1.2/24");
    expect(fresh.allocateAddress("b", [])).toBe("10.0.1.4/24");
    const next = fresh.allocateNetwork(network("c"));
    expect([next.ipam?.configs[0]?.subnet, vnisOf(next)]).toEqual([a.ipam?.configs[0]?.subnet, "4096"]);
  });
});
