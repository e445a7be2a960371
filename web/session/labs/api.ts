/** Labs, in the session's worker. */
import type { SessionContext } from "../context.ts";
import { Emulation } from "../emulation.ts";
import { galleryLab, galleryLabs, stepText } from "./gallery.ts";
import type { LabsApi } from "./protocol.ts";

/** @param context holds the emulation */
export function labsApi(context: SessionContext): LabsApi {
  return {
    labs: galleryLabs,
    async open(name, seed, tell) {
      const plan = galleryLab(name);
      const emulation = await context.replace(() => Emulation.start(plan, seed ?? plan.seed, tell));
      const hosts = plan.hosts.map((host) => host.name);
      return { name, description: plan.description, seed: emulation.seed, hosts, steps: plan.steps.map(stepText) };
    },
  };
}
