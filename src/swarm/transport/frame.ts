/**
 * Frames of the RPC on a TCP connection, in the shape of HTTP/2's: a length, a type, a stream number, a body.
 *
 *     length u32 BE (of what follows) | type u8 | stream u32 BE | body
 *
 * A `hello` of each side opens the connection, as TLS's handshake does: the client's with the expected
 * server name and its certificate, the server's with its own.
 */
import { Code, codeName, RpcError } from "../api/status.ts";

/** Types of frames. */
export const FrameType = { HELLO: 1, REQUEST: 2, MESSAGE: 3, STATUS: 4, CANCEL: 5 } as const;

/** A frame taken apart. */
export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly body: Uint8Array;
}

const HEADER = 9;
/** gRPC's limit of a message (swarmkit: 4 MiB). */
const MAX_FRAME = 4 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A frame as bytes. */
export function encodeFrame(type: number, stream: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, out.length - 4);
  view.setUint8(4, type);
  view.setUint32(5, stream);
  out.set(body, HEADER);
  return out;
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #buffer = new Uint8Array(0);

  /** Adds bytes and gives the frames that are whole now; undefined when the peer breaks the format. */
  push(bytes: Uint8Array): Frame[] | undefined {
    const data = new Uint8Array(this.#buffer.length + bytes.length);
    data.set(this.#buffer);
    data.set(bytes, this.#buffer.length);
    const view = new DataView(data.buffer);
    const frames: Frame[] = [];
    let at = 0;
    while (data.length - at >= 4) {
      const length = view.getUint32(at);
      if (length < HEADER - 4 || length > MAX_FRAME) return undefined;
      if (data.length - at < 4 + length) break;
      const body = data.slice(at + HEADER, at + 4 + length);
      frames.push({ type: view.getUint8(at + 4), stream: view.getUint32(at + 5), body });
      at += 4 + length;
    }
    this.#buffer = data.slice(at);
    return frames;
  }
}

function encodeTexts(...texts: readonly string[]): Uint8Array {
  return encoder.encode(texts.join("\0"));
}

/** Certificates and names hold no NUL. */
export function encodeHello(serverName: string, certificate: string): Uint8Array {
  return encodeTexts(serverName, certificate);
}

/** Reads a greeting: whom the client wants, and a certificate. */
export function decodeHello(body: Uint8Array): { serverName: string; certificate: string } {
  const [serverName, certificate] = decoder.decode(body).split("\0");
  return { serverName: serverName ?? "", certificate: certificate ?? "" };
}

/** A request: length of the path u16, path, message. */
export function encodeRequest(path: string, message: Uint8Array): Uint8Array {
  const name = encoder.encode(path);
  const out = new Uint8Array(2 + name.length + message.length);
  new DataView(out.buffer).setUint16(0, name.length);
  out.set(name, 2);
  out.set(message, 2 + name.length);
  return out;
}

/** undefined when the body is too short. */
export function decodeRequest(body: Uint8Array): { path: string; message: Uint8Array } | undefined {
  if (body.length < 2) return undefined;
  const end = 2 + new DataView(body.buffer, body.byteOffset).getUint16(0);
  if (body.length < end) return undefined;
  return { path: decoder.decode(body.subarray(2, end)), message: body.subarray(end) };
}

/** The end of a call: code u8, text. */
export function encodeStatus(error: RpcError | undefined): Uint8Array {
  const text = encoder.encode(error?.desc ?? "");
  const out = new Uint8Array(1 + text.length);
  out[0] = Code[error?.code ?? "OK"];
  out.set(text, 1);
  return out;
}

/** undefined = OK. */
export function decodeStatus(body: Uint8Array): RpcError | undefined {
  const code = codeName(body[0] ?? Code.Unknown);
  return code === "OK" ? undefined : new RpcError(code, decoder.decode(body.subarray(1)));
}
