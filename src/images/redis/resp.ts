/** RESP2, the protocol of redis (redis.io/docs/reference/protocol-spec): requests, replies, and how redis-cli shows them. */
import type { Time } from "../../base/time.ts";
import type { Proc } from "../../scheduler/process.ts";
import { decodeBytes } from "../../shell/lib/program.ts";
import type { SocketReader } from "../../shell/lib/socket-reader.ts";
import { byteLength } from "../server/http.ts";

/** A reply. */
export type Reply =
  | { readonly kind: "status"; readonly text: string }
  | { readonly kind: "error"; readonly text: string }
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "bulk"; readonly text: string }
  | { readonly kind: "nil" }
  | { readonly kind: "array"; readonly items: readonly Reply[] };

/** +OK. */
export const OK: Reply = { kind: "status", text: "OK" };

/** The reply for nothing. */
export const NIL: Reply = { kind: "nil" };

/** A bulk string. */
export const bulk = (text: string): Reply => ({ kind: "bulk", text });

/** A number. */
export const integer = (value: number): Reply => ({ kind: "integer", value });

/** An error. */
export const failed = (text: string): Reply => ({ kind: "error", text });

/** A list of replies. */
export const array = (items: readonly Reply[]): Reply => ({ kind: "array", items });

/** A reply on the wire. */
export function formatReply(reply: Reply): string {
  switch (reply.kind) {
    case "status":
      return `+${reply.text}\r\n`;
    case "error":
      return `-${reply.text}\r\n`;
    case "integer":
      return `:${reply.value}\r\n`;
    case "nil":
      return "$-1\r\n";
    case "bulk":
      return `$${byteLength(reply.text)}\r\n${reply.text}\r\n`;
    case "array":
      return `*${reply.items.length}\r\n${reply.items.map(formatReply).join("")}`;
  }
}

/** A command on the wire. */
export function formatCommand(words: readonly string[]): string {
  return formatReply(array(words.map(bulk)));
}

/** What a client sent: words, or what is wrong with it. Undefined at the end of the stream. */
export function* readCommand(reader: SocketReader): Proc<readonly string[] | { readonly wrong: string } | undefined> {
  const line = yield* reader.line();
  if (line === undefined) return undefined;
  if (!line.startsWith("*")) return splitInline(line) ?? { wrong: "Protocol error: unbalanced quotes in request" };
  const count = Number(line.slice(1));
  if (!Number.isInteger(count) || count > 1024 * 1024) return { wrong: "Protocol error: invalid multibulk length" };
  const words: string[] = [];
  for (let i = 0; i < count; i++) {
    const header = yield* reader.line();
    if (header === undefined) return undefined;
    if (!header.startsWith("$")) return { wrong: `Protocol error: expected '$', got '${header[0] ?? " "}'` };
    const length = Number(header.slice(1));
    if (!Number.isInteger(length) || length < 0) return { wrong: "Protocol error: invalid bulk length" };
    const data = yield* reader.exactly(length);
    if (data === undefined || (yield* reader.exactly(2)) === undefined) return undefined;
    words.push(decodeBytes(data));
  }
  return words;
}

/** Words of a line, with quotes (sds.c sdssplitargs); undefined when one stays open. */
export function splitInline(line: string): string[] | undefined {
  const words: string[] = [];
  const word = /\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']+))/y;
  while (line.slice(word.lastIndex).trim() !== "") {
    const match = word.exec(line);
    if (match === null) return undefined;
    words.push((match[1] ?? match[2])?.replace(/\\(.)/g, "$1") ?? (match[3] as string));
  }
  return words;
}

/** Reads a reply; undefined at an early end or the deadline. */
export function* readReply(reader: SocketReader, until?: Time): Proc<Reply | undefined> {
  const line = yield* reader.line(until);
  if (line === undefined) return undefined;
  const text = line.slice(1);
  switch (line[0]) {
    case "+":
      return { kind: "status", text };
    case "-":
      return failed(text);
    case ":":
      return integer(Number(text));
    case "$": {
      if (text === "-1") return NIL;
      const data = yield* reader.exactly(Number(text), until);
      if (data === undefined || (yield* reader.exactly(2, until)) === undefined) return undefined;
      return bulk(decodeBytes(data));
    }
    case "*": {
      const items: Reply[] = [];
      for (let i = 0; i < Number(text); i++) {
        const item = yield* readReply(reader, until);
        if (item === undefined) return undefined;
        items.push(item);
      }
      return array(items);
    }
    default:
      return undefined;
  }
}

/** As redis-cli prints a reply on a terminal (cliFormatReplyTTY), each with its newline. */
export function showReply(reply: Reply, prefix = ""): string {
  switch (reply.kind) {
    case "status":
      return `${reply.text}\n`;
    case "error":
      return `(error) ${reply.text}\n`;
    case "integer":
      return `(integer) ${reply.value}\n`;
    case "nil":
      return "(nil)\n";
    case "bulk":
      return `"${reply.text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r")}"\n`;
    case "array": {
      if (reply.items.length === 0) return "(empty array)\n";
      const width = String(reply.items.length).length;
      const inner = `${prefix}${" ".repeat(width + 2)}`;
      return reply.items
        .map((item, at) => `${at === 0 ? "" : prefix}${String(at + 1).padStart(width)}) ${showReply(item, inner)}`)
        .join("");
    }
  }
}

/** As redis-cli prints it into a pipe (cliFormatReplyRaw). */
export function rawReply(reply: Reply): string {
  switch (reply.kind) {
    case "status":
    case "bulk":
      return reply.text;
    case "error":
      return `${reply.text}\n`;
    case "integer":
      return String(reply.value);
    case "nil":
      return "";
    case "array":
      return reply.items.map(rawReply).join("\n");
  }
}
