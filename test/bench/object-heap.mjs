/** The event queue that one would write first in JavaScript: a binary heap of objects. The peer of the kernel's. */
export class ObjectHeap {
  #items = [];
  #state = 12345;
  #tie = 0;
  #now = 0;

  constructor(pending) {
    for (let i = 0; i < pending; i++) this.#push({ time: this.#random(), tie: this.#tie++ });
  }

  #random() {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s;
    return s >>> 8;
  }

  static #before(a, b) {
    return a.time < b.time || (a.time === b.time && a.tie < b.tie);
  }

  #push(item) {
    const items = this.#items;
    let i = items.length;
    items.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!ObjectHeap.#before(item, items[parent])) break;
      items[i] = items[parent];
      i = parent;
    }
    items[i] = item;
  }

  #pop() {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && ObjectHeap.#before(items[child + 1], items[child])) child++;
      if (!ObjectHeap.#before(items[child], last)) break;
      items[i] = items[child];
      i = child;
    }
    items[i] = last;
    return first;
  }

  /** Takes the first and puts one back, `count` times. */
  turn(count) {
    for (let i = 0; i < count; i++) {
      this.#now = this.#pop().time;
      this.#push({ time: this.#now + this.#random(), tie: this.#tie++ });
    }
  }
}
