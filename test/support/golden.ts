/**
 * The captures and tables taken from a real swarm. They lie beside the checkout (`../shared/golden`)
 * and not in it; a test that needs them says `describe.skipIf(!goldenAvailable)(goldenTitle("..."), ...)`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PacketRecord, readPackets } from "../../src/pcap-writer/index.ts";

/** Folder with one folder a scenario; need not exist. */
export const goldenFolder = fileURLToPath(new URL("../../../shared/golden", import.meta.url));

/** Whether the folder is there. */
export const goldenAvailable = existsSync(goldenFolder);

/** Whether `.xz` files can be read (the `xz` program is installed). */
export const xzAvailable = ((): boolean => {
  try {
    execFileSync("xz", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

if (process.env["SWARMWIRE_NO_SKIP"] !== undefined && goldenAvailable && !xzAvailable)
  throw new Error("SWARMWIRE_NO_SKIP is set, and tests would be skipped: there is no xz program");

/** A title for a group of tests that says why it is skipped, if it is. */
export function goldenTitle(title: string, needsXz = false): string {
  if (!goldenAvailable) return `${title} [skipped: ${goldenFolder} is absent]`;
  return needsXz && !xzAvailable ? `${title} [skipped: no xz program]` : title;
}

/** Whether a golden file exists, as it is or with `.xz` behind its name. */
export function goldenExists(path: string): boolean {
  return existsSync(join(goldenFolder, path)) || existsSync(join(goldenFolder, `${path}.xz`));
}

/** Bytes of a golden file. `path` is relative to the folder, with or without `.xz`; the result is unpacked. */
export function goldenBytes(path: string): Uint8Array {
  const full = join(goldenFolder, path);
  const packed = full.endsWith(".xz") ? full : existsSync(full) ? undefined : `${full}.xz`;
  if (packed === undefined) return new Uint8Array(readFileSync(full));
  return new Uint8Array(execFileSync("xz", ["-dc", packed], { maxBuffer: 2 ** 30 }));
}

/** A golden file as text, unpacked. */
export function goldenText(path: string): string {
  return new TextDecoder().decode(goldenBytes(path));
}

/** Packets of a golden capture. */
export function goldenPackets(path: string): PacketRecord[] {
  return readPackets(goldenBytes(path));
}

/** Paths of all captures, sorted, with `.xz` where they have it; optionally of one scenario only. */
export function goldenCaptures(scenario = ""): string[] {
  const root = join(goldenFolder, scenario);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.pcap(\.xz)?$/.test(path))
    .map((path) => join(scenario, path))
    .sort();
}

/** A security association as `ip xfrm state` prints it. */
export interface GoldenSa {
  source: string;
  destination: string;
  spi: number;
  /** Key with its salt. */
  key: Uint8Array;
  icvBytes: number;
}

/** The associations in a dump of `ip xfrm state`, each once. */
export function parseXfrmStates(text: string): GoldenSa[] {
  const found = new Map<string, GoldenSa>();
  const pattern =
    /^src (\S+) dst (\S+)\n\s*proto esp spi 0x([0-9a-f]+)[^\n]*\n(?:\s+[^\n]*\n)*?\s*aead rfc4106\(gcm\(aes\)\) 0x([0-9a-f]+)(?: \(\d+ bits\))? (\d+)/gm;
  for (const [, source, destination, spi, key, icvBits] of text.matchAll(pattern)) {
    const bytes = Uint8Array.from(key!.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    const sa = {
      source: source!,
      destination: destination!,
      spi: Number.parseInt(spi!, 16),
      key: bytes,
      icvBytes: Number(icvBits) / 8,
    };
    found.set(`${source} ${destination} ${spi} ${key}`, sa);
  }
  return [...found.values()];
}
