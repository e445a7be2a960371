import { beforeEach, describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { SEC } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { XFRM_STAT_NAMES } from "../../src/kernel/xfrm.ts";
import type { XfrmEvent, XfrmPolicySpec, XfrmStateSpec } from "../../src/kernel/xfrm-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import { A, B, KEY, policy, sa, selector, unhex } from "../xfrm/esp-net.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "done";
}

describe.skipIf(!kernelBuilt)("NETLINK_XFRM (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let host: Host;
  let xfrm: Host["root"]["xfrm"];
  const events: XfrmEvent[] = [];

  beforeEach(async () => {
    const made = await lan(1);
    kernel = made.kernel;
    host = made.hosts[0] as Host;
    xfrm = host.root.xfrm;
    events.length = 0;
    kernel.onXfrm((_, event) => events.push(event));
  });

  it("gives a state back as it was added, newest first", () => {
    const full: XfrmStateSpec = {
      ...sa(A, B, 0xfffffffe),
      mark: { value: 0x80000001, mask: 0xffffffff },
      aead: { name: "rfc4106(gcm(aes))", key: Uint8Array.from({ length: 36 }, (_, i) => 255 - i), icvBits: 128 },
      replayExt: { window: 4096, esn: true },
      limits: { hardBytes: 2 ** 40, hardPackets: 5 },
      selector: selector("10.1.0.0/16", "0.0.0.0/0", { protocol: 17, sport: 1, dport: 65535 }),
    };
    pass(kernel, 3 * SEC);
    xfrm.stateAdd(sa(A, B, 1));
    xfrm.stateAdd({ ...full, replayStart: { seq: 1, seqHi: 2, oseq: 3, oseqHi: 0xffffffff } });
    const [newest, oldest] = xfrm.stateList();
    expect(newest).toEqual({
      ...full,
      replayWindow: 0,
      ...{ seq: 1, seqHi: 2, oseq: 3, oseqHi: 0xffffffff },
      bitmap: new Array(128).fill(0),
      ...{ bytes: 0, packets: 0, added: 3 * SEC, used: undefined },
      stats: { replayWindow: 0, replay: 0, failed: 0 },
    });
    expect(oldest).toEqual({
      ...sa(A, B, 1),
      replayWindow: 0,
      ...{ seq: 0, seqHi: 0, oseq: 0, oseqHi: 0 },
      bitmap: [0],
      ...{ bytes: 0, packets: 0, added: 3 * SEC, used: undefined },
      stats: { replayWindow: 0, replay: 0, failed: 0 },
    });
  });

  it("identifies states by destination, SPI and mark", () => {
    xfrm.stateAdd(sa(A, B, 7));
    expect(code(() => xfrm.stateAdd(sa("10.9.9.9", B, 7)))).toBe("EEXIST");
    expect(code(() => xfrm.stateAdd(sa(A, "10.1.1.3", 7)))).toBe("done");
    // A state without mark answers to every mark.
    expect(code(() => xfrm.stateAdd(sa(A, B, 7, { mark: { value: 1, mask: 1 } })))).toBe("EEXIST");
    xfrm.stateDel({ dst: ip(B), spi: 7 });
    xfrm.stateAdd(sa(A, B, 7, { mark: { value: 1, mask: 1 } }));
    expect(code(() => xfrm.stateAdd(sa(A, B, 7, { mark: { value: 2, mask: 3 } })))).toBe("done");
    expect(code(() => xfrm.stateDel({ dst: ip(B), spi: 7 }))).toBe("ESRCH");
    xfrm.stateDel({ dst: ip(B), spi: 7, mark: { value: 2, mask: 3 } });
    expect(xfrm.stateList().map((state) => state.mark)).toEqual([{ value: 1, mask: 1 }, undefined]);
    expect(code(() => xfrm.stateUpdate(sa(A, B, 9)))).toBe("ESRCH");
  });

  it("refuses keys, ICVs and windows that cannot be", () => {
    const aead = (bytes: number, icvBits: number): Partial<XfrmStateSpec> => ({
      aead: { name: "rfc4106(gcm(aes))", key: new Uint8Array(bytes), icvBits },
    });
    for (const [bytes, icv, result] of [
      [20, 64, "done"],
      [28, 96, "done"],
      [36, 128, "done"],
      [16, 64, "EINVAL"],
      [0, 64, "EINVAL"],
      [24, 64, "EINVAL"],
      [40, 64, "EINVAL"],
      [20, 32, "EINVAL"],
      [20, 72, "EINVAL"],
      [20, 136, "EINVAL"],
      [20, 65, "EINVAL"],
    ] as const) {
      expect(
        code(() => xfrm.stateAdd(sa(A, B, 5, aead(bytes, icv)))),
        `${bytes} ${icv}`,
      ).toBe(result);
      xfrm.stateFlush();
    }
    for (const [more, result] of [
      [{ replayWindow: 32 }, "done"],
      [{ replayWindow: 33 }, "EINVAL"],
      [{ replayExt: { window: 4096, esn: false } }, "done"],
      [{ replayExt: { window: 4097, esn: false } }, "EINVAL"],
      [{ replayExt: { window: 0, esn: false } }, "done"],
      [{ replayExt: { window: 0, esn: true } }, "EINVAL"],
      [{ selector: selector("10.0.0.0/8", "10.0.0.0/32") }, "done"],
    ] as const) {
      expect(code(() => xfrm.stateAdd(sa(A, B, 5, more)))).toBe(result);
      xfrm.stateFlush();
    }
    expect(xfrm.stateList()).toEqual([]);
  });

  it("updates limits, and nothing else", () => {
    xfrm.stateAdd(sa(A, B, 7, { limits: { hardPackets: 3 } }));
    xfrm.stateUpdate(
      sa(A, B, 7, {
        reqid: 1,
        limits: { hardBytes: 10 },
        aead: { name: "rfc4106(gcm(aes))", key: new Uint8Array(20), icvBits: 64 },
      }),
    );
    expect(xfrm.stateList()[0]).toMatchObject({ ...sa(A, B, 7), limits: { hardBytes: 10 } });
    expect(xfrm.stateList()[0]?.limits).toEqual({ hardBytes: 10 });
  });

  it("gives policies back, newest first, with numbers of the machine", () => {
    const specs: XfrmPolicySpec[] = [
      policy("out", `${A}/32`, `${B}/32`, { mark: { value: 0xd0c4e3, mask: 0xffffffff }, spi: 0xf6bfc5b0 }),
      policy("in", "0.0.0.0/0", `${A}/32`, { action: "block", templates: [], priority: 0xffffffff }),
      policy("fwd", `${A}/8`, `${B}/24`, {
        selector: selector(`${A}/8`, `${B}/24`, { protocol: 1, sport: 8 }),
        templates: [1, 2, 3, 4, 5, 6].map((reqid) => ({ src: 0, dst: 0, spi: 0, reqid })),
      }),
    ];
    for (const spec of specs) xfrm.policyAdd(spec);
    const other = host.createNs("other");
    other.xfrm.policyAdd(specs[0]!);
    const listed = xfrm.policyList();
    expect(listed).toEqual(
      specs.map((spec, i) => ({ ...spec, index: 8 * i + [1, 0, 2][i]!, added: 0, used: undefined })).reverse(),
    );
    expect(other.xfrm.policyList()[0]?.index).toBe(25);
    expect(code(() => xfrm.policyAdd(specs[0]!))).toBe("EEXIST");
    xfrm.policyUpdate({ ...specs[0]!, priority: 3 });
    expect(xfrm.policyList()[0]).toMatchObject({ priority: 3, index: 1 });
    expect(xfrm.policyList()).toHaveLength(3);
    expect(code(() => xfrm.policyDel({ ...specs[0]!, mark: { value: 1, mask: 1 } }))).toBe("ENOENT");
    expect(code(() => xfrm.policyDel({ ...specs[0]!, dir: "in" }))).toBe("ENOENT");
    xfrm.policyDel(specs[0]!);
    expect(code(() => xfrm.policyDel(specs[0]!))).toBe("ENOENT");
    const seven = { ...specs[0]!, templates: new Array(7).fill(specs[0]!.templates[0]) };
    expect(code(() => xfrm.policyAdd(seven))).toBe("EINVAL");
    const prefix = { ...specs[0]!, selector: { ...specs[0]!.selector, dst: { ip: 0, prefix: 33 } } };
    expect(code(() => xfrm.policyAdd(prefix))).toBe("EINVAL");
  });

  it("lists more than fit one transfer", () => {
    for (let spi = 1; spi <= 1000; spi++) xfrm.stateAdd(sa(A, B, spi));
    expect(xfrm.stateList().map((state) => state.spi)).toEqual(Array.from({ length: 1000 }, (_, i) => 1000 - i));
    for (let i = 0; i < 2000; i++) xfrm.policyAdd(policy("out", `${A}/32`, `10.2.${i >> 8}.${i & 255}/32`));
    expect(new Set(xfrm.policyList().map((one) => one.selector.dst.ip)).size).toBe(2000);
    const before = kernel.counters().blocks;
    xfrm.stateFlush();
    xfrm.policyFlush();
    // A policy is two blocks, a state two; the one key goes with the last state.
    expect(kernel.counters().blocks).toBeLessThanOrEqual(before - 2 * 2000 - 2 * 1000);
  });

  it("tells of everything that came, changed and went", () => {
    const state = sa(A, B, 7);
    const out = policy("out", `${A}/32`, `${B}/32`);
    xfrm.stateAdd(state);
    xfrm.stateAdd(sa(A, B, 8));
    xfrm.stateUpdate(state);
    xfrm.policyUpdate(out);
    xfrm.policyUpdate({ ...out, priority: 1 });
    expect(code(() => xfrm.stateAdd(state))).toBe("EEXIST");
    xfrm.stateDel({ dst: ip(B), spi: 7 });
    xfrm.stateFlush();
    xfrm.policyDel(out);
    const told = events.map((event) =>
      "state" in event ? `${event.kind} ${event.state.spi}` : `${event.kind} ${event.policy.priority}`,
    );
    expect(told).toEqual([
      ...["newsa 7", "newsa 8", "updsa 7", "newpolicy 0", "updpolicy 1", "delsa 7", "delsa 8", "delpolicy 1"],
    ]);
    const [first] = events;
    expect(first).toEqual({ kind: "newsa", state });
    expect((events[5] as { state: XfrmStateSpec }).state.aead.key).toEqual(unhex(`${KEY}00000007`));
  });

  it("has the names of the counters, and nothing to say of a namespace that is gone", () => {
    expect(Object.keys(xfrm.stat())).toEqual(XFRM_STAT_NAMES);
    expect(XFRM_STAT_NAMES).toHaveLength(28);
    const gone = host.createNs("gone");
    gone.xfrm.stateAdd(sa(A, B, 7));
    gone.destroy();
    for (const action of [
      () => gone.xfrm.stateList(),
      () => gone.xfrm.stateAdd(sa(A, B, 8)),
      () => gone.xfrm.stateDel({ dst: ip(B), spi: 7 }),
      () => gone.xfrm.stateFlush(),
      () => gone.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`)),
      () => gone.xfrm.policyUpdate(policy("out", `${A}/32`, `${B}/32`)),
      () => gone.xfrm.policyDel(policy("out", `${A}/32`, `${B}/32`)),
      () => gone.xfrm.policyFlush(),
      () => gone.xfrm.policyDefault("in"),
      () => gone.xfrm.setPolicyDefault("in", "block"),
      () => gone.xfrm.stat(),
    ])
      expect(code(action)).toBe("ENOENT");
  });

  it("starts anew after a power loss", () => {
    xfrm.stateAdd(sa(A, B, 7));
    xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    host.powerOff();
    host.powerOn();
    expect(host.root.xfrm.stateList()).toEqual([]);
    host.root.xfrm.policyAdd(policy("out", `${A}/32`, `${B}/32`));
    expect(host.root.xfrm.policyList()[0]?.index).toBe(1);
  });
});
