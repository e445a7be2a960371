/** The bridge: learning, flooding, forwarding and limits, as net/bridge has them. */
import { beforeEach, describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { SEC } from "../inet/net.ts";
import { BROADCAST, LinkNet, mac, plain } from "./frames.ts";

const A = mac(0xa);
const B = mac(0xb);

let net: LinkNet;
let host: number;
let ns: number;
let far: number;
let bridge: number;
let ports: { port: number; far: number; point: number }[];

beforeEach(() => {
  net = new LinkNet();
  host = net.host();
  ns = net.root(host);
  far = net.x["netnsNew"](host) as number;
  bridge = net.bridge(ns, "br0");
  ports = [1, 2, 3, 4].map((index) => net.port(bridge, ns, far, index));
});

const port = (i: number): number => ports[i]?.port as number;
const point = (i: number): number => ports[i]?.point as number;
const ifindex = (i: number): number => net.info(port(i)).ifindex;

describe("learning", () => {
  it("floods to unknown addresses, newest port first, and not back", () => {
    net.inject(port(1), plain(B, A));
    expect(net.out()).toEqual([point(3), point(2), point(0)]);
    expect(net.learned(bridge)).toEqual([`${A} ${ifindex(1)}`]);
  });

  it("forwards to one port once it knows the address, and follows a move", () => {
    net.inject(port(1), plain(B, A));
    net.out();
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(1)]);
    net.inject(port(2), plain(B, A)); // A has moved
    expect(net.out()).toEqual([point(0)]);
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(2)]);
    expect(net.learned(bridge)).toEqual([`${A} ${ifindex(2)}`, `${B} ${ifindex(0)}`]);
  });

  it("drops a frame for the port it came by, unless that is a hairpin", () => {
    net.inject(port(1), plain(B, A));
    net.out();
    net.inject(port(1), plain(A, B));
    expect(net.out()).toEqual([]);
    expect(net.drops(host, abi.DROP_BRIDGE_NO_PORT)).toBe(1);
    net.x["linkSetHairpin"](port(1), 1);
    net.inject(port(1), plain(A, B));
    expect(net.out()).toEqual([point(1)]);
    net.inject(port(1), plain(BROADCAST, B));
    expect(net.out()).toEqual([point(3), point(2), point(1), point(0)]);
  });

  it("forgets after 300 s without a frame from the address", () => {
    net.inject(port(1), plain(B, A));
    net.run(299 * SEC);
    net.inject(port(0), plain(A, B));
    net.out();
    net.inject(port(1), plain(B, A)); // heard again at 299 s
    net.run(299.999 * SEC);
    net.out();
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(1)]);
    net.run(0.001 * SEC);
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(3), point(2), point(1)]);
    expect(net.learned(bridge)).toEqual([`${B} ${ifindex(0)}`]);
  });

  it("forgets what was learned on a port that goes down or leaves", () => {
    net.inject(port(1), plain(B, A));
    net.inject(port(2), plain(A, B));
    net.down(port(1));
    expect(net.learned(bridge)).toEqual([`${B} ${ifindex(2)}`]);
    net.out();
    net.inject(port(0), plain(BROADCAST, B));
    expect(net.out()).toEqual([point(3), point(2)]);
    net.x["linkSetMaster"](port(0), 0);
    expect(net.learned(bridge)).toEqual([]);
    expect(net.info(port(0)).master).toBe(0);
    net.inject(port(2), plain(BROADCAST, B));
    expect(net.out()).toEqual([point(3)]);
  });

  it("never learns its own addresses, nor group addresses", () => {
    net.inject(port(1), plain(B, net.info(port(2)).mac));
    net.inject(port(1), plain(B, "010000000001"));
    net.inject(port(1), plain(B, "000000000000"));
    expect(net.learned(bridge)).toEqual([]);
    expect(net.drops(host, abi.DROP_BRIDGE_INVALID_SOURCE)).toBe(2);
  });

  it("keeps static entries when they are old", () => {
    net.x["fdbAdd"](port(3), 0x0242, 0xa, 0, 0, 1);
    net.run(1000 * SEC);
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(3)]);
    expect(net.x["fdbAdd"](port(3), 0x0242, 0xa, 0, 0, 1)).toBe(-abi.EEXIST);
    expect(net.x["fdbDel"](port(2), 0x0242, 0xa, 0, 1)).toBe(-abi.ENOENT);
    expect(net.x["fdbDel"](port(3), 0x0242, 0xa, 0, 1)).toBe(0);
    net.inject(port(0), plain(A, B));
    expect(net.out()).toHaveLength(3);
  });

  it("lets static entries follow a move, too", () => {
    net.x["fdbAdd"](port(3), 0x0242, 0xa, 0, 0, 1);
    net.inject(port(2), plain(B, A));
    net.out();
    net.inject(port(0), plain(A, B));
    expect(net.out()).toEqual([point(2)]);
  });

  it("keeps an address of its own while another port has it", () => {
    net.setMac(port(0), "024200000077");
    net.setMac(port(1), "024200000077");
    net.x["linkSetMaster"](port(0), 0);
    net.inject(port(2), plain("024200000077", A));
    expect(net.out()).toEqual([]);
    expect(net.drops(host, abi.DROP_UNHANDLED_PROTO)).toBe(1);
  });
});

describe("local delivery", () => {
  it("takes what is for the bridge or one of its ports, and nothing goes out", () => {
    const before = net.info(bridge).rx.packets;
    net.inject(port(1), plain(net.info(bridge).mac, A));
    net.inject(port(1), plain(net.info(port(3)).mac, A));
    expect(net.out()).toEqual([]);
    expect(net.info(bridge).rx.packets).toBe(before + 2);
    expect(net.drops(host, abi.DROP_UNHANDLED_PROTO)).toBe(2);
  });

  it("takes broadcasts and floods them; without the bridge up it only floods", () => {
    net.inject(port(1), plain(BROADCAST, A));
    expect(net.info(bridge).rx.packets).toBe(1);
    expect(net.out()).toEqual([point(3), point(2), point(0)]);
    net.down(bridge);
    net.inject(port(1), plain(BROADCAST, A));
    expect(net.info(bridge).rx.packets).toBe(1);
    expect(net.out()).toEqual([point(3), point(2), point(0)]);
  });

  it("does not forward link-local groups, and drops pause frames", () => {
    net.inject(port(1), plain("0180c2000001", A));
    expect(net.drops(host, abi.DROP_BRIDGE_LINK_LOCAL)).toBe(1);
    net.inject(port(1), plain("0180c200000e", A));
    expect(net.info(bridge).rx.packets).toBe(1);
    expect(net.out()).toEqual([]);
    net.inject(port(1), plain("0180c2000010", A)); // the first that isn't reserved
    expect(net.out()).toHaveLength(3);
  });
});

describe("its address and MTU", () => {
  it("are the lowest MAC and the smallest MTU of the ports", () => {
    expect(net.info(bridge).mac).toBe(mac(0x10001));
    net.setMac(port(2), mac(0x100));
    expect(net.info(bridge).mac).toBe(mac(0x100));
    net.setMac(port(2), mac(0x90000));
    expect(net.info(bridge).mac).toBe(mac(0x10001));
    net.x["linkSetMaster"](port(0), 0);
    expect(net.info(bridge).mac).toBe(mac(0x10002));
    net.x["linkSetMtu"](port(1), 1450);
    expect(net.info(bridge).mtu).toBe(1450);
    net.x["linkSetMaster"](port(1), 0);
    expect(net.info(bridge).mtu).toBe(1500);
  });

  it("stay as they were set by hand", () => {
    net.setMac(bridge, mac(0xffff));
    net.x["linkSetMtu"](bridge, 1400);
    net.x["linkSetMtu"](port(1), 1300);
    net.setMac(port(1), mac(1));
    expect(net.info(bridge).mac).toBe(mac(0xffff));
    expect(net.info(bridge).mtu).toBe(1400);
    net.inject(port(1), plain(mac(0xffff), A));
    expect(net.info(bridge).rx.packets).toBe(1);
  });

  it("does not send what is longer than a port takes", () => {
    net.x["linkSetMtu"](port(3), 1000);
    net.inject(port(1), plain(B, A, 1014 + 4));
    expect(net.out()).toEqual([point(3), point(2), point(0)]);
    net.inject(port(1), plain(B, A, 1014 + 5));
    expect(net.out()).toEqual([point(2), point(0)]);
    expect(net.drops(host, abi.DROP_PKT_TOO_BIG)).toBe(1);
  });
});

describe("ports", () => {
  it("number 1 to 1023, then EXFULL; a number that is free is used again", () => {
    const big = net.bridge(ns, "big");
    const made: number[] = [];
    for (let i = 0; i < 1024; i++) made.push(net.x["linkNewVeth"](ns, far) as number);
    const results = made.map((dev) => net.x["linkSetMaster"](dev, big) as number);
    expect(results.slice(0, 1023).every((result) => result === 0)).toBe(true);
    expect(results[1023]).toBe(-abi.EXFULL);
    expect(made.slice(0, 1023).map((dev) => net.info(dev).portNo)).toEqual(
      Array.from({ length: 1023 }, (_, i) => i + 1),
    );
    net.x["linkSetMaster"](made[500], 0);
    net.x["linkDel"](made[70]);
    expect(net.x["linkSetMaster"](made[1023], big)).toBe(0);
    expect(net.info(made[1023] as number).portNo).toBe(71);
    expect(net.x["linkSetMaster"](made[500], big)).toBe(0);
    expect(net.info(made[500] as number).portNo).toBe(501);
  });

  it("are refused across namespaces, and bridges below bridges", () => {
    const other = net.bridge(far, "br1");
    expect(net.x["linkSetMaster"](ports[0]?.far, bridge)).toBe(-abi.EINVAL);
    const inner = net.bridge(ns, "br2");
    expect(net.x["linkSetMaster"](inner, bridge)).toBe(-abi.EINVAL);
    expect(net.x["linkSetMaster"](port(0), other)).toBe(-abi.EINVAL);
    expect(net.x["linkSetMaster"](net.lo(ns), bridge)).toBe(-abi.EINVAL);
  });

  it("are captured all at once, however much one event is", () => {
    const big = net.bridge(ns, "br9");
    for (let i = 2000; i < 2600; i++) {
      const { port: each, far: end } = net.port(big, ns, far, i);
      net.capture(end);
      for (const dev of [each, end]) net.x["linkSetMtu"](dev, 9000);
    }
    net.drain();
    net.frames.length = 0;
    net.k.name("p2000");
    net.inject(net.x["linkByName"](ns) as number, plain(BROADCAST, A, 9014));
    net.drain();
    expect(net.x["captureLost"]()).toBe(0);
    expect(net.frames).toHaveLength(1 + 2 * 599);
    expect(net.frames.every((frame) => frame.bytes.length === 9014)).toBe(true);
  });

  it("count what passes them, and every buffer ends once", () => {
    for (let i = 0; i < 100; i++) net.inject(port(i & 3), plain(i % 5 === 0 ? BROADCAST : mac(i % 7), mac(i % 6)));
    const sum = ports.reduce((total, each) => total + net.info(each.port).rx.packets, 0);
    expect(sum).toBe(100);
    expect(net.imbalance(host)).toBe(0n);
    expect(net.live(host)).toBe(0);
    const counts = [...net.allDrops(host).values()].reduce((total, count) => total + count, 0);
    const view = net.k.view();
    expect(Number(view.getBigUint64((net.x["hostPackets"](host) as number) + 16, true))).toBe(counts);
  });
});
