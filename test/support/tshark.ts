/** tshark, the program, as a second judge of traces beside wireshark.ts: another version, and what a user types. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GUESSES_OFF } from "./wireshark.ts";

/** Whether the program is installed. */
export const tsharkAvailable = spawnSync("tshark", ["--version"], { stdio: "ignore" }).status === 0;

if (process.env["SWARMWIRE_NO_SKIP"] !== undefined && !tsharkAvailable)
  throw new Error("SWARMWIRE_NO_SKIP is set, and tests would be skipped: there is no tshark program");

/** A title for a group of tests that says why it is skipped, if it is. */
export function tsharkTitle(title: string): string {
  return tsharkAvailable ? title : `${title} [skipped: no tshark program]`;
}

/** A trace for tshark, with Wireshark's table of ESP keys. */
export class TsharkTrace {
  readonly #folder = mkdtempSync(join(tmpdir(), "swarmwire-tshark-"));

  constructor(trace: Uint8Array, espSa: string) {
    writeFileSync(join(this.#folder, "trace.pcapng"), trace);
    writeFileSync(join(this.#folder, "esp_sa"), espSa);
    writeFileSync(join(this.#folder, "heuristic_protos"), GUESSES_OFF);
  }

  /** Values of fields in the frames that a filter selects: a row a frame, several values of one field with commas. */
  rows(filter: string, ...fields: readonly string[]): string[][] {
    const options = ["esp.enable_encryption_decode", "esp.enable_authentication_check"];
    const checks = ["ip", "udp", "tcp"].map((layer) => `${layer}.check_checksum`);
    const args = [...options, ...checks].flatMap((name) => ["-o", `${name}:TRUE`]);
    const wanted = fields.flatMap((name) => ["-e", name]);
    const text = execFileSync(
      "tshark",
      ["-n", ...args, "-r", join(this.#folder, "trace.pcapng"), "-Y", filter, "-T", "fields", ...wanted],
      {
        encoding: "utf8",
        env: { ...process.env, WIRESHARK_CONFIG_DIR: this.#folder },
        maxBuffer: 2 ** 28,
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    return text.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\t")]));
  }

  /** Removes its files. */
  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** How often each row comes. */
export function tally(rows: readonly (readonly string[])[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const row of rows) counts[row.join(" ")] = (counts[row.join(" ")] ?? 0) + 1;
  return counts;
}
