/** Lives of packets, in the session's worker. */
import type { SessionContext } from "../context.ts";
import type { Emulation } from "../emulation.ts";
import { dropsOf, frameOf, indexIn, journeyOf } from "./journey.ts";
import type { FollowApi, Journey } from "./protocol.ts";
import type { StageContext } from "./stages.ts";
import { wantedHops, wantHops } from "./watch.ts";

function contextOf({ plan, recording }: Emulation): StageContext {
  return {
    hostName: (index) => plan.hosts[index]?.name ?? "",
    indexOf: (hop) => indexIn(recording.frames, hop),
  };
}

/** @param context holds the emulation */
export function followApi(context: SessionContext): FollowApi {
  const journey = (id: number): Journey | undefined => {
    const { emulation } = context;
    return journeyOf(emulation.watch.log, id, contextOf(emulation), emulation.watch.every);
  };
  return {
    journey,
    follow(index) {
      const frame = context.emulation.recording.frames[index];
      return frame === undefined ? undefined : journey(frame.journey);
    },
    stageBytes(id, key) {
      const hop = context.emulation.watch.log.hops(id)?.[key];
      return hop && frameOf(hop)?.slice();
    },
    drops(all, most) {
      const { emulation } = context;
      return dropsOf(emulation.watch.log, contextOf(emulation), all, most);
    },
    entry: async (host, query) => (await context.emulation.inspect([host], { kind: "entry", entry: query }))[0],
    hops() {
      const { log, every } = context.emulation.watch;
      const { bytes, size, forgotten } = log;
      return { recording: every, wanted: wantedHops(), bytes, journeys: size, drops: log.dropCount, forgotten };
    },
    recordHops: wantHops,
  };
}
