/** The command `swarmwire`. Only this file decides the exit status and prints errors. */
import { isUserError, UserError } from "../base/errors.ts";
import { BROKEN_PIPE } from "./at-exit.ts";
import { benchCommand } from "./bench.ts";
import { checkCommand, labsCommand, schemaCommand } from "./labs.ts";
import { runCommand } from "./run.ts";
import { shellCommand } from "./shell.ts";
import { sweepCommand } from "./sweep.ts";
import { version } from "./version.ts";
import { viewCommand } from "./view.ts";

const HELP = `swarmwire emulates a Docker Swarm and its overlay networks packet by packet.

Usage: swarmwire COMMAND

  run LAB      run a lab's steps; --pcap FILE writes a trace for Wireshark
  shell [LAB]  type on its hosts yourself
  view [LAB]   look at one in a browser as it runs
  sweep LAB    run it many times, with other parameters and seeds; results as CSV and JSON
  bench [NAME] large runs: many hosts, many containers, generated traffic
  labs         the labs that come with swarmwire
  check LAB    read a lab file and say what is wrong with it
  schema       the JSON Schema of lab files
  --version    which version this is

swarmwire COMMAND --help says more.
`;

const COMMANDS: Readonly<Record<string, (argv: readonly string[]) => number | Promise<number>>> = {
  run: runCommand,
  shell: shellCommand,
  view: viewCommand,
  sweep: sweepCommand,
  bench: benchCommand,
  labs: labsCommand,
  check: checkCommand,
  schema: schemaCommand,
};

async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  if (command === undefined || ["help", "--help", "-h"].includes(command)) {
    (command === undefined ? process.stderr : process.stdout).write(HELP);
    return command === undefined ? 2 : 0;
  }
  if (command === "--version" || command === "version") {
    process.stdout.write(`swarmwire ${version()}\n`);
    return 0;
  }
  const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (run === undefined) throw new UserError(`swarmwire: there is no command ${command}; see swarmwire --help`);
  return await run(rest);
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(BROKEN_PIPE);
  process.stderr.write(`swarmwire: standard output: ${error.message}\n`);
  process.exit(1);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (isUserError(error)) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  } else {
    process.stderr.write(`swarmwire: a defect: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
}
