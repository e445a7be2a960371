/** A thousand times a swarm's worth of namespaces: made, used, destroyed. Every block of memory must come back. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("a thousand rounds of namespaces, devices, rules, connections and traffic leave nothing behind", () => {
  const program = fileURLToPath(new URL("leak.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "1000"], { encoding: "utf8" });
  expect(`${stdout}${stderr}`).toContain("after 1000 rounds");
  expect(status).toBe(0);
}, 120_000);
