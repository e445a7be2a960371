/** A short run of the fuzzer, with canaries. Longer ones: node test/fuzz/fuzz.mjs SEED FRAMES. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { unitsModule } from "../support/units.ts";

const PROGRAM = fileURLToPath(new URL("fuzz.mjs", import.meta.url));

const IPSEC = ["HDR_ERROR", "NO_STATES", "STATE_PROTO_ERROR", "STATE_SEQ_ERROR", "TMPL_MISMATCH"].map(
  (name) => `XFRM_IN_${name}`,
);

describe("fuzzing", () => {
  it.each([1, 20])(
    "200,000 mutated frames leave the kernel whole, seed %i",
    (seed) => {
      const env = { ...process.env, KERNEL_WASM: unitsModule() };
      const output = execFileSync(process.execPath, [PROGRAM, String(seed), "200000"], { env, encoding: "utf8" });
      expect(output).toMatch(/200000 frames/);
      expect(output).toMatch(/canaries: 128/);
      // The frames come far enough: sockets, fragments, NAT and tunnels all saw some.
      for (const reason of [
        "TCP_INVALID_SEQUENCE",
        "FRAG_OVERLAP",
        "VXLAN_HDR",
        "UDP_CSUM",
        "NETFILTER_DROP",
        ...IPSEC,
      ]) {
        expect(output).toContain(reason);
      }
    },
    120_000,
  );
});
