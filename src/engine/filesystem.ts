/** A container's root file system: the image's files, what was written since, and files that Docker generates. */
import type { FileSystem } from "./program.ts";

/** Three layers: written above generated above the image. */
export class LayeredFiles implements FileSystem {
  readonly #lower: ReadonlyMap<string, string>;
  readonly #generated: ReadonlyMap<string, () => string>;
  /** What was written; undefined stands for a file that was removed (overlayfs' whiteout). */
  readonly #upper = new Map<string, string | undefined>();

  /** @param generated files such as /etc/hosts, made anew at each read until somebody writes to them */
  constructor(lower: ReadonlyMap<string, string>, generated: ReadonlyMap<string, () => string>) {
    this.#lower = lower;
    this.#generated = generated;
  }

  read(path: string): string | undefined {
    if (this.#upper.has(path)) return this.#upper.get(path);
    return this.#generated.get(path)?.() ?? this.#lower.get(path);
  }

  write(path: string, text: string): void {
    this.#upper.set(path, text);
  }

  remove(path: string): boolean {
    if (this.read(path) === undefined) return false;
    this.#upper.set(path, undefined);
    return true;
  }

  list(directory: string): string[] | undefined {
    const prefix = directory === "/" ? "/" : `${directory.replace(/\/$/, "")}/`;
    const names = new Set<string>();
    for (const path of new Set([...this.#lower.keys(), ...this.#generated.keys(), ...this.#upper.keys()])) {
      if (path.startsWith(prefix) && this.read(path) !== undefined)
        names.add(path.slice(prefix.length).split("/")[0] as string);
    }
    return names.size === 0 ? undefined : [...names].sort();
  }

  /** The container starts: what was written to generated files is overwritten, as Docker writes them anew. */
  regenerate(): void {
    for (const path of this.#generated.keys()) this.#upper.delete(path);
  }
}
