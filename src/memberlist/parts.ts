/**
 * What is in a packet that a host of this worker has made: its messages, and what is known of them already. A receiver that
 * gets the very bytes of a packet which was made here (sealed.ts) needn't take it apart and read its messages again. It is a
 * saving of work alone: a packet of which nothing is known is read.
 */
import { MESSAGE } from "./messages.ts";

/** A message of a packet. */
export interface Part {
  readonly type: number;
  /** What holds its body, and from where to where. */
  readonly data: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** What reading the body gives: an AliveMessage, or what the delegate makes of a user message; it is never changed. */
  readonly meaning?: unknown;
}

/** A message with its type byte: a single one, or a compound one of its parts. Nobody changes its bytes any more. */
export interface Packet {
  /** Its bytes; of a stream's message whose parts are known the type byte alone. */
  readonly message: Uint8Array;
  /** What is in it, in order; undefined when it must be read. */
  readonly parts: readonly Part[] | undefined;
}

/** A message with its type byte as a part. */
export function wholePart(message: Uint8Array, meaning?: unknown): Part {
  return { type: message[0] as number, data: message, start: 1, end: message.length, meaning };
}

/** A user message without its type byte as a part. */
export function userPart(message: Uint8Array, meaning?: unknown): Part {
  return { type: MESSAGE.user, data: message, start: 0, end: message.length, meaning };
}
