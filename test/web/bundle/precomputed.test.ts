/** What the page's build computes is what the modules that it stands in for compute. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { galleryNames, readLab } from "../../../src/cli/labs.ts";
import { validateLab } from "../../../src/lab/validator.ts";
import { compiledValidator, readGallery } from "../../../web/bundle/precomputed.ts";
import { labEntries } from "../../../web/session/labs/entry.ts";

describe("the compiled schema", () => {
  let folder = "";
  let compiled: ValidateFunction;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "swarmwire-schema-"));
    const path = join(folder, "validator.mjs");
    writeFileSync(path, compiledValidator());
    compiled = (await import(/* @vite-ignore */ pathToFileURL(path).href)).validateLab;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const same = (data: unknown): boolean => {
    const fits = validateLab(data);
    expect(compiled(data)).toBe(fits);
    const said = ({ errors }: ValidateFunction) =>
      errors?.map(({ keyword, instancePath, params, message, propertyName, parentSchema }) => ({
        ...{ keyword, instancePath, params, message, propertyName, parentSchema },
      }));
    expect(said(compiled)).toEqual(said(validateLab));
    return fits;
  };

  it("takes every shipped lab, and refuses what is wrong in the same words", () => {
    for (const name of galleryNames()) expect(same(parse(readLab(name).text)), name).toBe(true);
    const wrong: unknown[] = [
      ...[null, [], 1, "x", {}, { hosts: {} }, { hosts: { "a b": null } }, { hosts: { a: { mtu: 9 } } }],
      { hosts: { a: null }, step: [] },
      { hosts: { a: null }, engine: "19.03" },
      { hosts: { a: null }, pause: "soon" },
      { hosts: { a: null }, network: { loss: 2 } },
      { hosts: { a: null }, steps: [{}] },
      { hosts: { a: null }, steps: [{ fault: { host: "a", los: 1 } }] },
      { hosts: { a: null }, steps: [{ fault: { host: "a", crash: false } }] },
      { hosts: { a: null }, steps: [{ workload: { from: "a" } }] },
      { hosts: { a: null }, steps: [{ a: 1 }] },
    ];
    for (const data of wrong) expect(same(data), JSON.stringify(data)).toBe(false);
  });

  it("makes no code when it is loaded", () => {
    expect(compiledValidator()).not.toMatch(/\bnew Function\b|\beval\(|\brequire\(/);
  });
});

it("the list of labs is the gallery's", async () => {
  const code = readGallery(new URL("../../../src/lab/gallery/", import.meta.url));
  const list = JSON.parse(code.replace(/^export const GALLERY = /, "").replace(/;$/, ""));
  expect(list).toEqual(labEntries(galleryNames().map((name) => [name, readLab(name).text])));
});
