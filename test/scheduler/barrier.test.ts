import { describe, expect, it } from "vitest";
import { AbortedRun, Meeting, meetingSize } from "../../src/scheduler/barrier.ts";

describe("meeting", () => {
  it("shows what was put before the meeting, and keeps it while the next one is prepared", () => {
    const meeting = new Meeting(new SharedArrayBuffer(meetingSize(1)), 1);
    meeting.put(0, 123_456_789_012_345, 3);
    meeting.putOutbox(0, 0, 0x7fff0000, 42);
    meeting.meet();
    meeting.put(0, 7, 0);
    meeting.putOutbox(0, 0, 0, 0);
    expect(meeting.getNextEvent(0)).toBe(123_456_789_012_345);
    expect(meeting.getFlags(0)).toBe(3);
    expect(meeting.getOutbox(0, 0)).toEqual({ records: 0x7fff0000, count: 42 });
    meeting.meet();
    expect(meeting.getNextEvent(0)).toBe(7);
  });

  it("keeps the slots of workers and destinations apart", () => {
    const block = new SharedArrayBuffer(meetingSize(3));
    const writers = [0, 1, 2].map(() => new Meeting(block, 3));
    writers.forEach((writer, worker) => {
      writer.put(worker, worker * 10, worker);
      for (let to = 0; to < 3; to++) writer.putOutbox(worker, to, worker * 100 + to, worker + to);
    });
    // Two have arrived in other threads; the third one completes the meeting.
    Atomics.store(new Int32Array(block), 0, 2);
    const last = writers[2] as Meeting;
    last.meet();
    for (let from = 0; from < 3; from++) {
      expect(last.getNextEvent(from)).toBe(from * 10);
      expect(last.getFlags(from)).toBe(from);
      for (let to = 0; to < 3; to++)
        expect(last.getOutbox(from, to)).toEqual({ records: from * 100 + to, count: from + to });
    }
  });

  it("lets nobody wait for a worker that failed", () => {
    const block = new SharedArrayBuffer(meetingSize(2));
    new Meeting(block, 2).abort();
    expect(() => new Meeting(block, 2).meet()).toThrow(AbortedRun);
  });
});
