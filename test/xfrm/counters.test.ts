/** Each counter of /proc/net/xfrm_stat that something can move, moved; limits, errors, the drop reasons beside them. */
import { describe, expect, it } from "vitest";
import type { KernelError } from "../../src/base/errors.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import {
  A,
  B,
  concat,
  type EspFields,
  encrypt,
  imbalance,
  inject,
  ipPacket,
  KEY,
  pair,
  policy,
  sa,
  sealEsp,
  selector,
  udp,
  unhex,
  withTrailer,
} from "./esp-net.ts";

const SPI = 0x2002;
const SALT = Uint8Array.from([0, 0, 0x20, 0x02]);
const CLEAR = withTrailer(udp(1, 9, new Uint8Array(6)), 17);

/** Counters that nothing can move here, and why; a test at the end holds that all others were moved. */
const NEVER: Readonly<Record<string, string>> = {
  XfrmInError: "memory always suffices",
  XfrmInStateModeError: "transport mode takes no header off that could be wrong",
  XfrmInPolError: "no policy has sub-policies",
  XfrmOutError: "memory always suffices, and checksums can be computed",
  XfrmOutBundleGenError: "transport mode looks up no second route",
  XfrmOutBundleCheckError: "likewise",
  XfrmOutStateModeError: "transport mode fits into any IPv4 packet",
  XfrmOutPolDead: "nothing is between a policy's look-up and its use",
  XfrmOutStateInvalid: "likewise for states",
  XfrmFwdHdrError: "every IPv4 header can be decoded",
  XfrmAcquireError: "no state waits for a key manager",
};
const moved = new Set<string>();

/** The counters of a host that are not 0. */
function counted(host: Host): Record<string, number> {
  const found = Object.entries(host.root.xfrm.stat()).filter(([, count]) => count !== 0);
  for (const [name] of found) moved.add(name);
  return Object.fromEntries(found);
}

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as KernelError).code;
  }
  return "done";
}

/** A host that gets hand-made ESP. */
async function receiver(more: Partial<XfrmStateSpec> = {}) {
  const { kernel, hosts } = await lan(2);
  const host = hosts[1] as Host;
  host.root.xfrm.stateAdd(sa(A, B, SPI, more));
  const socket = host.root.socket.udp();
  socket.bind(0, 9);
  const esp = (fields: Partial<EspFields> = {}, clear = CLEAR): Uint8Array =>
    sealEsp({ key: unhex(KEY), salt: SALT, spi: SPI, seq: 1, ...fields }, clear);
  const give = (payload: Uint8Array): boolean => {
    inject(kernel, host, ipPacket(ip(A), ip(B), 50, payload));
    pass(kernel);
    expect(imbalance(host)).toBe(0);
    return socket.tryRecv() !== undefined;
  };
  const stat = (): Record<string, number> => counted(host);
  return {
    kernel,
    host,
    esp,
    give,
    stat,
    inject: (payload: Uint8Array) => inject(kernel, host, ipPacket(ip(A), ip(B), 50, payload)),
  };
}

describe.skipIf(!kernelBuilt)("counters of received packets", () => {
  it("has the 28 names in their order, all 0", async () => {
    const { host, stat } = await receiver();
    const names = Object.keys(host.root.xfrm.stat());
    expect(names).toHaveLength(28);
    expect([names[0], names[14], names[26], names[27]]).toEqual([
      "XfrmInError",
      "XfrmOutError",
      "XfrmOutStateInvalid",
      "XfrmAcquireError",
    ]);
    expect(stat()).toEqual({});
  });

  it("XfrmInHdrError: no room for SPI and sequence", async () => {
    const { give, stat, esp } = await receiver();
    for (const length of [0, 1, 7]) expect(give(esp().slice(0, length))).toBe(false);
    expect(stat()).toEqual({ XfrmInHdrError: 3 });
  });

  it("XfrmInNoStates: SPI, mark, AH and IPComp inside", async () => {
    const { give, stat, esp, host } = await receiver();
    expect(give(esp({ spi: 3 }))).toBe(false);
    expect(give(esp({ spi: 0 }))).toBe(false);
    expect(give(esp({}, withTrailer(new Uint8Array(12), 51)))).toBe(false);
    expect(give(esp({}, withTrailer(new Uint8Array(12), 108)))).toBe(false);
    expect(stat()).toEqual({ XfrmInNoStates: 4 });
    host.root.xfrm.stateFlush();
    host.root.xfrm.stateAdd(sa(A, B, SPI, { mark: { value: 5, mask: 0xf } }));
    expect(give(esp())).toBe(false);
    const rule = { match: {}, target: { kind: "MARK", value: 0x25 } } as const;
    host.root.iptables.append("mangle", "PREROUTING", rule);
    expect(give(esp())).toBe(true);
    expect(host.drops()).toEqual({ XFRM_IN_NO_STATES: 5 });
  });

  it("XfrmInStateProtoError: ICV, lengths, padding, dummy packets", async () => {
    const { give, stat, esp, host } = await receiver();
    const wrong = esp();
    wrong[wrong.length - 1]! ^= 1;
    expect(give(wrong)).toBe(false);
    expect(give(esp({ key: new Uint8Array(16) }))).toBe(false);
    expect(host.root.xfrm.stateList()[0]!.stats.failed).toBe(2);
    for (const length of [8, 15, 16, 20, 23]) expect(give(esp().slice(0, length))).toBe(false);
    expect(give(esp({}, new Uint8Array(0)))).toBe(false);
    expect(give(esp({}, Uint8Array.from([17])))).toBe(false);
    expect(give(esp({}, Uint8Array.from([0, 17])))).toBe(false); // nothing but a trailer
    expect(give(esp({}, Uint8Array.from([1, 2, 3, 255, 17])))).toBe(false); // pad beyond the packet
    expect(give(esp({}, withTrailer(new Uint8Array(10), 59)))).toBe(false);
    expect(stat()).toEqual({ XfrmInStateProtoError: 12 });
    // Pad bytes of any value and number are no fault.
    expect(
      give(esp({}, concat(udp(1, 9, new Uint8Array(6)), new Uint8Array(200).fill(9), Uint8Array.from([200, 17])))),
    ).toBe(true);
    expect(host.root.xfrm.stateList()[0]).toMatchObject({ packets: 1, bytes: 14 });
  });

  it("XfrmInStateExpired, then the state is gone: hard limits in packets and bytes", async () => {
    const { give, stat, esp, host } = await receiver({ limits: { hardPackets: 2 } });
    expect([give(esp()), give(esp()), give(esp())]).toEqual([true, true, false]);
    expect(stat()).toEqual({ XfrmInStateExpired: 1 });
    expect(host.root.xfrm.stateList()).toEqual([]);
    expect(give(esp())).toBe(false);
    expect(stat()).toEqual({ XfrmInStateExpired: 1, XfrmInNoStates: 1 });
    host.root.xfrm.stateAdd(sa(A, B, SPI, { limits: { hardBytes: 28 } }));
    expect([give(esp()), give(esp()), give(esp())]).toEqual([true, true, false]);
    expect(stat()).toEqual({ XfrmInStateExpired: 2, XfrmInNoStates: 1 });
  });

  it("XfrmInStateInvalid: at the instant at which the state expires, before it is deleted", async () => {
    const { give, inject, stat, esp, kernel, host } = await receiver({ limits: { hardPackets: 3 } });
    expect(give(esp())).toBe(true);
    // The update itself finds the new limit reached. Of two things at one time the packet comes before the timer.
    host.root.xfrm.stateUpdate(sa(A, B, SPI, { limits: { hardPackets: 1 } }));
    inject(esp());
    pass(kernel);
    expect(stat()).toEqual({ XfrmInStateInvalid: 1 });
    expect(host.root.xfrm.stateList()).toEqual([]);
  });

  it("XfrmInStateMismatch: not what the state is for", async () => {
    const { give, stat, esp } = await receiver({
      selector: selector(`${A}/32`, `${B}/32`, { protocol: 17, dport: 9 }),
    });
    expect(give(esp())).toBe(true);
    expect(give(esp({}, withTrailer(udp(1, 10, new Uint8Array(6)), 17)))).toBe(false);
    expect(stat()).toEqual({ XfrmInStateMismatch: 1 });
  });

  it("XfrmInBufferError: more than six layers", async () => {
    const { give, stat, esp, host } = await receiver();
    const wrap = (layers: number): Uint8Array => {
      let packet = esp();
      for (let i = 1; i < layers; i++) packet = esp({}, withTrailer(packet, 50));
      return packet;
    };
    expect(give(wrap(2))).toBe(true);
    expect(give(wrap(6))).toBe(true);
    expect(give(wrap(7))).toBe(false);
    expect(stat()).toEqual({ XfrmInBufferError: 1 });
    expect(host.root.xfrm.stateList()[0]!.packets).toBe(14);
  });

  it("is unknown to a machine that has never had a state: protocol unreachable", async () => {
    const { kernel, b, wire } = await pair();
    inject(kernel, b, ipPacket(ip(A), ip(B), 50, new Uint8Array(40)));
    pass(kernel);
    expect(wire()[0]!.slice(20, 22)).toEqual(Uint8Array.from([3, 2]));
    expect(b.drops()).toEqual({ IP_NOPROTO: 1 });
    // In any of its namespaces, and once it is loaded the handler stays.
    const other = b.createNs("other");
    other.xfrm.stateAdd(sa(A, B, SPI));
    other.destroy();
    inject(kernel, b, ipPacket(ip(A), ip(B), 50, new Uint8Array(40)));
    pass(kernel);
    expect(wire()).toEqual([]);
    expect(counted(b)).toEqual({ XfrmInNoStates: 1 });
  });
});

describe.skipIf(!kernelBuilt)("counters of sent packets", () => {
  const data = new Uint8Array(10);

  it("XfrmOutNoStates: the sender hears nothing, or EREMOTE when a mark decided", async () => {
    const { kernel, a, wire } = await pair();
    const { xfrm, socket, iptables } = a.root;
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    const udpSocket = socket.udp();
    expect(code(() => udpSocket.sendTo(data, ip(B), 9))).toBe("done");
    xfrm.policyFlush();
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`, { mark: { value: 7, mask: 0xffffffff } }));
    iptables.append("mangle", "OUTPUT", { match: {}, target: { kind: "MARK", value: 7 } });
    expect(code(() => udpSocket.sendTo(data, ip(B), 9))).toBe("EREMOTE");
    pass(kernel);
    expect(wire()).toEqual([]);
    expect(counted(a)).toEqual({ XfrmOutNoStates: 2 });
    expect(a.drops()).toEqual({ XFRM_OUT_NO_STATES: 2 });
    expect(imbalance(a)).toBe(0);
  });

  it("XfrmOutPolError: a state has the SPI but isn't what the template wants", async () => {
    const { a } = await pair();
    const { xfrm, socket } = a.root;
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`, { spi: 0x1001 }));
    xfrm.stateAdd(sa(A, B, 0x1001, { reqid: 1 }));
    expect(code(() => socket.udp().sendTo(data, ip(B), 9))).toBe("EEXIST");
    expect(counted(a)).toEqual({ XfrmOutPolError: 1 });
  });

  it("XfrmOutStateSeqError: the numbers are used up", async () => {
    const net = await pair();
    encrypt(net, { replayStart: { oseq: 0xfffffffd } });
    const { xfrm, socket } = net.a.root;
    const udpSocket = socket.udp();
    const results = [1, 2, 3, 4].map(() => code(() => udpSocket.sendTo(data, ip(B), 9)));
    expect(results).toEqual(["done", "done", "EINVAL", "EINVAL"]);
    expect(counted(net.a)).toEqual({ XfrmOutStateSeqError: 2 });
    expect(xfrm.stateList().find((state) => state.spi === 0x1001)).toMatchObject({ oseq: 0xffffffff, packets: 2 });
    expect(net.a.drops()).toEqual({ XFRM_OUT_STATE_SEQ_ERROR: 2 });
  });

  it("goes on with ESN, until the upper half is used up too", async () => {
    for (const [oseqHi, more] of [
      [0, ["done", "done"]],
      [0xffffffff, ["EINVAL", "EINVAL"]],
    ] as const) {
      const net = await pair();
      encrypt(net, {
        replayExt: { window: 32, esn: true },
        replayStart: { oseq: 0xfffffffe, oseqHi, seq: 0xfffffffe, seqHi: oseqHi },
      });
      const udpSocket = net.a.root.socket.udp();
      const results = [1, 2, 3].map(() => code(() => udpSocket.sendTo(data, ip(B), 9)));
      expect(results).toEqual(["done", ...more]);
    }
  });

  it("XfrmOutStateExpired, then no state is left", async () => {
    const net = await pair();
    encrypt(net, { limits: { hardPackets: 1 } });
    const { xfrm, socket } = net.a.root;
    const udpSocket = socket.udp();
    expect([1, 2, 3].map(() => code(() => udpSocket.sendTo(data, ip(B), 9)))).toEqual(["done", "EINVAL", "done"]);
    pass(net.kernel);
    // The third one found the state still listed but expired.
    expect(counted(net.a)).toEqual({ XfrmOutStateExpired: 1, XfrmOutNoStates: 1 });
    expect(xfrm.stateList().map((state) => state.spi)).toEqual([0x1002]);
  });

  it("XfrmOutStateProtoError: too long for IP", async () => {
    const net = await pair();
    encrypt(net);
    const udpSocket = net.a.root.socket.udp();
    // 20 + 16 + 65488 + 8 = 65532 is the longest: 65486 bytes of UDP, and 2.
    expect(code(() => udpSocket.sendTo(new Uint8Array(65479), ip(B), 9))).toBe("EINVAL");
    expect(code(() => udpSocket.sendTo(new Uint8Array(65478), ip(B), 9))).toBe("done");
    pass(net.kernel);
    expect(counted(net.a)).toEqual({ XfrmOutStateProtoError: 1 });
    expect(net.b.root.xfrm.stateList().find((state) => state.spi === 0x1001)?.packets).toBe(1);
    expect([imbalance(net.a), imbalance(net.b)]).toEqual([0, 0]);
  });
});

describe.skipIf(!kernelBuilt)("counters of policies", () => {
  it("XfrmInNoPols, XfrmInPolBlock, XfrmInTmplMismatch: what came in the clear", async () => {
    const { kernel, host, stat } = await receiver();
    const { xfrm } = host.root;
    const clear = (): void => {
      inject(kernel, host, ipPacket(ip(A), ip(B), 17, udp(1, 9, new Uint8Array(6))));
      pass(kernel);
    };
    const spec = policy("in", `${A}/32`, `${B}/32`);
    xfrm.policyAdd(spec);
    clear();
    expect(stat()).toEqual({ XfrmInTmplMismatch: 1 });
    xfrm.policyUpdate({ ...spec, action: "block" });
    clear();
    expect(stat()).toEqual({ XfrmInTmplMismatch: 1, XfrmInPolBlock: 1 });
    xfrm.policyFlush();
    xfrm.setPolicyDefault("in", "block");
    clear();
    expect(stat()).toEqual({ XfrmInTmplMismatch: 1, XfrmInPolBlock: 1, XfrmInNoPols: 1 });
    expect(host.drops()).toEqual({ XFRM_IN_TMPL_MISMATCH: 1, XFRM_IN_POL_BLOCK: 1, XFRM_IN_NO_POLS: 1 });
    expect(imbalance(host)).toBe(0);
  });

  it("XfrmOutPolBlock: EPERM", async () => {
    const { a } = await pair();
    a.root.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`, { action: "block", templates: [] }));
    expect(code(() => a.root.socket.udp().sendTo(new Uint8Array(10), ip(B), 9))).toBe("EPERM");
    expect(counted(a)).toEqual({ XfrmOutPolBlock: 1 });
  });

  it("XfrmInStateSeqError: seen already", async () => {
    const { give, stat, esp } = await receiver({ replayWindow: 32 });
    expect([give(esp()), give(esp())]).toEqual([true, false]);
    expect(stat()).toEqual({ XfrmInStateSeqError: 1 });
  });
});

describe.skipIf(!kernelBuilt)("all counters", () => {
  it("were moved by one of these tests, but for those that nothing can move", async () => {
    const { host } = await receiver();
    const names = Object.keys(host.root.xfrm.stat());
    expect(names.filter((name) => !moved.has(name)).sort()).toEqual(Object.keys(NEVER).sort());
    expect(moved.size + Object.keys(NEVER).length).toBe(28);
  });
});
