/** The captured gossip of a real swarm: UDP payloads and TCP byte streams of port 7946 from a golden scenario. */
import { goldenBytes } from "../support/golden.ts";

/** The keys of README.md, observation 11; the first one encrypts. */
export const GOLDEN_KEYS = [
  "c6cea5541a8f89f87e2ec92cab265304",
  "54e5606d7b8eb08fa920d86b37fd9983",
  "60b8017b814938630efb1f967821bc87",
].map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));

export interface CapturedPacket {
  readonly src: string;
  readonly dst: string;
  readonly payload: Uint8Array;
}

export interface CapturedGossip {
  readonly udp: CapturedPacket[];
  /** One direction of one connection each. */
  readonly tcp: CapturedPacket[];
}

interface Stream extends CapturedPacket {
  first: number | undefined;
  readonly segments: { seq: number; data: Uint8Array }[];
}

export function readGoldenGossip(scenario: string): CapturedGossip {
  const pcap = Buffer.from(goldenBytes(`${scenario}/manager/pcap/host__eth0.pcap.xz`));
  const udp: CapturedPacket[] = [];
  const streams = new Map<string, Stream>();
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    takeFrame(pcap.subarray(at + 16, at + 16 + length), udp, streams);
    at += 16 + length;
  }
  return { udp, tcp: [...streams.values()].map(assemble).filter((stream) => stream.payload.length > 0) };
}

function takeFrame(frame: Buffer, udp: CapturedPacket[], streams: Map<string, Stream>): void {
  if (frame.readUInt16BE(12) !== 0x0800) return;
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const body = ip.subarray((ip.readUInt8(0) & 15) * 4);
  const [srcPort, dstPort] = [body.length >= 4 ? body.readUInt16BE(0) : 0, body.length >= 4 ? body.readUInt16BE(2) : 0];
  if (srcPort !== 7946 && dstPort !== 7946) return;
  const src = `${ip.subarray(12, 16).join(".")}:${srcPort}`;
  const dst = `${ip.subarray(16, 20).join(".")}:${dstPort}`;
  const protocol = ip.readUInt8(9);
  if (protocol === 17) udp.push({ src, dst, payload: Uint8Array.from(body.subarray(8)) });
  if (protocol !== 6) return;
  const data = Uint8Array.from(body.subarray((body.readUInt8(12) >> 4) * 4));
  const syn = (body.readUInt8(13) & 2) !== 0;
  const key = `${src} ${dst}`;
  let stream = streams.get(key);
  if (stream === undefined || syn) {
    if (stream !== undefined) streams.set(`${key} before ${body.readUInt32BE(4)}`, stream);
    stream = { src, dst, payload: data, first: undefined, segments: [] };
    streams.set(key, stream);
  }
  if (syn) stream.first = (body.readUInt32BE(4) + 1) >>> 0;
  else if (data.length > 0) stream.segments.push({ seq: body.readUInt32BE(4), data });
}

function assemble(stream: Stream): CapturedPacket {
  const first = stream.first ?? stream.segments[0]?.seq ?? 0;
  const parts = stream.segments.map(({ seq, data }) => ({ at: (seq - first) >>> 0, data }));
  const length = Math.max(0, ...parts.map(({ at, data }) => at + data.length));
  const payload = new Uint8Array(length);
  for (const { at, data } of parts) payload.set(data, at);
  return { src: stream.src, dst: stream.dst, payload };
}
