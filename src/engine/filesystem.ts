/** A container's root file system: the image's files, what was written since, and files that Docker generates. */
import { KernelError } from "../base/errors.ts";
import type { FileSystem } from "./program.ts";

/** Characters that can be written to one file system: its disk. */
const DISK = 256 << 20;

/** Three layers: written above generated above the image. A path that ends in a slash is a directory. */
export class LayeredFiles implements FileSystem {
  readonly #lower: ReadonlyMap<string, string>;
  readonly #generated: ReadonlyMap<string, () => string>;
  /** What was written; undefined stands for a file that was removed (overlayfs' whiteout). */
  readonly #upper = new Map<string, string | undefined>();
  /** Length of what was written. */
  #used = 0;
  /** Directories that are there without a file in them. */
  readonly #directories: Set<string>;

  /** @param generated files such as /etc/hosts, made anew at each read until somebody writes to them */
  constructor(lower: ReadonlyMap<string, string>, generated: ReadonlyMap<string, () => string>) {
    this.#lower = new Map([...lower].filter(([path]) => !path.endsWith("/")));
    this.#generated = generated;
    this.#directories = new Set(
      [...lower.keys()].filter((path) => path.endsWith("/")).map((path) => path.slice(0, -1)),
    );
  }

  read(path: string): string | undefined {
    if (this.#upper.has(path)) return this.#upper.get(path);
    return this.#generated.get(path)?.() ?? this.#lower.get(path);
  }

  write(path: string, text: string): void {
    const used = this.#used + text.length - (this.#upper.get(path)?.length ?? 0);
    if (used > DISK && used > this.#used) throw new KernelError("ENOSPC", "write error");
    this.#put(path, text);
  }

  /** Puts a file, or undefined for none, above the others. */
  #put(path: string, text: string | undefined): void {
    this.#used += (text?.length ?? 0) - (this.#upper.get(path)?.length ?? 0);
    this.#upper.set(path, text);
  }

  remove(path: string): boolean {
    if (this.read(path) === undefined) return false;
    this.#put(path, undefined);
    // Its directory stays.
    this.#directories.add(parentOf(path));
    return true;
  }

  makeDirectory(path: string): boolean {
    const parent = parentOf(path);
    const taken = this.read(path) !== undefined || this.list(path) !== undefined;
    if (taken || (parent !== "" && this.list(parent) === undefined)) return false;
    this.#directories.add(path);
    return true;
  }

  removeDirectory(path: string): boolean {
    if (this.list(path)?.length !== 0) return false;
    this.#directories.delete(path);
    const parent = parentOf(path);
    if (parent !== "") this.#directories.add(parent);
    return true;
  }

  list(directory: string): string[] | undefined {
    const prefix = directory === "/" ? "/" : `${directory.replace(/\/$/, "")}/`;
    const names = new Set<string>();
    for (const path of new Set([...this.#lower.keys(), ...this.#generated.keys(), ...this.#upper.keys()])) {
      if (path.startsWith(prefix) && this.read(path) !== undefined)
        names.add(path.slice(prefix.length).split("/")[0] as string);
    }
    for (const path of this.#directories)
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split("/")[0] as string);
    const empty = directory === "/" || this.#directories.has(prefix.slice(0, -1));
    return names.size === 0 && !empty ? undefined : [...names].sort();
  }

  /** The same disk, read after a power loss: what was written to `other`, unless it was in memory only. */
  remount(other: LayeredFiles, inMemory: (path: string) => boolean = () => false): void {
    for (const [path, text] of other.#upper) if (!inMemory(path)) this.#put(path, text);
    for (const directory of other.#directories) if (!inMemory(directory)) this.#directories.add(directory);
  }

  /** The container starts: what was written to generated files is overwritten, as Docker writes them anew. */
  regenerate(): void {
    for (const path of this.#generated.keys()) {
      this.#put(path, undefined);
      this.#upper.delete(path);
    }
  }
}

/** "" for what stands in the root. */
function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
