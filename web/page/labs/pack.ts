/** Texts of links, packed and unpacked by what the browser has for it. */
import { UserError } from "../../../src/base/errors.ts";
import { LARGEST_TEXT } from "../../../src/lab/link.ts";

const FORMAT = "deflate-raw";

/** Raw deflate (RFC 1951) of a text in UTF-8. */
export async function pack(text: string): Promise<Uint8Array> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream(FORMAT));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** @throws UserError for what was cut or changed, or becomes larger than a lab may be */
export async function unpack(bytes: Uint8Array): Promise<string> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    const reader = new Blob([Uint8Array.from(bytes)]).stream().pipeThrough(new DecompressionStream(FORMAT)).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      length += part.value.length;
      if (length > LARGEST_TEXT) break;
    }
    if (length > LARGEST_TEXT) await reader.cancel();
    else return new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(parts).arrayBuffer());
  } catch {
    throw new UserError("the link's text is broken: it was cut or changed on its way");
  }
  throw new UserError(`the link's text is larger than a lab may be: ${LARGEST_TEXT >> 20} MiB`);
}
