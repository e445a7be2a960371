/**
 * The part of wiregasm's interface that is used here. Its files are none of ours: they are fetched when the user
 * asks for them, and nothing of them is part of our scripts.
 */

/** A C++ vector behind embind: lives until it is deleted. */
export interface Vector<T> {
  size(): number;
  get(index: number): T;
  delete(): void;
}

/** A row of the packet list. */
export interface FrameMeta {
  readonly number: number;
  readonly bg: number;
  readonly fg: number;
  readonly columns: Vector<string>;
}

/** A line of the tree. `fnum` means something where the type is `framenum` only. */
export interface ProtoTree {
  readonly label: string;
  readonly filter: string;
  readonly start: number;
  readonly length: number;
  readonly data_source_idx: number;
  readonly type: string;
  readonly fnum?: number;
  readonly tree: Vector<ProtoTree>;
}

/** One packet in full. `data` is base64. */
export interface Frame {
  readonly comments: Vector<string>;
  readonly data_sources: Vector<{ readonly name: string; readonly data: string }>;
  readonly tree: Vector<ProtoTree>;
  readonly follow: Vector<Vector<string>>;
}

/** An open capture file. */
export interface DissectSession {
  load(): {
    readonly code: number;
    readonly error: string;
    readonly summary: { readonly file_type: string; readonly packet_count: number };
  };
  /** @param limit 0: all of them */
  getFrames(
    filter: string,
    skip: number,
    limit: number,
  ): { readonly frames: Vector<FrameMeta>; readonly matched: number };
  getFrame(number: number): Frame;
  delete(): void;
}

/** An instance of the library. */
export interface Wiregasm {
  readonly FS: {
    writeFile(path: string, data: string | ArrayBufferView): void;
    readFile(path: string, options: { readonly encoding: "utf8" }): string;
  };
  readonly DissectSession: new (path: string) => DissectSession;
  init(): boolean;
  destroy(): void;
  wiresharkVersion(): string;
  getUploadDirectory(): string;
  setPref(module: string, key: string, value: string): { readonly code: number; readonly error: string };
  applyPreferences(): void;
  checkFilter(filter: string): { readonly ok: boolean; readonly error: string };
  completeFilter(filter: string): { readonly fields: Vector<{ readonly field: string; readonly name: string }> };
}

/** What its loader takes. */
export interface WiregasmOptions {
  locateFile(path: string): string;
  getPreloadedPackage(): ArrayBuffer;
  /** @param done to be given the instance */
  instantiateWasm(imports: object, done: (instance: object) => void): object;
  print(text: string): void;
  printErr(text: string): void;
  handleStatus(type: number, text: string): void;
}

/** What its script defines. */
export type WiregasmLoader = (options: WiregasmOptions) => Promise<Wiregasm>;

/** Reads a vector and frees it. */
export function take<T, R>(vector: Vector<T>, read: (item: T) => R): R[] {
  const out: R[] = [];
  const size = vector.size();
  for (let index = 0; index < size; index++) out.push(read(vector.get(index)));
  vector.delete();
  return out;
}
