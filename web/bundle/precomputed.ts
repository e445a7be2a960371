/**
 * Modules that the build computes once, so that the page doesn't each time it opens: the checker of lab files, which
 * would need to make JavaScript out of its schema (which a content security policy forbids, rightly), and the list of
 * labs, which would need to read them all. Each stands in for a file that does the same at run time.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";
import type { Plugin } from "vite";
import { LAB_SCHEMA, VALIDATOR_OPTIONS } from "../../src/lab/schema.ts";
import { labEntries } from "../session/labs/entry.ts";

const GALLERY = "../../src/lab/gallery/";

/** `src/lab/validator.ts`, its schema compiled. */
export function compiledValidator(): string {
  const ajv = new Ajv2020({ ...VALIDATOR_OPTIONS, code: { source: true, esm: true } });
  ajv.addSchema(LAB_SCHEMA, "lab");
  const code = standalone.default(ajv, { validateLab: "lab" });
  const needs = /\brequire\(/.exec(code);
  if (needs !== null)
    throw new Error(`the compiled schema needs a module: ${code.slice(needs.index, needs.index + 80)}`);
  return code;
}

/** `web/page/labs/gallery-list.ts`, its labs read. @param folder of the shipped labs */
export function readGallery(folder: URL): string {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".yaml"));
  const texts = files.map((file): [string, string] => [
    file.replaceAll("\\", "/").replace(/\.yaml$/, ""),
    readFileSync(new URL(file, folder), "utf8"),
  ]);
  return `export const GALLERY = ${JSON.stringify(labEntries(texts))};`;
}

/** Puts them in place of their files. @param config the address of vite.config.ts */
export function precomputed(config: string): Plugin {
  const modules = new Map([
    [fileURLToPath(new URL("../src/lab/validator.ts", config)), compiledValidator],
    [
      fileURLToPath(new URL("page/labs/gallery-list.ts", config)),
      () => readGallery(new URL(GALLERY.replace("../", ""), config)),
    ],
  ]);
  return { name: "precomputed", load: (id) => modules.get(id)?.() };
}
