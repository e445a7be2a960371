/** Checks of arguments that both writers share. */
import { MAX_PACKET_BYTES } from "./constants.ts";

/** Throws unless `data` has `length` bytes at `offset`, no more than readers accept. */
export function checkRange(data: Uint8Array, offset: number, length: number): void {
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > data.length
  ) {
    throw new RangeError(`offset ${offset} and length ${length} are outside the ${data.length} bytes of data`);
  }
  if (length > MAX_PACKET_BYTES) throw new RangeError(`packet of ${length} bytes: readers stop at ${MAX_PACKET_BYTES}`);
}

/** Throws unless `value` is a whole number from 0 to `max`. */
export function whole(name: string, value: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} must be an integer from 0 to ${max}, got ${value}`);
  }
}
