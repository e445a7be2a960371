import { describe, expect, it } from "vitest";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import { A, B, inject, ipPacket, KEY, sa, sealEsp, udp, unhex, withTrailer } from "./esp-net.ts";

const SPI = 0x2002;
const SALT = Uint8Array.from([0, 0, 0x20, 0x02]);

/** A receiver whose state has a replay window, and a sender of any sequence number. */
async function receiver(more: Partial<XfrmStateSpec>) {
  const { kernel, hosts } = await lan(2);
  const host = hosts[1] as Host;
  host.root.xfrm.stateAdd(sa(A, B, SPI, more));
  const socket = host.root.socket.udp();
  socket.bind(0, 9);
  const esn = more.replayExt?.esn === true;
  /** Sends a packet; says whether it was delivered. */
  const send = (seq: number, seqHi = 0): boolean => {
    const clear = withTrailer(udp(1, 9, Uint8Array.from([seq & 255])), 17);
    const esp = sealEsp({ key: unhex(KEY), salt: SALT, spi: SPI, seq, seqHi, esn }, clear);
    inject(kernel as Kernel, host, ipPacket(ip(A), ip(B), 50, esp));
    pass(kernel);
    return socket.tryRecv() !== undefined;
  };
  return { send, host, state: () => host.root.xfrm.stateList()[0]! };
}

/** The bits that are set, lowest first. */
const bits = (words: readonly number[]): number[] =>
  words.flatMap((word, i) =>
    Array.from({ length: 32 }, (_, bit) => bit)
      .filter((bit) => (word >>> bit) & 1)
      .map((bit) => 32 * i + bit),
  );

describe.skipIf(!kernelBuilt)("replay windows", () => {
  it("lets everything pass without a window, and counts no sequence", async () => {
    const { send, state } = await receiver({});
    for (const seq of [5, 5, 1, 0xffffffff, 0, 5]) expect(send(seq)).toBe(true);
    expect(state()).toMatchObject({ seq: 0, bitmap: [0], packets: 6 });
  });

  it("works through the legacy examples, window 32", async () => {
    const { send, state, host } = await receiver({ replayWindow: 32 });
    for (const [seq, passes, bitmap] of [
      [0, false, 0],
      [1, true, 1],
      [3, true, 5],
      [2, true, 7],
      [2, false, 7],
      [40, true, 1],
      [8, false, 1],
      [9, true, 0x80000001],
      [9, false, 0x80000001],
      [41, true, 3],
    ] as const) {
      expect(send(seq), `sequence ${seq}`).toBe(passes);
      expect(state().bitmap).toEqual([bitmap]);
    }
    expect(state()).toMatchObject({ seq: 41, stats: { replayWindow: 1, replay: 2, failed: 0 }, packets: 6 });
    expect(host.root.xfrm.stat()).toMatchObject({ XfrmInStateSeqError: 4 });
    expect(host.drops()).toMatchObject({ XFRM_IN_STATE_SEQ_ERROR: 4 });
  });

  it("has a smaller legacy window, too", async () => {
    const { send, state } = await receiver({ replayWindow: 4 });
    expect([10, 7, 6, 8, 7, 14].map((seq) => send(seq))).toEqual([true, true, false, true, false, true]);
    expect(state()).toMatchObject({ seq: 14, bitmap: [1], stats: { replayWindow: 1, replay: 1 } });
  });

  it("keeps a bitmap without ESN", async () => {
    const { send, state } = await receiver({ replayExt: { window: 128, esn: false } });
    const passed = [0, 1, 2, 128, 1, 129, 1, 2, 3].map((seq) => send(seq));
    expect(passed).toEqual([false, true, true, true, false, true, false, false, true]);
    // The newest stands at (129 - 1) mod 128.
    expect(bits(state().bitmap)).toEqual([0, 1, 2, 127]);
    expect(send(1000)).toBe(true);
    expect(bits(state().bitmap)).toEqual([999 % 128]);
    expect(state()).toMatchObject({ replayWindow: 0, replayExt: { window: 128, esn: false }, seq: 1000 });
  });

  it("has Linux's flaw: a window that doesn't divide 2^32 puts the first packets in the wrong place", async () => {
    const { send, state } = await receiver({ replayExt: { window: 100, esn: false } });
    // (0 - 1) mod 100 in 32 bits is 95, not 99.
    expect([send(1), bits(state().bitmap)]).toEqual([true, [96]]);
    expect(send(1)).toBe(true);
    expect([send(1), bits(state().bitmap)]).toEqual([false, [0, 96]]);
  });

  it("works through the ESN examples, window 1024", async () => {
    const { send, state } = await receiver({ replayExt: { window: 1024, esn: true } });
    for (const [seq, passes, bit] of [
      [1, true, 0],
      [2, true, 1],
      [0x400, true, 1023],
      [1, false, 0],
      [5, true, 4],
      [0x401, true, 0],
      [2, false, 1],
    ] as const) {
      expect(send(seq), `sequence ${seq}`).toBe(passes);
      expect(bits(state().bitmap)).toContain(bit);
    }
    expect(state()).toMatchObject({ seq: 0x401, seqHi: 0 });
  });

  it("has its whole window in one subspace from the number window - 1 on", async () => {
    const { send, state } = await receiver({ replayExt: { window: 64, esn: true } });
    // 0 is taken for the first number of the next one, and fails to authenticate.
    expect([62, 63, 64, 1, 1, 0].map((seq) => send(seq))).toEqual([true, true, true, true, false, false]);
    expect(state()).toMatchObject({ seq: 64, seqHi: 0, stats: { failed: 1, replay: 1, replayWindow: 0 } });
  });

  it("infers the upper half across a wrap", async () => {
    const { send, state } = await receiver({
      replayExt: { window: 1024, esn: true },
      replayStart: { seq: 0xfffffffe },
    });
    const step = (seq: number, hi: number): unknown[] => [send(seq, hi), state().seqHi, state().seq];
    expect(step(0xffffffff, 0)).toEqual([true, 0, 0xffffffff]);
    expect(bits(state().bitmap)).toEqual([1022]);
    expect(step(0, 1)).toEqual([true, 1, 0]);
    expect(bits(state().bitmap)).toEqual([1022, 1023]);
    expect(step(3, 1)).toEqual([true, 1, 3]);
    expect(bits(state().bitmap)).toContain(2);
    expect(step(0xfffffffd, 0)).toEqual([true, 1, 3]);
    expect(bits(state().bitmap)).toContain(1020);
    expect(step(0xffffffff, 0)).toEqual([false, 1, 3]);
    // The oldest number of the window is below the wrap; the one before it is taken for one 2^32 later.
    expect(step(0xfffffc03, 0)).toEqual([false, 1, 3]);
    expect(state().stats).toMatchObject({ failed: 1, replay: 1, replayWindow: 0 });
    expect(step(0xfffffc04, 0)).toEqual([true, 1, 3]);
    expect(step(0x400, 1)).toEqual([true, 1, 0x400]);
  });

  it("takes a far number of a fresh association for the one before it: authentication fails", async () => {
    const { send, state, host } = await receiver({ replayExt: { window: 1024, esn: true } });
    expect(send(0xfffffff0, 0)).toBe(false);
    expect(host.root.xfrm.stat()).toMatchObject({ XfrmInStateProtoError: 1, XfrmInStateSeqError: 0 });
    expect(state().stats.failed).toBe(1);
    // As the sender would have to have sealed it.
    expect(send(0xfffffff0, 0xffffffff)).toBe(true);
  });
});
