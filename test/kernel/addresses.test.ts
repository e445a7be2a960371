import { beforeEach, describe, expect, it } from "vitest";
import { formatCidr } from "../../src/base/addr.ts";
import { KernelError } from "../../src/base/errors.ts";
import { SEC } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { RouteInfo } from "../../src/kernel/types.ts";
import { cidr, ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "done";
}

function show(route: RouteInfo): string {
  const via = route.via === undefined ? "" : ` via ${route.via}`;
  return `${route.type} ${formatCidr(route.dst)}${via} dev ${route.dev} ${route.protocol} ${route.scope} src ${route.src ?? "-"}`;
}

describe.skipIf(!kernelBuilt)("addresses, routes, neighbours (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let host: Host;
  let other: Host;

  beforeEach(async () => {
    const made = await lan(2);
    kernel = made.kernel;
    [host, other] = made.hosts as [Host, Host];
  });

  it("adds the routes that Linux adds with an address", () => {
    expect(host.root.route.list().map(show)).toEqual([`unicast 10.1.1.0/24 dev 2 kernel link src ${ip("10.1.1.1")}`]);
    expect(host.root.route.list("local").map(show)).toEqual(
      expect.arrayContaining([
        `local 10.1.1.1/32 dev 2 kernel host src ${ip("10.1.1.1")}`,
        `broadcast 10.1.1.255/32 dev 2 kernel link src ${ip("10.1.1.1")}`,
        `local 127.0.0.0/8 dev 1 kernel host src ${ip("127.0.0.1")}`,
        `local 127.0.0.1/32 dev 1 kernel host src ${ip("127.0.0.1")}`,
      ]),
    );
    host.root.addr.del("eth0", cidr("10.1.1.1/24"));
    expect(host.root.route.list()).toEqual([]);
  });

  it("lists addresses, of all devices or one", () => {
    host.root.addr.add("eth0", cidr("10.9.0.1/16"), { broadcast: ip("10.9.255.255") });
    expect(host.root.addr.list("eth0")).toEqual([
      { dev: 2, addr: cidr("10.1.1.1/24"), broadcast: undefined, scope: "global" },
      { dev: 2, addr: cidr("10.9.0.1/16"), broadcast: ip("10.9.255.255"), scope: "global" },
    ]);
    expect(host.root.addr.list("lo")).toEqual([
      { dev: 1, addr: cidr("127.0.0.1/8"), broadcast: undefined, scope: "host" },
    ]);
    expect(host.root.addr.list()).toHaveLength(3);
    expect(code(() => host.root.addr.add("eth0", cidr("10.9.0.1/16")))).toBe("EEXIST");
    expect(code(() => host.root.addr.del("eth0", cidr("10.9.0.2/16")))).toBe("EADDRNOTAVAIL");
    expect(code(() => host.root.addr.add("eth7", cidr("10.9.0.1/16")))).toBe("ENODEV");
  });

  it("looks routes up and refuses those that lead nowhere", () => {
    const { route } = host.root;
    expect(code(() => route.lookup(ip("8.8.8.8")))).toBe("ENETUNREACH");
    expect(code(() => route.add({ dst: cidr("0.0.0.0/0"), via: ip("9.9.9.9") }))).toBe("ENETUNREACH");
    route.add({ dst: cidr("0.0.0.0/0"), via: ip("10.1.1.2") });
    expect(code(() => route.add({ dst: cidr("0.0.0.0/0"), via: ip("10.1.1.2") }))).toBe("EEXIST");
    expect(route.lookup(ip("8.8.8.8"))).toEqual({
      dev: 2,
      via: ip("10.1.1.2"),
      src: ip("10.1.1.1"),
      type: "unicast",
      mtu: 1500,
    });
    expect(route.lookup(ip("10.1.1.7"))).toMatchObject({ via: undefined, src: ip("10.1.1.1") });
    expect(route.lookup(ip("10.1.1.1"))).toMatchObject({ type: "local", dev: 1 });
    route.add({ dst: cidr("10.2.0.0/16"), type: "blackhole" });
    expect(route.list().map((r) => [formatCidr(r.dst), r.type])).toContainEqual(["10.2.0.0/16", "blackhole"]);
    route.del({ dst: cidr("0.0.0.0/0") });
    expect(code(() => route.del({ dst: cidr("0.0.0.0/0") }))).toBe("ESRCH");
    expect(code(() => route.lookup(ip("8.8.8.8")))).toBe("ENETUNREACH");
  });

  it("resolves a neighbour over the wire, and keeps permanent ones", () => {
    const socket = host.root.socket.udp();
    socket.sendTo(new Uint8Array([1]), ip("10.1.1.2"), 9);
    expect(host.root.neigh.list()).toMatchObject([{ ip: ip("10.1.1.2"), state: "INCOMPLETE", mac: undefined, dev: 2 }]);
    pass(kernel);
    expect(host.root.neigh.list("eth0")).toMatchObject([
      { ip: ip("10.1.1.2"), state: "REACHABLE", mac: 0x525400000002 },
    ]);
    expect(other.root.neigh.list()).toMatchObject([{ ip: ip("10.1.1.1"), mac: 0x525400000001 }]);
    host.root.neigh.add("eth0", ip("10.1.1.9"), 0x02420a010109);
    expect(code(() => host.root.neigh.add("eth0", ip("10.1.1.9"), 0x02420a010109))).toBe("EEXIST");
    host.root.neigh.add("eth0", ip("10.1.1.9"), 0x02420a01010a, { replace: true });
    expect(host.root.neigh.list()).toContainEqual(
      expect.objectContaining({ ip: ip("10.1.1.9"), mac: 0x02420a01010a, state: "PERMANENT" }),
    );
    host.root.neigh.del("eth0", ip("10.1.1.9"));
    expect(code(() => host.root.neigh.del("eth0", ip("10.1.1.9")))).toBe("ENOENT");
    expect(host.root.neigh.list("lo")).toEqual([]);
  });

  it("fails a neighbour that does not answer after three requests a second apart", () => {
    const socket = host.root.socket.icmp();
    socket.sendEcho(ip("10.1.1.77"), 1, new Uint8Array(4));
    pass(kernel, 4 * SEC);
    expect(host.root.neigh.list()).toMatchObject([{ ip: ip("10.1.1.77"), state: "FAILED" }]);
    expect(host.drops()["NEIGH_FAILED"]).toBe(1);
    expect(socket.tryRecv()).toMatchObject({ type: 3, code: 1, seq: 1, src: ip("10.1.1.1") });
  });

  it("knows sysctls by name", () => {
    const { root } = host;
    expect(root.sysctlGet("net.ipv4.ip_forward")).toBe(0);
    root.sysctlSet("net.ipv4.ip_forward", 1);
    expect(root.sysctlGet("net.ipv4.conf.all.forwarding")).toBe(1);
    expect(root.sysctlGet("net.ipv4.conf.eth0.forwarding")).toBe(1);
    expect(root.sysctlGet("net.ipv4.ip_default_ttl")).toBe(64);
    expect(root.sysctlGet("net.ipv4.neigh.default.gc_thresh3")).toBe(1024);
    root.sysctlSet("net.ipv4.neigh.default.gc_thresh3", 4096);
    expect(host.createNs("x").sysctlGet("net.ipv4.neigh.default.gc_thresh3")).toBe(4096);
    root.sysctlSet("net.ipv4.neigh.eth0.base_reachable_time", 60);
    expect(root.sysctlGet("net.ipv4.neigh.eth0.base_reachable_time_ms")).toBe(60_000);
    expect(root.sysctlGet("net.bridge.bridge-nf-call-iptables")).toBe(1);
    root.sysctlSet("net.bridge.bridge-nf-call-iptables", 0);
    expect(root.sysctlGet("net.bridge.bridge-nf-call-iptables")).toBe(0);
    expect(root.sysctlGet("net.netfilter.nf_conntrack_udp_timeout")).toBe(30);
    expect(code(() => root.sysctlGet("net.ipv4.nonsense"))).toBe("ENOENT");
    expect(code(() => root.sysctlGet("net.ipv4.conf.eth7.forwarding"))).toBe("ENOENT");
    expect(code(() => root.sysctlSet("net.netfilter.nf_conntrack_count", 1))).toBe("EINVAL");
  });
});
