/** MySQL's client/server protocol: packets, the handshake of version 10, native passwords, text results (MySQL Internals, "Client/Server Protocol"). */
import type { Time } from "../../base/time.ts";
import type { TcpSocket } from "../../kernel/socket-types.ts";
import { sendTcp } from "../../scheduler/io.ts";
import type { Proc } from "../../scheduler/process.ts";
import { decodeBytes, encode } from "../../shell/lib/program.ts";
import type { SocketReader } from "../../shell/lib/socket-reader.ts";
import { sha1 } from "../../shell/tools/digests.ts";

/** Commands (enum_server_command). */
export const COM = { quit: 1, initDb: 2, query: 3, ping: 14 } as const;
export const AUTH_PLUGIN = "mysql_native_password";
/** CLIENT_LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH. */
export const CAPABILITIES = 0x0000_0001 | 0x2 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
const CONNECT_WITH_DB = 0x8;
const PLUGIN_AUTH = 0x8_0000;
/** utf8mb4_general_ci; the status flag of autocommit. */
const CHARSET = 45;
const AUTOCOMMIT = 2;

/** An error as the server sends it. */
export class MysqlError extends Error {
  override name = "MysqlError";
  readonly code: number;
  readonly state: string;
  constructor(code: number, state: string, message: string) {
    super(message);
    this.code = code;
    this.state = state;
  }
}

/** Rows of text under their columns; null is SQL's NULL. */
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Bytes of parts: numbers are single bytes, texts end with a zero byte. */
function bytes(...parts: readonly (number | string | Uint8Array)[]): Uint8Array {
  const pieces = parts.map((part) =>
    typeof part === "number" ? Uint8Array.of(part) : typeof part === "string" ? encode(`${part}\0`) : part,
  );
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

function little(value: number, width: number): Uint8Array {
  return Uint8Array.from({ length: width }, (_, i) => (value >>> (8 * i)) & 255);
}

/** A length-encoded string; short ones are all that there are here. */
function lengthEncoded(text: string): Uint8Array {
  const data = encode(text);
  return data.length < 251 ? bytes(data.length, data) : bytes(0xfc, little(data.length, 2), data);
}

/** Packets of one connection, with their sequence numbers. */
export class PacketStream {
  readonly #socket: TcpSocket;
  readonly #reader: SocketReader;
  #sequence = 0;

  constructor(socket: TcpSocket, reader: SocketReader) {
    this.#socket = socket;
    this.#reader = reader;
  }

  /** A new command begins: numbers start again. */
  reset(): void {
    this.#sequence = 0;
  }

  *send(payload: Uint8Array): Proc<void> {
    yield* sendTcp(this.#socket, bytes(little(payload.length, 3), this.#sequence++ & 255, payload));
  }

  /** Undefined at the end of the stream and at the deadline. */
  *receive(until?: Time): Proc<Uint8Array | undefined> {
    const header = yield* this.#reader.exactly(4, until);
    if (header === undefined) return undefined;
    const [low = 0, middle = 0, high = 0, sequence = 0] = header;
    this.#sequence = sequence + 1;
    const payload = yield* this.#reader.exactly(low | (middle << 8) | (high << 16), until);
    return payload?.slice();
  }
}

/** The first packet of a server (HandshakeV10). */
export function greeting(version: string, connection: number, scramble: Uint8Array): Uint8Array {
  return bytes(
    10,
    version,
    little(connection, 4),
    scramble.subarray(0, 8),
    0,
    little(CAPABILITIES, 2),
    CHARSET,
    little(AUTOCOMMIT, 2),
    little(CAPABILITIES >>> 16, 2),
    scramble.length + 1,
    new Uint8Array(10),
    scramble.subarray(8),
    0,
    AUTH_PLUGIN,
  );
}

/** The server's version and scramble; undefined when it is no greeting but an error. */
export function readGreeting(packet: Uint8Array): { version: string; scramble: Uint8Array } | undefined {
  if (packet[0] !== 10) return undefined;
  const end = packet.indexOf(0, 1);
  const version = decodeBytes(packet.subarray(1, end));
  const first = packet.subarray(end + 5, end + 13);
  const second = packet.subarray(end + 32, end + 44);
  return { version, scramble: bytes(first, second) };
}

/** SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))); nothing for an empty password. */
export function nativePassword(password: string, scramble: Uint8Array): Uint8Array {
  if (password === "") return new Uint8Array(0);
  const once = sha1(encode(password));
  const mixed = sha1(bytes(scramble, sha1(once)));
  return once.map((byte, at) => byte ^ (mixed[at] as number));
}

/** What a client answers (HandshakeResponse41). */
export interface Login {
  readonly user: string;
  readonly answer: Uint8Array;
  readonly database: string | undefined;
}

/** The answer of a client as bytes. */
export function loginPacket(
  user: string,
  password: string,
  database: string | undefined,
  scramble: Uint8Array,
): Uint8Array {
  const answer = nativePassword(password, scramble);
  const flags = database === undefined ? CAPABILITIES & ~CONNECT_WITH_DB : CAPABILITIES;
  return bytes(
    little(flags, 4),
    little(1 << 24, 4),
    CHARSET,
    new Uint8Array(23),
    user,
    answer.length,
    answer,
    ...(database === undefined ? [] : [database]),
    AUTH_PLUGIN,
  );
}

/** Undefined for what is no login of protocol 4.1. */
export function readLogin(packet: Uint8Array): Login | undefined {
  if (packet.length < 34) return undefined;
  const flags = new DataView(packet.buffer, packet.byteOffset).getUint32(0, true);
  const end = packet.indexOf(0, 32);
  if (end < 0 || (flags & PLUGIN_AUTH) === 0) return undefined;
  const length = packet[end + 1] ?? 0;
  const answer = packet.subarray(end + 2, end + 2 + length);
  const behind = end + 2 + length;
  const close = packet.indexOf(0, behind);
  const database =
    (flags & CONNECT_WITH_DB) !== 0 && close > behind ? decodeBytes(packet.subarray(behind, close)) : undefined;
  return { user: decodeBytes(packet.subarray(32, end)), answer, database };
}

/** OK_Packet. */
export function okPacket(affected = 0): Uint8Array {
  return bytes(0, affected, 0, little(AUTOCOMMIT, 2), little(0, 2));
}

/** ERR_Packet. */
export function errorPacket({ code, state, message }: MysqlError): Uint8Array {
  return bytes(0xff, little(code, 2), encode(`#${state}${message}`));
}

/** The error in a packet; undefined when it is none. */
export function readError(packet: Uint8Array): MysqlError | undefined {
  if (packet[0] !== 0xff) return undefined;
  const code = (packet[1] ?? 0) | ((packet[2] ?? 0) << 8);
  const text = decodeBytes(packet.subarray(3));
  return text.startsWith("#")
    ? new MysqlError(code, text.slice(1, 6), text.slice(6))
    : new MysqlError(code, "HY000", text);
}

const EOF_PACKET = bytes(0xfe, little(0, 2), little(AUTOCOMMIT, 2));

/** The packets of a result (COM_QUERY response, text protocol). */
export function resultPackets({ columns, rows }: ResultSet): Uint8Array[] {
  const definition = (name: string): Uint8Array =>
    bytes(
      lengthEncoded("def"),
      lengthEncoded(""),
      lengthEncoded(""),
      lengthEncoded(""),
      lengthEncoded(name),
      lengthEncoded(""),
      12,
      little(CHARSET, 2),
      little(255, 4),
      253,
      little(0, 2),
      0,
      little(0, 2),
    );
  const row = (cells: readonly (string | null)[]): Uint8Array =>
    bytes(...cells.map((cell) => (cell === null ? Uint8Array.of(0xfb) : lengthEncoded(cell))));
  return [bytes(columns.length), ...columns.map(definition), EOF_PACKET, ...rows.map(row), EOF_PACKET];
}

function readLengthEncoded(packet: Uint8Array, at: number): { text: string | null; next: number } {
  const first = packet[at] ?? 0;
  if (first === 0xfb) return { text: null, next: at + 1 };
  const [length, start] =
    first === 0xfc ? [(packet[at + 1] ?? 0) | ((packet[at + 2] ?? 0) << 8), at + 3] : [first, at + 1];
  return { text: decodeBytes(packet.subarray(start, start + length)), next: start + length };
}

/** Reads what a query gave: rows, an error, or undefined for OK. "gone" when the connection ended. */
export function* readResult(stream: PacketStream): Proc<ResultSet | MysqlError | "gone" | undefined> {
  const first = yield* stream.receive();
  if (first === undefined) return "gone";
  if (first[0] === 0) return undefined;
  const error = readError(first);
  if (error !== undefined) return error;
  const columns: string[] = [];
  const rows: (string | null)[][] = [];
  for (const into of ["columns", "rows"]) {
    for (;;) {
      const packet = yield* stream.receive();
      if (packet === undefined) return "gone";
      if (packet[0] === 0xfe && packet.length < 9) break;
      const cells: (string | null)[] = [];
      const wanted = into === "columns" ? 5 : columns.length;
      for (let at = 0; cells.length < wanted; ) {
        const { text, next } = readLengthEncoded(packet, at);
        cells.push(text);
        at = next;
      }
      if (into === "columns") columns.push(cells[4] ?? "");
      else rows.push(cells);
    }
  }
  return { columns, rows };
}
