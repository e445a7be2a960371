/** What a request for a container must be, and what becomes of it with its image (moby daemon/container.go, commit.go merge, runconfig; 20.10). */
import { ApiError, type ContainerCreateRequest } from "./api.ts";
import { checkBindings } from "./ports.ts";
import { parseSignal } from "./process-runner.ts";
import type { Image } from "./program.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A name without its slash. @throws ApiError 400 */
export function checkName(name: string): string {
  const plain = name.replace(/^\//, "");
  if (!NAME.test(plain))
    throw new ApiError(400, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  return plain;
}

/** `alpine` → `alpine:latest`. */
export function withTag(reference: string): string {
  return /:[^/]*$/.test(reference) ? reference : `${reference}:latest`;
}

/** Repository and tag as a registry knows them: `alpine` → `library/alpine`, `latest`. */
export function parseReference(reference: string): { readonly repository: string; readonly tag: string } {
  const name = withTag(reference.replace(/^docker\.io\//, ""));
  const colon = name.lastIndexOf(":");
  const path = name.slice(0, colon).replace(/^[^/]*\.[^/]*\//, "");
  return { repository: path.includes("/") ? path : `library/${path}`, tag: name.slice(colon + 1) };
}

/** verifyContainerSettings and runconfig's checks of the network mode. @throws ApiError 400 */
export function checkRequest(request: ContainerCreateRequest): void {
  const { HostConfig: host = {} } = request;
  const refuse = (message: string): never => {
    throw new ApiError(400, message);
  };
  checkNetworkMode(request, refuse);
  const { WorkingDir: directory = "" } = request;
  if (directory !== "" && !directory.startsWith("/"))
    refuse(`the working directory '${directory}' is invalid, it needs to be an absolute path`);
  for (const item of request.Env ?? [])
    if (item === "" || item.startsWith("=")) refuse(`invalid environment variable: ${item}`);
  if (request.StopSignal !== undefined && request.StopSignal !== "" && parseSignal(request.StopSignal) === undefined)
    refuse(`Invalid signal: ${request.StopSignal}`);
  const policy = host.RestartPolicy;
  const none = policy === undefined || policy.Name === "no" || policy.Name === "";
  if (host.AutoRemove && !none) refuse("can't create 'AutoRemove' container with restart policy");
  for (const entry of host.ExtraHosts ?? [])
    if (!/^[^:]+:.+$/.test(entry)) refuse(`bad format for add-host: "${entry}"`);
  if (policy !== undefined) checkRestartPolicy(policy.Name, policy.MaximumRetryCount ?? 0, refuse);
  checkBindings(request);
}

/** runconfig/hostconfig_unix.go validateNetMode. */
function checkNetworkMode(request: ContainerCreateRequest, refuse: (message: string) => never): void {
  const { HostConfig: host = {} } = request;
  const mode = host.NetworkMode ?? "";
  const shared = mode.startsWith("container:");
  if (mode === "container" || mode === "container:")
    refuse("Invalid network mode: invalid container format container:<name|id>");
  if (shared && (request.Hostname ?? "") !== "") refuse("conflicting options: hostname and the network mode");
  if (shared && (host.Dns ?? []).length > 0) refuse("conflicting options: dns and the network mode");
  if (shared && (host.ExtraHosts ?? []).length > 0)
    refuse("conflicting options: custom host-to-IP mapping and the network mode");
  if ((shared || mode === "host") && (request.MacAddress ?? "") !== "")
    refuse("conflicting options: mac-address and the network mode");
  if (shared && (Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts))
    refuse("conflicting options: port publishing and the container type network mode");
  if (shared && Object.keys(request.ExposedPorts ?? {}).length > 0)
    refuse("conflicting options: port exposing and the container type network mode");
}

function checkRestartPolicy(name: string, count: number, refuse: (message: string) => never): void {
  switch (name) {
    case "always":
    case "unless-stopped":
    case "no":
      if (count !== 0) refuse(`maximum retry count cannot be used with restart policy '${name}'`);
      return;
    case "on-failure":
      if (count < 0) refuse("maximum retry count cannot be negative");
      return;
    case "":
      return;
    default:
      refuse(`invalid restart policy '${name}'`);
  }
}

/** Entrypoint and command: a given entrypoint drops the image's command. */
export function commandLine(image: Image, request: ContainerCreateRequest): string[] {
  // `--entrypoint ""` resets the image's.
  const given = request.Entrypoint?.filter((word, index) => index > 0 || word !== "");
  const cmd = request.Cmd ?? [];
  return [...(given ?? image.entrypoint), ...(cmd.length > 0 || given !== undefined ? cmd : image.cmd)];
}

/** PATH, HOSTNAME, TERM on a terminal, then the image's and the request's (container/env.go, container_unix.go). */
export function environment(image: Image, request: ContainerCreateRequest, hostname: string): Map<string, string> {
  const env = new Map([
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", hostname],
  ]);
  if (request.Tty) env.set("TERM", "xterm");
  for (const item of [...image.env, ...(request.Env ?? [])]) setVariable(env, item);
  if (!env.has("HOME")) env.set("HOME", "/root");
  return env;
}

/** Takes `NAME=value` into an environment. */
export function setVariable(env: Map<string, string>, item: string): void {
  const at = item.indexOf("=");
  if (at > 0) env.set(item.slice(0, at), item.slice(at + 1));
}

/** `Config.Env` of inspect: the request's, then those of the image that it doesn't set. */
export function configEnv(image: Image, request: ContainerCreateRequest): string[] {
  const given = request.Env ?? [];
  const names = new Set(given.map((item) => item.split("=")[0]));
  return [...given, ...image.env.filter((item) => !names.has(item.split("=")[0]))];
}
