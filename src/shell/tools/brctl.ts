/** `brctl` of bridge-utils 1.7: bridges and their ports by the kernel's older interface. */
import { formatMac } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import { quick } from "../lib/program.ts";

const USAGE = `Usage: brctl [commands]
commands:
	addbr     	<bridge>		add bridge
	delbr     	<bridge>		delete bridge
	addif     	<bridge> <device>	add interface to bridge
	delif     	<bridge> <device>	delete interface from bridge
	show      	[ <bridge> ]		show a list of bridges
	showmacs  	<bridge>		show a list of mac addrs
`;
const HEADER = "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n";

function bridges({ ns }: ProgramContext): ReturnType<ProgramContext["ns"]["link"]["list"]> {
  return ns.link.list().filter(({ kind }) => kind === "bridge");
}

function show(context: ProgramContext, name: string | undefined): number {
  const found = bridges(context).filter((bridge) => name === undefined || bridge.name === name);
  if (name !== undefined && found.length === 0) {
    const other = context.ns.link.list().some((link) => link.name === name);
    context.stderr.write(other ? `can't get info Operation not supported\n` : `bridge ${name} does not exist!\n`);
    return 1;
  }
  context.stdout.write(HEADER);
  for (const bridge of found) {
    const ports = context.ns.link.list().filter(({ master }) => master === bridge.index);
    const id = `8000.${formatMac(bridge.mac).replaceAll(":", "")}`;
    const names = ports.map((port) => port.name).sort();
    context.stdout.write(`${bridge.name}\t\t${id}\tno\t\t${names.join("\n\t\t\t\t\t\t\t")}\n`);
  }
  return 0;
}

/** One of the commands that change something, with its messages. */
function change(context: ProgramContext, command: string, name: string, device: string): string | undefined {
  const { link } = context.ns;
  const bridge = bridges(context).find((one) => one.name === name);
  if (command === "addbr") {
    if (link.list().some((one) => one.name === name))
      return `device ${name} already exists; can't create bridge with the same name`;
    link.add({ kind: "bridge", name });
    return undefined;
  }
  if (bridge === undefined) return `bridge ${name} doesn't exist${command === "delbr" ? "; can't delete it" : "!"}`;
  if (command === "delbr") {
    if (bridge.up) return `bridge ${name} is still up; can't delete it`;
    link.del(name);
    return undefined;
  }
  const port = link.list().find((one) => one.name === device);
  if (port === undefined) return `interface ${device} does not exist!`;
  if (command === "addif") {
    if (port.master) return `device ${device} is already a member of a bridge; can't enslave it to bridge ${name}.`;
    link.set(device, { master: bridge.index });
    return undefined;
  }
  if (port.master !== bridge.index) return `device ${device} is not a port of ${name}`;
  link.set(device, { master: 0 });
  return undefined;
}

function run(context: ProgramContext): number {
  const [, command = "", name, device = ""] = context.argv;
  if (command === "show") return show(context, name);
  const wants: Readonly<Record<string, number>> = { addbr: 3, delbr: 3, addif: 4, delif: 4 };
  if (wants[command] === undefined) {
    if (command !== "" && command !== "--help" && command !== "-h")
      context.stderr.write(`never heard of command [${command}]\n`);
    context.stderr.write(USAGE);
    return 1;
  }
  if (name === undefined || context.argv.length < (wants[command] as number)) {
    context.stderr.write("Incorrect number of arguments for command\n");
    return 1;
  }
  try {
    const problem = change(context, command, name, device);
    if (problem === undefined) return 0;
    context.stderr.write(`${problem}\n`);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    context.stderr.write(`${command} failed: ${error.message}\n`);
  }
  return 1;
}

/** brctl(8). */
export const brctl: Program = quick(run);
