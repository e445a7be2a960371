/** The drawing's part of the session. */
import type { SessionContext } from "../context.ts";
import type { Emulation } from "../emulation.ts";
import type { SceneApi } from "./protocol.ts";
import { SceneWatch, type Watched } from "./watch.ts";

function watchedOf({ lab, recording, watch, seed }: Emulation): Watched {
  return { lab, frames: recording, hops: watch.log, seed };
}

/** @param context holds the emulation */
export function sceneApi(context: SessionContext): SceneApi {
  let watched: { readonly emulation: Emulation; readonly watch: SceneWatch } | undefined;
  const watch = (): SceneWatch => {
    const { emulation } = context;
    if (watched?.emulation !== emulation) watched = { emulation, watch: new SceneWatch(watchedOf(emulation)) };
    return watched.watch;
  };
  return {
    sceneTopology: () => watch().topology,
    async scene(look) {
      const present = watch();
      const update = await present.look(look);
      const next = watch();
      // Another lab, or the same one lived again, took its place meanwhile: what was seen of the old one is over.
      return next === present ? update : await next.look({ ...look, fresh: true });
    },
  };
}
