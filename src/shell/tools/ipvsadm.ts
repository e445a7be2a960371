/** ipvsadm(8) 1.31: virtual services, destinations and connections of a namespace. */
import { parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
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
import { KERNEL_REFUSED, type Line, parse, Refusal } from "../lib/ipvsadm-options.ts";

const DEFAULT_SCHEDULER: IpvsScheduler = "wlc";
const DEFAULT_PERSISTENCE = 360;
const ALL_ONES = 0xffffffff;

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
