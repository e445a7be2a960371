/** nstat: counters of the network stack, since its last call or absolute (iproute2 6.1 misc/nstat.c). */
import type { Program } from "../../engine/program.ts";
import { getopt } from "../lib/options.ts";
import { quick } from "../lib/program.ts";

/** Where it remembers the counters of its last call, for root. */
const HISTORY = "/tmp/.nstat.u0";

/** A pattern of fnmatch(3) with `*` and `?`, whatever the case. */
function matcher(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "i");
}

function parseHistory(text: string): Map<string, number> {
  const rows = text.split("\n").flatMap((line) => {
    const [name, value] = line.split(" ");
    return name === undefined || value === undefined ? [] : [[name, Number(value)] as const];
  });
  return new Map(rows);
}

/** `-a` absolute values, `-z` zeros too, `-s` without remembering, `-r` forgets first, `-n` prints nothing. */
export const nstat: Program = quick((context) => {
  const options = getopt(context.argv, "azsrn");
  const counters = Object.entries(context.ns.snmp());
  const fresh = options.has("a") || options.has("r");
  const before = fresh ? new Map<string, number>() : parseHistory(context.files.read(HISTORY) ?? "");
  const patterns = options.args.map(matcher);
  if (!options.has("n")) {
    context.stdout.write("#kernel\n");
    for (const [name, value] of counters) {
      const shown = value - (before.get(name) ?? 0);
      if (shown === 0 && !options.has("z")) continue;
      if (patterns.length > 0 && !patterns.some((pattern) => pattern.test(name))) continue;
      context.stdout.write(`${name.padEnd(32)}${String(shown).padEnd(16)}   0.0\n`);
    }
  }
  if (!options.has("s")) context.files.write(HISTORY, counters.map(([name, value]) => `${name} ${value}\n`).join(""));
  return 0;
});
