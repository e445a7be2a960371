/**
 * NetworkDB's messages (moby libnetwork/networkdb networkdb.proto, message.go): an envelope of type and data, which
 * travels as a memberlist user message or as the user state of a push/pull.
 */
import { ByteCache, sameBytes } from "../../base/byte-cache.ts";
import { assert, MalformedError } from "../../base/errors.ts";
import { type ProtoField, ProtoWriter, parseProto, sizeOfBytes } from "../../base/protobuf.ts";
import type { Broadcast } from "../../memberlist/broadcast-queue.ts";
import { userPart } from "../../memberlist/parts.ts";

/** GossipMessage.type. */
export const GOSSIP = {
  networkEvent: 1,
  tableEvent: 2,
  pushPull: 3,
  bulkSync: 4,
  compound: 5,
  nodeEvent: 6,
} as const;

/** Types of node and network events. */
export const MEMBERSHIP = { join: 1, leave: 2 } as const;

/** What a network event says of a node (NetworkEvent_Type). */
export type Membership = (typeof MEMBERSHIP)[keyof typeof MEMBERSHIP];

/** Types of table events. */
export const TABLE_CHANGE = { create: 1, update: 2, delete: 3 } as const;

/** What a table event says of an entry (TableEvent_Type). */
export type TableChange = (typeof TABLE_CHANGE)[keyof typeof TABLE_CHANGE];

/** A message with its type (GossipMessage). */
export interface Envelope {
  readonly type: number;
  readonly data: Uint8Array;
}

/** A node came or goes. */
export interface NodeEvent {
  readonly type: Membership;
  readonly lTime: number;
  readonly nodeName: string;
}

/** A node joined or left a network. */
export interface NetworkEvent extends NodeEvent {
  readonly networkId: string;
}

/** An attachment in a push/pull. */
export interface NetworkEntry {
  readonly networkId: string;
  readonly lTime: number;
  readonly nodeName: string;
  readonly leaving: boolean;
}

/** All networks of all nodes, exchanged over TCP. */
export interface NetworkPushPull {
  readonly lTime: number;
  readonly networks: readonly NetworkEntry[];
  readonly nodeName: string;
}

/** An entry of a table was made, changed or deleted. */
export interface TableEvent {
  readonly type: TableChange;
  readonly lTime: number;
  /** The owner of the entry. */
  readonly nodeName: string;
  readonly networkId: string;
  readonly tableName: string;
  readonly key: string;
  readonly value: Uint8Array;
  /** Seconds that a deleted entry is still remembered. */
  readonly residualReapTime: number;
}

/** What a bulk sync says beside its entries. */
export interface BulkSyncHead {
  readonly lTime: number;
  /** True for the first message of a sync, false for the answer. */
  readonly unsolicited: boolean;
  readonly nodeName: string;
  readonly networks: readonly string[];
}

/** Entries of networks, exchanged to catch up. */
export interface BulkSync extends BulkSyncHead {
  /** An envelope: a compound of table events. */
  readonly payload: Uint8Array;
}

/** A message with its type, in protobuf. */
export function encodeEnvelope(type: number, data: Uint8Array): Uint8Array {
  return new ProtoWriter().uint(1, type).bytes(2, data).finish();
}

/** The decoders throw MalformedError. */
export function decodeEnvelope(message: Uint8Array): Envelope {
  const fields = fieldsByNumber(message);
  return { type: fields.get(1)?.uint() ?? 0, data: fields.get(2)?.bytes() ?? new Uint8Array(0) };
}

/** The encoders of events give the whole envelope; the decoders take its data. */
export function encodeNodeEvent(event: NodeEvent): Uint8Array {
  const writer = new ProtoWriter().uint(1, event.type).uint(2, event.lTime).string(3, event.nodeName);
  return encodeEnvelope(GOSSIP.nodeEvent, writer.finish());
}

/** Reads a node event; throws on damage. */
export function decodeNodeEvent(data: Uint8Array): NodeEvent {
  const fields = fieldsByNumber(data);
  return { type: membership(fields), lTime: number(fields, 2), nodeName: text(fields, 3) };
}

/** A network event in protobuf. */
export function encodeNetworkEvent(event: NetworkEvent): Uint8Array {
  const writer = new ProtoWriter().uint(1, event.type).uint(2, event.lTime).string(3, event.nodeName);
  return encodeEnvelope(GOSSIP.networkEvent, writer.string(4, event.networkId).finish());
}

/** Reads a network event; throws on damage. */
export function decodeNetworkEvent(data: Uint8Array): NetworkEvent {
  return { ...decodeNodeEvent(data), networkId: text(fieldsByNumber(data), 4) };
}

/** Push/pull state in protobuf. */
export function encodePushPullState(state: NetworkPushPull): Uint8Array {
  const writer = new ProtoWriter().uint(1, state.lTime);
  for (const entry of state.networks) writer.bytesAlways(2, encodeEntry(entry));
  const message = encodeEnvelope(GOSSIP.pushPull, writer.string(3, state.nodeName).finish());
  states.set(message, state);
  return message;
}

/** States that were sent: a receiver in this worker gets the very bytes. */
const states = new WeakMap<Uint8Array, NetworkPushPull>();

/** The state in a message that encodePushPullState has made; undefined for any other. */
export function recallPushPullState(message: Uint8Array): NetworkPushPull | undefined {
  return states.get(message);
}

/** Entries don't change and are sent over and over. */
const encodedEntries = new WeakMap<NetworkEntry, Uint8Array>();

function encodeEntry(entry: NetworkEntry): Uint8Array {
  let encoded = encodedEntries.get(entry);
  if (encoded === undefined) {
    const writer = new ProtoWriter().string(1, entry.networkId).uint(2, entry.lTime);
    encoded = writer.string(3, entry.nodeName).bool(4, entry.leaving).finish();
    encodedEntries.set(entry, encoded);
  }
  return encoded;
}

/** Attachments that came: every node hears of the same ones, and tells of them. */
const heardEntries = new ByteCache<NetworkEntry>(16384, 256);

function decodeEntry(data: Uint8Array): NetworkEntry {
  const fields = fieldsByNumber(data);
  const leaving = fields.get(4)?.bool() ?? false;
  return { networkId: text(fields, 1), lTime: number(fields, 2), nodeName: text(fields, 3), leaving };
}

/** An attachment as one object for all nodes that tell of it, so that its encoding is kept once. */
export function commonEntry(entry: NetworkEntry): NetworkEntry {
  return heardEntries.of(encodeEntry(entry), decodeEntry);
}

/** Reads push/pull state; throws on damage. */
export function decodePushPullState(data: Uint8Array): NetworkPushPull {
  const all = parseProto(data);
  const entries = all.filter((field) => field.number === 2);
  const networks = entries.map((field) => heardEntries.of(field.bytes(), decodeEntry));
  const fields = new Map(all.map((field) => [field.number, field]));
  return { lTime: number(fields, 1), networks, nodeName: text(fields, 3) };
}

/** A table event in protobuf. */
export function encodeTableEvent(event: TableEvent): Uint8Array {
  const writer = new ProtoWriter()
    .uint(1, event.type)
    .uint(2, event.lTime)
    .string(3, event.nodeName)
    .string(4, event.networkId)
    .string(5, event.tableName)
    .string(6, event.key)
    .bytes(7, event.value)
    .int(8, event.residualReapTime);
  return encodeEnvelope(GOSSIP.tableEvent, writer.finish());
}

/** Reads a table event; throws on damage. */
export function decodeTableEvent(data: Uint8Array): TableEvent {
  const fields = fieldsByNumber(data);
  const type = number(fields, 1);
  if (type < TABLE_CHANGE.create || type > TABLE_CHANGE.delete) throw new MalformedError("table event type");
  return {
    type: type as TableChange,
    lTime: number(fields, 2),
    nodeName: text(fields, 3),
    networkId: text(fields, 4),
    tableName: text(fields, 5),
    key: text(fields, 6),
    value: fields.get(7)?.bytes().slice() ?? new Uint8Array(0),
    residualReapTime: fields.get(8)?.int() ?? 0,
  };
}

/** A bulk sync in protobuf. */
export function encodeBulkSync(sync: BulkSync): Uint8Array {
  const writer = new ProtoWriter().raw(encodeBulkSyncHead(sync));
  return encodeEnvelope(GOSSIP.bulkSync, writer.bytes(5, sync.payload).finish());
}

function encodeBulkSyncHead(sync: BulkSyncHead): Uint8Array {
  const writer = new ProtoWriter().uint(1, sync.lTime).bool(2, sync.unsolicited).string(3, sync.nodeName);
  for (const network of sync.networks) writer.stringAlways(4, network);
  return writer.finish();
}

/**
 * A bulk sync of these entries, as encodeBulkSync has it of their compound. Tables are large: each entry is copied once, to where
 * it stands until another message is written.
 */
export function encodeHeardSync({ sync, events }: HeardSync): Uint8Array {
  const head = encodeBulkSyncHead(sync);
  let parts = 0;
  for (const { broadcast } of events) parts += sizeOfBytes(sizeOfBytes(broadcast.message.length));
  // The type takes two bytes, of either envelope.
  const payload = 2 + (parts === 0 ? 0 : sizeOfBytes(parts));
  const writer = new ProtoWriter().uint(1, GOSSIP.bulkSync).bytesHead(2, head.length + sizeOfBytes(payload));
  writer.raw(head).bytesHead(5, payload).uint(1, GOSSIP.compound);
  if (parts > 0) writer.bytesHead(2, parts);
  for (const { broadcast } of events) writer.wrappedBytes(1, 1, broadcast.message);
  return writer.view();
}

/** Reads a bulk sync; throws on damage. */
export function decodeBulkSync(data: Uint8Array): BulkSync {
  const fields = fieldsByNumber(data);
  const networks = parseProto(data).filter((field) => field.number === 4);
  return {
    lTime: number(fields, 1),
    unsolicited: fields.get(2)?.bool() ?? false,
    nodeName: text(fields, 3),
    networks: networks.map((field) => field.string()),
    payload: fields.get(5)?.bytes() ?? new Uint8Array(0),
  };
}

/** @param messages envelopes */
export function encodeCompound(messages: readonly Uint8Array[]): Uint8Array {
  return writeCompound(messages).slice();
}

/** As encodeCompound; valid until another message is written. */
export function writeCompound(messages: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const message of messages) length += sizeOfBytes(message.length === 0 ? 0 : sizeOfBytes(message.length));
  const writer = new ProtoWriter().uint(1, GOSSIP.compound);
  if (length > 0) writer.bytesHead(2, length);
  for (const message of messages) writer.wrappedBytes(1, 1, message);
  return writer.view();
}

/** What an envelope with an event says. */
export type Told =
  | { readonly type: typeof GOSSIP.nodeEvent; readonly event: NodeEvent }
  | { readonly type: typeof GOSSIP.networkEvent; readonly event: NetworkEvent }
  | { readonly type: typeof GOSSIP.tableEvent; readonly event: TableEvent };

let serials = 0;

/** A node, network or table event that came, and as what it is passed on: the same for all who hear it. */
export class HeardEvent {
  readonly told: Told;
  readonly broadcast: Broadcast;
  /** A number of its own, from 1. */
  readonly serial: number;

  /** @param envelope in which it is passed on */
  constructor(told: Told, envelope: Uint8Array) {
    this.told = told;
    serials = (serials + 1) & 0x7fffffff || 1;
    this.serial = serials;
    const part = userPart(envelope, this);
    const name = nameOf(told);
    this.broadcast = name === undefined ? { message: envelope, part } : { name, message: envelope, part };
  }
}

/** What a newer event of the same name takes the place of in a queue; node events are all sent. */
function nameOf({ type, event }: Told): string | undefined {
  if (type === GOSSIP.tableEvent) return `${event.tableName}/${event.key}`;
  return type === GOSSIP.networkEvent ? `${event.networkId}/${event.nodeName}` : undefined;
}

/** The events of a compound message, in order. */
export class HeardEvents {
  readonly events: readonly HeardEvent[];

  constructor(events: readonly HeardEvent[]) {
    this.events = events;
  }
}

/** A bulk sync with its entries. */
export class HeardSync {
  readonly sync: BulkSyncHead;
  readonly events: readonly HeardEvent[];

  constructor(sync: BulkSyncHead, events: readonly HeardEvent[]) {
    this.sync = sync;
    this.events = events;
  }
}

/** An event of this worker's own making, as those hear it to whom it is sent. */
export function heardOf(envelope: Uint8Array): HeardEvent {
  const event = recallEvent(envelope, 0, envelope.length);
  assert(event !== undefined, "an event was encoded");
  return event;
}

/** Events that came: every node hears the same ones many times. */
const heard = new ByteCache<HeardEvent | undefined>(32768, 1024);

/**
 * Reads an envelope that begins with an event's type, as all do that anybody writes; undefined for any other. The same
 * object each time. Throws on damage.
 */
export function recallEvent(data: Uint8Array, start: number, end: number): HeardEvent | undefined {
  const type = end - start > 1 && data[start] === 8 ? data[start + 1] : 0;
  const isEvent = type === GOSSIP.networkEvent || type === GOSSIP.tableEvent || type === GOSSIP.nodeEvent;
  return isEvent ? heard.of(data, readEvent, start, end) : undefined;
}

/** Reads an envelope with an event, however it is written; undefined when there is something else in it. Throws on damage. */
export function readEvent(message: Uint8Array): HeardEvent | undefined {
  const { type, data } = decodeEnvelope(message);
  const again = encodeEnvelope(type, data);
  const envelope = sameBytes(again, message) ? message : again;
  if (type === GOSSIP.nodeEvent) return new HeardEvent({ type, event: decodeNodeEvent(data) }, envelope);
  if (type === GOSSIP.networkEvent) return new HeardEvent({ type, event: decodeNetworkEvent(data) }, envelope);
  if (type === GOSSIP.tableEvent) return new HeardEvent({ type, event: decodeTableEvent(data) }, envelope);
  return undefined;
}

/** The messages in a compound one; throws on damage. */
export function decodeCompound(data: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const ranges = compoundRanges(data);
  for (let i = 0; i < ranges.length; i += 2) parts.push(data.subarray(ranges[i], ranges[i + 1]));
  return parts;
}

/** The same as pairs of where a message begins and ends; throws on damage. */
export function compoundRanges(data: Uint8Array): number[] {
  const ranges: number[] = [];
  let at = 0;
  while (at < data.length) {
    const part = lengthAt(data, at);
    const message = part === undefined || part.end === part.start ? part : lengthAt(data, part.start);
    if (part === undefined || message?.end !== part.end) return anyCompoundRanges(data);
    ranges.push(message.start, message.end);
    at = part.end;
  }
  return ranges;
}

/** Field 1, of bytes, and nothing unusual about it; undefined for anything else. */
function lengthAt(data: Uint8Array, at: number): { readonly start: number; readonly end: number } | undefined {
  if (data[at] !== 10) return undefined;
  let length = 0;
  let start = at + 1;
  for (let scale = 1; scale <= 2 ** 21; scale *= 128) {
    const byte = data[start++];
    if (byte === undefined) return undefined;
    length += (byte & 127) * scale;
    if (byte < 128) return start + length <= data.length ? { start, end: start + length } : undefined;
  }
  return undefined;
}

/** However it is written; throws on damage. */
function anyCompoundRanges(data: Uint8Array): number[] {
  const parts = parseProto(data).filter((field) => field.number === 1);
  return parts.flatMap((field) => {
    const message = fieldsByNumber(field.bytes()).get(1)?.bytes() ?? data.subarray(0, 0);
    const start = message.byteOffset - data.byteOffset;
    return [start, start + message.length];
  });
}

/** The last field of each number, as protobuf has it for fields that are not repeated. */
function fieldsByNumber(data: Uint8Array): ReadonlyMap<number, ProtoField> {
  return new Map(parseProto(data).map((field) => [field.number, field]));
}

function number(fields: ReadonlyMap<number, ProtoField>, field: number): number {
  return fields.get(field)?.uint() ?? 0;
}

function text(fields: ReadonlyMap<number, ProtoField>, field: number): string {
  return fields.get(field)?.string() ?? "";
}

function membership(fields: ReadonlyMap<number, ProtoField>): Membership {
  const type = number(fields, 1);
  if (type !== MEMBERSHIP.join && type !== MEMBERSHIP.leave) throw new MalformedError("membership event type");
  return type;
}
