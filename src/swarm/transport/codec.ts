/**
 * How RPC messages become bytes: JSON in UTF-8. The one file that knows; protobuf would replace it.
 * Messages are plain objects of strings, numbers, booleans, arrays and undefined (left out).
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A message as bytes. */
export function encodeMessage(message: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(message ?? {}));
}

/** undefined when the bytes are no message. */
export function decodeMessage(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
