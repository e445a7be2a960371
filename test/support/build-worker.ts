/**
 * Worker threads of Node run JavaScript only: compiles the worker's entry and a test's machine into a folder
 * of their own under build/, so that a test never runs a stale dist/.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface BuiltWorker {
  /** URL of the compiled src/worker.ts. */
  readonly entry: URL;
  /** URL of the compiled machine module. */
  readonly machines: string;
  remove(): void;
}

/** @param machine path of the machine's source from the root of the checkout */
export function buildWorker(machine: string): BuiltWorker {
  const folder = mkdtempSync(join(root, "build", "worker-"));
  const config = join(folder, "tsconfig.json");
  const options = { noEmit: false, outDir: join(folder, "out"), rootDir: root, declaration: false, noCheck: true };
  const include = ["src/worker.ts", "src/scheduler/comlink-node.d.ts", machine].map((path) => join(root, path));
  writeFileSync(config, JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions: options, include }));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config], { stdio: "pipe" });
  const compiled = (path: string): URL => pathToFileURL(join(folder, "out", path.replace(/\.ts$/, ".js")));
  return {
    entry: compiled("src/worker.ts"),
    machines: compiled(machine).href,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
