/** The schema of lab files as a function. The page's build puts it in place of this file, compiled (web/build/validator.ts). */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { LAB_SCHEMA, VALIDATOR_OPTIONS } from "./schema.ts";

/** Whether data fits the schema; if not, its `errors` say why. */
export const validateLab: ValidateFunction = new Ajv2020(VALIDATOR_OPTIONS).compile(LAB_SCHEMA);
