/** `sudo` for somebody who is root already: runs the command with the variables given before it. */
import type { Program } from "../../engine/program.ts";

const USAGE =
  "usage: sudo -h | -K | -k | -V\nusage: sudo [-ABbEHnPS] [-u user] [VAR=value] [-i | -s] [command [arg ...]]\n";
/** Options with a value behind them. */
const VALUED = new Set(["-u", "-g", "-p", "-h", "-C", "-D", "-r", "-t", "-T", "-U"]);

/** sudo(8): everybody is root already. */
export const sudo: Program = function* (context) {
  const words = context.argv.slice(1);
  const env = new Map(context.env);
  let shell = false;
  while (words[0] !== undefined && (words[0].startsWith("-") || /^[A-Za-z_]\w*=/.test(words[0]))) {
    const word = words.shift() as string;
    if (word === "--") break;
    if (!word.startsWith("-")) env.set(word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1));
    else if (word === "-V") {
      context.stdout.write("Sudo version 1.9.13p3\n");
      return 0;
    } else if (word === "-s" || word === "-i") shell = true;
    else if (VALUED.has(word)) words.shift();
    else if (!/^-[ABbEHnPSkK]+$/.test(word)) {
      context.stderr.write(`sudo: invalid option -- '${word.replace(/^-+/, "")[0] ?? ""}'\n${USAGE}`);
      return 1;
    }
  }
  const argv = shell ? ["sh", ...(words.length > 0 ? ["-c", words.join(" ")] : [])] : words;
  const [name] = argv;
  if (name === undefined) {
    context.stderr.write(USAGE);
    return 1;
  }
  env.set("SUDO_USER", "root");
  const child = context.start(argv, { env });
  if (child === undefined) {
    context.stderr.write(`sudo: ${name}: command not found\n`);
    return 1;
  }
  try {
    while (child.status === undefined) yield { on: [child.exited] };
    return child.status;
  } finally {
    child.signal("SIGKILL");
  }
};
