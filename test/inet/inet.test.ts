import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, MS, Net, SEC } from "./net.ts";

describe("a namespace", () => {
  it("gives back all memory when it is destroyed, whatever it held", () => {
    const net = new Net();
    const h = net.host();
    const root = net.root(h);
    const blocks = () => net.x["blocksHeld"]() as number;
    const cycle = () => {
      const c = net.x["netnsNew"](h) as number;
      const [outer, inner] = net.veth(root, c, ["veth0", "eth0"], [1, 2]);
      net.x["linkSetMtu"](outer, 1000);
      net.addr(outer, "10.5.0.1", 24);
      net.addr(inner, "10.5.0.2", 24);
      net.lo(c);
      net.up(outer);
      net.up(inner);
      net.x["routeAdd"](c, 0, 0, ip("10.5.0.1"), 0, 0, 0, 1, 3, 0xffffffff, 0, 0);
      const udp = net.x["udpOpen"](c) as number;
      const icmp = net.x["icmpOpen"](c, 0) as number;
      const raw = net.x["rawOpen"](c, 1) as number;
      net.sendTo(udp, "10.5.0.1", 9, 100); // port unreachable comes back: a rate-limit entry at the root
      net.ping(icmp, "10.5.0.1", 1, 2000); // fragments
      net.ping(icmp, "8.8.8.8", 1); // net unreachable or silence
      net.run(10 * MS);
      net.sendTo(udp, "10.5.0.99", 9, 100); // waits for a neighbour
      net.x["udpFlowStart"](udp, ip("10.5.0.1"), 9, 10, 1000, 1000);
      net.run(0.01 * MS);
      expect(raw).not.toBe(0);
      net.x["netnsDel"](c);
      net.run(5 * SEC);
      expect(net.live(h)).toBe(0);
      expect(net.imbalance(h)).toBe(0n);
    };
    cycle(); // what a host makes once stays: id table, wake list, caches
    const before = blocks();
    const bytes = net.x["memoryInUse"]();
    cycle();
    cycle();
    expect(blocks()).toBe(before);
    expect(net.x["memoryInUse"]()).toBe(bytes);
  });

  it("inherits conf/all and conf/default from the root, with ip_forward", () => {
    const net = new Net();
    const h = net.host();
    const root = net.root(h);
    net.sysctl(root, abi.SYS_IP_FORWARD, 1);
    net.conf(root, abi.CONF_ALL, abi.CONF_RP_FILTER, 2);
    const c = net.x["netnsNew"](h) as number;
    expect(net.x["inetSysctlGet"](c, abi.SYS_IP_FORWARD)).toBe(1);
    expect(net.x["inetConfGet"](c, abi.CONF_ALL, abi.CONF_RP_FILTER)).toBe(2);
    expect(net.x["inetConfSet"](c, abi.CONF_ALL, 99, 1)).toBe(-abi.EINVAL);
    expect(net.x["inetSysctlSet"](c, 99, 1)).toBe(-abi.EINVAL);
  });
});

describe("the Ethernet header of IP packets", () => {
  it("follows a changed neighbour and a changed device at once", () => {
    const net = new Net();
    const h = net.host();
    const dev = net.nic(h, "192.168.77.11");
    const point = net.capture(dev);
    const sk = net.x["icmpOpen"](net.root(h), 0) as number;
    const header = () => {
      net.ping(sk, "192.168.77.12", 1);
      net.run(MS);
      return Buffer.from(net.take(point)[0]!.bytes.subarray(0, 14)).toString("hex");
    };
    net.x["neighAdd"](dev, ip("192.168.77.12"), 0x0242, 0x0a, abi.NUD_PERMANENT, 0);
    expect(header()).toBe("02420000000a" + "525400774d0b" + "0800");
    net.x["neighAdd"](dev, ip("192.168.77.12"), 0x0242, 0x0b, abi.NUD_PERMANENT, 1);
    expect(header()).toBe("02420000000b" + "525400774d0b" + "0800");
    net.x["linkSetMac"](dev, 0x5254, 0x01020304);
    expect(header()).toBe("02420000000b" + "525401020304" + "0800");
  });
});
