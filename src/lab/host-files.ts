/** Files of a host: those of its root file system, one of /proc, and /run/docker/netns, where dockerd mounts its namespaces. */
import { LayeredFiles } from "../engine/filesystem.ts";
import type { FileSystem } from "../engine/program.ts";
import type { NetNs } from "../kernel/types.ts";
import { ipvsProcFiles } from "../shell/lib/ipvs-text.ts";

/** Where Docker bind-mounts a namespace's file (libnetwork osl/namespace_linux.go); /var/run leads to /run. */
const NETNS = /^(?:\/var)?\/run\/docker\/netns(?:\/([^/]*))?$/;

/** Counters of IPsec as the kernel shows them (net/xfrm/xfrm_proc.c). */
function xfrmStat(ns: NetNs): string {
  return Object.entries(ns.xfrm.stat())
    .map(([name, value]) => `${name.padEnd(24)}\t${value}\n`)
    .join("");
}

/** The files of /proc/net in a namespace, by path. */
function procNet(ns: NetNs): ReadonlyMap<string, () => string> {
  return new Map([["/proc/net/xfrm_stat", () => xfrmStat(ns)], ...ipvsProcFiles(ns.ipvs)]);
}

/** A host's files as a process sees them that has entered another network namespace: /proc/net is that one's. */
export class EnteredFiles implements FileSystem {
  readonly #files: FileSystem;
  readonly #procNet: ReadonlyMap<string, () => string>;

  constructor(files: FileSystem, ns: NetNs) {
    this.#files = files;
    this.#procNet = procNet(ns);
  }

  read(path: string): string | undefined {
    return this.#procNet.get(path)?.() ?? this.#files.read(path);
  }

  write(path: string, text: string): void {
    this.#files.write(path, text);
  }

  remove(path: string): boolean {
    return this.#files.remove(path);
  }

  list(directory: string): string[] | undefined {
    return this.#files.list(directory);
  }

  makeDirectory(path: string): boolean {
    return this.#files.makeDirectory(path);
  }

  removeDirectory(path: string): boolean {
    return this.#files.removeDirectory(path);
  }
}

/** The host's files; `namespaces` tells the present namespaces by the names of their files. */
export class HostFiles extends LayeredFiles {
  readonly #namespaces: () => ReadonlyMap<string, NetNs>;

  constructor(files: ReadonlyMap<string, string>, root: NetNs, namespaces: () => ReadonlyMap<string, NetNs>) {
    super(files, procNet(root));
    this.#namespaces = namespaces;
  }

  /** The namespace that a path names; undefined when there is no such file, or it is none of a namespace. */
  namespaceAt(path: string): NetNs | undefined {
    return this.#namespaces().get(NETNS.exec(path)?.[1] ?? "");
  }

  override read(path: string): string | undefined {
    return this.namespaceAt(path) === undefined ? super.read(path) : "";
  }

  override list(directory: string): string[] | undefined {
    const found = NETNS.exec(directory.replace(/\/$/, ""));
    return found !== null && found[1] === undefined ? [...this.#namespaces().keys()].sort() : super.list(directory);
  }
}
