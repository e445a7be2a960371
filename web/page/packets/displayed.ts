/** Which frames the packet list shows: all of them, or those that a filter found. */

/** Places in the list (positions) and places in the recording (indices). */
export class Displayed {
  #all = 0;
  /** Indices in ascending order; undefined while no filter is on. */
  #found: number[] | undefined;

  /** Frames that there are. */
  get all(): number {
    return this.#all;
  }

  /** Frames that are shown. */
  get count(): number {
    return this.#found?.length ?? this.#all;
  }

  get filtered(): boolean {
    return this.#found !== undefined;
  }

  /** There are so many now. */
  grow(all: number): void {
    this.#all = all;
  }

  /** Shows all of them. */
  clear(): void {
    this.#found = undefined;
  }

  /** Shows these. The array is kept. */
  show(found: number[]): void {
    this.#found = found;
  }

  /** The frame at a position. */
  index(position: number): number | undefined {
    if (position < 0 || position >= this.count) return undefined;
    return this.#found === undefined ? position : this.#found[position];
  }

  /** Where a frame stands; undefined where the filter leaves it out. */
  position(index: number): number | undefined {
    if (this.#found === undefined) return index < this.#all ? index : undefined;
    const position = this.after(index);
    return this.#found[position] === index ? position : undefined;
  }

  /** The first position whose frame is this one or a later one; behind the last where there is none. */
  after(index: number): number {
    if (this.#found === undefined) return Math.min(index, this.#all);
    let [low, high] = [0, this.#found.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#found[middle] as number) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
