/** `docker swarm …` (docker/cli cli/command/swarm, 20.10). */
import { parseCidr } from "../../base/addr.ts";
import { parseDuration } from "../../base/time.ts";
import { ApiError, type SwarmInitRequest } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import { type Command, daemonError, exactArgs, type Invocation, noArgs, StatusError } from "./command.ts";
import { checkDuration } from "./common.ts";
import { checkInt, checkUint, type FlagSpec, type Flags } from "./flags.ts";
import { bool, type JsonObject, num, object, text } from "./format/json.ts";

const DEFAULT_LISTEN_ADDR = "0.0.0.0:2377";
const DEFAULT_PORT = 2377;

/** `host[:port]` with the swarm's port where none is given (opts.go NodeAddrOption). */
function nodeAddress(value: string): string {
  return /:\d+$/.test(value) ? value : `${value.replace(/:$/, "")}:${DEFAULT_PORT}`;
}

/** Go's messages of an address that the daemon can't choose get a hint (init.go). */
function initError(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  const vague =
    error.message.includes("could not choose an IP address to advertise") ||
    error.message.includes("could not find the system's IP address");
  return vague ? new StatusError(1, `${daemonError(error)} - specify one with --advertise-addr`) : error;
}

function* init(invocation: Invocation): Proc<undefined> {
  const { engine, flags, out } = invocation;
  if (flags.has("external-ca")) throw new StatusError(1, "--external-ca is not emulated");
  const request: SwarmInitRequest = {
    ListenAddr: nodeAddress(flags.text("listen-addr") ?? DEFAULT_LISTEN_ADDR),
    AdvertiseAddr: flags.text("advertise-addr") ?? "",
    DataPathAddr: flags.text("data-path-addr") ?? "",
    DataPathPort: flags.number("data-path-port") ?? 0,
    DefaultAddrPool: flags.list("default-addr-pool"),
    SubnetSize: flags.number("default-addr-pool-mask-length") ?? 24,
    ForceNewCluster: flags.bool("force-new-cluster"),
    AutoLockManagers: flags.bool("autolock"),
    Availability: flags.text("availability") ?? "",
    Spec: mergeSpec({}, flags) as NonNullable<SwarmInitRequest["Spec"]>,
  };
  let nodeId: string;
  try {
    nodeId = yield* engine.swarmInit(request);
  } catch (error) {
    throw initError(error);
  }
  out(`Swarm initialized: current node (${nodeId}) is now a manager.\n\n`);
  yield* printJoinCommand(invocation, nodeId, "worker");
  out("To add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n\n");
}

function* printJoinCommand({ engine, out }: Invocation, nodeId: string, role: "worker" | "manager"): Proc<void> {
  const node = yield* engine.nodeInspect(nodeId);
  const swarm = yield* engine.swarmInspect();
  const address = text(node, "ManagerStatus", "Addr");
  if (address === "") return;
  const token = text(swarm, "JoinTokens", role === "worker" ? "Worker" : "Manager");
  out(
    `To add a ${role} to this swarm, run the following command:\n\n    docker swarm join --token ${token} ${address}\n\n`,
  );
}

function* join({ engine, flags, args, out }: Invocation): Proc<undefined> {
  yield* engine.swarmJoin({
    ListenAddr: nodeAddress(flags.text("listen-addr") ?? DEFAULT_LISTEN_ADDR),
    AdvertiseAddr: flags.text("advertise-addr") ?? "",
    DataPathAddr: flags.text("data-path-addr") ?? "",
    RemoteAddrs: [args[0] as string],
    JoinToken: flags.text("token") ?? "",
    Availability: flags.text("availability") ?? "",
  });
  const info = yield* engine.info();
  out(`This node joined a swarm as a ${bool(info, "Swarm", "ControlAvailable") ? "manager" : "worker"}.\n`);
}

function* joinToken(invocation: Invocation): Proc<undefined> {
  const { engine, flags, args, out } = invocation;
  const role = args[0] as string;
  if (role !== "worker" && role !== "manager") throw new StatusError(1, `unknown role ${role}`);
  const quiet = flags.bool("quiet");
  if (flags.bool("rotate")) {
    const swarm = yield* engine.swarmInspect();
    const rotation = role === "worker" ? { rotateWorkerToken: true } : { rotateManagerToken: true };
    yield* engine.swarmUpdate(num(swarm, "Version", "Index"), rotation, object(swarm, "Spec"));
    if (!quiet) out(`Successfully rotated ${role} join token.\n\n`);
  }
  const swarm = yield* engine.swarmInspect();
  if (quiet) {
    out(`${text(swarm, "JoinTokens", role === "worker" ? "Worker" : "Manager")}\n`);
    return;
  }
  const info = yield* engine.info();
  yield* printJoinCommand(invocation, text(info, "Swarm", "NodeID"), role);
}

function* leave({ engine, flags, out }: Invocation): Proc<undefined> {
  yield* engine.swarmLeave(flags.bool("force"));
  out("Node left the swarm.\n");
}

/** The spec with the given flags merged in (opts.go mergeSwarmSpecFromFlags). */
function mergeSpec(spec: JsonObject, flags: Flags): JsonObject {
  const merged: Record<string, JsonObject[string]> = { ...spec };
  const put = (flag: string, group: string, key: string, value: JsonObject[string]) => {
    if (flags.has(flag)) merged[group] = { ...object(merged as JsonObject, group), [key]: value };
  };
  put("task-history-limit", "Orchestration", "TaskHistoryRetentionLimit", flags.number("task-history-limit"));
  put("dispatcher-heartbeat", "Dispatcher", "HeartbeatPeriod", parseDuration(flags.text("dispatcher-heartbeat") ?? ""));
  put("cert-expiry", "CAConfig", "NodeCertExpiry", parseDuration(flags.text("cert-expiry") ?? ""));
  put("max-snapshots", "Raft", "KeepOldSnapshots", flags.number("max-snapshots"));
  put("snapshot-interval", "Raft", "SnapshotInterval", flags.number("snapshot-interval"));
  put("autolock", "EncryptionConfig", "AutoLockManagers", flags.bool("autolock"));
  return merged;
}

function* update({ engine, flags, out }: Invocation): Proc<undefined> {
  if (flags.has("external-ca")) throw new StatusError(1, "--external-ca is not emulated");
  const swarm = yield* engine.swarmInspect();
  yield* engine.swarmUpdate(num(swarm, "Version", "Index"), {}, mergeSpec(object(swarm, "Spec"), flags));
  out("Swarm updated.\n");
}

/** The root certificate; a new one can't be had. */
function* ca({ engine, flags, out }: Invocation): Proc<undefined> {
  if (flags.bool("rotate")) throw new StatusError(1, "rotating the swarm's root CA is not emulated");
  const other = ["ca-cert", "ca-key", "cert-expiry", "external-ca"].find((name) => flags.has(name));
  if (other !== undefined) throw new StatusError(1, `--${other} requires the \`--rotate\` flag to update the CA`);
  out(`${text(yield* engine.swarmInspect(), "TLSInfo", "TrustRoot").trimEnd()}\n`);
}

/** Managers are never locked here. */
function* unlock({ engine }: Invocation): Proc<undefined> {
  const state = text(yield* engine.info(), "Swarm", "LocalNodeState");
  if (state === "inactive") throw new StatusError(1, "Error: This node is not part of a swarm");
  throw new StatusError(1, "Error: swarm is not locked");
}

function* unlockKey({ engine, flags }: Invocation): Proc<undefined> {
  yield* engine.swarmInspect();
  if (flags.bool("rotate")) throw new StatusError(1, "cannot rotate because autolock is not turned on");
  throw new StatusError(1, "no unlock key is set");
}

const ADVERTISE: FlagSpec = {
  name: "advertise-addr",
  type: "string",
  usage: "Advertised address (format: <ip|interface>[:port])",
};
const AVAILABILITY: FlagSpec = {
  name: "availability",
  type: "string",
  usage: 'Availability of the node ("active"|"pause"|"drain")',
  shown: '"active"',
};
const DATA_PATH: FlagSpec = {
  name: "data-path-addr",
  type: "string",
  usage: "Address or interface to use for data path traffic (format: <ip|interface>)",
};
const LISTEN: FlagSpec = {
  name: "listen-addr",
  type: "node-addr",
  usage: "Listen address (format: <ip|interface>[:port])",
  shown: DEFAULT_LISTEN_ADDR,
};

/** pflag's ipNetSlice. */
const checkPool = (value: string): string | undefined => {
  const bad = value.split(",").find((pool) => !pool.includes("/") || parseCidr(pool.trim()) === undefined);
  return bad === undefined ? undefined : `invalid string being converted to CIDR: ${bad}`;
};

/** Flags that `init` and `update` share. */
const SPEC_FLAGS: readonly FlagSpec[] = [
  {
    name: "cert-expiry",
    type: "duration",
    usage: "Validity period for node certificates (ns|us|ms|s|m|h)",
    shown: "2160h0m0s",
    check: checkDuration,
  },
  {
    name: "dispatcher-heartbeat",
    type: "duration",
    usage: "Dispatcher heartbeat period (ns|us|ms|s|m|h)",
    shown: "5s",
    check: checkDuration,
  },
  {
    name: "external-ca",
    type: "external-ca",
    usage: "Specifications of one or more certificate signing endpoints",
    many: true,
  },
  { name: "max-snapshots", type: "uint", usage: "Number of additional Raft snapshots to retain", check: checkUint(64) },
  {
    name: "snapshot-interval",
    type: "uint",
    usage: "Number of log entries between Raft snapshots",
    shown: "10000",
    check: checkUint(64),
  },
  { name: "task-history-limit", type: "int", usage: "Task history retention limit", shown: "5", check: checkInt },
];

const INIT_FLAGS: readonly FlagSpec[] = [
  ADVERTISE,
  { name: "autolock", usage: "Enable manager autolocking (requiring an unlock key to start a stopped manager)" },
  AVAILABILITY,
  DATA_PATH,
  {
    name: "data-path-port",
    type: "uint32",
    usage:
      "Port number to use for data path traffic (1024 - 49151). If no value is set or is set to 0, the default port (4789) is used.",
    check: checkUint(32),
  },
  {
    name: "default-addr-pool",
    type: "ipNetSlice",
    usage: "default address pool in CIDR format",
    shown: "[]",
    many: true,
    commas: true,
    check: checkPool,
  },
  {
    name: "default-addr-pool-mask-length",
    type: "uint32",
    usage: "default address pool subnet mask length",
    shown: "24",
    check: checkUint(32),
  },
  { name: "force-new-cluster", usage: "Force create a new cluster from current state" },
  LISTEN,
  ...SPEC_FLAGS,
];

/** `docker swarm`. */
export const SWARM: Command = {
  use: "swarm",
  short: "Manage Swarm",
  commands: [
    {
      use: "ca [OPTIONS]",
      short: "Display and rotate the root CA",
      args: noArgs,
      flags: [
        {
          name: "ca-cert",
          type: "pem-file",
          usage: "Path to the PEM-formatted root CA certificate to use for the new cluster",
        },
        { name: "ca-key", type: "pem-file", usage: "Path to the PEM-formatted root CA key to use for the new cluster" },
        {
          name: "cert-expiry",
          type: "duration",
          usage: "Validity period for node certificates (ns|us|ms|s|m|h)",
          shown: "2160h0m0s",
          check: checkDuration,
        },
        {
          name: "detach",
          short: "d",
          usage: "Exit immediately instead of waiting for the root rotation to converge",
        },
        {
          name: "external-ca",
          type: "external-ca",
          usage: "Specifications of one or more certificate signing endpoints",
          many: true,
        },
        { name: "quiet", short: "q", usage: "Suppress progress output" },
        {
          name: "rotate",
          usage: "Rotate the swarm CA - if no certificate or key are provided, new ones will be generated",
        },
      ],
      run: ca,
    },
    { use: "unlock", short: "Unlock swarm", args: noArgs, run: unlock },
    {
      use: "unlock-key [OPTIONS]",
      short: "Manage the unlock key",
      args: noArgs,
      flags: [
        { name: "quiet", short: "q", usage: "Only display token" },
        { name: "rotate", usage: "Rotate unlock key" },
      ],
      run: unlockKey,
    },
    { use: "init [OPTIONS]", short: "Initialize a swarm", args: noArgs, flags: INIT_FLAGS, run: init },
    {
      use: "join [OPTIONS] HOST:PORT",
      short: "Join a swarm as a node and/or manager",
      args: exactArgs(1),
      flags: [
        ADVERTISE,
        AVAILABILITY,
        DATA_PATH,
        LISTEN,
        { name: "token", type: "string", usage: "Token for entry into the swarm" },
      ],
      run: join,
    },
    {
      use: "join-token [OPTIONS] (worker|manager)",
      short: "Manage join tokens",
      args: exactArgs(1),
      flags: [
        { name: "quiet", short: "q", usage: "Only display token" },
        { name: "rotate", usage: "Rotate join token" },
      ],
      run: joinToken,
    },
    {
      use: "leave [OPTIONS]",
      short: "Leave the swarm",
      args: noArgs,
      flags: [{ name: "force", short: "f", usage: "Force this node to leave the swarm, ignoring warnings" }],
      run: leave,
    },
    {
      use: "update [OPTIONS]",
      short: "Update the swarm",
      args: noArgs,
      flags: [{ name: "autolock", usage: "Change manager autolocking setting (true|false)" }, ...SPEC_FLAGS],
      run: update,
      helpWithoutFlags: true,
    },
  ],
};
