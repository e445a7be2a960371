/** veth pairs: MTU, peers that are down, what is forgotten on the way. */
import { beforeEach, describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip } from "../inet/net.ts";
import { Machine } from "../netfilter/harness.ts";
import { LinkNet } from "./frames.ts";

let net: LinkNet;
let host: number;
let ns: number;
let other: number;
let near: number;
let far: number;

beforeEach(() => {
  net = new LinkNet();
  host = net.host();
  ns = net.root(host);
  other = net.x["netnsNew"](host) as number;
  [near, far] = net.veth(ns, other, ["veth0", "eth0"], [1, 2]);
  net.addr(near, "10.0.0.1", 24);
  net.addr(far, "10.0.0.2", 24);
  net.up(near);
  net.up(far);
  net.x["neighAdd"](near, ip("10.0.0.2"), 0x0242, 2, abi.NUD_PERMANENT, 1);
  // Somebody listens, so that nothing comes back.
  net.x["udpBind"](net.x["udpOpen"](other), 0, 9);
});

describe("veth", () => {
  it("hands over at once, and counts at both ends", () => {
    const point = net.capture(far);
    const sk = net.x["udpOpen"](ns) as number;
    expect(net.sendTo(sk, "10.0.0.2", 9, 100)).toBe(0);
    const [frame] = net.take(point);
    expect(frame?.time).toBe(net.now);
    expect(frame?.bytes.length).toBe(142);
    expect(net.info(near).tx).toMatchObject({ packets: 1, bytes: 142 });
    expect(net.info(far).rx).toMatchObject({ packets: 1, bytes: 142 });
  });

  it("drops when the peer is down, and has no carrier then", () => {
    expect(net.info(near).carrier).toBe(1);
    net.down(far);
    expect(net.info(near).carrier).toBe(0);
    const sk = net.x["udpOpen"](ns) as number;
    net.sendTo(sk, "10.0.0.2", 9, 100);
    expect(net.info(near).tx.dropped).toBe(1);
    expect(net.drops(host, abi.DROP_DEV_DOWN)).toBe(1);
    expect(net.info(near).tx.packets).toBe(0);
    expect(net.info(far).rx.packets).toBe(0);
  });

  it("drops what the peer's MTU (and a VLAN tag) has no room for", () => {
    net.x["linkSetMtu"](far, 1000);
    const sk = net.x["udpOpen"](ns) as number;
    net.x["sockSetPmtuDisc"](sk, 0);
    net.sendTo(sk, "10.0.0.2", 9, 1004 - 28);
    expect(net.info(far).rx.packets).toBe(1);
    net.sendTo(sk, "10.0.0.2", 9, 1005 - 28);
    expect(net.info(far).rx.packets).toBe(1);
    expect(net.info(near).tx.dropped).toBe(1);
    expect(net.drops(host, abi.DROP_PKT_TOO_BIG)).toBe(1);
  });

  it("forgets the mark and the connection between namespaces", () => {
    // A rule in the peer's namespace drops marked packets: none arrives marked.
    const rules = new Machine({ kernel: net.k, ns: other });
    rules.append("filter", "INPUT", { mark: { value: [0xd0c4e3, 0xffffffff], not: false } }, { kind: "DROP" });
    net.x["nfCtEnable"](other, 1);
    const sk = net.x["udpOpen"](ns) as number;
    const server = net.x["udpOpen"](other) as number;
    net.x["udpBind"](server, 0, 53);
    net.x["sockSetMark"](sk, 0xd0c4e3);
    net.x["nfCtEnable"](ns, 1);
    net.sendTo(sk, "10.0.0.2", 53, 20);
    // Each namespace tracks it as its own new connection.
    expect(net.x["nfCtCount"](ns)).toBe(1);
    expect(net.x["nfCtCount"](other)).toBe(1);
    expect(net.recv(server)?.data.length).toBe(20);
  });

  it("goes with its peer", () => {
    net.x["linkDel"](far);
    net.k.name("veth0");
    expect(net.x["linkByName"](ns)).toBe(0);
    const sk = net.x["udpOpen"](ns) as number;
    expect(net.sendTo(sk, "10.0.0.2", 9, 10)).toBeLessThan(0);
  });

  it("loses its addresses when it moves to another namespace", () => {
    const third = net.x["netnsNew"](host) as number;
    expect(net.x["linkSetNs"](far, third)).toBe(0);
    expect(net.x["addressDump"](other, 0)).toBe(0);
    expect(net.info(far).flags & 1).toBe(0);
    net.addr(far, "10.0.0.2", 24);
    net.up(far);
    const sk = net.x["udpOpen"](ns) as number;
    net.sendTo(sk, "10.0.0.2", 9, 10);
    expect(net.info(far).rx.packets).toBeGreaterThan(0);
  });
});
