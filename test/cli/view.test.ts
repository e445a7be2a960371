import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { inflateRawSync } from "node:zlib";
import { expect, it } from "vitest";
import { parseLink } from "../../src/lab/link.ts";

const BIN = resolve(import.meta.dirname, "../../bin/swarmwire.js");

/** The address that `swarmwire view` prints. */
async function addressOf(...args: readonly string[]): Promise<URL> {
  const child = spawn(process.execPath, [BIN, "view", "--port", "0", ...args]);
  try {
    return await new Promise((done, failed) => {
      child.stdout.once("data", (text: Buffer) => done(new URL(text.toString().trim())));
      child.stderr.once("data", (text: Buffer) => failed(new Error(text.toString())));
    });
  } finally {
    child.kill("SIGINT");
  }
}

it("prints the address of the page, of a lab with its seed and settings, and of a file", async () => {
  expect((await addressOf()).hash).toBe("");
  const named = await addressOf("docs/003-ingress", "--seed", "7", "--set", "network.loss=1%");
  expect(named.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#lab=docs\/003-ingress&set=network\.loss=1%25&seed=7$/);
  const folder = mkdtempSync(join(tmpdir(), "swarmwire-view-"));
  try {
    const path = join(folder, "mine.yaml");
    writeFileSync(path, "hosts: { a: {} } # ü\n");
    const packed = parseLink((await addressOf(path)).hash)?.packed;
    expect(packed?.name).toBe("mine");
    expect(inflateRawSync(packed?.bytes ?? new Uint8Array(0)).toString()).toBe("hosts: { a: {} } # ü\n");
    writeFileSync(path, "hosts: { a: {} }\nstep: []\n");
    await expect(addressOf(path)).rejects.toThrow(/mine\.yaml:2:1: step: unknown key/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
