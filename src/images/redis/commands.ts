/** The commands of the emulated redis, over one keyspace of strings, lists, sets and hashes (src/t_*.c, db.c, expire.c). */
import { MS, SEC, type Time } from "../../base/time.ts";
import { unixSeconds } from "../../base/wall-clock.ts";
import { array, bulk, failed, integer, NIL, OK, type Reply } from "./resp.ts";

type Value = string | string[] | Set<string> | Map<string, string>;

/** What a command may ask of the server around it. */
export interface Surroundings {
  now(): Time;
  /** Sections of INFO. */
  info(section: string): string;
  /** @returns how many got it */
  publish(channel: string, message: string): number;
}

const WRONG_TYPE = failed("WRONGTYPE Operation against a key holding the wrong kind of value");
const NOT_INTEGER = failed("ERR value is not an integer or out of range");
const SYNTAX = failed("ERR syntax error");

/** Words after the command's name that are needed: exactly, or at least when negative (the arity of redis' table, less one). */
type Command = readonly [arity: number, run: (db: Keyspace, words: readonly string[], around: Surroundings) => Reply];

/** The keys of a server. */
export class Keyspace {
  readonly #values = new Map<string, Value>();
  readonly #deadlines = new Map<string, Time>();
  now: Time = 0;

  get size(): number {
    return this.keys().length;
  }

  /** Keys with a time to live. */
  get expiring(): number {
    return this.#deadlines.size;
  }

  get(key: string): Value | undefined {
    const deadline = this.#deadlines.get(key);
    if (deadline !== undefined && deadline <= this.now) this.delete(key);
    return this.#values.get(key);
  }

  set(key: string, value: Value): void {
    this.#values.set(key, value);
  }

  delete(key: string): boolean {
    this.#deadlines.delete(key);
    return this.#values.delete(key);
  }

  keys(): string[] {
    return [...this.#values.keys()].filter((key) => this.get(key) !== undefined);
  }

  deadline(key: string): Time | undefined {
    return this.get(key) === undefined ? undefined : this.#deadlines.get(key);
  }

  expire(key: string, at: Time | undefined): void {
    if (at === undefined) this.#deadlines.delete(key);
    else this.#deadlines.set(key, at);
  }

  clear(): void {
    this.#values.clear();
    this.#deadlines.clear();
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function increment(db: Keyspace, key: string, by: number | undefined): Reply {
  const value = db.get(key) ?? "0";
  if (typeof value !== "string") return WRONG_TYPE;
  const old = numberOf(value);
  if (old === undefined || by === undefined) return NOT_INTEGER;
  db.set(key, String(old + by));
  return integer(old + by);
}

function set(db: Keyspace, [key = "", value = "", ...options]: readonly string[]): Reply {
  let [deadline, keep, condition, wantsOld] = [undefined as Time | undefined, false, "", false];
  for (let at = 0; at < options.length; at++) {
    const option = (options[at] as string).toUpperCase();
    if (option === "EX" || option === "PX") {
      const span = numberOf(options[++at]);
      if (span === undefined) return NOT_INTEGER;
      if (span <= 0) return failed("ERR invalid expire time in 'set' command");
      deadline = db.now + span * (option === "EX" ? SEC : MS);
    } else if (option === "KEEPTTL") keep = true;
    else if (option === "NX" || option === "XX") condition = option;
    else if (option === "GET") wantsOld = true;
    else return SYNTAX;
  }
  const old = db.get(key);
  const before = typeof old === "string" ? bulk(old) : NIL;
  if ((condition === "NX" && old !== undefined) || (condition === "XX" && old === undefined))
    return wantsOld ? before : NIL;
  db.set(key, value);
  if (!keep) db.expire(key, deadline);
  return wantsOld ? before : OK;
}

/** Reads a value of one kind, with `work`; a key that isn't there is `empty`. */
function on<T extends Value>(
  db: Keyspace,
  key: string,
  is: (value: Value) => value is T,
  empty: T,
  work: (value: T) => Reply,
): Reply {
  const value = db.get(key) ?? empty;
  if (!is(value)) return WRONG_TYPE;
  const reply = work(value);
  if (sizeOf(value) === 0) db.delete(key);
  else if (db.get(key) === undefined) db.set(key, value);
  return reply;
}

function sizeOf(value: Value): number {
  return value instanceof Set || value instanceof Map ? value.size : value.length;
}

const isList = (value: Value): value is string[] => Array.isArray(value);
const isSet = (value: Value): value is Set<string> => value instanceof Set;
const isHash = (value: Value): value is Map<string, string> => value instanceof Map;

/** `h?llo*`, `[ab]` (util.c stringmatchlen). */
function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", "[\\s\\S]*")
    .replaceAll("?", "[\\s\\S]");
  return new RegExp(`^${source.replaceAll("[\\^", "[^")}$`).test(text);
}

function range(items: readonly string[], first: string | undefined, last: string | undefined): Reply {
  const [from, to] = [numberOf(first), numberOf(last)];
  if (from === undefined || to === undefined) return NOT_INTEGER;
  const start = from < 0 ? Math.max(0, items.length + from) : from;
  const end = to < 0 ? items.length + to : to;
  return array(items.slice(start, end + 1).map(bulk));
}

function expire(db: Keyspace, key: string, text: string | undefined, unit: Time): Reply {
  const span = numberOf(text);
  if (span === undefined) return NOT_INTEGER;
  if (db.get(key) === undefined) return integer(0);
  db.expire(key, db.now + span * unit);
  return integer(1);
}

function timeToLive(db: Keyspace, key: string, unit: Time): Reply {
  if (db.get(key) === undefined) return integer(-2);
  const deadline = db.deadline(key);
  return integer(deadline === undefined ? -1 : Math.round((deadline - db.now) / unit));
}

function typeOf(value: Value | undefined): string {
  if (value === undefined) return "none";
  if (typeof value === "string") return "string";
  return isList(value) ? "list" : isSet(value) ? "set" : "hash";
}

const STRINGS: Readonly<Record<string, Command>> = {
  SET: [-2, (db, words) => set(db, words)],
  SETNX: [2, (db, [key = "", value = ""]) => integer(set(db, [key, value, "NX"]).kind === "nil" ? 0 : 1)],
  SETEX: [3, (db, [key = "", seconds = "", value = ""]) => set(db, [key, value, "EX", seconds])],
  GET: [
    1,
    (db, [key = ""]) => {
      const value = db.get(key);
      if (value === undefined) return NIL;
      return typeof value === "string" ? bulk(value) : WRONG_TYPE;
    },
  ],
  GETSET: [2, (db, [key = "", value = ""]) => set(db, [key, value, "GET"])],
  MGET: [
    -1,
    (db, keys) =>
      array(
        keys.map((key) => {
          const value = db.get(key);
          return typeof value === "string" ? bulk(value) : NIL;
        }),
      ),
  ],
  MSET: [
    -2,
    (db, words) => {
      if (words.length % 2 === 1) return failed("ERR wrong number of arguments for 'mset' command");
      for (let at = 0; at < words.length; at += 2) set(db, words.slice(at, at + 2));
      return OK;
    },
  ],
  INCR: [1, (db, [key = ""]) => increment(db, key, 1)],
  DECR: [1, (db, [key = ""]) => increment(db, key, -1)],
  INCRBY: [2, (db, [key = "", by]) => increment(db, key, numberOf(by))],
  DECRBY: [2, (db, [key = "", by]) => increment(db, key, -(numberOf(by) ?? Number.NaN) || undefined)],
  APPEND: [
    2,
    (db, [key = "", tail = ""]) => {
      const value = db.get(key) ?? "";
      if (typeof value !== "string") return WRONG_TYPE;
      db.set(key, value + tail);
      return integer(value.length + tail.length);
    },
  ],
  STRLEN: [
    1,
    (db, [key = ""]) => {
      const value = db.get(key) ?? "";
      return typeof value === "string" ? integer(value.length) : WRONG_TYPE;
    },
  ],
};

const COLLECTIONS: Readonly<Record<string, Command>> = {
  LPUSH: [
    -2,
    (db, [key = "", ...items]) => on(db, key, isList, [], (list) => integer(list.unshift(...items.reverse()))),
  ],
  RPUSH: [-2, (db, [key = "", ...items]) => on(db, key, isList, [], (list) => integer(list.push(...items)))],
  LPOP: [1, (db, [key = ""]) => on(db, key, isList, [], (list) => textOrNil(list.shift()))],
  RPOP: [1, (db, [key = ""]) => on(db, key, isList, [], (list) => textOrNil(list.pop()))],
  LLEN: [1, (db, [key = ""]) => on(db, key, isList, [], (list) => integer(list.length))],
  LRANGE: [3, (db, [key = "", first, last]) => on(db, key, isList, [], (list) => range(list, first, last))],
  SADD: [
    -2,
    (db, [key = "", ...items]) =>
      on(db, key, isSet, new Set(), (members) => {
        const before = members.size;
        for (const item of items) members.add(item);
        return integer(members.size - before);
      }),
  ],
  SREM: [
    -2,
    (db, [key = "", ...items]) =>
      on(db, key, isSet, new Set(), (members) => integer(items.filter((item) => members.delete(item)).length)),
  ],
  SMEMBERS: [1, (db, [key = ""]) => on(db, key, isSet, new Set(), (members) => array([...members].map(bulk)))],
  SISMEMBER: [
    2,
    (db, [key = "", item = ""]) => on(db, key, isSet, new Set(), (members) => integer(members.has(item) ? 1 : 0)),
  ],
  SCARD: [1, (db, [key = ""]) => on(db, key, isSet, new Set(), (members) => integer(members.size))],
  HSET: [
    -3,
    (db, [key = "", ...pairs]) =>
      on(db, key, isHash, new Map(), (hash) => {
        if (pairs.length % 2 === 1) return failed("ERR wrong number of arguments for 'hset' command");
        const before = hash.size;
        for (let at = 0; at < pairs.length; at += 2) hash.set(pairs[at] as string, pairs[at + 1] as string);
        return integer(hash.size - before);
      }),
  ],
  HGET: [2, (db, [key = "", field = ""]) => on(db, key, isHash, new Map(), (hash) => textOrNil(hash.get(field)))],
  HDEL: [
    -2,
    (db, [key = "", ...fields]) =>
      on(db, key, isHash, new Map(), (hash) => integer(fields.filter((field) => hash.delete(field)).length)),
  ],
  HGETALL: [1, (db, [key = ""]) => on(db, key, isHash, new Map(), (hash) => array([...hash].flat().map(bulk)))],
  HLEN: [1, (db, [key = ""]) => on(db, key, isHash, new Map(), (hash) => integer(hash.size))],
};

function textOrNil(text: string | undefined): Reply {
  return text === undefined ? NIL : bulk(text);
}

function clear(db: Keyspace): Reply {
  db.clear();
  return OK;
}

const KEYS: Readonly<Record<string, Command>> = {
  DEL: [-1, (db, keys) => integer(keys.filter((key) => db.get(key) !== undefined && db.delete(key)).length)],
  UNLINK: [-1, (db, keys) => integer(keys.filter((key) => db.get(key) !== undefined && db.delete(key)).length)],
  EXISTS: [-1, (db, keys) => integer(keys.filter((key) => db.get(key) !== undefined).length)],
  KEYS: [
    1,
    (db, [pattern = ""]) =>
      array(
        db
          .keys()
          .filter((key) => matches(pattern, key))
          .map(bulk),
      ),
  ],
  TYPE: [1, (db, [key = ""]) => ({ kind: "status", text: typeOf(db.get(key)) })],
  EXPIRE: [2, (db, [key = "", seconds]) => expire(db, key, seconds, SEC)],
  PEXPIRE: [2, (db, [key = "", millis]) => expire(db, key, millis, MS)],
  TTL: [1, (db, [key = ""]) => timeToLive(db, key, SEC)],
  PTTL: [1, (db, [key = ""]) => timeToLive(db, key, MS)],
  PERSIST: [
    1,
    (db, [key = ""]) => {
      const had = db.deadline(key) !== undefined;
      db.expire(key, undefined);
      return integer(had ? 1 : 0);
    },
  ],
  DBSIZE: [0, (db) => integer(db.size)],
  FLUSHALL: [0, (db) => clear(db)],
  FLUSHDB: [0, (db) => clear(db)],
};

const SERVER: Readonly<Record<string, Command>> = {
  PING: [0, (_, [text]) => (text === undefined ? { kind: "status", text: "PONG" } : bulk(text))],
  ECHO: [1, (_, [text = ""]) => bulk(text)],
  SELECT: [1, (_, [index]) => (numberOf(index) === 0 ? OK : failed("ERR DB index is out of range"))],
  TIME: [0, (db) => array([bulk(String(unixSeconds(db.now))), bulk(String(Math.floor((db.now % SEC) / 1000)))])],
  INFO: [0, (_, [section], around) => bulk(around.info(section?.toLowerCase() ?? "default"))],
  PUBLISH: [2, (_, [channel = "", message = ""], around) => integer(around.publish(channel, message))],
  COMMAND: [0, () => array([])],
  AUTH: [
    -1,
    () =>
      failed(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
      ),
  ],
};

const COMMANDS = new Map(Object.entries({ ...STRINGS, ...COLLECTIONS, ...KEYS, ...SERVER }));
/** Commands that may have any number of words. */
const ANY = new Set(["PING", "INFO", "COMMAND", "FLUSHALL", "FLUSHDB"]);

/** Runs a command. */
export function runCommand(db: Keyspace, words: readonly string[], around: Surroundings): Reply {
  const [name = "", ...rest] = words;
  const command = COMMANDS.get(name.toUpperCase());
  if (command === undefined) {
    const shown = rest.map((word) => `'${word.slice(0, 128)}' `).join("");
    return failed(`ERR unknown command '${name.slice(0, 128)}', with args beginning with: ${shown}`);
  }
  const [arity, run] = command;
  const fits = ANY.has(name.toUpperCase()) || (arity >= 0 ? rest.length === arity : rest.length >= -arity);
  if (!fits) return failed(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
  db.now = around.now();
  return run(db, rest, around);
}
