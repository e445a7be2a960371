/**
 * Wireshark's own dissectors (4.4, as WebAssembly, from `@goodtools/wiregasm`) as a judge of traces.
 * The package is GPL-2: nothing but tests may import it.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { DissectSession, ProtoTree, Vector, WiregasmLib } from "@goodtools/wiregasm/dist/types.d.ts";

/** A line of the dissection, with the lines below it. */
export interface DissectionNode {
  /** What Wireshark's middle pane shows. */
  label: string;
  /** The display filter that selects the value, for example `vxlan.vni == 4097`; may be empty. */
  filter: string;
  children: DissectionNode[];
}

/** The dissection of one frame. */
export interface Dissection {
  number: number;
  comments: string[];
  children: DissectionNode[];
}

/** One remark of Wireshark about a frame. */
export interface ExpertRemark {
  frame: number;
  /** For example `Expert Info (Warning/Sequence): ...`. */
  text: string;
}

/** Settings of {@link openTrace}. */
export interface TraceOptions {
  /** Contents of the file `esp_sa`; with it, ESP is decrypted and its ICV checked. */
  espSa?: string;
  /** More preferences, as `module.name`: `"tcp.relative_sequence_numbers": "FALSE"`. */
  prefs?: Record<string, string>;
}

/** A trace opened in Wireshark. */
export interface Trace {
  /** Number of frames. */
  readonly frames: number;
  /** Warnings that the dissectors printed, without their time. */
  readonly warnings: readonly string[];
  /** The packet list's row of frame `number` (from 1): No., Time, Source, Destination, Protocol, Length, Info. */
  columns(number: number): string[];
  /** The whole dissection of frame `number` (from 1). */
  frame(number: number): Dissection;
  /** Numbers of the frames that a display filter selects. Throws if the filter is wrong. */
  filter(displayFilter: string): number[];
  /** All remarks of severity `_ws.expert`, optionally of the frames that a filter selects. */
  expertInfo(displayFilter?: string): ExpertRemark[];
  /** Frames that are malformed, that are cut off, or that a dissector failed on. */
  malformed(): number[];
  /** Frames with a wrong IP, UDP, TCP, SCTP, ICMP or ICMPv6 checksum, at any depth. */
  badChecksums(): number[];
  /** Frees the trace. It cannot be used afterwards. */
  close(): void;
}

/**
 * Checksums are not checked by default in Wireshark; here they are. Names come from the file and
 * never from a DNS server.
 */
const DEFAULT_PREFS: Record<string, string> = {
  "ip.check_checksum": "TRUE",
  "udp.check_checksum": "TRUE",
  "tcp.check_checksum": "TRUE",
  "sctp.checksum": "crc-32c",
  "esp.enable_encryption_decode": "TRUE",
  "esp.enable_authentication_check": "TRUE",
  "nameres.network_name": "TRUE",
  "nameres.use_external_name_resolver": "FALSE",
};

/**
 * Dissectors that guess from the first byte or two and now and then (one datagram in some 10,000) take encrypted
 * gossip for ISO 8602 or CIGI: then the frame counts as malformed, in captures of a real swarm too. `name,0`: off.
 */
export const GUESSES_OFF = "cltp_udp,0\ncigi_udp,0\n";

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("@goodtools/wiregasm/dist/wiregasm.js"));

/** What Emscripten's loader takes; `instantiateWasm` is missing in the package's types. */
interface LoaderOptions {
  locateFile(path: string): string;
  getPreloadedPackage(): ArrayBuffer;
  instantiateWasm(imports: object, done: (instance: object, module: object) => void): object;
  print(text: string): void;
  printErr(text: string): void;
  handleStatus(type: number, text: string): void;
}

/** The part of WebAssembly used here; the project's `lib` has no types for it. */
const wasm = (
  globalThis as unknown as {
    WebAssembly: {
      compile(bytes: Uint8Array): Promise<object>;
      instantiate(module: object, imports: object): Promise<object>;
    };
  }
).WebAssembly;

let compiled: Promise<object> | undefined;
let data: ArrayBuffer | undefined;

/** A fresh Wireshark; the 69 MB module is compiled once per process. */
export async function load(printErr: (text: string) => void): Promise<WiregasmLib> {
  compiled ??= wasm.compile(readFileSync(join(folder, "wiregasm.wasm")));
  data ??= new Uint8Array(readFileSync(join(folder, "wiregasm.data"))).buffer;
  const module = await compiled;
  const preloaded = data;
  const loader: (options: LoaderOptions) => Promise<WiregasmLib> = require(join(folder, "wiregasm.js"));
  // The loader hangs its own handlers on the process, which would replace vitest's messages.
  const before = new Map(HOOKS.map((hook) => [hook, process.listeners(hook as "exit")]));
  const lib = await new Promise<WiregasmLib>((resolve, reject) => {
    loader({
      locateFile: (path) => join(folder, path),
      getPreloadedPackage: () => preloaded,
      instantiateWasm: (imports, done) => {
        wasm.instantiate(module, imports).then((instance) => done(instance, module), reject);
        return {};
      },
      print: () => {},
      printErr,
      handleStatus: () => {},
    }).then(resolve, reject);
  });
  for (const [hook, listeners] of before) {
    for (const listener of process.listeners(hook as "exit")) {
      if (!listeners.includes(listener)) process.removeListener(hook, listener);
    }
  }
  return lib;
}

const HOOKS = ["uncaughtException", "unhandledRejection"];

/**
 * Opens a capture file. Each trace has a Wireshark of its own, about 0.3 s and 150 MB: close it.
 * Throws if Wireshark cannot read the file to its end, or does not know a preference.
 */
export async function openTrace(bytes: Uint8Array, options: TraceOptions = {}): Promise<Trace> {
  const warnings: string[] = [];
  const lib = await load((text) => {
    const found = /\[(.*(?:WARNING|CRITICAL|ERROR))\] -- (.*)/.exec(text);
    if (found !== null) warnings.push(`${found[1]}: ${found[2]}`);
  });
  if (options.espSa !== undefined) lib.FS.writeFile("/wireshark/esp_sa", options.espSa);
  lib.FS.writeFile("/wireshark/heuristic_protos", GUESSES_OFF);
  if (!lib.init()) throw new Error("Wireshark does not start");
  for (const [key, value] of Object.entries({ ...DEFAULT_PREFS, ...options.prefs })) {
    const dot = key.indexOf(".");
    const answer = lib.setPref(key.slice(0, dot), key.slice(dot + 1), value);
    if (answer.code !== 0) throw new Error(`Wireshark refuses preference ${key}=${value}: ${answer.error}`);
  }
  lib.applyPreferences();
  const path = `${lib.getUploadDirectory()}/trace`;
  lib.FS.writeFile(path, bytes);
  const session = new lib.DissectSession(path);
  const loaded = session.load();
  // Wireshark opens nearly anything, as plain data if need be; a trace must be one.
  const type = loaded.summary.file_type;
  if (loaded.code !== 0 || !/pcap/i.test(type)) {
    session.delete();
    lib.destroy();
    throw new Error(`Wireshark cannot read the file: ${loaded.error || `code ${loaded.code}, type "${type}"`}`);
  }
  return new OpenTrace(lib, session, loaded.summary.packet_count, warnings);
}

class OpenTrace implements Trace {
  readonly frames: number;
  readonly warnings: readonly string[];
  #lib: WiregasmLib;
  #session: DissectSession | undefined;

  constructor(lib: WiregasmLib, session: DissectSession, frames: number, warnings: string[]) {
    this.#lib = lib;
    this.#session = session;
    this.frames = frames;
    this.warnings = warnings;
  }

  columns(number: number): string[] {
    this.#check(number);
    const found = this.#open.getFrames("", number - 1, 1).frames;
    return array(found.get(0).columns);
  }

  frame(number: number): Dissection {
    this.#check(number);
    const frame = this.#open.getFrame(number);
    const children = plain(frame.tree);
    return { number, comments: comments(children), children };
  }

  filter(displayFilter: string): number[] {
    const check = this.#lib.checkFilter(displayFilter);
    if (!check.ok) throw new Error(`display filter ${displayFilter}: ${check.error}`);
    return array(this.#open.getFrames(displayFilter, 0, 0).frames).map((frame) => frame.number);
  }

  expertInfo(displayFilter?: string): ExpertRemark[] {
    const frames = this.filter(displayFilter === undefined ? "_ws.expert" : `_ws.expert && (${displayFilter})`);
    return frames.flatMap((frame) => {
      const texts: string[] = [];
      walk(this.frame(frame).children, (node) => {
        if (node.label.startsWith("Expert Info (")) texts.push(node.label);
      });
      return texts.map((text) => ({ frame, text }));
    });
  }

  malformed(): number[] {
    return this.filter("_ws.malformed || _ws.short || _ws.dissector_bug");
  }

  badChecksums(): number[] {
    return this.filter(
      ["ip", "udp", "tcp", "sctp", "icmp", "icmpv6"].map((layer) => `${layer}.checksum.status == 0`).join(" || "),
    );
  }

  close(): void {
    if (this.#session === undefined) return;
    this.#session.delete();
    this.#session = undefined;
    this.#lib.destroy();
  }

  get #open(): DissectSession {
    if (this.#session === undefined) throw new Error("the trace is closed");
    return this.#session;
  }

  #check(number: number): void {
    if (!Number.isInteger(number) || number < 1 || number > this.frames) {
      throw new RangeError(`frame ${number} of ${this.frames}`);
    }
  }
}

/**
 * All values of a field, outer layers first, as display filters write them: `fields(frame, "ip.ttl")`
 * of a tunnelled packet is `["64", "63"]`. Quotes of strings are taken off.
 */
export function fields(frame: { children: DissectionNode[] }, name: string): string[] {
  const values: string[] = [];
  walk(frame.children, (node) => {
    if (!node.filter.startsWith(`${name} == `)) return;
    const value = node.filter.slice(name.length + 4);
    values.push(/^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/gs, "$1") : value);
  });
  return values;
}

/** The first value of a field, or undefined. See {@link fields}. */
export function field(frame: { children: DissectionNode[] }, name: string): string | undefined {
  return fields(frame, name)[0];
}

/** Comments on the packet; one of several lines is a node with a child per line. */
function comments(nodes: readonly DissectionNode[]): string[] {
  const top = nodes.find((node) => node.filter === "pkt_comment");
  return (top?.children ?? []).map((node) => {
    return fields({ children: node.children.length > 0 ? node.children : [node] }, "frame.comment").join("\n");
  });
}

/** The dissection as an indented text, for eyes and for messages. */
export function dump(frame: { children: DissectionNode[] }): string {
  const lines: string[] = [];
  walk(frame.children, (node, depth) => lines.push(`${"  ".repeat(depth)}${node.label}   {${node.filter}}`));
  return lines.join("\n");
}

function walk(nodes: readonly DissectionNode[], visit: (node: DissectionNode, depth: number) => void, depth = 0): void {
  for (const node of nodes) {
    visit(node, depth);
    walk(node.children, visit, depth + 1);
  }
}

function plain(tree: Vector<ProtoTree>): DissectionNode[] {
  return array(tree).map((node) => ({ label: node.label, filter: node.filter, children: plain(node.tree) }));
}

function array<T>(vector: Vector<T>): T[] {
  return Array.from({ length: vector.size() }, (_, i) => vector.get(i));
}
