/**
 * The layers around a memberlist message (hashicorp/memberlist net.go, security.go):
 *
 *     UDP   version(1) nonce(12) ciphertext tag(16)                          additional data: none
 *     TCP   10 length(4, big endian) version nonce ciphertext tag            additional data: the first 5 bytes
 *
 * and within: on UDP a CRC (for members known to speak version 5) around a compressed form, where that
 * is shorter, of the message; on TCP always the compressed form.
 */
import { BytePool } from "../base/byte-pool.ts";
import { assert, MalformedError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { crc32 } from "./crc32.ts";
import type { Keyring } from "./keyring.ts";
import { lzwDecompress, lzwPack, PACK_ROOM } from "./lzw.ts";
import { MESSAGE } from "./messages.ts";
import { decodeStruct } from "./msgpack.ts";
import type { Packet, Part } from "./parts.ts";
import { rememberSealed, takeSealed } from "./sealed.ts";

/** What encryption adds to a packet: version, nonce and tag. */
export const ENCRYPT_OVERHEAD = 29;
/** Longest TCP frame taken (net.go maxPushStateBytes). */
export const MAX_STREAM_BYTES = 20 * 1024 * 1024;
/** Type byte and length in front of an encrypted TCP frame. */
export const STREAM_HEADER = 5;

const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const NO_AAD = new Uint8Array(0);
/** Type and checksum. */
const CRC_HEADER = 5;
/** A map of two fields in order of name: Algo with 0, and the name of Buf. */
const STRUCT_HEAD = [0x82, 0xa4, 0x41, 0x6c, 0x67, 0x6f, 0, 0xa3, 0x42, 0x75, 0x66];

/** Bodies that go out as they are, but for a checksum. */
const room = new BytePool();

/**
 * Wraps a message for a UDP packet. `keyring` without keys leaves it in clear.
 * @param parts what is in it, if that is known
 */
export function framePacket(
  message: Uint8Array,
  crc: boolean,
  keyring: Keyring,
  random: Random,
  parts?: readonly Part[],
): Uint8Array {
  const body = packetBody(message, crc);
  return keyring.size === 0 ? body.slice() : encrypt(body, 0, NO_AAD, keyring, random, { message, parts });
}

/** The last body that was made: a message often goes to several members, one after the other. */
let last: { readonly message: Uint8Array; readonly crc: boolean; readonly body: Uint8Array } | undefined;

function packetBody(message: Uint8Array, crc: boolean): Uint8Array {
  if (last?.message === message && last.crc === crc) return last.body;
  const header = crc ? CRC_HEADER : 0;
  let body = compress(message, header);
  if (body.length - header >= message.length) {
    body = room.take(header + message.length);
    body.set(message, header);
  }
  if (crc) putCrc(body);
  last = { message, crc, body };
  return body;
}

/**
 * Unwraps encryption and CRC of a UDP packet; what remains may be a compressed or compound message.
 * @throws MalformedError naming what is wrong
 */
export function unframePacket(packet: Uint8Array, keyring: Keyring): Uint8Array {
  return openPacket(packet, keyring).message;
}

/** As unframePacket, with what is in the message where that is known. */
export function openPacket(packet: Uint8Array, keyring: Keyring): Packet {
  const known = takeSealed(packet, NO_AAD, keyring.has);
  if (known !== undefined) return known;
  const body = keyring.size === 0 ? packet : decrypt(packet, NO_AAD, keyring);
  return { message: body[0] === MESSAGE.hasCrc ? checkCrc(body) : body, parts: undefined };
}

/**
 * Wraps a message for a TCP stream.
 * @param parts what is in it, if that is known
 */
export function frameStream(
  message: Uint8Array,
  keyring: Keyring,
  random: Random,
  parts?: readonly Part[],
): Uint8Array {
  const body = compress(message);
  if (keyring.size === 0) return body.slice();
  const header = new Uint8Array(STREAM_HEADER);
  header[0] = MESSAGE.encrypt;
  new DataView(header.buffer).setUint32(1, body.length + ENCRYPT_OVERHEAD);
  // What is known needn't be kept.
  const kept = parts === undefined ? message : message.slice(0, 1);
  const frame = encrypt(body, STREAM_HEADER, header, keyring, random, { message: kept, parts });
  frame.set(header);
  return frame;
}

/** Decrypts a TCP frame behind its 5-byte header and unpacks it: the message with its type byte. */
export function unframeStream(header: Uint8Array, frame: Uint8Array, keyring: Keyring): Uint8Array {
  return openStream(header, frame, keyring).message;
}

/** As unframeStream, with what is in the message where that is known. */
export function openStream(header: Uint8Array, frame: Uint8Array, keyring: Keyring): Packet {
  const known = takeSealed(frame, header, keyring.has);
  return known ?? { message: decompressIfNeeded(decrypt(frame, header, keyring)), parts: undefined };
}

/** Unpacks a compress message, leaves any other as it is. */
export function decompressIfNeeded(message: Uint8Array): Uint8Array {
  return message[0] === MESSAGE.compress ? decompress(message.subarray(1)) : message;
}

/**
 * A compress message of a message: algorithm 0, LZW. It stands where lzwPack has put it, until something else is compressed.
 * @param free bytes that are left free in front of it
 */
export function compress(message: Uint8Array, free = 0): Uint8Array {
  last = undefined;
  const packed = lzwPack(message);
  const head = structHead(packed.length);
  const front = free + 1 + head.length;
  assert(front <= PACK_ROOM, "the head of a compressed message fits", front);
  const out = new Uint8Array(packed.buffer, packed.byteOffset - front, front + packed.length);
  out[free] = MESSAGE.compress;
  out.set(head, free + 1);
  return out;
}

/** What encodeStruct writes of Algo 0 and a Buf of so many bytes, up to these. */
function structHead(length: number): readonly number[] {
  if (length < 32) return [...STRUCT_HEAD, 0xa0 | length];
  if (length < 0x10000) return [...STRUCT_HEAD, 0xda, length >> 8, length & 255];
  return [...STRUCT_HEAD, 0xdb, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255];
}

/** @param body a compress message behind its type byte */
export function decompress(body: Uint8Array): Uint8Array {
  const fields = decodeStruct(body);
  if (fields.uint("Algo") !== 0) throw new MalformedError("compression algorithm");
  return lzwDecompress(fields.bytes("Buf") ?? new Uint8Array(0));
}

/** Fills the room in front of a body. */
function putCrc(packet: Uint8Array): void {
  const sum = crc32(packet, CRC_HEADER);
  packet[0] = MESSAGE.hasCrc;
  packet[1] = sum >>> 24;
  packet[2] = sum >>> 16;
  packet[3] = sum >>> 8;
  packet[4] = sum;
}

function checkCrc(packet: Uint8Array): Uint8Array {
  if (packet.length < CRC_HEADER) throw new MalformedError("crc is cut short");
  const body = packet.subarray(CRC_HEADER);
  if (new DataView(packet.buffer, packet.byteOffset).getUint32(1) !== crc32(body)) throw new MalformedError("crc");
  return body;
}

/**
 * Version, nonce, ciphertext and tag.
 * @param free bytes that are left free in front of them
 * @param opened what the body holds in the end
 */
function encrypt(
  body: Uint8Array,
  free: number,
  aad: Uint8Array,
  keyring: Keyring,
  random: Random,
  opened: Packet,
): Uint8Array {
  random.fill(nonce);
  const out = keyring.primary().seal(nonce, body, aad, free + 1 + NONCE_LENGTH);
  out[free] = 1;
  out.set(nonce, free + 1);
  const sealed = free === 0 ? out : out.subarray(free);
  rememberSealed(sealed, aad, keyring.primaryKey, opened.message, opened.parts);
  return out;
}

/** The nonce of what is being sealed. */
const nonce = new Uint8Array(NONCE_LENGTH);

function decrypt(packet: Uint8Array, aad: Uint8Array, keyring: Keyring): Uint8Array {
  const version = packet[0];
  if (version === undefined) throw new MalformedError("empty packet");
  if (version > 1) throw new MalformedError("encryption version");
  if (packet.length < 1 + NONCE_LENGTH + TAG_LENGTH) throw new MalformedError("encrypted packet is cut short");
  const iv = packet.subarray(1, 1 + NONCE_LENGTH);
  const plain = keyring.open(iv, packet.subarray(1 + NONCE_LENGTH), aad);
  if (plain === undefined) throw new MalformedError("no installed keys could decrypt the message");
  return version === 0 ? removePadding(plain) : plain;
}

/** Version 0 pads to the AES block as PKCS #7 does. */
function removePadding(plain: Uint8Array): Uint8Array {
  const padding = plain.at(-1);
  if (padding === undefined || padding === 0 || padding > 16 || padding > plain.length) {
    throw new MalformedError("padding");
  }
  return plain.subarray(0, plain.length - padding);
}
