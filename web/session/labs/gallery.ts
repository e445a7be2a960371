/** The labs that come with swarmwire, built into the page. */
import { UserError } from "../../../src/base/errors.ts";
import { formatDuration } from "../../../src/base/time.ts";
import { parseLab } from "../../../src/lab/parse.ts";
import type { LabPlan, Step } from "../../../src/lab/plan.ts";
import type { LabEntry } from "./protocol.ts";

const GALLERY = "../../../src/lab/gallery/";
const TEXTS = import.meta.glob<string>("../../../src/lab/gallery/**/*.yaml", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** All of them, by name. */
export function galleryLabs(): LabEntry[] {
  return Object.keys(TEXTS)
    .map((path) => path.slice(GALLERY.length).replace(/\.yaml$/, ""))
    .sort()
    .map((name) => ({ name, description: galleryLab(name).description }));
}

/** @throws UserError when there is none of that name */
export function galleryLab(name: string): LabPlan {
  const text = TEXTS[`${GALLERY}${name}.yaml`];
  if (text === undefined) throw new UserError(`${name}: no lab of that name comes with swarmwire`);
  return parseLab(`${name}.yaml`, text);
}

/** A step in one line. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case "command": {
      const where = step.hosts.join(", ");
      return `${step.terminal === undefined ? where : `${where}/${step.terminal}`}: ${step.command.trim()}`;
    }
    case "wait":
      return `wait ${formatDuration(step.duration)}`;
    case "until":
      return `until ${formatDuration(step.time)}`;
    case "fault":
      return `fault ${step.text}`;
    case "workload":
      return `workload ${step.text}`;
    case "show":
      return `show ${step.what}`;
  }
}
