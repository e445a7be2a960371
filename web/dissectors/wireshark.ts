/** Wireshark's library with one capture open in it: rows, trees, display filters. */
import { parseColorRules } from "./color-rules.ts";
import type {
  CaptureFile,
  ColorRule,
  DissectedRow,
  FieldName,
  FilterCheck,
  FilterResult,
  PacketDetails,
  TreeNode,
} from "./protocol.ts";
import { type DissectSession, type FrameMeta, type ProtoTree, take, type Vector, type Wiregasm } from "./wiregasm.ts";

/**
 * What differs from Wireshark's defaults. The same frame is captured at both ends of a wire: conversations are told
 * apart by VLAN, MAC address and interface, or every second segment would count as sent again; and ESP's sequence
 * numbers come twice. Checksums are checked, for here no network card makes them.
 */
const PREFERENCES: readonly (readonly [module: string, key: string, value: string])[] = [
  ["esp", "enable_encryption_decode", "TRUE"],
  ["esp", "enable_authentication_check", "TRUE"],
  ["esp", "do_esp_sequence_analysis", "FALSE"],
  ["ip", "check_checksum", "TRUE"],
  ["udp", "check_checksum", "TRUE"],
  ["tcp", "check_checksum", "TRUE"],
  ["nameres", "use_external_name_resolver", "FALSE"],
  ["protocols", "conversation_deinterlacing_key", "VMI"],
];

/**
 * Dissectors that guess from the first byte or two, and now and then take encrypted gossip for ISO 8602 or CIGI: then
 * the frame counts as malformed. `name,0`: off.
 */
const GUESSES_OFF = "cltp_udp,0\ncigi_udp,0\n";

const FOLDER = "/wireshark";
const COLUMN = { source: 2, destination: 3, protocol: 4, info: 6 } as const;
/** Completions that are handed on at most. */
const MOST_COMPLETIONS = 100;

/** The library. It reads its keys only once: other keys take a new instance of it. */
export class Wireshark {
  readonly #make: () => Promise<Wiregasm>;
  #lib: Wiregasm;
  #keys: string;
  #names = false;
  #session: DissectSession | undefined;
  #frames = 0;
  readonly rules: readonly ColorRule[];
  /** Colours that a rule has: for a frame without one, the library gives numbers that mean nothing. */
  readonly #colors: ReadonlySet<string>;

  private constructor(make: () => Promise<Wiregasm>, lib: Wiregasm) {
    this.#make = make;
    this.#lib = lib;
    this.#keys = "";
    this.rules = parseColorRules(lib.FS.readFile(`${FOLDER}/colorfilters`, { encoding: "utf8" }));
    this.#colors = new Set(this.rules.map(({ background, foreground }) => `${background} ${foreground}`));
  }

  /** @param make a fresh instance of the library, each time */
  static async start(make: () => Promise<Wiregasm>): Promise<Wireshark> {
    const lib = await make();
    initialize(lib, "");
    return new Wireshark(make, lib);
  }

  get version(): string {
    return this.#lib.wiresharkVersion();
  }

  /** Opens a capture in place of the one that is open. @returns its number of frames */
  async load({ trace, keys, names }: CaptureFile): Promise<number> {
    this.#session?.delete();
    this.#session = undefined;
    this.#frames = 0;
    if (keys !== this.#keys) {
      this.#lib.destroy();
      this.#lib = await this.#make();
      initialize(this.#lib, keys);
      this.#keys = keys;
      this.#names = false;
    }
    if (names !== this.#names) {
      setPreference(this.#lib, "nameres", "network_name", names ? "TRUE" : "FALSE");
      this.#lib.applyPreferences();
      this.#names = names;
    }
    const path = `${this.#lib.getUploadDirectory()}/capture.pcapng`;
    this.#lib.FS.writeFile(path, trace);
    const session = new this.#lib.DissectSession(path);
    const { code, error, summary } = session.load();
    // Nearly anything opens, as plain data if need be.
    if (code !== 0 || !/pcap/i.test(summary.file_type)) {
      session.delete();
      throw new Error(`Wireshark can't read the capture: ${error || `code ${code}, type "${summary.file_type}"`}`);
    }
    this.#session = session;
    this.#frames = summary.packet_count;
    return this.#frames;
  }

  get #open(): DissectSession {
    if (this.#session === undefined) throw new Error("no capture is loaded");
    return this.#session;
  }

  /** The list's rows of these frames, counted from 0. */
  rows(frames: Uint32Array): DissectedRow[] {
    const out: DissectedRow[] = [];
    for (let at = 0; at < frames.length; ) {
      const first = frames[at] as number;
      let count = 1;
      while (frames[at + count] === first + count) count++;
      if (first + count > this.#frames) throw new RangeError(`frame ${first + count - 1} of ${this.#frames}`);
      const { frames: found } = this.#open.getFrames("", first, count);
      out.push(...take(found, (frame) => this.#row(frame)));
      at += count;
    }
    return out;
  }

  #row({ bg, fg, columns }: FrameMeta): DissectedRow {
    const colored = this.#colors.has(`${bg} ${fg}`);
    const row = {
      source: columns.get(COLUMN.source),
      destination: columns.get(COLUMN.destination),
      protocol: columns.get(COLUMN.protocol),
      info: columns.get(COLUMN.info),
      background: colored ? bg : undefined,
      foreground: colored ? fg : undefined,
    };
    columns.delete();
    return row;
  }

  /** Frames that a display filter selects, counted from 0. @throws Error when it is wrong */
  filter(text: string, skip: number, limit: number): FilterResult {
    const { ok, error } = this.check(text);
    if (!ok) throw new Error(error);
    const { frames, matched } = this.#open.getFrames(text, skip, limit);
    const numbers = take(frames, ({ number, columns }) => {
      columns.delete();
      return number - 1;
    });
    return { matched, frames: Uint32Array.from(numbers) };
  }

  /** Whether a display filter is one. */
  check(text: string): FilterCheck {
    const { ok, error } = this.#lib.checkFilter(text);
    return { ok, error };
  }

  /** Fields and protocols whose names begin so, in order. */
  complete(begin: string): FieldName[] {
    const found = take(this.#lib.completeFilter(begin).fields, ({ field, name }) => ({ field, name }));
    const fields = new Map(found.map((one) => [one.field, one]));
    // A name is said once, by one of those that share the field.
    for (const one of found) if (one.name !== "") fields.set(one.field, one);
    const sorted = [...fields.values()].sort((a, b) => (a.field < b.field ? -1 : a.field > b.field ? 1 : 0));
    return sorted.slice(0, MOST_COMPLETIONS);
  }

  /** One packet in full. @param frame counted from 0 */
  details(frame: number): PacketDetails {
    if (frame < 0 || frame >= this.#frames) throw new RangeError(`frame ${frame} of ${this.#frames}`);
    const { tree, data_sources, comments, follow } = this.#open.getFrame(frame + 1);
    comments.delete();
    take(follow, (one) => one.delete());
    return {
      tree: nodes(tree),
      sources: take(data_sources, ({ name, data }) => ({ name, data: fromBase64(data) })),
    };
  }

  /** Frees it. */
  close(): void {
    this.#session?.delete();
    this.#session = undefined;
    this.#lib.destroy();
  }
}

function initialize(lib: Wiregasm, keys: string): void {
  if (keys !== "") lib.FS.writeFile(`${FOLDER}/esp_sa`, keys);
  lib.FS.writeFile(`${FOLDER}/heuristic_protos`, GUESSES_OFF);
  if (!lib.init()) throw new Error("Wireshark's dissectors don't start");
  for (const [module, key, value] of PREFERENCES) setPreference(lib, module, key, value);
  lib.applyPreferences();
}

function setPreference(lib: Wiregasm, module: string, key: string, value: string): void {
  const { code, error } = lib.setPref(module, key, value);
  if (code !== 0) throw new Error(`Wireshark refuses the preference ${module}.${key}: ${error}`);
}

function nodes(tree: Vector<ProtoTree>): TreeNode[] {
  return take(tree, ({ label, filter, start, length, data_source_idx, type, fnum, tree: children }) => ({
    label,
    filter,
    start,
    length,
    source: data_source_idx,
    frame: type === "framenum" && fnum !== undefined && fnum > 0 ? fnum - 1 : undefined,
    children: nodes(children),
  }));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
