/** Steps of a lab in words. */
import { formatDuration } from "../../../src/base/time.ts";
import type { Step } from "../../../src/lab/plan.ts";

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
