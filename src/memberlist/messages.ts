/**
 * memberlist's messages (hashicorp/memberlist net.go): one byte of type, then a msgpack struct, except for
 * the raw ones (compound, user, hasCrc, encrypt). Addresses are 4 bytes, as net.IP of an advertised IPv4 is.
 */
import type { Ipv4 } from "../base/addr.ts";
import { ByteCache } from "../base/byte-cache.ts";
import { BytePool } from "../base/byte-pool.ts";
import { MalformedError } from "../base/errors.ts";
import { decodeStruct, encodeStruct, type MsgpackFields, type MsgpackStruct, type MsgpackValue } from "./msgpack.ts";

/** Message types, the first byte. */
export const MESSAGE = {
  ping: 0,
  indirectPing: 1,
  ackResp: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nackResp: 11,
  hasCrc: 12,
  err: 13,
} as const;

/** A member's state on the wire of a push/pull. */
export const MEMBER_STATE = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;

/** State of a member (NodeStateType). */
export type MemberState = (typeof MEMBER_STATE)[keyof typeof MEMBER_STATE];

/** Who sent a ping, so that the answer finds the way back; left out by older versions. */
export interface PingSource {
  readonly addr: Ipv4;
  readonly port: number;
  readonly node: string;
}

/** ping (net.go). */
export interface PingMessage {
  readonly seqNo: number;
  /** The name the pinged node is expected to have. */
  readonly node: string;
  readonly source?: PingSource;
}

/** indirectPingReq: ping somebody for me. */
export interface IndirectPingMessage {
  readonly seqNo: number;
  readonly target: Ipv4;
  readonly port: number;
  readonly node: string;
  /** A nack is wanted when the target does not answer. */
  readonly nack: boolean;
  readonly source?: PingSource;
}

/** ackResp, with its payload. */
export interface AckMessage {
  readonly seqNo: number;
  readonly payload: Uint8Array | null;
}

/** nackResp: the node that was to be pinged for you gave no answer. */
export interface NackMessage {
  readonly seqNo: number;
}

/** suspect: `from` did not reach `node`. */
export interface SuspectMessage {
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

/** Node = from means that the node left. */
export type DeadMessage = SuspectMessage;

/** alive: a member, its address and its metadata. */
export interface AliveMessage {
  readonly incarnation: number;
  readonly node: string;
  readonly addr: Ipv4;
  readonly port: number;
  /** null is Go's nil: what an empty meta has become after one hop. */
  readonly meta: Uint8Array | null;
  /** pmin, pmax, pcur, dmin, dmax, dcur. */
  readonly vsn: Uint8Array;
  /** A number of its own, from 1, which one that recallAlive has given bears. */
  readonly serial?: number;
}

/** One node of a push/pull. */
export interface NodeStateMessage {
  readonly name: string;
  readonly addr: Ipv4;
  readonly port: number;
  readonly meta: Uint8Array | null;
  readonly incarnation: number;
  readonly state: MemberState;
  readonly vsn: Uint8Array;
}

/** State exchanged over TCP: header, members, user state. */
export interface PushPullMessage {
  readonly join: boolean;
  readonly nodes: readonly NodeStateMessage[];
  readonly userState: Uint8Array;
}

function ipBytes(ip: Ipv4): Uint8Array {
  return Uint8Array.of(ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255);
}

/** 4 bytes, or 16 of a v4-mapped address. */
function ipFrom(bytes: Uint8Array | null): Ipv4 {
  if (bytes === null || (bytes.length !== 4 && bytes.length !== 16)) throw new MalformedError("address");
  return bytes.subarray(bytes.length - 4).reduce((ip, byte) => ip * 256 + byte, 0);
}

function withType(type: number, fields: MsgpackFields): Uint8Array {
  const body = encodeStruct(fields);
  const out = new Uint8Array(body.length + 1);
  out[0] = type;
  out.set(body, 1);
  return out;
}

function sourceFields(source: PingSource | undefined): MsgpackFields {
  if (source === undefined) return [];
  return [
    ["SourceAddr", ipBytes(source.addr)],
    ["SourceNode", source.node],
    ["SourcePort", source.port],
  ];
}

function sourceFrom(body: MsgpackStruct): { source?: PingSource } {
  const addr = body.bytes("SourceAddr");
  const port = body.uint("SourcePort", 65536);
  if (addr === null || port === 0) return {};
  return { source: { addr: ipFrom(addr), port, node: body.string("SourceNode") } };
}

/** A ping with its type byte, in msgpack, as go-msgpack writes it. */
export function encodePing(ping: PingMessage): Uint8Array {
  return withType(MESSAGE.ping, [["Node", ping.node], ["SeqNo", ping.seqNo], ...sourceFields(ping.source)]);
}

/** The decoders take the body behind the type byte and throw MalformedError. */
export function decodePing(data: Uint8Array): PingMessage {
  const body = decodeStruct(data);
  return { seqNo: body.uint("SeqNo"), node: body.string("Node"), ...sourceFrom(body) };
}

/** An indirect ping with its type byte. */
export function encodeIndirectPing(ping: IndirectPingMessage): Uint8Array {
  return withType(MESSAGE.indirectPing, [
    ["Nack", ping.nack],
    ["Node", ping.node],
    ["Port", ping.port],
    ["SeqNo", ping.seqNo],
    ...sourceFields(ping.source),
    ["Target", ipBytes(ping.target)],
  ]);
}

/** Reads an indirect ping behind its type byte; throws on damage. */
export function decodeIndirectPing(data: Uint8Array): IndirectPingMessage {
  const body = decodeStruct(data);
  return {
    seqNo: body.uint("SeqNo"),
    target: ipFrom(body.bytes("Target")),
    port: body.uint("Port", 65536),
    node: body.string("Node"),
    nack: body.bool("Nack"),
    ...sourceFrom(body),
  };
}

/** An ack with its type byte. */
export function encodeAck(ack: AckMessage): Uint8Array {
  return withType(MESSAGE.ackResp, [
    ["Payload", ack.payload],
    ["SeqNo", ack.seqNo],
  ]);
}

/** Reads an ack behind its type byte; throws on damage. */
export function decodeAck(data: Uint8Array): AckMessage {
  const body = decodeStruct(data);
  return { seqNo: body.uint("SeqNo"), payload: body.bytes("Payload") };
}

/** A nack with its type byte. */
export function encodeNack(nack: NackMessage): Uint8Array {
  return withType(MESSAGE.nackResp, [["SeqNo", nack.seqNo]]);
}

/** Reads a nack behind its type byte; throws on damage. */
export function decodeNack(data: Uint8Array): NackMessage {
  return { seqNo: decodeStruct(data).uint("SeqNo") };
}

function accusation(message: SuspectMessage): MsgpackFields {
  return [
    ["From", message.from],
    ["Incarnation", message.incarnation],
    ["Node", message.node],
  ];
}

/** A suspicion with its type byte. */
export function encodeSuspect(suspect: SuspectMessage): Uint8Array {
  return withType(MESSAGE.suspect, accusation(suspect));
}

/** A death with its type byte. */
export function encodeDead(dead: DeadMessage): Uint8Array {
  return withType(MESSAGE.dead, accusation(dead));
}

/** Decodes suspect and dead alike. */
export function decodeAccusation(data: Uint8Array): SuspectMessage {
  const body = decodeStruct(data);
  return { incarnation: body.uint("Incarnation"), node: body.string("Node"), from: body.string("From") };
}

/** An alive message with its type byte. */
export function encodeAlive(alive: AliveMessage): Uint8Array {
  return withType(MESSAGE.alive, [
    ["Addr", ipBytes(alive.addr)],
    ["Incarnation", alive.incarnation],
    ["Meta", alive.meta],
    ["Node", alive.node],
    ["Port", alive.port],
    ["Vsn", alive.vsn],
  ]);
}

/** Reads an alive message behind its type byte; throws on damage. */
export function decodeAlive(data: Uint8Array): AliveMessage {
  const body = decodeStruct(data);
  return {
    incarnation: body.uint("Incarnation"),
    node: body.string("Node"),
    addr: ipFrom(body.bytes("Addr")),
    port: body.uint("Port", 65536),
    meta: body.bytes("Meta"),
    vsn: body.bytes("Vsn") ?? new Uint8Array(0),
  };
}

let serials = 0;

function decodeAliveOnce(data: Uint8Array): AliveMessage {
  serials = (serials + 1) & 0x7fffffff || 1;
  return { ...decodeAlive(data), serial: serials };
}

/** Alive messages that came: every node hears the same ones many times, and passes them on. */
const heard = new ByteCache<AliveMessage>(16384, 512);

/** As decodeAlive, of a part of the bytes; the same object each time that the same message comes. Throws on damage. */
export function recallAlive(data: Uint8Array, start: number, end: number): AliveMessage {
  return heard.of(data, decodeAliveOnce, start, end);
}

/** What is made of alive messages, for as long as anybody holds them. */
const aliveStates = new WeakMap<AliveMessage, NodeStateMessage>();
const alivesOf = new WeakMap<NodeStateMessage, AliveMessage>();

/** The alive message that an alive node of a push/pull stands for: the same object each time. */
export function aliveOf(state: NodeStateMessage): AliveMessage {
  let alive = alivesOf.get(state);
  if (alive === undefined) {
    const { name: node, addr, port, meta, incarnation, vsn } = state;
    const encoded = encodeAlive({ incarnation, node, addr, port, meta, vsn });
    alive = recallAlive(encoded, 1, encoded.length);
    alivesOf.set(state, alive);
  }
  return alive;
}

/** The reverse: the same object each time, so that its encoding is kept. */
export function aliveState(alive: AliveMessage): NodeStateMessage {
  let state = aliveStates.get(alive);
  if (state === undefined) {
    const { node: name, addr, port, meta, incarnation, vsn } = alive;
    state = { name, addr, port, meta, incarnation, state: MEMBER_STATE.alive, vsn };
    aliveStates.set(alive, state);
  }
  return state;
}

/** An error reply on a stream, with its type byte. */
export function encodeErr(text: string): Uint8Array {
  return withType(MESSAGE.err, [["Error", text]]);
}

/** Reads the text of an error reply. */
export function decodeErr(data: Uint8Array): string {
  return decodeStruct(data).string("Error");
}

/** Where user messages for streams stand: tables are large, and sent at once. */
let stream = new Uint8Array(4096);

/** A user message for a stream: type, header, bytes; valid until the next one is encoded. */
export function encodeUserStream(message: Uint8Array): Uint8Array {
  const header = withType(MESSAGE.user, [["UserMsgLen", message.length]]);
  const length = header.length + message.length;
  if (length > stream.length) stream = new Uint8Array(2 * length);
  stream.set(header);
  stream.set(message, header.length);
  return stream.subarray(0, length);
}

/** @throws MalformedError when bytes are missing */
export function decodeUserStream(data: Uint8Array): Uint8Array {
  const header = decodeStruct(data);
  const end = header.end + header.uint("UserMsgLen");
  if (end > data.length) throw new MalformedError("user message is cut short");
  return data.subarray(header.end, end);
}

/** Push/pull state with its type byte. */
export function encodePushPull(message: PushPullMessage): Uint8Array {
  const header: [string, MsgpackValue][] = [
    ["Join", message.join],
    ["Nodes", message.nodes.length],
    ["UserStateLen", message.userState.length],
  ];
  return concat([withType(MESSAGE.pushPull, header), ...message.nodes.map(encodeNode), message.userState]);
}

/** Node states don't change and are sent over and over. */
const encodedNodes = new WeakMap<NodeStateMessage, Uint8Array>();

function encodeNode(node: NodeStateMessage): Uint8Array {
  let encoded = encodedNodes.get(node);
  if (encoded === undefined) {
    encoded = encodeStruct([
      ["Addr", ipBytes(node.addr)],
      ["Incarnation", node.incarnation],
      ["Meta", node.meta],
      ["Name", node.name],
      ["Port", node.port],
      ["State", node.state],
      ["Vsn", node.vsn],
    ]);
    encodedNodes.set(node, encoded);
  }
  return encoded;
}

/** Reads push/pull state behind its type byte; throws on damage. */
export function decodePushPull(data: Uint8Array): PushPullMessage {
  const header = decodeStruct(data);
  const nodes: NodeStateMessage[] = [];
  let at = header.end;
  for (let count = header.uint("Nodes", 2 ** 31); count > 0; count--) {
    const body = decodeStruct(data, at);
    at = body.end;
    nodes.push({
      name: body.string("Name"),
      addr: ipFrom(body.bytes("Addr")),
      port: body.uint("Port", 65536),
      meta: body.bytes("Meta"),
      incarnation: body.uint("Incarnation"),
      state: body.uint("State", 4) as MemberState,
      vsn: body.bytes("Vsn") ?? new Uint8Array(0),
    });
  }
  const end = at + header.uint("UserStateLen", 2 ** 31);
  if (end > data.length) throw new MalformedError("user state is cut short");
  return { join: header.bool("Join"), nodes, userState: data.slice(at, end) };
}

/** Several messages in one packet, at most 255. */
export function encodeCompound(messages: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(2 + 2 * messages.length);
  head[0] = MESSAGE.compound;
  head[1] = messages.length;
  messages.forEach((message, i) => {
    head[2 + 2 * i] = message.length >> 8;
    head[3 + 2 * i] = message.length & 255;
  });
  return concat([head, ...messages]);
}

/** The parts that are whole, and how many are cut off (they are lost, the others count). */
export function decodeCompound(data: Uint8Array): { parts: Uint8Array[]; truncated: number } {
  const { parts: ranges, truncated } = compoundRanges(data, 0, data.length);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < ranges.length; i += 2) parts.push(data.subarray(ranges[i], ranges[i + 1]));
  return { parts, truncated };
}

/** The same of bytes from `start` to `end`, as pairs of where a part begins and ends. */
export function compoundRanges(data: Uint8Array, start: number, end: number): { parts: number[]; truncated: number } {
  const count = start < end ? (data[start] as number) : 0;
  let at = start + 1 + 2 * count;
  if (start >= end || end < at) throw new MalformedError("compound is cut short");
  const parts: number[] = [];
  for (let i = 0; i < count; i++) {
    const length = (data[start + 1 + 2 * i] as number) * 256 + (data[start + 2 + 2 * i] as number);
    if (at + length > end) return { parts, truncated: count - i };
    parts.push(at, at + length);
    at += length;
  }
  return { parts, truncated: 0 };
}

/** A user message with its type byte. */
export function encodeUser(message: Uint8Array): Uint8Array {
  const out = packetRoom.take(1 + message.length);
  out[0] = MESSAGE.user;
  out.set(message, 1);
  return out;
}

/** A packet is sent at once. */
const packetRoom = new BytePool();

/** Byte strings one after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
