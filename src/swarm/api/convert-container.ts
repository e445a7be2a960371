/** What a service's containers are made from, as the Engine's API has it (moby daemon/cluster/convert/container.go, 20.10). */
import type { ContainerSpec, FileReference, HealthConfig, Mount } from "./services.ts";

type Labels = Readonly<Record<string, string>>;

/** A mount (mount.Mount). */
export interface ApiMount {
  readonly Type?: string;
  readonly Source?: string;
  readonly Target?: string;
  readonly ReadOnly?: boolean;
}

/** File of a secret or config of the Engine API. */
export interface ApiFileReference {
  readonly File: { readonly Name: string; readonly UID: string; readonly GID: string; readonly Mode: number };
  readonly SecretID?: string;
  readonly SecretName?: string;
  readonly ConfigID?: string;
  readonly ConfigName?: string;
}

/** ContainerSpec of the Engine API. */
export interface ApiContainerSpec {
  readonly Image?: string;
  readonly Labels?: Labels;
  readonly Command?: readonly string[];
  readonly Args?: readonly string[];
  readonly Hostname?: string;
  readonly Env?: readonly string[];
  readonly Dir?: string;
  readonly User?: string;
  readonly Groups?: readonly string[];
  readonly Init?: boolean;
  readonly StopSignal?: string;
  readonly TTY?: boolean;
  readonly OpenStdin?: boolean;
  readonly ReadOnly?: boolean;
  readonly Mounts?: readonly ApiMount[];
  readonly StopGracePeriod?: number;
  readonly Healthcheck?: {
    readonly Test?: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly StartPeriod?: number;
    readonly Retries?: number;
  };
  readonly Hosts?: readonly string[];
  readonly DNSConfig?: {
    readonly Nameservers?: readonly string[];
    readonly Search?: readonly string[];
    readonly Options?: readonly string[];
  };
  readonly Secrets?: readonly ApiFileReference[];
  readonly Configs?: readonly ApiFileReference[];
  readonly Isolation?: string;
  readonly Sysctls?: Labels;
  readonly CapabilityAdd?: readonly string[];
  readonly CapabilityDrop?: readonly string[];
}

/** A spec that cannot be converted; the Engine answers 400 with its text. */
export class ConversionError extends Error {
  override name = "ConversionError";
}

/** Drops what is undefined, empty or zero: Go's `omitempty`. */
export function omitEmpty<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => {
      if (value === undefined || value === null || value === "" || value === 0 || value === false) return false;
      return typeof value !== "object" || !Array.isArray(value) || value.length > 0;
    }),
  ) as Partial<T>;
}

/** A map of Go in JSON stands in order of its keys. An empty one is left out. */
export function sortedMap(map: Labels | undefined): Labels | undefined {
  if (map === undefined || Object.keys(map).length === 0) return undefined;
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function fileToApi(kind: "Secret" | "Config", { id, name, target }: FileReference): ApiFileReference {
  const File = { Name: target.name, UID: target.uid, GID: target.gid, Mode: target.mode };
  return kind === "Secret" ? { File, SecretID: id, SecretName: name } : { File, ConfigID: id, ConfigName: name };
}

function fileFromApi(reference: ApiFileReference): FileReference {
  const { File } = reference;
  return {
    id: reference.SecretID ?? reference.ConfigID ?? "",
    name: reference.SecretName ?? reference.ConfigName ?? "",
    target: { name: File.Name, uid: File.UID, gid: File.GID, mode: File.Mode },
  };
}

/** As the Engine API shows it. */
export function containerSpecToApi(spec: ContainerSpec): ApiContainerSpec {
  const { healthcheck, dnsConfig } = spec;
  return {
    ...omitEmpty({
      Image: spec.image,
      Labels: sortedMap(spec.labels),
      Command: spec.command,
      Args: spec.args,
      Hostname: spec.hostname,
      Env: spec.env,
      Dir: spec.dir,
      User: spec.user,
      Groups: spec.groups,
    }),
    ...(spec.init === undefined ? {} : { Init: spec.init }),
    ...omitEmpty({
      StopSignal: spec.stopSignal,
      TTY: spec.tty,
      OpenStdin: spec.openStdin,
      ReadOnly: spec.readOnly,
      Mounts: spec.mounts?.map(({ type, source, target, readOnly }) =>
        omitEmpty({ Type: type, Source: source, Target: target, ReadOnly: readOnly }),
      ),
    }),
    ...(spec.stopGracePeriod === undefined ? {} : { StopGracePeriod: spec.stopGracePeriod }),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthToApi(healthcheck) }),
    ...omitEmpty({ Hosts: spec.hosts }),
    ...(dnsConfig === undefined
      ? {}
      : {
          DNSConfig: omitEmpty({
            Nameservers: dnsConfig.nameservers,
            Search: dnsConfig.search,
            Options: dnsConfig.options,
          }),
        }),
    ...omitEmpty({
      Secrets: spec.secrets?.map((reference) => fileToApi("Secret", reference)),
      Configs: spec.configs?.map((reference) => fileToApi("Config", reference)),
      Isolation: spec.isolation ?? "default",
      Sysctls: sortedMap(spec.sysctls),
      CapabilityAdd: spec.capabilityAdd,
      CapabilityDrop: spec.capabilityDrop,
    }),
  } as ApiContainerSpec;
}

function healthToApi(health: HealthConfig): NonNullable<ApiContainerSpec["Healthcheck"]> {
  const { test, interval, timeout, startPeriod, retries } = health;
  return omitEmpty({
    Test: test,
    Interval: interval,
    Timeout: timeout,
    StartPeriod: startPeriod,
    Retries: retries,
  });
}

function mountFromApi({ Type = "bind", Source = "", Target = "", ReadOnly = false }: ApiMount): Mount {
  if (Type !== "bind" && Type !== "volume" && Type !== "tmpfs" && Type !== "npipe")
    throw new ConversionError(`invalid MountType: "${Type}"`);
  return { type: Type, source: Source, target: Target, readOnly: ReadOnly };
}

/**
 * What the request says: protobuf doesn't tell an empty text, list or map from none, so what is shown and sent back is
 * what it was.
 */
export function present<T extends object>(object: { [K in keyof T]: T[K] | undefined }): T {
  return omitEmpty(object) as T;
}

/** Nothing for a map without entries. */
function filled(map: Labels | undefined): Labels | undefined {
  return map === undefined || Object.keys(map).length === 0 ? undefined : map;
}

/** As swarmkit keeps it. */
export function containerSpecFromApi(spec: ApiContainerSpec): ContainerSpec {
  const health = spec.Healthcheck;
  const dns = spec.DNSConfig;
  return {
    image: spec.Image ?? "",
    ...(spec.Init === undefined ? {} : { init: spec.Init }),
    ...(spec.StopGracePeriod === undefined ? {} : { stopGracePeriod: spec.StopGracePeriod }),
    ...present<Omit<ContainerSpec, "image">>({
      labels: filled(spec.Labels),
      command: spec.Command,
      args: spec.Args,
      hostname: spec.Hostname,
      env: spec.Env,
      dir: spec.Dir,
      user: spec.User,
      groups: spec.Groups,
      tty: spec.TTY,
      openStdin: spec.OpenStdin,
      readOnly: spec.ReadOnly,
      stopSignal: spec.StopSignal,
      mounts: spec.Mounts?.map(mountFromApi),
      healthcheck:
        health === undefined
          ? undefined
          : {
              test: health.Test ?? [],
              interval: health.Interval ?? 0,
              timeout: health.Timeout ?? 0,
              startPeriod: health.StartPeriod ?? 0,
              retries: health.Retries ?? 0,
            },
      hosts: spec.Hosts,
      dnsConfig:
        dns === undefined
          ? undefined
          : present<NonNullable<ContainerSpec["dnsConfig"]>>({
              nameservers: dns.Nameservers,
              search: dns.Search,
              options: dns.Options,
            }),
      isolation: spec.Isolation === "" || spec.Isolation === "default" ? undefined : spec.Isolation,
      sysctls: filled(spec.Sysctls),
      capabilityAdd: spec.CapabilityAdd,
      capabilityDrop: spec.CapabilityDrop,
      secrets: spec.Secrets?.map(fileFromApi),
      configs: spec.Configs?.map(fileFromApi),
    }),
  };
}
