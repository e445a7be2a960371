/** Published ports: `-p` (docker/go-connections nat.ParsePortSpec) and how listings show them. */
import { StatusError } from "./command.ts";
import { type Json, num, text } from "./format/json.ts";

/** A published port, as `-p` asks for it. */
export interface PortPublication {
  /** `80/tcp` */
  readonly port: string;
  readonly hostIp: string;
  /** "" where the engine chooses. */
  readonly hostPort: string;
}

function range(spec: string): [number, number] | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(spec);
  if (match === null) return undefined;
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
  return from > to || to > 65535 ? undefined : [from, to];
}

/** `[[ip:][hostPort]:]containerPort[/proto]`, ranges allowed. @throws StatusError with Docker's text */
export function parsePublish(spec: string): PortPublication[] {
  const slash = spec.lastIndexOf("/");
  const protocol = (slash < 0 ? "tcp" : spec.slice(slash + 1)).toLowerCase();
  const parts = (slash < 0 ? spec : spec.slice(0, slash)).split(":");
  const container = parts.pop() as string;
  const host = parts.pop() ?? "";
  const hostIp = parts.join(":").replace(/^\[|\]$/g, "");
  if (container === "") throw new StatusError(125, `No port specified: ${spec}<empty>`);
  if (hostIp !== "" && !/^[0-9a-fA-F:.]+$/.test(hostIp)) throw new StatusError(125, `Invalid ip address: ${hostIp}`);
  const inside = range(container);
  if (inside === undefined) throw new StatusError(125, `Invalid containerPort: ${container}`);
  const outside = host === "" ? undefined : range(host);
  if (host !== "" && outside === undefined) throw new StatusError(125, `Invalid hostPort: ${host}`);
  const count = inside[1] - inside[0];
  if (outside !== undefined && outside[1] - outside[0] !== count && count !== 0) {
    throw new StatusError(125, `Invalid ranges specified for container and host Ports: ${container} and ${host}`);
  }
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw new StatusError(125, `Invalid proto: ${protocol}`);
  return Array.from({ length: count + 1 }, (_, step) => ({
    port: `${inside[0] + step}/${protocol}`,
    hostIp,
    hostPort: outside === undefined ? "" : count === 0 ? host : String(outside[0] + step),
  }));
}

/** `--expose PORT[-PORT][/proto]`. */
export function parseExpose(spec: string): string[] {
  const [ports = "", protocol = "tcp"] = spec.split("/");
  const parsed = spec.includes(":") ? undefined : range(ports);
  if (parsed === undefined) throw new StatusError(125, `invalid port format for --expose: ${spec}`);
  return Array.from({ length: parsed[1] - parsed[0] + 1 }, (_, step) => `${parsed[0] + step}/${protocol}`);
}

interface Group {
  first: number;
  last: number;
}

function showGroup(key: string, { first, last }: Group): string {
  const [a = "", b] = key.split("/");
  const span = first === last ? String(first) : `${first}-${last}`;
  return b === undefined ? `${span}/${a}` : `${a}:${span}->${span}/${b}`;
}

/** The PORTS column of `docker ps` (formatter/container.go DisplayablePorts). */
export function displayPorts(ports: readonly Json[]): string {
  const sorted = [...ports].sort(
    (a, b) =>
      num(a, "PrivatePort") - num(b, "PrivatePort") ||
      compare(text(a, "IP"), text(b, "IP")) ||
      num(a, "PublicPort") - num(b, "PublicPort") ||
      compare(text(a, "Type"), text(b, "Type")),
  );
  const out: string[] = [];
  const mapped: string[] = [];
  const groups = new Map<string, Group>();
  for (const port of sorted) {
    const current = num(port, "PrivatePort");
    const ip = text(port, "IP");
    let key = text(port, "Type");
    if (ip !== "") {
      if (num(port, "PublicPort") !== current) {
        mapped.push(`${ip}:${num(port, "PublicPort")}->${current}/${key}`);
        continue;
      }
      key = `${ip}/${key}`;
    }
    const group = groups.get(key);
    if (group !== undefined && current === group.last + 1) group.last = current;
    else {
      if (group !== undefined) out.push(showGroup(key, group));
      groups.set(key, { first: current, last: current });
    }
  }
  for (const [key, group] of groups) out.push(showGroup(key, group));
  return [...out, ...mapped].join(", ");
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
