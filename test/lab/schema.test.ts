/** The schema that editors get is a valid one, and the gallery fits it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { LAB_SCHEMA } from "../../src/lab/schema.ts";
import { GALLERY } from "../support/lab.ts";

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false });
const labs = (readdirSync(GALLERY, { recursive: true }) as string[]).filter((name) => name.endsWith(".yaml"));

describe("schema", () => {
  it("is valid JSON Schema in strict mode, and survives JSON", () => {
    expect(ajv.validateSchema(LAB_SCHEMA)).toBe(true);
    expect(JSON.parse(JSON.stringify(LAB_SCHEMA))).toEqual(LAB_SCHEMA);
  });

  const validate = ajv.compile(LAB_SCHEMA);

  it.each(labs)("%s fits", (name) => {
    validate(parse(readFileSync(join(GALLERY, name), "utf8")));
    expect(validate.errors).toBeNull();
  });

  it.each([[{}], [{ hosts: {} }], [{ hosts: { a: { cpu: 1 } } }], [{ hosts: { a: {} }, steps: [{ wait: "soon" }] }]])(
    "%j doesn't",
    (lab) => {
      expect(validate(lab)).toBe(false);
    },
  );
});
