import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatCidr, formatIpv4, parseCidr } from "../../src/base/addr.ts";
import { Ipam, LOCAL_DEFAULT_POOLS } from "../../src/libnetwork/ipam.ts";
import { ip } from "../support/fake-swarm.ts";

const cidr = (text: string) => parseCidr(text) as NonNullable<ReturnType<typeof parseCidr>>;

describe("local pools", () => {
  it("are Docker's 31", () => {
    const texts = LOCAL_DEFAULT_POOLS.map(formatCidr);
    expect(texts.length).toBe(31);
    expect([texts[0], texts[3], texts[14], texts[15], texts[30]]).toEqual([
      "172.17.0.0/16",
      "172.20.0.0/16",
      "172.31.0.0/16",
      "192.168.0.0/20",
      "192.168.240.0/20",
    ]);
  });

  it("go round, skip what is in use or on the host, and are re-used only after the wrap", () => {
    const ipam = new Ipam(["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"].map(cidr));
    const next = (): string => formatCidr(ipam.requestDefaultPool([cidr("10.2.0.0/16")]).subnet);
    const first = ipam.requestDefaultPool([]);
    expect(formatCidr(first.subnet)).toBe("10.1.0.0/24");
    ipam.releasePool(first);
    expect(next()).toBe("10.3.0.0/24");
    expect(next()).toBe("10.1.0.0/24");
    expect(next).toThrow(
      "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    );
    expect(ipam.pools()).toEqual(["LocalDefault/10.3.0.0/24", "LocalDefault/10.1.0.0/24"]);
  });

  it("refuses overlaps within an address space only, and masks host bits", () => {
    const ipam = new Ipam();
    expect(formatCidr(ipam.requestPool("LocalDefault", cidr("10.53.0.5/24")).subnet)).toBe("10.53.0.0/24");
    expect(() => ipam.requestPool("LocalDefault", cidr("10.53.0.0/16"))).toThrow(
      "Pool overlaps with other one on this address space",
    );
    ipam.requestPool("GlobalDefault", cidr("10.53.0.0/16"));
  });
});

describe("addresses", () => {
  it("are the lowest free ones; wanted ones are given if they are free and in the subnet", () => {
    const pool = new Ipam().requestPool("LocalDefault", cidr("10.0.0.0/29"));
    expect([pool.request(), pool.request(ip("10.0.0.3")), pool.request(), pool.request()].map(formatIpv4)).toEqual([
      "10.0.0.1",
      "10.0.0.3",
      "10.0.0.2",
      "10.0.0.4",
    ]);
    expect(() => pool.request(ip("10.0.0.2"))).toThrow("Address already in use");
    expect(() => pool.request(ip("10.0.1.2"))).toThrow("requested address is out of range");
    pool.release(ip("10.0.0.1"));
    expect([pool.request(), pool.request(), pool.request()].map(formatIpv4)).toEqual([
      "10.0.0.1",
      "10.0.0.5",
      "10.0.0.6",
    ]);
    expect(() => pool.request()).toThrow("no available addresses on this pool");
  });

  it("come out of the range where there is one", () => {
    const pool = new Ipam().requestPool("LocalDefault", cidr("10.0.0.0/24"), cidr("10.0.0.64/30"));
    expect(Array.from({ length: 4 }, () => formatIpv4(pool.request()))).toEqual([
      "10.0.0.64",
      "10.0.0.65",
      "10.0.0.66",
      "10.0.0.67",
    ]);
    expect(() => pool.request()).toThrow();
    expect(formatIpv4(pool.request(ip("10.0.0.9")))).toBe("10.0.0.9");
  });

  it("are never given twice", () => {
    const steps = fc.array(fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 15 })), { maxLength: 80 });
    fc.assert(
      fc.property(steps, (list) => {
        const pool = new Ipam().requestPool("LocalDefault", cidr("10.0.0.0/28"));
        const held = new Set<number>();
        for (const step of list) {
          if (step >= 0) {
            pool.release(ip("10.0.0.0") + step);
            held.delete(ip("10.0.0.0") + step);
          } else if (held.size < 14) {
            const got = pool.request();
            const lowest = Array.from({ length: 14 }, (_, i) => ip("10.0.0.1") + i).find((a) => !held.has(a));
            expect(got).toBe(lowest);
            held.add(got);
          }
        }
      }),
    );
  });
});
