/** What still refers to a device or a namespace when that goes: tunnels, frames on the wire, waiting datagrams, timers. */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, SEC } from "../inet/net.ts";
import { LinkNet } from "./frames.ts";

const RECORD = 32;
const LOG = 1024;

/** The last drop of the worker: its reason, device and namespace (link/drops). */
function lastDrop(net: LinkNet): { reason: number; dev: number; ifindex: number; ns: number } {
  const view = net.k.view();
  const log = net.x["dropLog"]() as number;
  let last = log;
  for (let i = 0; i < LOG; i++) {
    const at = log + i * RECORD;
    if (view.getUint32(at + 12, true) === 0 && view.getBigInt64(at, true) === 0n) continue;
    if (view.getBigInt64(at, true) >= view.getBigInt64(last, true)) last = at;
  }
  const u = (offset: number) => view.getUint32(last + offset, true);
  return { reason: u(12), dev: u(16), ifindex: u(20), ns: u(24) };
}

function twoHosts() {
  const net = new LinkNet();
  const [h1, h2] = [net.host(), net.host()];
  const [d1, d2] = [net.nic(h1, "192.168.77.11"), net.nic(h2, "192.168.77.12")];
  const [n1, n2] = [net.root(h1), net.root(h2)];
  const low = (dev: number) => Number.parseInt(net.info(dev).mac.slice(4), 16);
  net.x["neighAdd"](d1, ip("192.168.77.12"), 0x5254, low(d2), abi.NUD_PERMANENT, 1);
  net.x["neighAdd"](d2, ip("192.168.77.11"), 0x5254, low(d1), abi.NUD_PERMANENT, 1);
  return { net, h1, h2, d1, d2, n1, n2 };
}

describe("a namespace that goes", () => {
  it("takes tunnels along whose socket it has, wherever they were moved to", () => {
    const net = new LinkNet();
    const host = net.host();
    const [outer, sandbox] = [net.x["netnsNew"](host), net.x["netnsNew"](host)] as [number, number];
    const bridge = net.bridge(sandbox, "br0");
    const vxlan = net.x["linkNewVxlan"](outer, 4097, 4789, 31, 0, 0, 300e9) as number;
    net.named(vxlan, "vxlan0");
    net.x["linkSetNs"](vxlan, sandbox);
    net.x["linkSetMaster"](vxlan, bridge);
    net.x["fdbAdd"](vxlan, 0x0242, 4, ip("10.1.1.1"), 0, 0);
    net.x["netnsDel"](outer);
    net.k.name("vxlan0");
    expect(net.x["linkByName"](sandbox)).toBe(0);
    // The next namespace stands where the old one stood: nothing of the old tunnel may be found there.
    const again = net.x["netnsNew"](host) as number;
    expect(net.x["linkNewVxlan"](again, 4097, 4789, 31, 0, 0, 300e9)).toBeGreaterThan(0);
    net.x["netnsDel"](sandbox);
    net.x["netnsDel"](again);
  });

  it("leaves no timer that looks for it: the neighbour table's work ends with the root", () => {
    const { net, h1, n1, d1 } = twoHosts();
    for (let i = 1; i < 200; i++) net.x["neighAdd"](d1, ip("10.0.0.0") + i, 0x0242, i, abi.NUD_PERMANENT, 1);
    expect(net.x["eventsPending"]()).toBeGreaterThan(0);
    net.x["netnsDel"](n1);
    expect(net.root(h1)).toBe(0);
    net.run(60 * SEC);
    expect(net.x["eventsPending"]()).toBe(0);
    const root = net.x["netnsNew"](h1) as number;
    net.x["hostSetRoot"](h1, root);
    expect(net.x["inetSysctlGet"](root, abi.SYS_GC_THRESH1)).toBe(128);
  });
});

describe("a device that goes", () => {
  it("is forgotten by frames on the wire and by datagrams that wait", () => {
    const { net, d1, d2, n1, n2 } = twoHosts();
    const sk = net.x["udpOpen"](n1) as number;
    const other = net.x["udpOpen"](n2) as number;
    net.x["udpBind"](other, 0, 9);
    net.sendTo(sk, "192.168.77.12", 9, 10);
    net.run(SEC);
    net.sendTo(sk, "192.168.77.12", 9, 10); // on the wire when both ends go
    net.x["linkDel"](d1);
    net.x["linkDel"](d2);
    net.run(SEC);
    expect(lastDrop(net)).toEqual({ reason: abi.DROP_DEV_DOWN, dev: 0, ifindex: 0, ns: 0 });
    net.run(SEC);
    net.x["dgramClose"](other);
    expect(lastDrop(net)).toEqual({ reason: abi.DROP_NS_GONE, dev: 0, ifindex: 0, ns: 0 });
  });

  it("can't be moved when it belongs to its namespace", () => {
    const net = new LinkNet();
    const host = net.host();
    const other = net.x["netnsNew"](host) as number;
    expect(net.x["linkSetNs"](net.bridge(net.root(host), "br0"), other)).toBe(-abi.EINVAL);
    expect(net.x["linkSetNs"](net.lo(net.root(host)), other)).toBe(-abi.EINVAL);
  });
});
