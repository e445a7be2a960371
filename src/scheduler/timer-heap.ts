/** Deadlines of the programs of one worker, in their order: (time, host index, per-host counter). */
import type { Time } from "../base/time.ts";

/** Something with a deadline; the heap keeps its place in it. */
export interface Timed {
  /** The deadline, while it is in the heap. */
  readonly timerTime: Time;
  readonly hostIndex: number;
  /** Counts the deadlines of its host. */
  readonly timerSequence: number;
  /** Position in the heap, -1 when not in it. */
  timerSlot: number;
}

/** A binary heap of waiting processes by (deadline, host index, per-host counter), with removal from the middle. */
export class TimerHeap<T extends Timed> {
  readonly #heap: T[] = [];

  /** The earliest. */
  first(): T | undefined {
    return this.#heap[0];
  }

  /** Everything in the heap, in no particular order. */
  all(): readonly T[] {
    return this.#heap;
  }

  /** Adds one that isn't in it. */
  add(task: T): void {
    this.#heap.push(task);
    this.#up(task, this.#heap.length - 1);
  }

  /** Removes one that is in it. */
  remove(task: T): void {
    const slot = task.timerSlot;
    task.timerSlot = -1;
    const last = this.#heap.pop() as T;
    if (last === task) return;
    this.#up(last, slot);
    this.#down(last, last.timerSlot);
  }

  #up(task: T, from: number): void {
    let slot = from;
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1;
      const parent = this.#heap[parentSlot] as T;
      if (!before(task, parent)) break;
      this.#place(parent, slot);
      slot = parentSlot;
    }
    this.#place(task, slot);
  }

  #down(task: T, from: number): void {
    let slot = from;
    for (;;) {
      let childSlot = 2 * slot + 1;
      if (childSlot >= this.#heap.length) break;
      let child = this.#heap[childSlot] as T;
      const right = this.#heap[childSlot + 1];
      if (right !== undefined && before(right, child)) {
        child = right;
        childSlot++;
      }
      if (!before(child, task)) break;
      this.#place(child, slot);
      slot = childSlot;
    }
    this.#place(task, slot);
  }

  #place(task: T, slot: number): void {
    this.#heap[slot] = task;
    task.timerSlot = slot;
  }
}

/** Whether a deadline comes before another one. */
export function before(a: Timed, b: Timed): boolean {
  if (a.timerTime !== b.timerTime) return a.timerTime < b.timerTime;
  if (a.hostIndex !== b.hostIndex) return a.hostIndex < b.hostIndex;
  return a.timerSequence < b.timerSequence;
}
