import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/swarm/api/status.ts";
import { decodeMessage, encodeMessage } from "../../../src/swarm/transport/codec.ts";
import {
  decodeHello,
  decodeRequest,
  decodeStatus,
  encodeFrame,
  encodeHello,
  encodeRequest,
  encodeStatus,
  FrameReader,
} from "../../../src/swarm/transport/frame.ts";

describe("frames", () => {
  it("come out whole however the stream is cut", () => {
    const frame = fc.record({ type: fc.nat(255), stream: fc.nat(2 ** 32 - 1), body: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 30 })), (frames, cuts) => {
        const bytes = frames.flatMap(({ type, stream, body }) => [...encodeFrame(type, stream, body)]);
        const reader = new FrameReader();
        const out = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts.length === 0 ? bytes.length : (cuts[i % cuts.length] as number);
          out.push(...(reader.push(Uint8Array.from(bytes.slice(at, at + size))) ?? []));
          at += size;
        }
        expect(out).toEqual(frames);
      }),
    );
  });

  it("that are too short or too long are refused", () => {
    expect(new FrameReader().push(Uint8Array.of(0, 0, 0, 4, 1, 0, 0, 0))).toBeUndefined();
    expect(new FrameReader().push(Uint8Array.of(255, 0, 0, 0))).toBeUndefined();
  });

  it("bodies are read as they were written, and garbage gives no exception", () => {
    expect(decodeHello(encodeHello("swarm-ca", "pem\n"))).toEqual({ serverName: "swarm-ca", certificate: "pem\n" });
    const message = encodeMessage({ a: [1, "ü"], b: undefined });
    const request = decodeRequest(encodeRequest("/S/M", message));
    expect(request?.path).toBe("/S/M");
    expect(decodeMessage(request?.message ?? new Uint8Array())).toEqual({ a: [1, "ü"] });
    const error = new RpcError("NotFound", "node not registered");
    expect(decodeStatus(encodeStatus(error))).toEqual(error);
    expect(decodeStatus(encodeStatus(undefined))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        decodeHello(bytes);
        decodeRequest(bytes);
        decodeStatus(bytes);
        decodeMessage(bytes);
        new FrameReader().push(bytes);
      }),
    );
  });
});
