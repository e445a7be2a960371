import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  broadcastOf,
  cidrContains,
  cidrOverlaps,
  formatCidr,
  formatIpv4,
  formatMac,
  macFromIp,
  maskOf,
  networkOf,
  parseCidr,
  parseIpv4,
  parseMac,
} from "../../src/base/addr.ts";
import { ERRNO_NUMBER, errnoName, KernelError } from "../../src/base/errors.ts";
import { newHexId, newSwarmId, shortId } from "../../src/base/ids.ts";
import { Random } from "../../src/base/random.ts";
import { formatDuration, HOUR, MINUTE, parseDuration, parseRate, SEC, US } from "../../src/base/time.ts";
import { formatRfc3339, parseRfc3339 } from "../../src/base/wall-clock.ts";

describe("time", () => {
  it("reads Go's durations", () => {
    expect(parseDuration("50us")).toBe(50 * US);
    expect(parseDuration("1.5s")).toBe(1.5 * SEC);
    expect(parseDuration("1h30m")).toBe(90 * MINUTE);
    expect(parseDuration(".5ms")).toBe(500 * US);
    expect(parseDuration("0")).toBe(0);
    for (const bad of ["", "5", "5 s", "s", "1x", "-1s", "1s2"]) expect(parseDuration(bad)).toBeUndefined();
  });

  it("prints them as Go does", () => {
    expect(
      [0, 999, 50 * US, 1.5 * SEC, 90 * SEC, 12 * HOUR, 12 * HOUR + 61 * SEC, 1500 * US, HOUR + 500].map(
        formatDuration,
      ),
    ).toEqual(["0s", "999ns", "50µs", "1.5s", "1m30s", "12h0m0s", "12h1m1s", "1.5ms", "1h0m0.0000005s"]);
  });

  it("what it prints it reads", () => {
    fc.assert(fc.property(fc.nat({ max: 2 ** 45 }), (ns) => parseDuration(formatDuration(ns)) === ns));
  });

  it("reads rates", () => {
    expect(parseRate("10Gbit")).toBe(1e10);
    expect(parseRate("1.5mbit")).toBe(1.5e6);
    expect(parseRate("10Gb")).toBeUndefined();
  });

  it("prints the wall clock with nine digits at most", () => {
    expect(formatRfc3339(0)).toBe("2026-01-01T00:00:00Z");
    expect(formatRfc3339(1.5 * SEC)).toBe("2026-01-01T00:00:01.5Z");
    expect(formatRfc3339(24 * HOUR + 1)).toBe("2026-01-02T00:00:00.000000001Z");
    fc.assert(fc.property(fc.nat({ max: 2 ** 50 }), (ns) => parseRfc3339(formatRfc3339(ns)) === ns));
  });
});

describe("addresses", () => {
  it("IPv4", () => {
    expect(parseIpv4("10.0.0.5")).toBe(0x0a000005);
    expect(formatIpv4(0xffffffff)).toBe("255.255.255.255");
    for (const bad of ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b.c.d", " 1.2.3.4"])
      expect(parseIpv4(bad)).toBeUndefined();
    fc.assert(fc.property(fc.nat({ max: 0xffffffff }), (ip) => parseIpv4(formatIpv4(ip)) === ip));
  });

  it("CIDR", () => {
    const cidr = parseCidr("10.0.1.2/24");
    expect(cidr).toEqual({ ip: 0x0a000102, prefix: 24 });
    expect(formatCidr(networkOf(cidr as never))).toBe("10.0.1.0/24");
    expect(formatIpv4(broadcastOf(cidr as never))).toBe("10.0.1.255");
    expect([maskOf(0), maskOf(32), maskOf(8)]).toEqual([0, 0xffffffff, 0xff000000]);
    expect(cidrContains({ ip: 0x0a000000, prefix: 8 }, 0x0aff0001)).toBe(true);
    expect(cidrContains({ ip: 0x0a000000, prefix: 8 }, 0x0b000001)).toBe(false);
    expect(cidrOverlaps({ ip: 0x0a000000, prefix: 8 }, { ip: 0x0a010000, prefix: 16 })).toBe(true);
    expect(cidrOverlaps({ ip: 0x0a000000, prefix: 16 }, { ip: 0x0a010000, prefix: 16 })).toBe(false);
    for (const bad of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "x/8"]) expect(parseCidr(bad)).toBeUndefined();
  });

  it("MAC", () => {
    expect(formatMac(macFromIp(0x0a000105))).toBe("02:42:0a:00:01:05");
    fc.assert(fc.property(fc.maxSafeNat(), (n) => parseMac(formatMac(n % 2 ** 48)) === n % 2 ** 48));
    expect(parseMac("02:42:0a:00:01")).toBeUndefined();
  });
});

describe("random", () => {
  it("sought to a position draws what depends on key and position only", () => {
    const random = new Random("key");
    const draws = (position: number) => [random.seek(position).u32(), random.u32(), random.below(1000)];
    const positions = [0, 1, 2 ** 32, 2 ** 32 + 1, 43_200e9, Number.MAX_SAFE_INTEGER];
    const first = positions.map(draws);
    expect(positions.map(draws)).toEqual(first);
    expect(new Set(first.map(String)).size).toBe(positions.length);
    expect(new Random(random.key).seek(1).u32()).toBe(first[1]?.[0]);
    expect(new Random("other").seek(1).u32()).not.toBe(first[1]?.[0]);
    // Neighbouring positions are as different as others: half the bits.
    let bits = 0;
    for (let i = 0; i < 1000; i++) {
      for (let x = random.seek(i).u32() ^ random.seek(i + 1).u32(); x !== 0; x &= x - 1) bits++;
    }
    expect(Math.abs(bits - 16_000)).toBeLessThan(500);
  });

  it("depends on its key alone, and forks are independent of what was drawn", () => {
    const a = new Random("1/host1");
    const b = new Random("1/host1");
    b.u32();
    expect(a.fork("x").bytes(16)).toEqual(b.fork("x").bytes(16));
    expect(new Random("1/host1").hex(32)).toBe(new Random("1/host1").hex(32));
    expect(new Random("1/host1").hex(32)).not.toBe(new Random("2/host1").hex(32));
  });

  it("is uniform enough to notice a broken mix", () => {
    const random = new Random("uniform");
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)] = (counts[random.below(10)] as number) + 1;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600);
    let sum = 0;
    for (let i = 0; i < 100_000; i++) sum += random.float();
    expect(Math.abs(sum / 100_000 - 0.5)).toBeLessThan(0.01);
    expect(() => random.below(2 ** 33)).toThrow("random range");
  });
});

describe("ids and errors", () => {
  it("swarmkit's and Docker's forms", () => {
    const random = new Random("ids");
    for (let i = 0; i < 1000; i++) expect(newSwarmId(random)).toMatch(/^[0-9a-z]{25}$/);
    expect(newHexId(random)).toMatch(/^[0-9a-f]{64}$/);
    expect(shortId("0123456789abcdef")).toBe("0123456789ab");
  });

  it("errno numbers and names", () => {
    for (const [name, number] of Object.entries(ERRNO_NUMBER)) expect(errnoName(number)).toBe(name);
    expect(new KernelError("EEXIST", "link add").message).toBe("link add: File exists");
    expect(() => errnoName(9999)).toThrow("unknown errno");
  });
});
