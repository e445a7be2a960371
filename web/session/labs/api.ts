/** Labs, in the session's worker. */
import { parseLabWith } from "../../../src/lab/parse.ts";
import type { SessionContext } from "../context.ts";
import { Emulation } from "../emulation.ts";
import { checkLab, outlineOf } from "./check.ts";
import { galleryText } from "./gallery.ts";
import type { LabsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function labsApi(context: SessionContext): LabsApi {
  return {
    check: checkLab,
    async open(request, tell) {
      const { source, settings = {}, seed } = request;
      const { name } = source;
      const text = source.kind === "gallery" ? galleryText(name) : source.text;
      const file = parseLabWith(`${name}.yaml`, text, settings);
      const { plan } = file;
      const emulation = await context.replace(() => Emulation.start(plan, seed ?? plan.seed, tell, context));
      const outline = outlineOf(file);
      const { description, hosts, steps } = outline;
      return { name, description, seed: emulation.seed, hosts, steps, request, text, outline };
    },
  };
}
