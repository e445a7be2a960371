import { readFileSync } from "node:fs";
import { it } from "vitest";
import { openTrace } from "./support/wireshark.ts";
it("x", async () => {
  const t = await openTrace(readFileSync(process.env["TRACE"] ?? "/tmp/s.pcapng"));
  console.log(t.frames, "malformed", t.malformed(), "bad", t.badChecksums().slice(0, 20));
  const seen = new Map<string, number[]>();
  for (const e of t.expertInfo()) { const l = seen.get(e.text) ?? []; l.push(e.frame); seen.set(e.text, l); }
  for (const [k, v] of seen) console.log(v.length, k, v.slice(0, 5));
  for (let i = 1; i <= Math.min(t.frames, Number(process.env["N"] ?? 60)); i++) console.log(JSON.stringify(t.columns(i)));
  t.close();
});
