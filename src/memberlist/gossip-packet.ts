/** Packets of gossip, made of broadcasts. */
import { BytePool } from "../base/byte-pool.ts";
import type { Broadcast } from "./broadcast-queue.ts";
import { MESSAGE } from "./messages.ts";
import { type Packet, type Part, userPart, wholePart } from "./parts.ts";

/** A compound message says in one byte how many there are. */
const MOST = 255;
/** A packet is sent at once. */
const room = new BytePool();

/**
 * One message as it is, several as a compound message (hashicorp/memberlist util.go makeCompoundMessage).
 * @param own messages with their type byte
 * @param foreign user messages without it
 */
export function encodeGossip(own: readonly Broadcast[], foreign: readonly Broadcast[]): Packet {
  const count = own.length + foreign.length;
  const parts: Part[] = [];
  let length = count === 1 ? 0 : 2 + 2 * count;
  for (const { message } of own) length += message.length;
  for (const { message } of foreign) length += 1 + message.length;
  const packet = room.take(length);
  let at = 0;
  if (count > 1) {
    packet[0] = MESSAGE.compound;
    packet[1] = count;
    at = 2 + 2 * count;
  }
  for (const { message, part } of own) {
    if (count > 1) putLength(packet, parts.length, message.length);
    packet.set(message, at);
    at += message.length;
    parts.push(part ?? wholePart(message));
  }
  for (const { message, part } of foreign) {
    if (count > 1) putLength(packet, parts.length, 1 + message.length);
    packet[at] = MESSAGE.user;
    packet.set(message, at + 1);
    at += 1 + message.length;
    parts.push(part ?? userPart(message));
  }
  return { message: packet, parts: count <= MOST ? parts : undefined };
}

/** As many packets as it takes. */
export function encodeGossips(own: readonly Broadcast[], foreign: readonly Broadcast[]): Packet[] {
  if (own.length + foreign.length <= MOST) return [encodeGossip(own, foreign)];
  const packets: Packet[] = [];
  for (let at = 0; at < own.length + foreign.length; at += MOST) {
    const behind = Math.max(0, at - own.length);
    packets.push(encodeGossip(own.slice(at, at + MOST), foreign.slice(behind, Math.max(0, at + MOST - own.length))));
  }
  return packets;
}

function putLength(packet: Uint8Array, index: number, length: number): void {
  packet[2 + 2 * index] = length >> 8;
  packet[3 + 2 * index] = length & 255;
}
