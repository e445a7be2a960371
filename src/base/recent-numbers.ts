/**
 * Which numbers came lately, in few bytes that the garbage collector doesn't look through: what is here has come, what isn't
 * may have. For numbers that are given out one after the other, of which about as many are in use as there is room for.
 */
const LEAST = 64;
const MOST = 1 << 14;

/** A set of numbers from 1 to 2^31 - 1 that forgets. */
export class RecentNumbers {
  /** A number stands at the place of its last bits, or isn't there. */
  #places = new Int32Array(LEAST);
  /** How often one number took another one's place since the places became this many. */
  #lost = 0;

  has(number: number): boolean {
    const places = this.#places;
    return places[number & (places.length - 1)] === number;
  }

  add(number: number): void {
    const places = this.#places;
    const at = number & (places.length - 1);
    if (places[at] !== 0 && places[at] !== number && ++this.#lost > places.length && places.length < MOST) this.#grow();
    const grown = this.#places;
    grown[number & (grown.length - 1)] = number;
  }

  clear(): void {
    this.#places.fill(0);
  }

  #grow(): void {
    const old = this.#places;
    const places = new Int32Array(2 * old.length);
    for (const number of old) places[number & (places.length - 1)] = number;
    this.#places = places;
    this.#lost = 0;
  }
}
