/** A short run of the fuzzer, with canaries. Longer ones: node test/fuzz/fuzz.mjs SEED FRAMES. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { unitsModule } from "../support/units.ts";

const PROGRAM = fileURLToPath(new URL("fuzz.mjs", import.meta.url));

const IPSEC = ["HDR_ERROR", "NO_STATES", "STATE_PROTO_ERROR", "STATE_SEQ_ERROR", "TMPL_MISMATCH"].map(
  (name) => `XFRM_IN_${name}`,
);

function run(seed: number, ...more: string[]): string {
  const env = { ...process.env, KERNEL_WASM: unitsModule() };
  const output = execFileSync(process.execPath, [PROGRAM, String(seed), "200000", ...more], { env, encoding: "utf8" });
  expect(output).toMatch(/200000 frames/);
  expect(output).toMatch(/canaries: 128/);
  // Associations came about, carried messages, and ended by what was done to them.
  const sctp = /^sctp: (\d+) associations, (\d+) messages, (\d+) failed$/m.exec(output)?.slice(1).map(Number) ?? [];
  for (const count of sctp) expect(count).toBeGreaterThan(100);
  expect(sctp.length).toBe(3);
  return output;
}

/** Packets that were dropped for a reason, on both hosts. */
function dropped(output: string, reason: string): number {
  const counts = new RegExp(`^  ${reason} +(\\d+) +(\\d+)$`, "m").exec(output);
  return counts === null ? 0 : Number(counts[1]) + Number(counts[2]);
}

/** All kinds of marks were written, and each was whole. */
function expectMarks(output: string, missing: readonly number[]): void {
  const kinds = [...(/^marks: (.*)$/m.exec(output)?.[1] ?? "").matchAll(/(\d+):\d+/g)].map(([, kind]) => Number(kind));
  const all = Array.from({ length: abi.MARK_DELIVER }, (_, i) => i + 1);
  expect(kinds).toEqual(all.filter((kind) => !missing.includes(kind)));
}

describe("fuzzing", () => {
  it.each([1, 20])("200,000 mutated frames leave the kernel whole, seed %i", { timeout: 120_000 }, (seed) => {
    // One of them while somebody watches what happens to each packet.
    const output = run(seed, ...(seed === 20 ? ["plain", "watched"] : []));
    if (seed === 20) expectMarks(output, []);
    // The frames come far enough: sockets, fragments, NAT and tunnels all saw some.
    for (const reason of [
      "TCP_INVALID_SEQUENCE",
      "FRAG_OVERLAP",
      "VXLAN_HDR",
      "UDP_CSUM",
      "NETFILTER_DROP",
      "IPVS",
      "SCTP_CHUNK",
      "SCTP_VTAG",
      "SCTP_COOKIE",
      "SCTP_NO_SOCKET",
      ...IPSEC,
    ])
      expect(dropped(output, reason), reason).toBeGreaterThan(0);
  });

  it.each([1, 20])("… and where the overlay is encrypted, seed %i", { timeout: 120_000 }, (seed) => {
    const output = run(seed, "encrypted", ...(seed === 20 ? ["watched"] : []));
    if (seed === 20) expectMarks(output, []);
    // A quarter of them is ESP, wrong outside or, under a right ICV, inside.
    for (const reason of IPSEC) expect(dropped(output, reason), reason).toBeGreaterThan(100);
    for (const reason of ["VXLAN_HDR", "UDP_CSUM", "NETFILTER_DROP", "TCP_INVALID_SEQUENCE", "FRAG_OVERLAP", "IPVS"])
      expect(dropped(output, reason), reason).toBeGreaterThan(10);
  });
});
