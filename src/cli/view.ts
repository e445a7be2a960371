/** `swarmwire view [LAB]`: serves the page that shows labs as they run, in a browser on this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateRawSync } from "node:zlib";
import { UserError } from "../base/errors.ts";
import { fileName, formatLink } from "../lab/link.ts";
import { parseLab } from "../lab/parse.ts";
import { type FlagTable, formatFlags, HELP_FLAG, type ParsedArgs, parseArgs, wholeNumber } from "./args.ts";
import { copyDissectors, findDissectors } from "./dissectors.ts";
import { Interruption } from "./interruption.ts";
import { readLab, SET_FLAG, settingsFlag } from "./labs.ts";
import { pageUrl, servePage } from "./page-server.ts";

const DEFAULT_PORT = 8080;

const FLAGS: FlagTable = {
  port: { value: "N", help: `TCP port to serve on (default ${DEFAULT_PORT}; 0 takes one that is free)` },
  seed: { value: "N", help: "instead of the lab's seed" },
  set: SET_FLAG,
  dissectors: { value: "FOLDER", help: "copy Wireshark's dissectors beside the page in FOLDER, and end" },
  help: HELP_FLAG,
};

const HELP = `Usage: swarmwire view [LAB] [flags]

Serves a page that runs labs in the browser, those that come with swarmwire and your own: terminals, packets, traces.
The server only hands out files, to this machine; Ctrl-C ends it. Any other web server can serve them too: dist/web.
LAB is a YAML file, or the name of one that comes with swarmwire; the address that is printed opens it.

Packets are read by Wireshark's own dissectors where the npm package @goodtools/wiregasm (GPL-2.0, 20 MB) is installed
too, or where they stand beside the page: --dissectors FOLDER copies them there for another web server.

${formatFlags(FLAGS)}`;

/** The page stands beside the compiled command, and in dist seen from the source tree. */
const PAGES = ["../../web/", "../../dist/web/"].map((place) => new URL(place, import.meta.url));

function pageFolder(): string {
  const folder = PAGES.find(
    (place) => existsSync(new URL("index.html", place)) && existsSync(new URL("assets", place)),
  );
  if (folder === undefined) throw new UserError("swarmwire view: the page isn't there: run npm run build");
  return fileURLToPath(folder);
}

/** Puts the dissectors beside a page that another web server serves. */
function addDissectors(page: string): void {
  const piece = findDissectors();
  if (piece === undefined)
    throw new UserError("swarmwire view: there are no dissectors here: npm install @goodtools/wiregasm");
  if (!existsSync(join(page, "index.html")))
    throw new UserError(`swarmwire view: --dissectors ${page}: expected the page's folder, with its index.html`);
  copyDissectors(piece, page);
  process.stdout.write(`${[...piece.files.keys()].map((name) => join(page, name)).join("\n")}\n`);
}

/** What the address says behind the page's. @throws UserError for a lab that is wrong, or too long for an address */
function fragmentOf(args: ParsedArgs, lab: string | undefined): string {
  const seed = args.get("seed");
  const settings = settingsFlag("view", args);
  if (lab === undefined) {
    if (seed === undefined && Object.keys(settings).length === 0) return "";
    throw new UserError("swarmwire view: --seed and --set are for a lab: which one?");
  }
  const { file, text, shipped } = readLab(lab);
  parseLab(file, text, settings);
  const source = shipped ? { lab } : { packed: { name: fileName(file), bytes: deflateRawSync(text) } };
  try {
    return `#${formatLink({ ...source, settings, ...(seed === undefined ? {} : { seed }) })}`;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${file}: too long for an address: open the page without it, and drop the file there`);
  }
}

/** @returns the exit status */
export async function viewCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs("view", argv, FLAGS);
  if (args.has("help")) {
    process.stdout.write(HELP);
    return 0;
  }
  const target = args.get("dissectors");
  if (target !== undefined) {
    addDissectors(target);
    return 0;
  }
  const [lab, extra] = args.positional;
  if (extra !== undefined) throw new UserError(`swarmwire view: one lab at a time; unexpected ${extra}`);
  const fragment = fragmentOf(args, lab);
  const port = wholeNumber("view", args, "port", 0, 65_535) ?? DEFAULT_PORT;
  const server = await servePage(pageFolder(), port, undefined, findDissectors());
  process.stdout.write(`${pageUrl(server)}${fragment}\n`);
  await new Promise<void>((resolve) => {
    new Interruption({ stop: resolve });
  });
  server.close();
  server.closeAllConnections();
  return 0;
}
