/**
 * Wireshark's dissectors in Wasm, the npm package @goodtools/wiregasm: an optional piece beside the page, with a licence of
 * its own (GPL-2.0). Its files are served or copied as they are; nothing of them is part of swarmwire.
 */
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The folder beside the page that they stand in, and the file that says so; it is there, empty, without them too. */
export const DISSECTORS_FOLDER = "dissectors";
/** Beside the page. */
export const DISSECTORS_MANIFEST = "dissectors.json";

const PACKAGE = "@goodtools/wiregasm";
/** What the page fetches, in the package; then what says whose it is. */
const FETCHED = ["dist/wiregasm.js", "dist/wiregasm.wasm.gz", "dist/wiregasm.data.gz"] as const;
const NOTICES = ["LICENSE", "README.md", "package.json"] as const;

/** The piece, as it is installed. */
export interface DissectorsPiece {
  /** Where each file is, by its path beside the page. */
  readonly files: ReadonlyMap<string, string>;
  /** The text of the manifest, which tells the page. */
  readonly manifest: string;
}

/**
 * Looks for the package.
 * @param from a path or URL that Node would look for packages from
 * @returns undefined where it isn't installed
 */
export function findDissectors(from: string | URL = import.meta.url): DissectorsPiece | undefined {
  const require = createRequire(from);
  let folder: string;
  try {
    folder = dirname(require.resolve(`${PACKAGE}/package.json`));
  } catch {
    return undefined;
  }
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
  const place = (name: string): [string, string] => [
    `${DISSECTORS_FOLDER}/${name.slice(name.lastIndexOf("/") + 1)}`,
    join(folder, name),
  ];
  const bytes = FETCHED.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  const manifest = { package: PACKAGE, version, license: "GPL-2.0", bytes };
  return {
    files: new Map([...FETCHED, ...NOTICES].map(place)),
    manifest: `${JSON.stringify(manifest)}\n`,
  };
}

/** Copies the piece beside a page, and tells the page. */
export function copyDissectors({ files, manifest }: DissectorsPiece, page: string): void {
  mkdirSync(join(page, DISSECTORS_FOLDER), { recursive: true });
  for (const [name, path] of files) copyFileSync(path, join(page, name));
  writeFileSync(join(page, DISSECTORS_MANIFEST), manifest);
}
