/** Packets, in the session's worker. */
import { transfer } from "comlink";
import type { SessionContext } from "../context.ts";
import { describeFrame, dissect } from "./dissect.ts";
import type { PacketRow, PacketsApi } from "./protocol.ts";
import type { Recording, TraceFiles } from "./recording.ts";
import { parseSearch } from "./search.ts";

/** Frames that are looked at in one call: some twenty milliseconds. */
const SEARCHED = 2_000;

function row(recording: Recording, index: number): PacketRow | undefined {
  const frame = recording.frames[index];
  if (frame === undefined) return undefined;
  const { time, length, point, data } = frame;
  return { index, time, length, ...dissect(data, length), point: recording.pointName(point) };
}

function rows(recording: Recording, indices: Iterable<number>): PacketRow[] {
  const out: PacketRow[] = [];
  for (const index of indices) {
    const one = row(recording, index);
    if (one !== undefined) out.push(one);
  }
  return out;
}

function handOver<T extends TraceFiles>(files: T): T {
  return transfer(files, [files.trace.buffer]);
}

/** @param context holds the emulation */
export function packetsApi(context: SessionContext): PacketsApi {
  const recording = (): Recording => context.emulation.recording;
  return {
    packets: (from, count) =>
      rows(
        recording(),
        Array.from({ length: Math.max(0, count) }, (_, i) => from + i),
      ),
    packetsAt: (indices) => rows(recording(), indices),
    frame: (index) => recording().frames[index]?.data.slice(),
    describe(index) {
      const frame = recording().frames[index];
      return frame === undefined ? "" : describeFrame(frame.data, frame.length);
    },
    search(text, from) {
      const test = parseSearch(text);
      const next = Math.min(recording().frames.length, from + SEARCHED);
      const found: number[] = [];
      for (let index = from; index < next; index++) {
        const one = row(recording(), index);
        if (one !== undefined && test(one)) found.push(index);
      }
      const places = Uint32Array.from(found);
      return transfer({ found: places, next: Math.max(from, next) }, [places.buffer]);
    },
    traceBytes: () => recording().traceBytes,
    async traceParts(take) {
      const { plan, seed, lab, now } = context.emulation;
      for (const part of recording().parts(plan, seed, lab.addresses, now)) await take(transfer(part, [part.buffer]));
    },
    trace: () => handOver(context.emulation.files()),
    tracePart(from, wanted) {
      const to = Math.max(from, Math.min(wanted, recording().frames.length));
      return handOver({ ...context.emulation.files(from, to), to });
    },
  };
}
