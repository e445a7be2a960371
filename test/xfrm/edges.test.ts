/** Corners of IPsec that the worked examples don't touch: odd windows, order of templates, selectors, NAT on the way out. */
import { describe, expect, it } from "vitest";
import type { Host } from "../../src/kernel/host.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import {
  A,
  B,
  encrypt,
  inject,
  ipPacket,
  KEY,
  type Pair,
  pair,
  policy,
  REQID,
  sa,
  sealEsp,
  selector,
  udp,
  unhex,
  withTrailer,
} from "./esp-net.ts";

const SALT = (spi: number): Uint8Array => unhex(spi.toString(16).padStart(8, "0"));
const seal = (spi: number, seq: number, clear: Uint8Array): Uint8Array =>
  sealEsp({ key: unhex(KEY), salt: SALT(spi), spi, seq }, clear);
const DATAGRAM = udp(1, 9, new Uint8Array(6));

/** A host with these states that gets hand-made ESP for UDP port 9; `give` says whether it was delivered. */
async function receiver(...states: readonly XfrmStateSpec[]) {
  const { kernel, hosts } = await lan(2);
  const host = hosts[1] as Host;
  for (const state of states) host.root.xfrm.stateAdd(state);
  const socket = host.root.socket.udp();
  socket.bind(0, 9);
  const give = (esp: Uint8Array): boolean => {
    inject(kernel, host, ipPacket(ip(A), ip(B), 50, esp));
    pass(kernel);
    return socket.tryRecv() !== undefined;
  };
  return { kernel, host, xfrm: host.root.xfrm, give };
}

/** SPI of the packet in which a sends a datagram to a port; 0 in the clear. */
function spis({ kernel, a, wire }: Pair, port: number, sport = 5000): number[] {
  wire();
  const socket = a.root.socket.udp();
  socket.bind(0, sport);
  socket.sendTo(new Uint8Array(4), ip(B), port);
  socket.close();
  pass(kernel);
  const spi = (packet: Uint8Array): number => new DataView(packet.buffer, packet.byteOffset).getUint32(20);
  return wire()
    .filter((packet) => (packet[9] === 50 || packet[9] === 17) && packet[15] === 1)
    .map((packet) => (packet[9] === 50 ? spi(packet) : 0));
}

describe.skipIf(!kernelBuilt)("received packets", () => {
  it("clear a window whose bitmap ends within a word, when they jump beyond it", async () => {
    const { give } = await receiver(sa(A, B, 0x2002, { replayExt: { window: 40, esn: false } }));
    const send = (seq: number): boolean => give(seal(0x2002, seq, withTrailer(DATAGRAM, 17)));
    expect(send(1)).toBe(true);
    expect(send(35)).toBe(true);
    expect(send(116)).toBe(true);
    // Stands where 35 stood, in the second word.
    expect(send(115)).toBe(true);
    expect(send(115)).toBe(false);
  });

  it("count as failed when the ICV is wrong, not when what was inside is", async () => {
    const { give, xfrm } = await receiver(sa(A, B, 0x2002));
    const failed = (): number => xfrm.stateList()[0]!.stats.failed;
    expect(give(seal(0x2002, 1, withTrailer(DATAGRAM, 59)))).toBe(false);
    expect(failed()).toBe(0);
    const wrong = seal(0x2002, 2, withTrailer(DATAGRAM, 17));
    wrong[20]! ^= 1;
    expect(give(wrong)).toBe(false);
    expect(failed()).toBe(1);
    expect(xfrm.stat()).toMatchObject({ XfrmInStateProtoError: 2 });
  });

  it("must have been decrypted in the order of the templates, the last one first", async () => {
    const nested = (seq: number): Uint8Array => {
      const inner = seal(0x2003, seq, withTrailer(DATAGRAM, 17));
      return seal(0x2002, seq, withTrailer(inner, 50));
    };
    const { give, xfrm } = await receiver(sa(A, B, 0x2002), sa(A, B, 0x2003));
    const template = (spi: number) => ({ src: ip(A), dst: ip(B), spi, reqid: REQID });
    const judged = (...order: number[]): boolean => {
      xfrm.policyUpdate(policy("in", `${A}/32`, `${B}/32`, { templates: order.map(template) }));
      return give(nested(1));
    };
    expect(judged(0x2003, 0x2002)).toBe(true);
    expect(judged(0x2002, 0x2003)).toBe(false);
    expect(xfrm.stat()).toMatchObject({ XfrmInTmplMismatch: 1 });
  });

  it("stamp the policy that they fall under", async () => {
    const { give, xfrm, kernel } = await receiver(sa(A, B, 0x2002));
    xfrm.policyAdd(policy("in", `${A}/32`, `${B}/32`));
    expect(xfrm.policyList()[0]!.used).toBeUndefined();
    const before = kernel.now;
    expect(give(seal(0x2002, 1, withTrailer(DATAGRAM, 17)))).toBe(true);
    expect(xfrm.policyList()[0]!.used).toBeGreaterThanOrEqual(before);
  });
});

describe.skipIf(!kernelBuilt)("sent packets", () => {
  it("take a state that is for any source", async () => {
    const net = await pair();
    net.a.root.xfrm.stateAdd(sa("0.0.0.0", B, 0x1001));
    net.a.root.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    expect(spis(net, 9)).toEqual([0x1001]);
  });

  it("ask a state's selector each time: another port may need another state", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    xfrm.stateAdd(sa(A, B, 0x1001));
    xfrm.stateAdd(sa(A, B, 0x1002, { selector: selector(`${A}/32`, `${B}/32`, { protocol: 17, dport: 9 }) }));
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    expect([9, 10, 9].flatMap((port) => spis(net, port))).toEqual([0x1002, 0x1001, 0x1002]);
  });

  it("are judged anew when SNAT has changed their port", async () => {
    const net = await pair();
    const { root } = net.a;
    root.xfrm.stateAdd(sa(A, B, 0x1003, { reqid: 7 }));
    const source = (sport: number) => selector(`${A}/32`, `${B}/32`, { protocol: 17, sport });
    root.xfrm.policyAdd(
      policy("out", `${A}/32`, `${B}/32`, {
        selector: source(6000),
        templates: [{ src: ip(A), dst: ip(B), spi: 0x1003, reqid: 7 }],
      }),
    );
    // Of equal priority, so the older one wins.
    encrypt(net);
    expect(spis(net, 9, 6000)).toEqual([0x1003]);
    expect(spis(net, 9, 5000)).toEqual([0x1001]);
    root.iptables.append("nat", "POSTROUTING", {
      match: { protocol: { value: "udp", not: false } },
      target: { kind: "SNAT", ip: ip(A), ports: [6000, 6000] },
    });
    expect(spis(net, 9, 5000)).toEqual([0x1003]);
  });

  it("fall under the other of two equal policies when one comes from another priority", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    const any = (dport: number, spi: number, priority: number) =>
      policy("out", `${A}/32`, `${B}/32`, {
        selector: selector(`${A}/32`, `${B}/32`, { protocol: dport === 0 ? 17 : 0, dport }),
        spi,
        priority,
      });
    for (const spi of [0x1001, 0x1002]) xfrm.stateAdd(sa(A, B, spi));
    xfrm.policyAdd(any(0, 0x1001, 0));
    xfrm.policyAdd(any(9, 0x1002, 5));
    expect(spis(net, 9)).toEqual([0x1001]);
    xfrm.policyUpdate(any(0, 0x1001, 5));
    expect(spis(net, 9)).toEqual([0x1002]);
    // A change that leaves the priority leaves the place.
    xfrm.policyUpdate(any(9, 0x1002, 5));
    expect(spis(net, 9)).toEqual([0x1002]);
  });

  it("are refused by a state that has carried its limit to the byte", async () => {
    const net = await pair();
    net.a.root.xfrm.stateAdd(sa(A, B, 0x1001, { limits: { hardBytes: 12 } })); // UDP header and four bytes
    net.a.root.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    expect(spis(net, 9)).toEqual([0x1001]);
    expect(() => spis(net, 9)).toThrow();
    expect(net.a.root.xfrm.stat()).toMatchObject({ XfrmOutStateExpired: 1 });
  });
});
