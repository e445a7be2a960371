/** `docker run` and `docker create` (docker/cli cli/command/container/run.go, create.go, opts.go; 20.10). */

import { ApiError, type AttachStream, type ContainerCreateRequest, type EndpointSettings } from "../../engine/api.ts";
import type { Proc } from "../../scheduler/process.ts";
import { join } from "../../scheduler/process.ts";
import { type Command, daemonError, type Invocation, minArgs, StatusError } from "./command.ts";
import { keyValues } from "./common.ts";
import { checkInt, type FlagSpec, type Flags } from "./flags.ts";
import { HEALTH_FLAGS, healthcheck } from "./health-flags.ts";
import { parseExpose, parsePublish } from "./ports.ts";
import { pump } from "./stream.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Prints `docker: …` with a full stop, and where to look (run.go reportError). */
function report(invocation: Invocation, name: string, message: string, withHelp: boolean): void {
  const help = withHelp ? `\nSee 'docker ${name} --help'.` : "";
  invocation.err(`docker: ${message.replace(/\.$/, "")}.${help}\n`);
}

/** The exit status of a container that could not start (run.go runStartContainerErr). */
function startStatus(message: string): number {
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message))
    return 127;
  return message.includes("permission denied") ? 126 : 125;
}

/** `-e` values: a bare name takes the client's value (opts/env.go). */
function environment({ context, flags }: Invocation): string[] {
  const out: string[] = [];
  for (const item of flags.list("env")) {
    if (item === "" || item.startsWith("=")) throw new StatusError(125, `invalid environment variable: ${item}`);
    if (item.includes("=")) out.push(item);
    else if (context.env.has(item)) out.push(`${item}=${context.env.get(item)}`);
  }
  return out;
}

/** `--network NAME`, or `name=NAME,alias=A,ip=…` (opts/network.go). */
function networkOption(flags: Flags): { name: string; settings: EndpointSettings } {
  const value = flags.text("network") ?? "default";
  const settings: Mutable<EndpointSettings> = {};
  const aliases = [...flags.list("network-alias")];
  let name = value;
  if (value.includes("=")) {
    name = "";
    for (const field of value.split(",")) {
      const at = field.indexOf("=");
      const [key, text] = [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)];
      if (key === "name") name = text;
      else if (key === "alias") aliases.push(text);
      else if (key === "driver-opt") settings.DriverOpts = { ...settings.DriverOpts, ...keyValues([text]) };
      else throw new StatusError(125, `invalid field key ${key}`);
    }
    if (name === "") throw new StatusError(125, "network name/id is not specified");
  }
  const ip = flags.text("ip");
  if (ip !== undefined) settings.IPAMConfig = { IPv4Address: ip };
  if (aliases.length > 0) settings.Aliases = aliases;
  return { name, settings };
}

/** `--restart no|always|unless-stopped|on-failure[:N]` (opts/parse.go ParseRestartPolicy). */
function restartPolicy(value: string): { Name: string; MaximumRetryCount: number } {
  const [name = "", count, extra] = value.split(":");
  if (extra !== undefined) throw new StatusError(125, "invalid restart policy format");
  if (count !== undefined && !/^\d+$/.test(count)) throw new StatusError(125, "maximum retry count must be an integer");
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

function checkLabels(labels: readonly string[]): Record<string, string> {
  const empty = labels.find((label) => label.startsWith("=") || label === "");
  if (empty !== undefined) throw new StatusError(125, `invalid empty label key in '${empty}'`);
  return keyValues(labels);
}

function checkHosts(hosts: readonly string[]): readonly string[] {
  for (const host of hosts) {
    const at = host.indexOf(":");
    if (at <= 0)
      throw new StatusError(
        125,
        `invalid argument "${host}" for "--add-host" flag: bad format for add-host: "${host}"`,
      );
  }
  return hosts;
}

/** The request of a command line (opts.go parse). @throws StatusError */
export function createRequest(invocation: Invocation, attach: boolean): ContainerCreateRequest {
  const { flags, args } = invocation;
  const [image = "", ...command] = args;
  const tty = flags.bool("tty");
  const interactive = flags.bool("interactive");
  const network = networkOption(flags);
  const ports = flags.list("publish").flatMap(parsePublish);
  const exposed = [...flags.list("expose").flatMap(parseExpose), ...ports.map((port) => port.port)];
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { port, hostIp, hostPort } of ports)
    bindings[port] = [...(bindings[port] ?? []), { HostIp: hostIp, HostPort: hostPort }];
  if (flags.bool("rm") && flags.has("restart") && flags.text("restart") !== "no") {
    throw new StatusError(125, "Conflicting options: --restart and --rm");
  }
  const streams = flags.list("attach").map((name) => name.toLowerCase());
  const wants = (name: string, otherwise: boolean) =>
    attach && (streams.length > 0 ? streams.includes(name) : otherwise);
  const request: Mutable<ContainerCreateRequest> = {
    Image: image,
    Tty: tty,
    OpenStdin: interactive,
    AttachStdin: wants("stdin", interactive),
    AttachStdout: wants("stdout", true),
    AttachStderr: wants("stderr", true),
    Env: environment(invocation),
    Labels: checkLabels(flags.list("label")),
    HostConfig: {
      NetworkMode: network.name,
      AutoRemove: flags.bool("rm"),
      PortBindings: bindings,
      PublishAllPorts: flags.bool("publish-all"),
      RestartPolicy: restartPolicy(flags.text("restart") ?? "no"),
      Dns: flags.list("dns"),
      DnsSearch: flags.list("dns-search"),
      DnsOptions: flags.list("dns-option"),
      Privileged: flags.bool("privileged"),
      ...(flags.list("add-host").length > 0 ? { ExtraHosts: checkHosts(flags.list("add-host")) } : {}),
      ...(flags.list("cap-add").length > 0 ? { CapAdd: flags.list("cap-add") } : {}),
      ...(flags.has("init") ? { Init: flags.bool("init") } : {}),
    },
    NetworkingConfig: {
      EndpointsConfig: Object.keys(network.settings).length > 0 ? { [network.name]: network.settings } : {},
    },
  };
  request.StdinOnce = request.OpenStdin === true && request.AttachStdin === true;
  if (command.length > 0) request.Cmd = command;
  if (exposed.length > 0) request.ExposedPorts = Object.fromEntries(exposed.map((port) => [port, {}]));
  const entrypoint = flags.text("entrypoint");
  if (entrypoint !== undefined) request.Entrypoint = [entrypoint];
  const hostname = flags.text("hostname");
  if (hostname !== undefined) request.Hostname = hostname;
  const workdir = flags.text("workdir");
  if (workdir !== undefined) request.WorkingDir = workdir;
  const user = flags.text("user");
  if (user !== undefined) request.User = user;
  const mac = flags.text("mac-address");
  if (mac !== undefined) request.MacAddress = checkMac(mac);
  const signal = flags.text("stop-signal");
  if (signal !== undefined) request.StopSignal = signal;
  const health = healthcheck(flags);
  if (health !== undefined) request.Healthcheck = health;
  const timeout = flags.number("stop-timeout");
  if (timeout !== undefined) request.StopTimeout = timeout;
  return request;
}

function checkMac(value: string): string {
  if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(value))
    throw new StatusError(125, `${value} is not a valid mac address`);
  return value;
}

/** `alpine` → `alpine:latest`. */
function withTag(image: string): string {
  const name = image.slice(image.lastIndexOf("/") + 1);
  return name.includes(":") || image.includes("@") ? image : `${image}:latest`;
}

/** Creates the container, pulling a missing image first. Reports its own errors. */
function* createContainer(invocation: Invocation, name: string, request: ContainerCreateRequest): Proc<string> {
  const { engine, flags, err } = invocation;
  const create = () => engine.containerCreate(flags.text("name"), request);
  try {
    let created: { Id: string; Warnings: readonly string[] };
    try {
      created = yield* create();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      err(`Unable to find image '${withTag(request.Image)}' locally\n`);
      if (engine.imagePull === undefined) throw error;
      yield* engine.imagePull(withTag(request.Image), (line) => err(`${line}\n`));
      created = yield* create();
    }
    for (const warning of created.Warnings) err(`WARNING: ${warning}\n`);
    return created.Id;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (name === "create") throw new StatusError(1, daemonError(error));
    report(invocation, name, daemonError(error), true);
    throw new StatusError(startStatus(error.message));
  }
}

function parseRequest(invocation: Invocation, name: string, attach: boolean): ContainerCreateRequest {
  try {
    return createRequest(invocation, attach);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    report(invocation, name, error.message, true);
    throw new StatusError(125);
  }
}

function* run(invocation: Invocation): Proc<number> {
  const { engine, flags, context, out } = invocation;
  const detach = flags.bool("detach");
  if (detach && flags.list("attach").length > 0) throw new StatusError(1, "Conflicting options: -a and -d");
  const request = parseRequest(invocation, "run", !detach);
  const tty = request.Tty === true;
  if (!detach && tty && request.AttachStdin === true && !context.tty)
    throw new StatusError(1, "the input device is not a TTY");
  const id = yield* createContainer(invocation, "run", request);
  const attached = request.AttachStdin === true || request.AttachStdout === true || request.AttachStderr === true;
  const stream = attached ? engine.containerAttach(id) : undefined;
  const autoRemove = flags.bool("rm");
  const exited = detach
    ? undefined
    : context.os.spawn("docker wait", awaitExit(invocation, id, autoRemove ? "removed" : "next-exit"));
  try {
    yield* engine.containerStart(id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    stream?.detach();
    report(invocation, "run", daemonError(error), false);
    if (autoRemove && exited !== undefined) yield* join(exited);
    else exited?.kill();
    throw new StatusError(startStatus(error.message));
  }
  if (exited === undefined) {
    out(`${id}\n`);
    return 0;
  }
  return yield* follow(invocation, id, stream, exited, request);
}

/** Shows an attached container to its end. */
function* follow(
  invocation: Invocation,
  id: string,
  stream: AttachStream | undefined,
  exited: ReturnType<Invocation["context"]["os"]["spawn"]>,
  request: ContainerCreateRequest,
): Proc<number> {
  const { context } = invocation;
  const tty = request.Tty === true;
  if (stream !== undefined) {
    const onSignal = tty ? undefined : forwardSignal(invocation, id);
    const options = { stdin: request.AttachStdin === true, tty, ...(onSignal === undefined ? {} : { onSignal }) };
    if (yield* pump(context, stream, options)) {
      exited.kill();
      return 0;
    }
  }
  yield* join(exited);
  return typeof exited.result === "number" ? exited.result : 125;
}

/** `--sig-proxy`: the client's signals go to the container (signals.go ForwardAllSignals). */
export function forwardSignal({ engine, flags }: Invocation, id: string): ((name: string) => Proc<void>) | undefined {
  if (flags.text("sig-proxy") === "false") return undefined;
  return function* (name) {
    try {
      yield* engine.containerKill(id, name.replace(/^SIG/, ""));
    } catch (error) {
      // The container has just ended by itself.
      if (!(error instanceof ApiError)) throw error;
    }
  };
}

/** The container's exit status; 125 when the engine can't tell (utils.go waitExitOrRemoved). */
export function* awaitExit({ engine }: Invocation, id: string, condition: "next-exit" | "removed"): Proc<number> {
  try {
    return (yield* engine.containerWait(id, condition)).StatusCode;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return 125;
  }
}

function* create(invocation: Invocation): Proc<undefined> {
  const request = parseRequest(invocation, "create", true);
  invocation.out(`${yield* createContainer(invocation, "create", request)}\n`);
}

const many = (name: string, usage: string, short?: string): FlagSpec => ({
  name,
  type: "list",
  usage,
  many: true,
  ...(short === undefined ? {} : { short }),
});
const text = (name: string, usage: string, short?: string): FlagSpec => ({
  name,
  type: "string",
  usage,
  ...(short === undefined ? {} : { short }),
});

const CREATE_FLAGS: readonly FlagSpec[] = [
  many("add-host", "Add a custom host-to-IP mapping (host:ip)"),
  many("attach", "Attach to STDIN, STDOUT or STDERR", "a"),
  many("cap-add", "Add Linux capabilities"),
  many("dns", "Set custom DNS servers"),
  many("dns-option", "Set DNS options"),
  many("dns-search", "Set custom DNS search domains"),
  text("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
  many("env", "Set environment variables", "e"),
  many("expose", "Expose a port or a range of ports"),
  ...HEALTH_FLAGS,
  text("hostname", "Container host name", "h"),
  { name: "init", usage: "Run an init inside the container that forwards signals and reaps processes" },
  { name: "interactive", short: "i", usage: "Keep STDIN open even if not attached" },
  text("ip", "IPv4 address (e.g., 172.30.100.104)"),
  many("label", "Set meta data on a container", "l"),
  text("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  text("name", "Assign a name to the container"),
  { name: "network", type: "network", usage: "Connect a container to a network", many: true },
  {
    name: "net",
    type: "network",
    usage: "Connect a container to a network",
    many: true,
    hidden: true,
    sameAs: "network",
  },
  many("network-alias", "Add network-scoped alias for the container"),
  {
    name: "net-alias",
    type: "list",
    usage: "Add network-scoped alias for the container",
    many: true,
    hidden: true,
    sameAs: "network-alias",
  },
  { name: "privileged", usage: "Give extended privileges to this container" },
  many("publish", "Publish a container's port(s) to the host", "p"),
  { name: "publish-all", short: "P", usage: "Publish all exposed ports to random ports" },
  { ...text("restart", "Restart policy to apply when a container exits"), shown: '"no"' },
  { name: "rm", usage: "Automatically remove the container when it exits" },
  { ...text("stop-signal", "Signal to stop a container"), shown: '"15"' },
  { name: "stop-timeout", type: "int", usage: "Timeout (in seconds) to stop a container", check: checkInt },
  { name: "tty", short: "t", usage: "Allocate a pseudo-TTY" },
  text("user", "Username or UID (format: <name|uid>[:<group|gid>])", "u"),
  text("workdir", "Working directory inside the container", "w"),
];

/** `docker create`. */
export const CREATE: Command = {
  use: "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Create a new container",
  args: minArgs(1),
  notInterspersed: true,
  flags: CREATE_FLAGS,
  run: create,
};

/** `docker run`. */
export const RUN: Command = {
  use: "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
  short: "Run a command in a new container",
  args: minArgs(1),
  notInterspersed: true,
  flags: [
    ...CREATE_FLAGS,
    { name: "detach", short: "d", usage: "Run container in background and print container ID" },
    text("detach-keys", "Override the key sequence for detaching a container"),
    { name: "sig-proxy", usage: "Proxy received signals to the process", shown: "true" },
  ],
  run,
};
