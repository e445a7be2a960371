/** The command `swarmwire`. Only this file decides the exit status and prints errors. */
import { UserError } from "../base/errors.ts";
import { LAB_SCHEMA } from "../lab/schema.ts";
import { galleryNames, loadLab } from "./labs.ts";
import { runCommand } from "./run.ts";
import { shellCommand } from "./shell.ts";

const HELP = `swarmwire emulates a Docker Swarm and its overlay networks packet by packet.

Usage: swarmwire COMMAND

  run LAB      run a lab's steps; --pcap FILE writes a trace for Wireshark
  shell [LAB]  type on its hosts yourself
  labs         the labs that come with swarmwire
  check LAB    read a lab file and say what is wrong with it
  schema       the JSON Schema of lab files

swarmwire COMMAND --help says more.
`;

async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case "run":
      return await runCommand(rest);
    case "shell":
      return await shellCommand(rest);
    case "labs":
      for (const name of galleryNames()) process.stdout.write(`${name.padEnd(28)}${loadLab(name).description}\n`);
      return 0;
    case "check":
      for (const name of rest) loadLab(name);
      return 0;
    case "schema":
      process.stdout.write(`${JSON.stringify(LAB_SCHEMA, null, 2)}\n`);
      return 0;
    case undefined:
    case "help":
    case "--help":
    case "-h":
      process.stdout.write(HELP);
      return command === undefined ? 2 : 0;
    default:
      throw new UserError(`swarmwire: there is no command ${command}; see swarmwire --help`);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
