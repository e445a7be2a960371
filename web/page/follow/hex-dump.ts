/** Bytes as people read them. */

const WIDTH = 16;

/** Sixteen bytes a line: offset, hexadecimal, printable ASCII. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += WIDTH) {
    const part = [...bytes.subarray(at, at + WIDTH)];
    const hex = part.map((byte, i) => `${i === WIDTH / 2 ? " " : ""}${byte.toString(16).padStart(2, "0")}`).join(" ");
    const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(3 * WIDTH)}  ${text}`);
  }
  return lines.join("\n");
}
