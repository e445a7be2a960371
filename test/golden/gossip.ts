/** Gossip on port 7946 and connections to 2377 as events, from the frames on a wire, given the keys. */
import {
  decodeEnvelope,
  decodeCompound as decodeNetworkdbCompound,
  decodeTableEvent,
  GOSSIP,
} from "../../src/libnetwork/networkdb/messages.ts";
import { decompressIfNeeded, unframePacket, unframeStream } from "../../src/memberlist/framing.ts";
import type { Keyring } from "../../src/memberlist/keyring.ts";
import { decodeCompound, decodePushPull, decodeUserStream, MESSAGE } from "../../src/memberlist/messages.ts";
import type { Frame } from "./frames.ts";

export const GOSSIP_PORT = 7946;

/** What one packet or one direction of one connection carried. */
export interface GossipItem {
  readonly time: number;
  readonly from: string;
  readonly to: string;
  /** Bytes of UDP payload, or of the TCP stream. */
  readonly size: number;
  readonly transport: "udp" | "tcp";
  /** `ping`, `ackResp`, `alive` …; networkdb's messages as `user/1` (their envelope's type). */
  readonly messages: readonly string[];
}

const NAMES = new Map<number, string>(Object.entries(MESSAGE).map(([name, type]) => [type, name]));

function userMessage(data: Uint8Array): string[] {
  const { type, data: body } = decodeEnvelope(data);
  // networkdb's own compound: several events in a message.
  if (type === GOSSIP.compound) return decodeNetworkdbCompound(body).flatMap(userMessage);
  return [`user/${type}`];
}

function names(message: Uint8Array): string[] {
  const plain = decompressIfNeeded(message);
  const type = plain[0] ?? -1;
  if (type === MESSAGE.compound) return decodeCompound(plain.subarray(1)).parts.flatMap(names);
  if (type === MESSAGE.user) return userMessage(plain.subarray(1));
  return [NAMES.get(type) ?? `type ${type}`];
}

function streamNames(message: Uint8Array): string[] {
  const plain = decompressIfNeeded(message);
  if (plain[0] === MESSAGE.pushPull) {
    const { join, nodes } = decodePushPull(plain.subarray(1));
    return [`pushPull${join ? " join" : ""} ${nodes.length}`];
  }
  if (plain[0] === MESSAGE.user) return userMessage(decodeUserStream(plain.subarray(1)));
  return names(plain);
}

/** All UDP packets in order. @throws when one doesn't decrypt */
export function gossipPackets(frames: readonly Frame[], keyring: Keyring): GossipItem[] {
  return frames
    .filter(({ ip, ports }) => ip?.protocol === 17 && ports?.includes(GOSSIP_PORT))
    .map(({ ip, time }) => {
      const payload = ip?.payload.subarray(8) ?? new Uint8Array();
      const messages = names(unframePacket(payload, keyring));
      return { time, from: ip?.src ?? "", to: ip?.dst ?? "", size: payload.length, transport: "udp", messages };
    });
}

/** Connections to a port, by their SYNs. */
export function connections(frames: readonly Frame[], port: number): { time: number; from: string; to: string }[] {
  return frames
    .filter(({ ip, ports }) => ip?.protocol === 6 && ports?.[1] === port && ((ip.payload[13] ?? 0) & 0x12) === 2)
    .map(({ ip, time }) => ({ time, from: ip?.src ?? "", to: ip?.dst ?? "" }));
}

interface Stream {
  readonly time: number;
  readonly from: string;
  readonly to: string;
  readonly first: number;
  readonly bytes: Map<number, Uint8Array>;
}

/** What each direction of each gossip connection carried, in order of its first segment. @throws when it doesn't decrypt */
export function gossipStreams(frames: readonly Frame[], keyring: Keyring): GossipItem[] {
  const streams = new Map<string, Stream>();
  const order: Stream[] = [];
  for (const { ip, ports, time } of frames) {
    if (ip?.protocol !== 6 || !ports?.includes(GOSSIP_PORT)) continue;
    const view = new DataView(ip.payload.buffer, ip.payload.byteOffset, ip.payload.byteLength);
    const [seq, flags] = [view.getUint32(4), view.getUint8(13)];
    const key = `${ip.src}:${ports[0]} ${ip.dst}:${ports[1]}`;
    if (flags & 2) {
      const stream = { time, from: ip.src, to: ip.dst, first: (seq + 1) >>> 0, bytes: new Map<number, Uint8Array>() };
      streams.set(key, stream);
      order.push(stream);
    }
    const data = ip.payload.subarray((view.getUint8(12) >> 4) * 4);
    const stream = streams.get(key);
    if (data.length > 0 && stream !== undefined) stream.bytes.set((seq - stream.first) >>> 0, data);
  }
  return order.flatMap(({ time, from, to, bytes }) => {
    const size = Math.max(0, ...[...bytes].map(([at, data]) => at + data.length));
    if (size === 0) return [];
    const whole = new Uint8Array(size);
    for (const [at, data] of bytes) whole.set(data, at);
    const messages = streamNames(unframeStream(whole.subarray(0, 5), whole.subarray(5), keyring));
    return [{ time, from, to, size, transport: "tcp" as const, messages }];
  });
}

/** A change of a networkdb table, as it was gossiped. */
export interface TableChange {
  readonly node: string;
  /** Order of the changes of all nodes. */
  readonly lTime: number;
  /** 1 create, 2 update, 3 delete. */
  readonly change: number;
  readonly table: string;
  /** The record, its binary parts as dots and the container's id blanked. */
  readonly value: string;
  readonly bytes: number;
}

function tableChanges(message: Uint8Array): TableChange[] {
  const { type, data } = decodeEnvelope(message);
  if (type === GOSSIP.compound) return decodeNetworkdbCompound(data).flatMap(tableChanges);
  if (type !== GOSSIP.tableEvent) return [];
  const { nodeName, lTime, type: change, tableName, value } = decodeTableEvent(data);
  const text = new TextDecoder("latin1")
    .decode(value)
    .replace(/[^ -~]/g, ".")
    .replace(/\.[0-9a-f]{12}$/, ".ID");
  return [{ node: nodeName, lTime, change, table: tableName, value: text, bytes: value.length }];
}

/** Every table change that went over the wire by UDP, once, in the order of its Lamport time. */
export function gossipedChanges(frames: readonly Frame[], keyring: Keyring): TableChange[] {
  const found = new Map<string, TableChange>();
  for (const { ip, ports } of frames) {
    if (ip?.protocol !== 17 || !ports?.includes(GOSSIP_PORT)) continue;
    const plain = decompressIfNeeded(unframePacket(ip.payload.subarray(8), keyring));
    const parts = plain[0] === MESSAGE.compound ? decodeCompound(plain.subarray(1)).parts : [plain];
    for (const part of parts) {
      if (part[0] !== MESSAGE.user) continue;
      for (const change of tableChanges(part.subarray(1))) found.set(JSON.stringify(change), change);
    }
  }
  return [...found.values()].sort((a, b) => a.lTime - b.lTime || (a.node < b.node ? -1 : 1));
}
