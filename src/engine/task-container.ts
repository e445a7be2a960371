/**
 * A task of a service as a request for a container (moby daemon/cluster/executor/container/container.go, swarmkit
 * template/expand.go; 20.10).
 */
import { formatIpv4, type Ipv4, parseCidr } from "../base/addr.ts";
import { SEC } from "../base/time.ts";
import type { PortConfig } from "../libnetwork/records.ts";
import {
  type NetworkAttachment,
  type NodeDescription,
  PREDEFINED_LABEL,
  type TaskObject,
  taskName,
} from "../swarm/api/objects.ts";
import type { ContainerSpec, PublishedPort } from "../swarm/api/services.ts";
import type { ContainerCreateRequest, EndpointSettings } from "./api.ts";

const LABEL_PREFIX = "com.docker.swarm";

/** The service that a container is a task of, as its endpoints are told (moby clustertypes.ServiceConfig). */
export interface ContainerService {
  readonly id: string;
  readonly name: string;
  /** By network ID. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** By network ID; none with dnsrr. */
  readonly virtualIps: ReadonlyMap<string, Ipv4>;
  readonly ingressPorts: readonly PortConfig[];
}

/** A network of the Engine itself (`host`, `bridge`), not one of the swarm. */
export function isPredefined({ network }: NetworkAttachment): boolean {
  return network.spec.annotations.labels[PREDEFINED_LABEL] === "true";
}

/** The spec of a container's task. */
export function containerSpecOf(task: TaskObject): ContainerSpec {
  return task.spec.container ?? { image: "" };
}

/** An image's reference without its digest: what this host's images go by. */
export function withoutDigest(image: string): string {
  return image.split("@")[0] as string;
}

function ofMode(task: TaskObject, mode: PublishedPort["publishMode"]): readonly PublishedPort[] {
  return (task.endpoint?.ports ?? []).filter((port) => port.publishMode === mode);
}

/** Labels of the spec, of the task, and those that mark it as one. */
function labelsOf(task: TaskObject): Record<string, string> {
  const { id, nodeId, serviceId, serviceAnnotations } = task;
  const system = {
    "node.id": nodeId,
    "service.id": serviceId,
    "service.name": serviceAnnotations.name,
    task: "",
    "task.id": id,
    "task.name": taskName(task),
  };
  return {
    ...containerSpecOf(task).labels,
    ...task.annotations.labels,
    ...Object.fromEntries(Object.entries(system).map(([key, value]) => [`${LABEL_PREFIX}.${key}`, value])),
  };
}

/** A container on a network: its address there is the manager's choice. */
function endpointSettings(attachment: NetworkAttachment): EndpointSettings {
  const ip = parseCidr(attachment.addresses[0] ?? "")?.ip;
  return ip === undefined ? {} : { IPAMConfig: { IPv4Address: formatIpv4(ip) } };
}

/** `{{.Task.Slot}}` and the like in environment variables and the hostname. */
export function expandTemplate(text: string, task: TaskObject, node: NodeDescription): string {
  const { annotations } = { annotations: task.serviceAnnotations };
  const values: Record<string, string> = {
    "Service.ID": task.serviceId,
    "Service.Name": annotations.name,
    "Node.ID": task.nodeId,
    "Node.Hostname": node.hostname,
    "Node.Platform.OS": node.platform.os,
    "Node.Platform.Architecture": node.platform.architecture,
    "Task.ID": task.id,
    "Task.Name": taskName(task),
    "Task.Slot": task.slot === 0 ? task.nodeId : String(task.slot),
  };
  return text
    .replace(/\{\{\s*\.([A-Za-z.]+)\s*\}\}/g, (all, name: string) => values[name] ?? all)
    .replace(/\{\{\s*index\s+\.Service\.Labels\s+"([^"]*)"\s*\}\}/g, (_, key: string) => annotations.labels[key] ?? "");
}

/** The request for a task's container. */
export function taskContainerRequest(task: TaskObject, node: NodeDescription): ContainerCreateRequest {
  const spec = containerSpecOf(task);
  const hostPorts = ofMode(task, "host");
  const exposed = Object.fromEntries(hostPorts.map((port) => [`${port.targetPort}/${port.protocol}`, {}]));
  const health = spec.healthcheck;
  const command = spec.command ?? [];
  const args = spec.args ?? [];
  return {
    Image: spec.image,
    Labels: labelsOf(task),
    Tty: spec.tty ?? false,
    OpenStdin: spec.openStdin ?? false,
    ...(spec.hostname === undefined || spec.hostname === ""
      ? {}
      : { Hostname: expandTemplate(spec.hostname, task, node) }),
    ...(command.length > 0 ? { Entrypoint: command } : {}),
    ...(args.length > 0 ? { Cmd: args } : {}),
    Env: (spec.env ?? []).map((item) => expandTemplate(item, task, node)),
    ...(spec.dir ? { WorkingDir: spec.dir } : {}),
    ...(spec.user ? { User: spec.user } : {}),
    ...(spec.stopSignal ? { StopSignal: spec.stopSignal } : {}),
    ...(hostPorts.length > 0 ? { ExposedPorts: exposed } : {}),
    ...(health === undefined
      ? {}
      : {
          Healthcheck: {
            Test: health.test,
            Interval: health.interval,
            Timeout: health.timeout,
            StartPeriod: health.startPeriod,
            Retries: health.retries,
          },
        }),
    HostConfig: hostConfigOf(task, spec, hostPorts),
    NetworkingConfig: {
      EndpointsConfig: Object.fromEntries(
        task.networks.map((attachment) => [attachment.network.spec.annotations.name, endpointSettings(attachment)]),
      ),
    },
  };
}

function hostConfigOf(
  task: TaskObject,
  spec: ContainerSpec,
  hostPorts: readonly PublishedPort[],
): NonNullable<ContainerCreateRequest["HostConfig"]> {
  const [first] = task.networks;
  const { dnsConfig: dns } = spec;
  const bindings: Record<string, { HostPort?: string }[]> = {};
  for (const { protocol, targetPort, publishedPort } of hostPorts) {
    const key = `${targetPort}/${protocol}`;
    bindings[key] = [...(bindings[key] ?? []), publishedPort === 0 ? {} : { HostPort: String(publishedPort) }];
  }
  // `IP name…` as in /etc/hosts becomes `name:IP`.
  const hosts = (spec.hosts ?? []).map((entry) => entry.trim().split(/\s+/)).filter((parts) => parts.length > 1);
  return {
    NetworkMode: first !== undefined && isPredefined(first) ? first.network.spec.annotations.name : "default",
    PortBindings: bindings,
    Isolation: spec.isolation ?? "default",
    ...(spec.init === undefined ? {} : { Init: spec.init }),
    ...(dns?.nameservers === undefined ? {} : { Dns: dns.nameservers }),
    ...(dns?.search === undefined ? {} : { DnsSearch: dns.search }),
    ...(dns?.options === undefined ? {} : { DnsOptions: dns.options }),
    ...(hosts.length > 0 ? { ExtraHosts: hosts.map(([ip, name]) => `${name}:${ip}`) } : {}),
    ...(spec.capabilityAdd === undefined ? {} : { CapAdd: spec.capabilityAdd }),
    ...(spec.capabilityDrop === undefined ? {} : { CapDrop: spec.capabilityDrop }),
    ...(spec.groups === undefined ? {} : { GroupAdd: spec.groups }),
    ...(spec.readOnly ? { ReadonlyRootfs: true } : {}),
    ...(spec.sysctls === undefined ? {} : { Sysctls: { ...spec.sysctls } }),
  };
}

/** What the container's endpoints are told of its service; undefined for one without networks. */
export function containerService(task: TaskObject): ContainerService | undefined {
  if (task.networks.length === 0) return undefined;
  const virtualIps = new Map<string, Ipv4>();
  for (const { networkId, addr } of task.endpoint?.virtualIps ?? []) {
    const ip = parseCidr(addr)?.ip;
    if (ip !== undefined) virtualIps.set(networkId, ip);
  }
  return {
    id: task.serviceId,
    name: task.serviceAnnotations.name,
    aliases: new Map(task.networks.map(({ network, aliases }) => [network.id, aliases])),
    virtualIps,
    ingressPorts: ofMode(task, "ingress").map(({ name, protocol, targetPort, publishedPort }) => ({
      name,
      protocol,
      targetPort,
      publishedPort,
    })),
  };
}

/** Seconds between the stop signal and SIGKILL; undefined: the container's own. */
export function stopGrace(task: TaskObject): number | undefined {
  const { stopGracePeriod } = containerSpecOf(task);
  return stopGracePeriod === undefined ? undefined : Math.floor(stopGracePeriod / SEC);
}
