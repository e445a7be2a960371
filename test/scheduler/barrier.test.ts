import { describe, expect, it } from "vitest";
import { emptyOutbox } from "../../src/kernel/underlay.ts";
import { AbortedRun, Meeting, meetingSize } from "../../src/scheduler/barrier.ts";

const NOBODY = { nextEvent: 0, clock: 0, flags: 0 };

describe("meeting", () => {
  it("shows what was put before the meeting, and keeps it while the next one is prepared", () => {
    const meeting = new Meeting(new SharedArrayBuffer(meetingSize(1)), 1);
    const box = { records: 0x7fff0000, count: 42, bytes: 0xffffff00, used: 12_345, earliest: 123_456_789_012_999 };
    meeting.put(0, 123_456_789_012_345, 17, 3);
    meeting.putOutbox(0, 0, box);
    meeting.meet();
    meeting.put(0, 7, 8, 0);
    meeting.putOutbox(0, 0, emptyOutbox());
    expect(meeting.getStanding(0, { ...NOBODY })).toEqual({ nextEvent: 123_456_789_012_345, clock: 17, flags: 3 });
    expect(meeting.getOutbox(0, 0, emptyOutbox())).toEqual(box);
    meeting.meet();
    expect(meeting.getStanding(0, { ...NOBODY })).toEqual({ nextEvent: 7, clock: 8, flags: 0 });
    expect(meeting.getOutbox(0, 0, emptyOutbox()).count).toBe(0);
  });

  it.each([2, 3, 9])("keeps the slots of %i workers and their destinations apart", (workers) => {
    const block = new SharedArrayBuffer(meetingSize(workers));
    const all = Array.from({ length: workers }, (_, i) => i);
    const writers = all.map(() => new Meeting(block, workers));
    const boxOf = (from: number, to: number) => ({
      records: from * 100 + to,
      count: from + to,
      bytes: from * 1000 + to,
      used: 2 * from + to,
      earliest: from * 10_000 + to,
    });
    writers.forEach((writer, worker) => {
      writer.put(worker, worker * 10, worker * 10 + 1, worker);
      for (const to of all) writer.putOutbox(worker, to, boxOf(worker, to));
    });
    // The others have arrived in other threads; this one completes the meeting.
    Atomics.store(new Int32Array(block), 0, workers - 1);
    const last = writers[workers - 1] as Meeting;
    last.meet();
    for (const from of all) {
      expect(last.getStanding(from, { ...NOBODY })).toEqual({
        nextEvent: from * 10,
        clock: from * 10 + 1,
        flags: from,
      });
      for (const to of all) expect(last.getOutbox(from, to, emptyOutbox())).toEqual(boxOf(from, to));
    }
  });

  it("lets nobody wait for a worker that failed", () => {
    const block = new SharedArrayBuffer(meetingSize(2));
    new Meeting(block, 2).abort();
    expect(() => new Meeting(block, 2).meet()).toThrow(AbortedRun);
  });
});
