/** What the schema says against a lab file's data, in words. */
import type { ErrorObject } from "ajv/dist/2020.js";
import { LAB_SCHEMA } from "./schema.ts";
import { validateLab } from "./validator.ts";

/** A field of the file, from the top. */
export type Path = readonly (string | number)[];

/** Why data doesn't fit the schema. */
export interface Misfit {
  readonly path: Path;
  readonly expected: string;
  /** It is about the field's key, not its value. */
  readonly atKey: boolean;
}

/** The first thing that the schema says against a lab's data; undefined where it fits. */
export function misfitOf(raw: unknown): Misfit | undefined {
  if (validateLab(raw)) return undefined;
  const error = validateLab.errors?.[0] as ErrorObject;
  const { extra, expected, atKey = false } = explain(error);
  return { path: [...pointerToPath(error.instancePath, raw), ...extra], expected, atKey };
}

/** A field as messages name it: `steps[3].fault.loss`. @param whole what the whole is called */
export function formatPath(path: Path, whole = "lab"): string {
  let out = "";
  for (const part of path) out += typeof part === "number" ? `[${part}]` : out === "" ? part : `.${part}`;
  return out === "" ? whole : out;
}

/** Marks the schema's durations, whose descriptions say what they are for. */
const DURATION = LAB_SCHEMA.properties.pause.pattern;

/** What a schema error means, in one clause. */
function explain(error: ErrorObject): { extra: Path; expected: string; atKey?: boolean } {
  const params = error.params as Record<string, unknown>;
  const schema = error.parentSchema as { properties?: object; pattern?: string; description?: string };
  if (error.propertyName !== undefined)
    return { extra: [error.propertyName], expected: "expected a name of letters, digits and hyphens", atKey: true };
  if (schema.pattern === DURATION)
    return { extra: [], expected: "expected a span of time with its unit, e.g. 50us, 1.5s, 12h" };
  switch (error.keyword) {
    case "additionalProperties": {
      const known = Object.keys(schema.properties ?? {});
      return {
        extra: [String(params["additionalProperty"])],
        expected: `unknown key; expected one of ${known.join(", ")}`,
        atKey: true,
      };
    }
    case "required":
      return { extra: [String(params["missingProperty"])], expected: "missing" };
    case "type":
      return { extra: [], expected: `expected ${[params["type"]].flat().join(" or ")}` };
    case "enum":
      return {
        extra: [],
        expected: `expected one of ${(params["allowedValues"] as unknown[]).map(String).join(", ")}`,
      };
    case "const":
      return { extra: [], expected: `expected ${String(params["allowedValue"])}` };
    case "pattern":
      return {
        extra: [],
        expected:
          schema.description === undefined ? "not in the expected form" : `expected ${lower(schema.description)}`,
      };
    default:
      return { extra: [], expected: error.message ?? "not as expected" };
  }
}

function lower(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");
}

function pointerToPath(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let at = root;
  for (const raw of pointer.split("/").slice(1)) {
    const key = raw.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(at) ? Number(key) : key);
    at = (at as Record<string, unknown>)[key];
  }
  return path;
}
