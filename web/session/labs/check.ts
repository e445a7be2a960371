/** Reads labs as the command line does. */
import { UserError } from "../../../src/base/errors.ts";
import { type LabFile, parseLabWith } from "../../../src/lab/parse.ts";
import { LabError } from "../../../src/lab/source.ts";
import type { LabCheck, LabOutline } from "./protocol.ts";
import { stepText } from "./step-text.ts";

/** What there is to say about a lab that was read. */
export function outlineOf({ plan, params, stepLines }: LabFile): LabOutline {
  return {
    title: plan.name,
    description: plan.description,
    seed: plan.seed,
    params,
    hosts: plan.hosts.map((host) => host.name),
    steps: plan.steps.map(stepText),
    stepLines,
  };
}

/** @param name of the file, without `.yaml` */
export function checkLab(name: string, text: string, settings: Readonly<Record<string, string>>): LabCheck {
  try {
    return { outline: outlineOf(parseLabWith(`${name}.yaml`, text, settings)) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message } = error;
    if (!(error instanceof LabError)) return { error: { message, problem: message } };
    const { line, column, problem } = error;
    return { error: { message, line, column, problem } };
  }
}
