/** Time, in the session's worker. */
import { WATCH } from "../../../src/scheduler/pace.ts";
import type { SessionContext } from "../context.ts";
import { Emulation } from "../emulation.ts";
import { backTo, jumpGoal } from "./back.ts";
import type { Goal } from "./clock.ts";
import type { Single, TimeApi } from "./protocol.ts";

const WATCHED: Readonly<Record<Single, number>> = { event: WATCH.event, packet: WATCH.frame, drop: WATCH.drop };

/** @param context holds the emulation */
export function timeApi(context: SessionContext): TimeApi {
  /** Lives the run again up to somewhere. */
  const again = async (goal: Goal): Promise<void> => {
    const { plan, seed, tell } = context.emulation;
    const life = context.emulation.life(goal);
    await context.replace(() =>
      Emulation.start(plan, seed, tell, {
        ground: context.ground,
        speed: context.speed,
        workers: context.emulation.workers,
        life,
      }),
    );
  };
  return {
    run: () => context.emulation.go({ kind: "play" }),
    step: () => context.emulation.go({ kind: "step", begun: false }),
    single: (what) => context.emulation.go({ kind: "watch", watch: WATCHED[what] }),
    pause: () => context.emulation.go(undefined),
    speed: (speed) => {
      context.speed = speed;
      if (context.open) context.emulation.speed = speed;
    },
    async jump(time) {
      const { emulation } = context;
      const goal = jumpGoal(time);
      if (time >= emulation.now) emulation.go(goal);
      else await again(goal);
    },
    async back(what) {
      const { emulation } = context;
      if (emulation.replaying) return;
      const goal = backTo(what, emulation);
      if (goal !== undefined) await again(goal);
    },
    journal: () => context.emulation.journal.entries,
  };
}
