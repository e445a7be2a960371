/**
 * Ports of containers on their host: what a request asks for, and what became of it (moby daemon/network.go
 * buildCreateEndpointOptions, getPortMapInfo; 20.10).
 */
import { type Ipv4, parseIpv4 } from "../base/addr.ts";
import type { PortBinding } from "../libnetwork/endpoint.ts";
import type { PublishedPort } from "../swarm/api/services.ts";
import { ApiError, type ContainerCreateRequest, type Json, type JsonObject } from "./api.ts";
import type { Container } from "./container.ts";

type Protocol = PortBinding["protocol"];
const PROTOCOLS: ReadonlySet<string> = new Set(["tcp", "udp", "sctp"]);

/** `80/tcp` in its parts. @throws ApiError 400 */
function parsePort(key: string): { readonly port: number; readonly protocol: Protocol } {
  const [number = "", protocol = "tcp"] = key.split("/");
  const port = Number(number);
  if (!/^\d+$/.test(number) || port > 65535 || !PROTOCOLS.has(protocol))
    throw new ApiError(400, `invalid port specification: "${key}"`);
  return { port, protocol: protocol as Protocol };
}

/** Ports that the image exposes and those that the request does, in order of number and protocol (nat.SortPortMap). */
export function exposedPorts(container: Container): string[] {
  const { image, request } = container;
  const all = [...image.exposed, ...Object.keys(request.ExposedPorts ?? {})].map((key) =>
    key.includes("/") ? key : `${key}/tcp`,
  );
  return [...new Set(all)].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1));
}

/** The bindings that the container's network is to make; those without a host port take a free one. */
export function wantedBindings(container: Container): PortBinding[] {
  const host = container.request.HostConfig ?? {};
  const keys = new Set([...exposedPorts(container), ...Object.keys(host.PortBindings ?? {})]);
  const wanted: PortBinding[] = [];
  for (const key of keys) {
    const { port: containerPort, protocol } = parsePort(key);
    const bindings = host.PortBindings?.[key] ?? [];
    for (const { HostIp = "", HostPort = "" } of bindings) {
      const [first = "0", last] = HostPort.split("-");
      wanted.push({
        protocol,
        containerPort,
        ...hostAddress(HostIp),
        hostPort: Number(first || "0"),
        ...(last === undefined ? {} : { hostPortEnd: Number(last) }),
      });
    }
    if (host.PublishAllPorts && bindings.length === 0) wanted.push({ protocol, containerPort, hostPort: 0 });
  }
  return wanted;
}

/** An address that was named: `0.0.0.0` is IPv4 only, none at all is IPv6 as well. */
function hostAddress(text: string): { readonly hostIp?: Ipv4 } {
  const hostIp = text === "" ? undefined : parseIpv4(text);
  return hostIp === undefined ? {} : { hostIp };
}

/** @throws ApiError 400 for a binding that can't be (hostconfig.go validatePortBindings) */
export function checkBindings(request: ContainerCreateRequest): void {
  for (const [key, bindings] of Object.entries(request.HostConfig?.PortBindings ?? {})) {
    parsePort(key);
    for (const { HostIp = "", HostPort = "" } of bindings) {
      if (HostPort !== "" && !/^\d+(-\d+)?$/.test(HostPort))
        throw new ApiError(400, `invalid port specification: "${HostPort}"`);
      if (HostIp !== "" && !HostIp.includes(":") && parseIpv4(HostIp) === undefined)
        throw new ApiError(400, `invalid IP address: ${HostIp}`);
    }
  }
}

/** Ports as the endpoints made them, and exposed ones; only bridges have any. */
export interface PortMap {
  /** `80/tcp` → bindings; empty: exposed only. */
  readonly [key: string]: readonly { readonly HostIp: string; readonly HostPort: string }[];
}

/** What became of a container's ports: exposed ones show where it is on a bridge, be it docker_gwbridge. */
export function portMap(container: Container): PortMap {
  const { sandbox } = container;
  if (sandbox === undefined || sandbox.containerId !== container.id) return {};
  const map: Record<string, { HostIp: string; HostPort: string }[]> = {};
  if (sandbox.endpoints().some(({ network }) => network.type === "bridge"))
    for (const key of exposedPorts(container)) map[key] = [];
  for (const { protocol, containerPort, hostIp, hostPort } of sandbox.publishedPorts()) {
    const key = `${containerPort}/${protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return map;
}

/** `NetworkSettings.Ports` of inspect. */
export function portsView(map: PortMap): JsonObject {
  return Object.fromEntries(
    Object.entries(map).map(([key, bindings]): [string, Json] => [
      key,
      bindings.length === 0 ? null : bindings.map(({ HostIp, HostPort }) => ({ HostIp, HostPort })),
    ]),
  );
}

/** `Ports` of a list's entry. */
export function portList(map: PortMap): JsonObject[] {
  return Object.entries(map).flatMap(([key, bindings]): JsonObject[] => {
    const { port, protocol } = parsePort(key);
    if (bindings.length === 0) return [{ PrivatePort: port, Type: protocol }];
    return bindings.map(({ HostIp, HostPort }) => ({
      IP: HostIp,
      PrivatePort: port,
      PublicPort: Number(HostPort),
      Type: protocol,
    }));
  });
}

/** Ports of a task in host mode, for its status (controller.go parsePortMap). */
export function publishedPorts(container: Container): readonly PublishedPort[] {
  return Object.entries(portMap(container)).flatMap(([key, bindings]) => {
    const { port, protocol } = parsePort(key);
    return bindings.map(({ HostPort }) => ({
      name: "",
      protocol,
      targetPort: port,
      publishedPort: Number(HostPort),
      publishMode: "host" as const,
    }));
  });
}
