/** Holds the import rule: each folder imports only from the layers below it, and the banned globals stay out. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const SRC = join(ROOT, "src");

/** Layers from the bottom; folders of one layer don't import each other, but for the pairs named below. */
const LAYERS: readonly (readonly string[])[] = [
  ["base"],
  ["kernel", "pcap-writer"],
  ["scheduler"],
  ["memberlist"],
  ["libnetwork", "swarm"],
  ["engine"],
  ["shell", "workload"],
  ["images"],
  ["lab"],
  ["cli", "index.ts", "worker.ts"],
];

/** Files that may use Node's modules. */
const NODE_FILES = /^src\/(cli\/|scheduler\/node-adapter\.ts$|worker\.ts$)/;
/** What nobody may call: clocks, chance and event loops come from the scheduler. */
const BANNED =
  /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.nextTick)\b/;
/** The progress display and the workers' waiting are about wall time. */
const BANNED_EXEMPT = /^src\/(cli\/|scheduler\/node-adapter\.ts$)/;

function sourceFiles(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) return sourceFiles(path);
    return name.endsWith(".ts") ? [path] : [];
  });
}

function layerOf(path: string): number {
  const top = relative(SRC, path).split("/")[0] as string;
  return LAYERS.findIndex((layer) => layer.includes(top));
}

/** Module specifiers of a file's imports and re-exports. */
function importsOf(text: string): string[] {
  return [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^;"']*?from\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm,
    ),
  ].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

/** Every edge that breaks the rule, as readable lines. */
export function violations(path: string, text: string): string[] {
  const name = relative(ROOT, path);
  const out: string[] = [];
  const own = layerOf(path);
  if (own < 0) out.push(`${name}: stands in no layer`);
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith("node:")) {
      if (!NODE_FILES.test(name)) out.push(`${name}: imports ${specifier}`);
      continue;
    }
    if (!specifier.startsWith(".")) continue;
    const target = resolve(dirname(path), specifier);
    if (target === join(ROOT, "assembly/abi.ts")) {
      if (!name.startsWith("src/kernel/")) out.push(`${name}: only src/kernel knows the kernel's numbers`);
      continue;
    }
    const top = (file: string) => relative(SRC, file).split("/")[0];
    if (top(target) === top(path)) continue;
    const layer = layerOf(target);
    if (layer < 0 || layer >= own) out.push(`${name}: imports ${relative(ROOT, target)}`);
  }
  if (!BANNED_EXEMPT.test(name)) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const banned = BANNED.exec(code);
    if (banned) out.push(`${name}: calls ${banned[0]}`);
    if (/\bconsole\./.test(code)) out.push(`${name}: prints`);
  }
  return out;
}

/** What builds the page runs in Node. */
const PAGE_BUILD = /^web\/(bundle\/|vite\.config\.ts$)/;

/** Every import of the page that reaches further than it may: it takes src/, but neither Node's modules nor the commands. */
export function pageViolations(path: string, text: string): string[] {
  const name = relative(ROOT, path);
  return importsOf(text).flatMap((specifier) => {
    if (specifier.startsWith("node:")) return PAGE_BUILD.test(name) ? [] : [`${name}: imports ${specifier}`];
    if (!specifier.startsWith(".")) return [];
    const target = relative(ROOT, resolve(dirname(path), specifier));
    const allowed = /^(web\/|src\/|build\/kernel\.wasm)/.test(target) && !NODE_FILES.test(target);
    return allowed ? [] : [`${name}: imports ${target}`];
  });
}

describe("layers", () => {
  it("the page imports what a browser has", () => {
    const path = join(ROOT, "web/x.ts");
    expect(pageViolations(path, 'import { readFileSync } from "node:fs";')).toHaveLength(1);
    expect(pageViolations(path, 'import { loadLab } from "../src/cli/labs.ts";')).toHaveLength(1);
    expect(pageViolations(path, 'import { helper } from "../test/support/x.ts";')).toHaveLength(1);
    expect(pageViolations(path, 'import { SEC } from "../src/base/time.ts";')).toHaveLength(0);
    const files = sourceFiles(join(ROOT, "web"));
    expect(files.length).toBeGreaterThan(5);
    expect(files.flatMap((file) => pageViolations(file, readFileSync(file, "utf8")))).toEqual([]);
  });

  it("finds a wrong edge", () => {
    const path = join(SRC, "base/time.ts");
    expect(violations(path, 'import { x } from "../kernel/types.ts";')).toHaveLength(1);
    expect(violations(path, 'import { readFileSync } from "node:fs";')).toHaveLength(1);
    expect(violations(path, "const t = Date.now();")).toHaveLength(1);
    expect(violations(path, 'import { x } from "./addr.ts"; // Date.now')).toHaveLength(0);
    expect(violations(join(SRC, "libnetwork/x.ts"), 'import type { N } from "../swarm/node.ts";')).toHaveLength(1);
    expect(violations(join(SRC, "engine/x.ts"), 'import type { N } from "../swarm/node.ts";')).toHaveLength(0);
  });

  it("every import goes down", () => {
    const files = sourceFiles(SRC);
    expect(files.length).toBeGreaterThan(20);
    expect(files.flatMap((path) => violations(path, readFileSync(path, "utf8")))).toEqual([]);
  });
});
