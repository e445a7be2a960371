/** Packed files, whether the browser has unpacked them or not. */
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { unpacked } from "../../../web/dissectors/unpack.ts";

const text = "what stands in it ".repeat(1000);
const bytes = (data: Uint8Array | string) => new Uint8Array(Buffer.from(data));

async function read(data: Uint8Array<ArrayBuffer>): Promise<{ readonly text: string; readonly came: number[] }> {
  const came: number[] = [];
  const stream = await unpacked(new Response(data), (count) => came.push(count));
  return { text: await new Response(stream).text(), came };
}

it("unpacks what is packed, and takes what is unpacked as it is", async () => {
  const packed = bytes(gzipSync(text));
  const first = await read(packed);
  expect(first.text).toBe(text);
  expect(first.came.reduce((sum, count) => sum + count, 0)).toBe(packed.length);
  expect((await read(bytes(text))).text).toBe(text);
});

it("names a file that isn't there, or empty", async () => {
  await expect(unpacked(new Response("", { status: 404, statusText: "Not Found" }), () => {})).rejects.toThrow(
    /404 Not Found/,
  );
  await expect(unpacked(new Response(new Uint8Array(0)), () => {})).rejects.toThrow(/empty/);
});
