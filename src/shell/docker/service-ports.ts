/** Ports of services: `-p` in both its forms (docker/cli opts/port.go) and the PORTS column (service/formatter.go; 20.10). */
import { type Json, type JsonObject, list, num, text } from "./format/json.ts";
import { parsePublish } from "./ports.ts";

/** A port as the API has it (swarm.PortConfig). */
export interface ServicePort {
  readonly Protocol: string;
  readonly TargetPort: number;
  /** Absent: the swarm chooses one. */
  readonly PublishedPort?: number;
  readonly PublishMode: string;
}

function number(value: string): number {
  if (!/^\d+$/.test(value)) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(value)}: invalid syntax`);
  if (Number(value) > 65535) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(value)}: value out of range`);
  return Number(value);
}

function longForm(spec: string): ServicePort {
  let protocol = "tcp";
  let mode = "ingress";
  let target = 0;
  let published = 0;
  for (const field of spec.split(",")) {
    const at = field.indexOf("=");
    if (at < 0) throw new Error(`invalid field ${field}`);
    const [key, value] = [field.slice(0, at).toLowerCase(), field.slice(at + 1).toLowerCase()];
    if (key === "protocol") {
      if (!["tcp", "udp", "sctp"].includes(value)) throw new Error(`invalid protocol value ${value}`);
      protocol = value;
    } else if (key === "mode") {
      if (value !== "ingress" && value !== "host") throw new Error(`invalid publish mode value ${value}`);
      mode = value;
    } else if (key === "target") target = number(value);
    else if (key === "published") published = number(value);
    else throw new Error(`invalid field key ${key}`);
  }
  if (target === 0) throw new Error('missing mandatory field "target"');
  return {
    Protocol: protocol,
    TargetPort: target,
    ...(published === 0 ? {} : { PublishedPort: published }),
    PublishMode: mode,
  };
}

/** `8080:80/udp` or `published=8080,target=80,protocol=udp,mode=host`. @throws Error with Docker's text */
export function parseServicePort(spec: string): ServicePort[] {
  if (/\w+=\w+(,\w+=\w+)*/.test(spec)) return [longForm(spec)];
  return parsePublish(spec).flatMap(({ port, hostIp, hostPort }) => {
    if (hostIp !== "") throw new Error("hostip is not supported");
    const [target = "", protocol = "tcp"] = port.split("/");
    const base = { Protocol: protocol, TargetPort: Number(target) };
    if (hostPort === "") return [{ ...base, PublishMode: "ingress" }];
    const [first, last] = hostPort.split("-").map(Number) as [number, number?];
    const count = (last ?? first) - first + 1;
    return Array.from({ length: count }, (_, step) => ({
      ...base,
      ...(first + step === 0 ? {} : { PublishedPort: first + step }),
      PublishMode: "ingress",
    }));
  });
}

/** A port's identity in updates (portConfigToString). */
export function portKey(port: Json): string {
  const protocol = text(port, "Protocol") || "tcp";
  const mode = text(port, "PublishMode") || "ingress";
  return `${num(port, "PublishedPort")}:${num(port, "TargetPort")}/${protocol}/${mode}`;
}

/** The PORTS column of `service ls`: ingress ports, neighbours as ranges. */
export function serviceLsPorts(service: JsonObject): string {
  const ports = [...list(service, "Endpoint", "Ports")].sort((a, b) => {
    const [x, y] = [text(a, "Protocol"), text(b, "Protocol")];
    return x === y ? num(a, "PublishedPort") - num(b, "PublishedPort") : x < y ? -1 : 1;
  });
  const groups: { published: [number, number]; target: [number, number]; protocol: string }[] = [];
  for (const port of ports) {
    if (text(port, "PublishMode") !== "ingress") continue;
    const [published, target, protocol] = [num(port, "PublishedPort"), num(port, "TargetPort"), text(port, "Protocol")];
    const group = groups.at(-1);
    // Unsigned in Go: a smaller number is no neighbour.
    const far = (from: number, to: number): boolean => to - from > 1 || to < from;
    const separate =
      group === undefined ||
      protocol !== group.protocol ||
      far(group.published[1], published) ||
      far(group.target[1], target) ||
      (group.target[0] !== group.target[1] && target <= group.target[1]);
    if (separate) groups.push({ published: [published, published], target: [target, target], protocol });
    else {
      group.published[1] = published;
      group.target[1] = target;
    }
  }
  const span = ([from, to]: [number, number]): string => (to > from ? `${from}-${to}` : String(from));
  return groups
    .map(({ published, target, protocol }) => `*:${span(published)}->${span(target)}/${protocol}`)
    .join(", ");
}
