import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../../src/base/addr.ts";
import {
  parseRemoteAddr,
  resolveAdvertiseAddr,
  resolveDataPathAddr,
  resolveLocalAddr,
  type SystemInterface,
  validateAddressPools,
} from "../../src/swarm/addresses.ts";

const ip = (text: string) => parseIpv4(text) as number;
const nic = (name: string, ...addresses: string[]): SystemInterface => ({
  name,
  isDevice: true,
  up: true,
  addresses: addresses.map(ip),
});
const bridge: SystemInterface = { name: "docker0", isDevice: false, up: true, addresses: [ip("172.17.0.1")] };

describe("advertise address", () => {
  it("is the only device's, bridges left aside", () => {
    expect(resolveAdvertiseAddr([bridge, nic("eth0", "192.168.77.11")], "", 2377)).toEqual({
      ip: ip("192.168.77.11"),
      port: 2377,
    });
    const down = { ...nic("eth1", "10.1.1.1"), up: false };
    expect(resolveAdvertiseAddr([down, nic("eth0", "10.2.2.2")], "", 2377).ip).toBe(ip("10.2.2.2"));
  });

  it("can't be chosen among several", () => {
    expect(() => resolveAdvertiseAddr([nic("eth0", "10.0.2.15"), nic("eth1", "192.168.99.100")], "", 2377)).toThrow(
      "could not choose an IP address to advertise since this system has multiple addresses on different interfaces (10.0.2.15 on eth0 and 192.168.99.100 on eth1)",
    );
    expect(() => resolveAdvertiseAddr([nic("eth0", "10.0.2.15", "10.0.2.16")], "", 2377)).toThrow(
      "multiple addresses on interface eth0 (10.0.2.15 and 10.0.2.16)",
    );
    expect(() => resolveAdvertiseAddr([bridge], "", 2377)).toThrow("could not find the system's IP address");
  });

  it("may be an interface or an address, with a port of its own", () => {
    const interfaces = [nic("eth0", "10.0.2.15"), nic("eth1", "192.168.99.100"), nic("eth2")];
    expect(resolveAdvertiseAddr(interfaces, "eth1", 2377)).toEqual({ ip: ip("192.168.99.100"), port: 2377 });
    expect(resolveAdvertiseAddr(interfaces, "eth1:2400", 2377).port).toBe(2400);
    expect(resolveAdvertiseAddr(interfaces, "1.2.3.4:5", 2377)).toEqual({ ip: ip("1.2.3.4"), port: 5 });
    expect(() => resolveAdvertiseAddr(interfaces, "eth2", 2377)).toThrow(
      "interface eth2 has no usable IPv4 or IPv6 address",
    );
    expect(() => resolveDataPathAddr(interfaces, "0.0.0.0")).toThrow("data path address must be a non-zero IP address");
    expect(resolveDataPathAddr(interfaces, "")).toBeUndefined();
  });
});

describe("other addresses", () => {
  it("a foreign advertise address needs a listen address where the own one is not clear", () => {
    const two = [nic("eth0", "10.0.2.15"), nic("eth1", "10.0.3.15")];
    expect(() => resolveLocalAddr(two, 0, ip("8.8.8.8"))).toThrow("must specify a listening address because");
    expect(resolveLocalAddr(two, ip("10.0.3.15"), ip("8.8.8.8"))).toBe(ip("10.0.3.15"));
    expect(resolveLocalAddr(two, 0, ip("10.0.2.15"))).toBe(ip("10.0.2.15"));
  });

  it("a remote address has port 2377 if it names none", () => {
    expect(parseRemoteAddr("192.168.77.11")).toEqual({ ip: ip("192.168.77.11"), port: 2377 });
    expect(parseRemoteAddr("192.168.77.11:99")?.port).toBe(99);
    expect(parseRemoteAddr("host:99")).toBeUndefined();
    expect(parseRemoteAddr("1.2.3.4:99999")).toBeUndefined();
  });

  it("pools are trimmed and checked", () => {
    expect(validateAddressPools([" 10.20.0.0/16 ", "10.20.0.0/24"], 26)).toEqual(["10.20.0.0/16", "10.20.0.0/24"]);
    expect(() => validateAddressPools(["nonsense"], 0)).toThrow(
      "invalid base pool nonsense: invalid CIDR address: nonsense",
    );
  });
});
