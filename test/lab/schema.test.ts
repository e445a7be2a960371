/** The schema that editors get is a valid one, and the gallery fits it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { editorSchema, LAB_SCHEMA } from "../../src/lab/schema.ts";
import { GALLERY } from "../support/lab.ts";

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false });
const labs = (readdirSync(GALLERY, { recursive: true }) as string[]).filter((name) => name.endsWith(".yaml"));

describe("schema", () => {
  it("is valid JSON Schema in strict mode, and survives JSON", () => {
    expect(ajv.validateSchema(LAB_SCHEMA)).toBe(true);
    expect(JSON.parse(JSON.stringify(LAB_SCHEMA))).toEqual(LAB_SCHEMA);
  });

  const validate = ajv.compile(LAB_SCHEMA);
  const validateText = ajv.compile(editorSchema() as object);

  it.each(labs)("%s fits", (name) => {
    validate(parse(readFileSync(join(GALLERY, name), "utf8")));
    expect(validate.errors).toBeNull();
    validateText(parse(readFileSync(join(GALLERY, name), "utf8")));
    expect(validateText.errors).toBeNull();
  });

  it("for editors: parameters may stand in values, and only they", () => {
    const text = (count: unknown, wait: unknown, rate: unknown, loss: unknown) => ({
      params: { n: 1, far: "5ms", on: true },
      hosts: { a: { count, os: "linux" } },
      network: { loss },
      steps: [{ wait }, { workload: { from: "a-1", to: "a-1", rate } }],
    });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the lab's
    expect(validateText(text("$n", "${n}s", "$n", "$n%"))).toBe(true);
    expect(validate(text("$n", "1s", 1, 0))).toBe(false);
    expect(validateText(text(1, "1s", 1, 0))).toBe(true);
    for (const wrong of [text("n", "1s", 1, 0), text(0, "1s", 1, 0), text(1, "soon", 1, 0), text(1, "1s", "fast", 0)])
      expect(validateText(wrong)).toBe(false);
    expect(validateText({ hosts: { a: { cpu: "$n" } } })).toBe(false);
    expect(validateText({ hosts: "$n" })).toBe(false);
  });

  it.each([[{}], [{ hosts: {} }], [{ hosts: { a: { cpu: 1 } } }], [{ hosts: { a: {} }, steps: [{ wait: "soon" }] }]])(
    "%j doesn't",
    (lab) => {
      expect(validate(lab)).toBe(false);
    },
  );
});
