import { describe, expect, it } from "vitest";
import type { XfrmPolicySpec } from "../../src/kernel/xfrm-types.ts";
import { cidr, ip, kernelBuilt, pass } from "../support/kernel.ts";
import { A, B, encrypt, type Pair, pair, policy, sa, selector } from "./esp-net.ts";

const text = new TextEncoder();

/** Sends a datagram from a and says how it left: "esp SPI", "clear", or the error. */
function sends({ kernel, a, wire }: Pair, port = 9, sport = 5000): string {
  wire();
  const socket = a.root.socket.udp();
  let result = "nothing";
  try {
    socket.bind(0, sport);
    socket.sendTo(text.encode("hello"), ip(B), port);
  } catch (error) {
    result = (error as { code: string }).code;
  }
  socket.close();
  pass(kernel);
  const packet = wire().find((one) => one[9] === 50 || one[9] === 17);
  if (packet === undefined) return result;
  return packet[9] === 17
    ? "clear"
    : `esp ${new DataView(packet.buffer, packet.byteOffset).getUint32(20).toString(16)}`;
}

describe.skipIf(!kernelBuilt)("policies", () => {
  it("matches address, protocol, ports and mark of a flow", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    xfrm.stateAdd(sa(A, B, 0x1001));
    const check = (spec: XfrmPolicySpec, expected: string, port = 9, sport = 5000): void => {
      xfrm.policyAdd(spec);
      expect(sends(net, port, sport)).toBe(expected);
      xfrm.policyDel(spec);
      expect(sends(net, port, sport)).toBe("clear");
    };
    const out = (change: Partial<ReturnType<typeof selector>>, more: Partial<XfrmPolicySpec> = {}): XfrmPolicySpec =>
      policy("out", `${A}/32`, `${B}/32`, { selector: selector(`${A}/32`, `${B}/32`, change), ...more });
    check(out({}), "esp 1001");
    check(out({ dst: cidr("10.1.0.0/16"), src: cidr("0.0.0.0/0") }), "esp 1001");
    check(out({ dst: cidr("10.1.1.3/32") }), "clear");
    check(out({ src: cidr("10.1.1.128/25") }), "clear");
    check(out({ protocol: 17 }), "esp 1001");
    check(out({ protocol: 6 }), "clear");
    check(out({ protocol: 17, dport: 9 }), "esp 1001");
    check(out({ protocol: 17, dport: 10 }), "clear");
    check(out({ protocol: 17, dport: 10 }), "esp 1001", 10);
    check(out({ sport: 5000 }), "esp 1001");
    check(out({ sport: 5001 }), "clear");
    check(out({}, { mark: { value: 1, mask: 0xffffffff } }), "clear");
    check(out({}, { mark: { value: 0, mask: 0xff } }), "esp 1001");
    check({ ...out({}), dir: "in" }, "clear");
    check({ ...out({}), dir: "fwd" }, "clear");
    check({ ...out({}), templates: [] }, "clear");
  });

  it("takes the lowest priority, then the oldest, whether its addresses are whole or not", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    for (const spi of [0x1001, 0x1002, 0x1003, 0x1004]) xfrm.stateAdd(sa(A, B, spi, { reqid: spi }));
    const add = (priority: number, spi: number, dst: string, protocol = 0): XfrmPolicySpec => {
      const spec = policy("out", `${A}/32`, dst, {
        priority,
        selector: selector(`${A}/32`, dst, { protocol }),
        templates: [{ src: ip(A), dst: ip(B), spi: 0, reqid: spi }],
      });
      xfrm.policyAdd(spec);
      return spec;
    };
    const first = add(10, 0x1001, `${B}/32`);
    add(10, 0x1002, "10.1.1.0/24");
    expect(sends(net)).toBe("esp 1001");
    const best = add(5, 0x1003, "10.0.0.0/8");
    expect(sends(net)).toBe("esp 1003");
    xfrm.policyDel(best);
    add(10, 0x1004, `${B}/32`, 17);
    expect(sends(net)).toBe("esp 1001");
    xfrm.policyDel(first);
    expect(sends(net)).toBe("esp 1002");
    // A replacement with the same priority keeps its place, one with a lower keeps only its number.
    const before = xfrm.policyList().find((one) => one.selector.dst.prefix === 24)!;
    xfrm.policyUpdate({ ...before, templates: [{ src: ip(A), dst: ip(B), spi: 0, reqid: 0x1003 }] });
    expect(sends(net)).toBe("esp 1003");
    xfrm.policyUpdate({ ...before, priority: 11 });
    expect(sends(net)).toBe("esp 1004");
    expect(xfrm.policyList()[0]).toMatchObject({ index: before.index, priority: 11 });
  });

  it("takes the newest state that a template is about", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    xfrm.stateAdd(sa(A, B, 0x1001));
    expect(sends(net)).toBe("esp 1001");
    xfrm.stateAdd(sa(A, B, 0x1002));
    expect(sends(net)).toBe("esp 1002");
    xfrm.stateAdd(sa(A, B, 0x1003, { reqid: 7 })); // another reqid
    xfrm.stateAdd(sa("10.1.1.9", B, 0x1004)); // another source
    xfrm.stateAdd(sa(A, B, 0x1005, { mark: { value: 3, mask: 0xff } })); // for marked policies
    expect(sends(net)).toBe("esp 1002");
    xfrm.stateDel({ dst: ip(B), spi: 0x1002 });
    expect(sends(net)).toBe("esp 1001");
    // The template's SPI decides when it has one.
    xfrm.stateAdd(sa(A, B, 0x1002));
    xfrm.policyUpdate(policy("out", `${A}/32`, `${B}/32`, { spi: 0x1001 }));
    expect(sends(net)).toBe("esp 1001");
  });

  it("blocks, and has a default", async () => {
    const net = await pair();
    const { xfrm } = net.a.root;
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`, { action: "block", templates: [] }));
    expect(sends(net)).toBe("EPERM");
    expect(xfrm.stat()).toMatchObject({ XfrmOutPolBlock: 1 });
    xfrm.policyFlush();
    expect(sends(net)).toBe("clear");
    xfrm.setPolicyDefault("out", "block");
    expect(xfrm.policyDefault("out")).toBe("block");
    expect(sends(net)).toBe("EPERM");
    expect(net.a.drops()).toMatchObject({ XFRM_POLICY: 1, XFRM_OUT_POL_BLOCK: 1 });
    xfrm.setPolicyDefault("out", "allow");
    expect(sends(net)).toBe("clear");
  });

  it("leaves the loopback alone", async () => {
    const net = await pair();
    const { root } = net.a;
    root.xfrm.policyAdd(policy("out", "0.0.0.0/0", "0.0.0.0/0", { action: "block", templates: [] }));
    root.xfrm.policyAdd(policy("in", "0.0.0.0/0", "0.0.0.0/0", { action: "block", templates: [] }));
    const socket = root.socket.udp();
    socket.bind(0, 9);
    socket.sendTo(text.encode("x"), ip(A), 9);
    pass(net.kernel);
    expect(socket.tryRecv()).toBeDefined();
  });

  it("asks received packets how they came: each template must have decrypted them", async () => {
    const net = await pair();
    const { kernel, a, b } = net;
    encrypt(net);
    const { xfrm } = b.root;
    const ping = a.root.socket.icmp();
    let seq = 0;
    const pings = (): boolean => {
      ping.sendEcho(ip(B), seq++, new Uint8Array(4));
      pass(kernel);
      return ping.tryRecv() !== undefined;
    };
    expect(pings()).toBe(true);
    xfrm.policyAdd(policy("in", `${A}/32`, `${B}/32`));
    expect(pings()).toBe(true);
    xfrm.policyUpdate(policy("in", `${A}/32`, `${B}/32`, { spi: 0x1001 }));
    expect(pings()).toBe(true);
    xfrm.policyUpdate(policy("in", `${A}/32`, `${B}/32`, { spi: 0x1003 }));
    expect(pings()).toBe(false);
    expect(xfrm.stat()).toMatchObject({ XfrmInTmplMismatch: 1 });
    // In the clear.
    xfrm.policyUpdate(policy("in", `${A}/32`, `${B}/32`));
    a.root.xfrm.policyFlush();
    expect(pings()).toBe(false);
    expect(xfrm.stat()).toMatchObject({ XfrmInTmplMismatch: 2 });
    xfrm.policyUpdate(policy("in", `${A}/32`, `${B}/32`, { action: "block" }));
    expect(pings()).toBe(false);
    expect(xfrm.stat()).toMatchObject({ XfrmInPolBlock: 1 });
    xfrm.policyDel({ dir: "in", selector: selector(`${A}/32`, `${B}/32`) });
    expect(pings()).toBe(true);
    xfrm.setPolicyDefault("in", "block");
    expect(pings()).toBe(false);
    expect(xfrm.stat()).toMatchObject({ XfrmInNoPols: 1 });
    expect(b.drops()).toMatchObject({ XFRM_IN_TMPL_MISMATCH: 2, XFRM_IN_POL_BLOCK: 1, XFRM_IN_NO_POLS: 1 });
  });
});
