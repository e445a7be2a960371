/** Packed files, whether the browser has unpacked them or not. */

/** RFC 1952 §2.3.1. */
const GZIP = [0x1f, 0x8b] as const;

/** Told how many bytes came so far. */
export type Progress = (bytes: number) => void;

/**
 * A packed file, unpacked. Some servers say that such a file is encoded, and then the browser has unpacked it already:
 * its first bytes tell.
 * @param came told of each piece, as it came
 */
export async function unpacked(response: Response, came: Progress): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (!response.ok || response.body === null)
    throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader();
  const first = await reader.read();
  if (first.done) throw new Error(`${response.url}: empty`);
  const packed = first.value[0] === GZIP[0] && first.value[1] === GZIP[1];
  came(first.value.length);
  let held: Uint8Array<ArrayBuffer> | undefined = first.value;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (held !== undefined) {
        controller.enqueue(held);
        held = undefined;
        return;
      }
      const { done, value } = await reader.read();
      if (done) {
        controller.close();
        return;
      }
      came(value.length);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return packed ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
}
