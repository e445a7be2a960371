/** Labs, in the session's worker. */
import { UserError } from "../../../src/base/errors.ts";
import { parseLabWith } from "../../../src/lab/parse.ts";
import type { SessionContext } from "../context.ts";
import { Emulation } from "../emulation.ts";
import { checkLab, outlineOf } from "./check.ts";
import { galleryText } from "./gallery.ts";
import type { LabsApi } from "./protocol.ts";
import { recordsOf } from "./run-records.ts";
import { labOfRun, type RunSoFar } from "./save-run.ts";

/** @param context holds the emulation */
export function labsApi(context: SessionContext): LabsApi {
  /** The file of the lab that is open. */
  let opened: Pick<RunSoFar, "file" | "text" | "settings" | "plan"> | undefined;
  return {
    check: checkLab,
    savedRun() {
      const { emulation } = context;
      if (opened === undefined || opened.plan !== emulation.plan) throw new UserError("no lab is open");
      const records = recordsOf(emulation.journal.done, emulation.typedRuns);
      return labOfRun({ ...opened, seed: emulation.seed, now: emulation.now, records });
    },
    async open(request, tell) {
      const { source, settings = {}, seed } = request;
      const { name } = source;
      const text = source.kind === "gallery" ? galleryText(name) : source.text;
      const file = parseLabWith(`${name}.yaml`, text, settings);
      const { plan } = file;
      const emulation = await context.replace(() => Emulation.start(plan, seed ?? plan.seed, tell, context));
      opened = { file: `${name}.yaml`, text, settings, plan };
      const outline = outlineOf(file);
      const { description, hosts, steps } = outline;
      return { name, description, seed: emulation.seed, hosts, steps, request, text, outline };
    },
  };
}
