/** Reads NIST's response files for AES-GCM. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { unhex } from "../support/wasm.ts";

export interface GcmVector {
  /** File and number, for messages. */
  readonly name: string;
  readonly encrypt: boolean;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
  /** Undefined: the tag does not fit. */
  readonly plaintext: Uint8Array | undefined;
}

/** The files' text: the shipped selection, or all of the folder that CAVS_GCM names. */
function text(): string {
  const folder = process.env["CAVS_GCM"];
  if (folder === undefined) {
    const path = fileURLToPath(new URL("../vectors/cavs-gcm.rsp.gz", import.meta.url));
    return gunzipSync(readFileSync(path)).toString("latin1");
  }
  const files = readdirSync(folder).filter((name) => /^gcm.*\.rsp$/.test(name));
  return files.map((name) => `# ${name}\n${readFileSync(join(folder, name), "latin1")}`).join("\n");
}

/** All vectors with nonces of 96 bits. */
export function cavsVectors(): GcmVector[] {
  const out: GcmVector[] = [];
  let file = "";
  let fields: Record<string, string> = {};
  const finish = (): void => {
    const { Count, Key, IV, AAD, CT, Tag, PT } = fields;
    fields = {};
    if (Key === undefined || IV === undefined || IV.length !== 24) return;
    if (AAD === undefined || CT === undefined || Tag === undefined) throw new Error(`${file}: incomplete ${Count}`);
    out.push({
      name: `${file} ${out.length} (Count ${Count})`,
      encrypt: file.includes("Encrypt"),
      key: unhex(Key),
      iv: unhex(IV),
      aad: unhex(AAD),
      ciphertext: unhex(CT),
      tag: unhex(Tag),
      plaintext: PT === undefined ? undefined : unhex(PT),
    });
  };
  for (const line of text().split(/\r?\n/)) {
    const heading = /^# (gcm\w+\.rsp)/.exec(line);
    if (heading !== null || line.startsWith("Count = ")) finish();
    if (heading !== null) file = heading[1] as string;
    const field = /^(\w+) = ?(\w*)$/.exec(line);
    if (field !== null) fields[field[1] as string] = field[2] as string;
  }
  finish();
  return out;
}
