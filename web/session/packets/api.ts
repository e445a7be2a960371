/** Packets, in the session's worker. */
import { transfer } from "comlink";
import type { SessionContext } from "../context.ts";
import { dissect } from "./dissect.ts";
import type { PacketRow, PacketsApi } from "./protocol.ts";
import type { Recording } from "./recording.ts";

function row(recording: Recording, index: number): PacketRow | undefined {
  const frame = recording.frames[index];
  if (frame === undefined) return undefined;
  const { time, length, point, data } = frame;
  return { index, time, length, ...dissect(data), point: recording.pointName(point) };
}

/** @param context holds the emulation */
export function packetsApi(context: SessionContext): PacketsApi {
  return {
    packets(from, count) {
      const { recording } = context.emulation;
      const rows: PacketRow[] = [];
      for (let index = from; index < from + count; index++) {
        const one = row(recording, index);
        if (one !== undefined) rows.push(one);
      }
      return rows;
    },
    frame: (index) => context.emulation.recording.frames[index]?.data.slice(),
    trace() {
      const files = context.emulation.files();
      return transfer(files, [files.trace.buffer]);
    },
  };
}
