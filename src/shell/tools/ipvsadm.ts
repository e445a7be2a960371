/** ipvsadm(8) 1.31: virtual services, destinations and connections of a namespace. */
import { parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Output, Program, ProgramContext } from "../../engine/program.ts";
import {
  IPVS_SCHEDULERS,
  type IpvsApi,
  type IpvsDestinationSpec,
  type IpvsForwarding,
  type IpvsProtocol,
  type IpvsScheduler,
  type IpvsServiceId,
  type IpvsServiceSpec,
} from "../../kernel/ipvs-types.ts";
import type { Proc } from "../../scheduler/process.ts";
import {
  type IpvsColumns,
  type IpvsListOptions,
  listConnections,
  listServices,
  saveServices,
} from "../lib/ipvs-text.ts";

/** Ends with a message and a status (ipvsadm.c fail). */
class Refusal extends Error {
  override name = "Refusal";
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.status = status;
  }
}

/** What main() returns when the kernel refuses: −1. */
const KERNEL_REFUSED = 255;
const DEFAULT_SCHEDULER: IpvsScheduler = "wlc";
const DEFAULT_PERSISTENCE = 360;
const ALL_ONES = 0xffffffff;

type Command = "A" | "E" | "D" | "C" | "L" | "a" | "e" | "d" | "Z" | "S" | "R" | "set" | "start-daemon" | "stop-daemon";

/** Names of commands in messages (cmdnames[]). */
const COMMAND_NAMES: Record<Command, string> = {
  A: "add-service",
  E: "edit-service",
  D: "delete-service",
  C: "flush",
  L: "list",
  a: "add-server",
  d: "delete-server",
  e: "edit-server",
  set: "set",
  "start-daemon": "start-daemon",
  "stop-daemon": "stop-daemon",
  R: "restore",
  S: "save",
  Z: "zero",
};

const LONG_COMMANDS: Readonly<Record<string, Command>> = {
  "add-service": "A",
  "edit-service": "E",
  "delete-service": "D",
  clear: "C",
  list: "L",
  "add-server": "a",
  "edit-server": "e",
  "delete-server": "d",
  zero: "Z",
  save: "S",
  restore: "R",
  set: "set",
  "start-daemon": "start-daemon",
  "stop-daemon": "stop-daemon",
};

/** Options with their names in messages (optnames[]); those with `:` take a value, with `?` an optional one. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  n: "numeric",
  c: "connection",
  "t:": "service-address",
  "u:": "service-address",
  "sctp:": "service-address",
  "f:": "service-address",
  "s:": "scheduler",
  "p?": "persistent",
  "M:": "netmask",
  "r:": "real-server",
  m: "forwarding-method",
  g: "forwarding-method",
  i: "forwarding-method",
  "w:": "weight",
  "x:": "u-threshold",
  "y:": "l-threshold",
  timeout: "timeout",
  daemon: "daemon",
  stats: "stats",
  rate: "rate",
  thresholds: "thresholds",
  "persistent-conn": "persistent-conn",
  sort: "sort",
  nosort: "nosort",
  exact: "exact",
  6: "ipv6",
  o: "ops",
  "b:": "sched-flags",
};

const LONG_OPTIONS: Readonly<Record<string, string>> = {
  numeric: "n",
  connection: "c",
  "tcp-service": "t",
  "udp-service": "u",
  "sctp-service": "sctp",
  "fwmark-service": "f",
  scheduler: "s",
  persistent: "p",
  netmask: "M",
  "real-server": "r",
  masquerading: "m",
  gatewaying: "g",
  ipip: "i",
  weight: "w",
  "u-threshold": "x",
  "l-threshold": "y",
  timeout: "timeout",
  daemon: "daemon",
  stats: "stats",
  rate: "rate",
  thresholds: "thresholds",
  "persistent-conn": "persistent-conn",
  sort: "sort",
  nosort: "nosort",
  exact: "exact",
  ipv6: "6",
  ops: "o",
  "sched-flags": "b",
};

/** Options that each command must and may have (commands_v_options[]), by their names in messages. */
const NEEDED: Partial<Record<Command, readonly string[]>> = {
  A: ["service-address"],
  E: ["service-address"],
  D: ["service-address"],
  a: ["service-address", "real-server"],
  d: ["service-address", "real-server"],
  e: ["service-address", "real-server"],
};
const SERVICE_OPTIONS = ["service-address", "scheduler", "persistent", "netmask", "ops", "sched-flags", "ipv6"];
const SERVER_OPTIONS = [
  "service-address",
  "real-server",
  "forwarding-method",
  "weight",
  "u-threshold",
  "l-threshold",
  "ipv6",
];
const LIST_OPTIONS = [
  "numeric",
  "connection",
  "service-address",
  "timeout",
  "daemon",
  "stats",
  "rate",
  "thresholds",
  "persistent-conn",
  "sort",
  "nosort",
  "exact",
  "ipv6",
];
const ALLOWED: Partial<Record<Command, readonly string[]>> = {
  A: SERVICE_OPTIONS,
  E: SERVICE_OPTIONS,
  D: ["service-address", "ipv6"],
  a: SERVER_OPTIONS,
  e: SERVER_OPTIONS,
  d: ["service-address", "real-server", "ipv6"],
  L: LIST_OPTIONS,
  S: ["numeric"],
  Z: ["service-address", "ipv6"],
};

interface Line {
  command: Command;
  /** Letters of options with their values. */
  readonly options: Map<string, string>;
  readonly args: string[];
}

function tryHelp(name: string): never {
  throw new Refusal(`Try \`${name} -h' or '${name} --help' for more information.`, KERNEL_REFUSED);
}

/** One word of a command line, as an option letter and, with `=` or behind the letter, its value. */
function* optionsOf(word: string): Generator<{ letter: string; value: string | undefined }> {
  if (word.startsWith("--")) {
    const [long = "", value] = word.slice(2).split(/=(.*)/s);
    yield { letter: LONG_COMMANDS[long] ?? LONG_OPTIONS[long] ?? `?--${long}`, value };
    return;
  }
  for (let rest = word.slice(1); rest !== ""; rest = rest.slice(1)) {
    const letter = rest[0] as string;
    const takes = `${letter}:` in OPTION_NAMES || `${letter}?` in OPTION_NAMES;
    if (takes && rest.length > 1) {
      yield { letter, value: rest.slice(1) };
      return;
    }
    yield { letter, value: undefined };
  }
}

function isCommand(letter: string): letter is Command {
  return Object.hasOwn(COMMAND_NAMES, letter);
}

function parse(argv: readonly string[], err: Output): Line {
  let command: Command | undefined;
  const options = new Map<string, string>();
  const args: string[] = [];
  const seen = new Set<string>();
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string;
    if (!word.startsWith("-") || word === "-") {
      args.push(word);
      continue;
    }
    for (const { letter, value } of optionsOf(word)) {
      if (isCommand(letter) || letter === "l") {
        if (command !== undefined) throw new Refusal("multiple commands specified");
        command = letter === "l" ? "L" : letter;
        continue;
      }
      const key = [letter, `${letter}:`, `${letter}?`].find((one) => one in OPTION_NAMES);
      if (key === undefined) {
        err.write(`${word.startsWith("--") ? word : `-${letter}`}: unknown option\n`);
        tryHelp(argv[0] ?? "ipvsadm");
      }
      const name = OPTION_NAMES[key] as string;
      if (seen.has(name) && name !== "numeric") throw new Refusal(`multiple '${name}' options specified`);
      seen.add(name);
      let text = value;
      const next = argv[at + 1];
      if (text === undefined && key.endsWith(":")) {
        if (next === undefined) {
          err.write(`-${letter}: missing argument\n`);
          tryHelp(argv[0] ?? "ipvsadm");
        }
        text = argv[++at];
      } else if (text === undefined && key.endsWith("?") && next !== undefined && /^\d+$/.test(next)) text = argv[++at];
      options.set(letter, text ?? "");
    }
  }
  if (command === undefined) {
    if (argv.length > 1 && seen.size > 0 && !seen.has("numeric")) tryHelp(argv[0] ?? "ipvsadm");
    command = "L";
  }
  check(command, seen);
  return { command, options, args };
}

function check(command: Command, seen: ReadonlySet<string>): void {
  for (const name of NEEDED[command] ?? []) {
    if (!seen.has(name))
      throw new Refusal(`You need to supply the '${name}' option for the '${COMMAND_NAMES[command]}' command`);
  }
  for (const name of seen) {
    if (!(ALLOWED[command] ?? []).includes(name))
      throw new Refusal(`Illegal '${name}' option with the '${COMMAND_NAMES[command]}' command`);
  }
}

/** ADDRESS or ADDRESS:PORT; undefined when it is neither. */
function endpoint(text: string): { address: number; port: number | undefined } | undefined {
  const [host = "", port] = text.split(":");
  const address = parseIpv4(host);
  const number = port === undefined ? undefined : Number(port);
  if (address === undefined || (number !== undefined && !(Number.isInteger(number) && number >= 0 && number <= 65535)))
    return undefined;
  return { address, port: number };
}

function number(text: string | undefined, least: number, most: number, what: string): number {
  const value = /^\d+$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new Refusal(what);
  return value;
}

function serviceId({ options }: Line): IpvsServiceId | undefined {
  if (options.has("f")) return { fwmark: number(options.get("f"), 1, ALL_ONES, "illegal firewall mark specified") };
  const letters: readonly (readonly [string, IpvsProtocol])[] = [
    ["t", "tcp"],
    ["u", "udp"],
    ["sctp", "sctp"],
  ];
  for (const [letter, protocol] of letters) {
    const text = options.get(letter);
    if (text === undefined) continue;
    const found = endpoint(text);
    if (found === undefined) throw new Refusal(`illegal virtual server address[:port] specified`);
    return { protocol, address: found.address, port: found.port ?? 0 };
  }
  return undefined;
}

/** The service of a command that needs one. */
function requiredId(line: Line): IpvsServiceId {
  const id = serviceId(line);
  if (id === undefined) throw new Refusal("illegal virtual server address[:port] specified");
  return id;
}

/** parse_sched_flags. */
function schedulerFlags(text: string, scheduler: string): ("fallback" | "port")[] {
  return text.split(",").map((flag) => {
    if (flag === "flag-1" || flag === `${scheduler}-fallback`) return "fallback";
    if (flag === "flag-2" || flag === `${scheduler}-port`) return "port";
    if (/^(sh|mh)-(fallback|port)$/.test(flag)) throw new Refusal(`incompatible scheduler flag ${flag}`);
    throw new Refusal("Invalid flags");
  });
}

function serviceSpec(line: Line, id: IpvsServiceId): IpvsServiceSpec {
  const { options } = line;
  const scheduler = options.get("s") ?? DEFAULT_SCHEDULER;
  if ("port" in id && id.port === 0 && !options.has("p"))
    throw new Refusal("Zero port specified for non-persistent service");
  const persistence = options.get("p");
  const timeoutSec =
    persistence === undefined || persistence === ""
      ? DEFAULT_PERSISTENCE
      : number(persistence, 1, 86400 * 31, "illegal timeout for persistent service");
  const mask = options.get("M");
  const netmask = mask === undefined ? ALL_ONES : parseIpv4(mask);
  if (netmask === undefined) throw new Refusal("illegal netmask specified");
  const flags = options.get("b");
  return {
    id,
    // A name that nobody knows is refused by the kernel, as one of a module that there isn't.
    scheduler: IPVS_SCHEDULERS.find((name) => name === scheduler) ?? "twos",
    ...(options.has("p") ? { persistent: { timeoutSec, netmask } } : {}),
    ...(options.has("o") ? { onePacket: true } : {}),
    ...(flags === undefined ? {} : { schedulerFlags: schedulerFlags(flags, scheduler) }),
  };
}

function forwarding({ options }: Line): IpvsForwarding {
  if (options.has("m")) return "masq";
  return options.has("i") ? "tunnel" : "direct";
}

function destination(line: Line, id: IpvsServiceId): IpvsDestinationSpec {
  const { options } = line;
  const found = endpoint(options.get("r") ?? "");
  if (found === undefined) throw new Refusal("illegal real server address[:port] specified");
  const how = forwarding(line);
  const servicePort = "port" in id ? id.port : 0;
  // The packet keeps its port where it isn't rewritten.
  const port = "port" in id && how !== "masq" ? servicePort : (found.port ?? servicePort);
  const limit = (letter: string, what: string): number =>
    options.has(letter) ? number(options.get(letter), 0, 2147483647, what) : 0;
  return {
    address: found.address,
    port,
    forwarding: how,
    weight: options.has("w") ? number(options.get("w"), 0, 65535, "illegal weight specified") : 1,
    upper: limit("x", "illegal u_threshold specified"),
    lower: limit("y", "illegal l_threshold specified"),
  };
}

// ---------------------------------------------------------------------------------------------- commands

/** A call into the kernel with what its refusals mean (libipvs ipvs_strerror). */
function call(meaning: Readonly<Record<string, string>>, body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const general: Readonly<Record<string, string>> = {
      EPERM: "Permission denied (you must be root)",
      EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
      ERANGE: "Numerical result out of range",
    };
    throw new Refusal(meaning[error.code] ?? general[error.code] ?? error.message, KERNEL_REFUSED);
  }
}

const NO_SCHEDULER = "Scheduler or persistence engine not found";

function columnsOf({ options }: Line): IpvsColumns {
  if (options.has("stats")) return "stats";
  if (options.has("rate")) return "rate";
  if (options.has("thresholds")) return "thresholds";
  return options.has("persistent-conn") ? "persistent" : "default";
}

function list(ipvs: IpvsApi, line: Line): string {
  const { options } = line;
  const numeric = options.has("n");
  if (options.has("c")) return listConnections(ipvs.connections(), numeric);
  if (options.has("timeout")) {
    const { tcp, tcpFin, udp } = ipvs.timeouts();
    return `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}\n`;
  }
  if (options.has("daemon")) return "";
  const how: IpvsListOptions = {
    numeric,
    columns: columnsOf(line),
    exact: options.has("exact"),
    sorted: !options.has("nosort"),
  };
  const id = serviceId(line);
  if (id === undefined) return listServices(ipvs.services(), how);
  const service = ipvs.service(id);
  if (service === undefined) throw new Refusal("No such service", KERNEL_REFUSED);
  return listServices([service], how);
}

function setTimeouts(ipvs: IpvsApi, { args }: Line): void {
  if (args.length !== 3) throw new Refusal("--set option requires 3 timeout values");
  const [tcp = 0, tcpFin = 0, udp = 0] = args.map((text) => number(text, 0, 86400 * 31, "illegal timeout specified"));
  call({}, () => ipvs.setTimeouts({ tcp, tcpFin, udp }));
}

function run(context: ProgramContext, line: Line): void {
  const { ipvs } = context.ns;
  switch (line.command) {
    case "L":
      context.stdout.write(list(ipvs, line));
      return;
    case "S":
      context.stdout.write(saveServices(ipvs.services(), line.options.has("n")));
      return;
    case "C":
      ipvs.flush();
      return;
    case "set":
      setTimeouts(ipvs, line);
      return;
    case "start-daemon":
    case "stop-daemon":
      throw new Refusal("Protocol not available", KERNEL_REFUSED);
    case "Z": {
      const id = serviceId(line);
      call({ ESRCH: "No such service" }, () => ipvs.zero(id));
      return;
    }
    default:
      change(ipvs, line);
  }
}

function change(ipvs: IpvsApi, line: Line): void {
  const id = requiredId(line);
  const noService = { ESRCH: "No such service", ENOENT: NO_SCHEDULER };
  const noServer = { ESRCH: "Service not defined", ENOENT: "No such destination" };
  switch (line.command) {
    case "A": {
      const spec = serviceSpec(line, id);
      call({ EEXIST: "Service already exists", ENOENT: NO_SCHEDULER }, () => ipvs.addService(spec));
      return;
    }
    case "E": {
      const spec = serviceSpec(line, id);
      call(noService, () => ipvs.updateService(spec));
      return;
    }
    case "D":
      call(noService, () => ipvs.removeService(id));
      return;
    case "a": {
      const spec = destination(line, id);
      call({ ESRCH: "Service not defined", EEXIST: "Destination already exists" }, () => ipvs.addDestination(id, spec));
      return;
    }
    case "e": {
      const spec = destination(line, id);
      call(noServer, () => ipvs.updateDestination(id, spec));
      return;
    }
    default: {
      const { address, port } = destination(line, id);
      call(noServer, () => ipvs.removeDestination(id, address, port));
    }
  }
}

const USAGE = `ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)
Usage:
  ipvsadm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]
  ipvsadm -D virtual-service
  ipvsadm -C
  ipvsadm -R
  ipvsadm -S [-n]
  ipvsadm -a|e virtual-service -r server-address [options]
  ipvsadm -d virtual-service -r server-address
  ipvsadm -L|l [virtual-service] [options]
  ipvsadm -Z [virtual-service]
  ipvsadm --set tcp tcpfin udp
  ipvsadm --start-daemon {master|backup} [daemon-options]
  ipvsadm --stop-daemon {master|backup}
  ipvsadm -h
`;

/** One command line: its status. */
function execute(context: ProgramContext, argv: readonly string[]): number {
  try {
    run(context, parse(argv, context.stderr));
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    context.stderr.write(`${error.message}\n`);
    return error.status;
  }
}

/** `ipvsadm -R`: a command line each, without the program's name. */
function* restore(context: ProgramContext): Proc<number> {
  let status = 0;
  for (;;) {
    const line = yield* context.stdin.readLine();
    if (line === undefined) return status;
    const words = line.trim().split(/\s+/);
    if (words[0] !== "") status = execute(context, ["ipvsadm", ...words]) || status;
  }
}

/** ipvsadm(8). */
export const ipvsadm: Program = function* (context) {
  const { argv } = context;
  if (argv[1] === "-h" || argv[1] === "--help") {
    context.stdout.write(USAGE);
    return 0;
  }
  if (argv.length === 2 && (argv[1] === "-R" || argv[1] === "--restore")) return yield* restore(context);
  return execute(context, argv);
};
