/**
 * Objects of the swarm as the Engine's API shows them (moby daemon/cluster/convert): names and order of the
 * fields are those of the JSON that Docker prints. Optional fields that Docker leaves out are absent.
 */

import { SEC, type Time } from "../../base/time.ts";
import type {
  ClusterObject,
  ClusterSpec,
  IpamOptions,
  NetworkObject,
  NetworkSpec,
  NodeObject,
  NodeSpec,
  TlsInfo,
} from "./objects.ts";

/** Virtual time 0 as Unix time, and times as Docker prints them. */
export interface WallClock {
  unixSeconds(time: Time): number;
  /** RFC 3339 with up to nine digits of a second, in UTC. */
  format(time: Time): string;
}

/** A wall clock whose virtual time 0 is `epoch` (Unix seconds). */
export function wallClock(epoch: number): WallClock {
  return {
    unixSeconds: (time) => epoch + Math.floor(time / SEC),
    format: (time) => {
      const whole = new Date((epoch + Math.floor(time / SEC)) * 1000).toISOString().slice(0, 19);
      const fraction = String(time % SEC)
        .padStart(9, "0")
        .replace(/0+$/, "");
      return fraction === "" ? `${whole}Z` : `${whole}.${fraction}Z`;
    },
  };
}

type Labels = Readonly<Record<string, string>>;

// --------------------------------------------------------------------------------------------------- node

/** NodeSpec of the Engine API. */
export interface ApiNodeSpec {
  readonly Name?: string;
  readonly Labels: Labels;
  readonly Role: string;
  readonly Availability: string;
}

/** Node of the Engine API. */
export interface ApiNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Spec: ApiNodeSpec;
  readonly Description: {
    readonly Hostname?: string;
    readonly Platform: { readonly Architecture?: string; readonly OS?: string };
    readonly Resources: { readonly NanoCPUs?: number; readonly MemoryBytes?: number };
    readonly Engine: {
      readonly EngineVersion?: string;
      readonly Labels?: Labels;
      readonly Plugins?: readonly { readonly Type: string; readonly Name: string }[];
    };
    readonly TLSInfo: Partial<ApiTlsInfo>;
  };
  readonly Status: { readonly State: string; readonly Message?: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string; readonly Addr: string };
}

/** TLSInfo of the Engine API. */
export interface ApiTlsInfo {
  readonly TrustRoot: string;
  readonly CertIssuerSubject: string;
  readonly CertIssuerPublicKey: string;
}

function tlsInfoToApi(info: TlsInfo): ApiTlsInfo {
  const { trustRoot, certIssuerSubject, certIssuerPublicKey } = info;
  return { TrustRoot: trustRoot, CertIssuerSubject: certIssuerSubject, CertIssuerPublicKey: certIssuerPublicKey };
}

function descriptionToApi(node: NodeObject): ApiNode["Description"] {
  const description = node.description;
  if (description === undefined) return { Platform: {}, Resources: {}, Engine: {}, TLSInfo: {} };
  const { hostname, platform, resources, engine, tlsInfo } = description;
  return {
    Hostname: hostname,
    Platform: { Architecture: platform.architecture, OS: platform.os },
    Resources: { NanoCPUs: resources.nanoCpus, MemoryBytes: resources.memoryBytes },
    Engine: {
      EngineVersion: engine.engineVersion,
      ...(Object.keys(engine.labels).length > 0 ? { Labels: engine.labels } : {}),
      Plugins: engine.plugins.map(({ type, name }) => ({ Type: type, Name: name })),
    },
    TLSInfo: tlsInfo === undefined ? {} : tlsInfoToApi(tlsInfo),
  };
}

/** A node as the Engine API shows it. */
export function nodeToApi(node: NodeObject, clock: WallClock): ApiNode {
  const { name, labels } = node.spec.annotations;
  const { state, message, addr } = node.status;
  const manager = node.managerStatus;
  return {
    ID: node.id,
    Version: { Index: node.meta.version.index },
    CreatedAt: clock.format(node.meta.createdAt),
    UpdatedAt: clock.format(node.meta.updatedAt),
    Spec: {
      ...(name === "" ? {} : { Name: name }),
      Labels: labels,
      Role: node.spec.desiredRole,
      Availability: node.spec.availability,
    },
    Description: descriptionToApi(node),
    Status: { State: state, ...(message === "" ? {} : { Message: message }), ...(addr === "" ? {} : { Addr: addr }) },
    ...(manager === undefined
      ? {}
      : {
          ManagerStatus: {
            ...(manager.leader ? { Leader: true } : {}),
            Reachability: manager.reachability,
            Addr: manager.addr,
          },
        }),
  };
}

/** The spec of an update request; undefined for a bad role or availability (the caller words the error). */
export function nodeSpecFromApi(spec: ApiNodeSpec, membership: NodeSpec["membership"]): NodeSpec | undefined {
  const { Role: role, Availability: availability } = spec;
  if (role !== "worker" && role !== "manager") return undefined;
  if (availability !== "active" && availability !== "pause" && availability !== "drain") return undefined;
  return { annotations: { name: spec.Name ?? "", labels: spec.Labels }, desiredRole: role, membership, availability };
}

// -------------------------------------------------------------------------------------------------- swarm

/** SwarmSpec of the Engine API. */
export interface ApiSwarmSpec {
  readonly Name: string;
  readonly Labels: Labels;
  readonly Orchestration: { readonly TaskHistoryRetentionLimit: number };
  readonly Raft: {
    readonly SnapshotInterval: number;
    readonly KeepOldSnapshots: number;
    readonly LogEntriesForSlowFollowers: number;
    readonly ElectionTick: number;
    readonly HeartbeatTick: number;
  };
  /** Nanoseconds. */
  readonly Dispatcher: { readonly HeartbeatPeriod: number };
  /** Nanoseconds. */
  readonly CAConfig: { readonly NodeCertExpiry: number; readonly ForceRotate?: number };
  readonly TaskDefaults: Readonly<Record<string, never>>;
  readonly EncryptionConfig: { readonly AutoLockManagers: boolean };
}

/** What GET /info shows of the cluster. */
export interface ApiClusterInfo {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly CreatedAt: string;
  readonly UpdatedAt: string;
  readonly Spec: ApiSwarmSpec;
  readonly TLSInfo: ApiTlsInfo;
  readonly RootRotationInProgress: boolean;
  readonly DefaultAddrPool: readonly string[];
  readonly SubnetSize: number;
  readonly DataPathPort: number;
}

/** What GET /swarm shows. */
export interface ApiSwarm extends ApiClusterInfo {
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

function swarmSpecToApi(spec: ClusterSpec): ApiSwarmSpec {
  const { raft } = spec;
  return {
    Name: spec.annotations.name,
    Labels: spec.annotations.labels,
    Orchestration: { TaskHistoryRetentionLimit: spec.orchestration.taskHistoryRetentionLimit },
    Raft: {
      SnapshotInterval: raft.snapshotInterval,
      KeepOldSnapshots: raft.keepOldSnapshots,
      LogEntriesForSlowFollowers: raft.logEntriesForSlowFollowers,
      ElectionTick: raft.electionTick,
      HeartbeatTick: raft.heartbeatTick,
    },
    Dispatcher: { HeartbeatPeriod: spec.dispatcher.heartbeatPeriod },
    CAConfig: {
      NodeCertExpiry: spec.ca.nodeCertExpiry,
      ...(spec.ca.forceRotate === 0 ? {} : { ForceRotate: spec.ca.forceRotate }),
    },
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: spec.encryption.autoLockManagers },
  };
}

/** The spec of an update request; `base` gives what the API doesn't carry. */
export function swarmSpecFromApi(spec: ApiSwarmSpec, base: ClusterSpec): ClusterSpec {
  return {
    ...base,
    annotations: { name: spec.Name, labels: spec.Labels },
    orchestration: { taskHistoryRetentionLimit: spec.Orchestration.TaskHistoryRetentionLimit },
    raft: {
      snapshotInterval: spec.Raft.SnapshotInterval,
      keepOldSnapshots: spec.Raft.KeepOldSnapshots,
      logEntriesForSlowFollowers: spec.Raft.LogEntriesForSlowFollowers,
      electionTick: spec.Raft.ElectionTick,
      heartbeatTick: spec.Raft.HeartbeatTick,
    },
    dispatcher: { heartbeatPeriod: spec.Dispatcher.HeartbeatPeriod },
    ca: { nodeCertExpiry: spec.CAConfig.NodeCertExpiry, forceRotate: spec.CAConfig.ForceRotate ?? 0 },
    encryption: { autoLockManagers: spec.EncryptionConfig.AutoLockManagers },
  };
}

/** A cluster as `docker info` shows it. */
export function clusterInfoToApi(cluster: ClusterObject, tls: TlsInfo, clock: WallClock): ApiClusterInfo {
  return {
    ID: cluster.id,
    Version: { Index: cluster.meta.version.index },
    CreatedAt: clock.format(cluster.meta.createdAt),
    UpdatedAt: clock.format(cluster.meta.updatedAt),
    Spec: swarmSpecToApi(cluster.spec),
    TLSInfo: tlsInfoToApi(tls),
    RootRotationInProgress: false,
    DefaultAddrPool: cluster.defaultAddressPool.length > 0 ? cluster.defaultAddressPool : ["10.0.0.0/8"],
    SubnetSize: cluster.subnetSize === 0 ? 24 : cluster.subnetSize,
    DataPathPort: cluster.vxlanUdpPort === 0 ? 4789 : cluster.vxlanUdpPort,
  };
}

/** A cluster as `GET /swarm` shows it. */
export function swarmToApi(cluster: ClusterObject, tls: TlsInfo, clock: WallClock): ApiSwarm {
  const { worker, manager } = cluster.rootCa.joinTokens;
  return { ...clusterInfoToApi(cluster, tls, clock), JoinTokens: { Worker: worker, Manager: manager } };
}

// ----------------------------------------------------------------------------------------------- networks

/** IPAMConfig of the Engine API. */
export interface ApiIpamConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
}

/** A network of the swarm on a node without a local copy: `Containers` null, no `Peers`. */
export interface ApiNetwork {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: "swarm";
  /** Empty while the network is not allocated. */
  readonly Driver: string;
  readonly EnableIPv6: boolean;
  readonly IPAM: {
    readonly Driver: string;
    readonly Options: Labels | null;
    readonly Config: readonly ApiIpamConfig[] | null;
  };
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  readonly Containers: null;
  readonly Options: Labels | null;
  readonly Labels: Labels | null;
}

/** A Go map in JSON: in order of its keys. */
function sorted(record: Labels): Labels {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function nullIfEmpty(record: Labels | undefined): Labels | null {
  return record === undefined || Object.keys(record).length === 0 ? null : sorted(record);
}

function ipamToApi(ipam: IpamOptions | undefined): ApiNetwork["IPAM"] {
  if (ipam === undefined) return { Driver: "", Options: null, Config: null };
  const config = ipam.configs.map(({ subnet, range, gateway }) => ({
    ...(subnet === "" ? {} : { Subnet: subnet }),
    ...(range === "" ? {} : { IPRange: range }),
    ...(gateway === "" ? {} : { Gateway: gateway }),
  }));
  return { Driver: ipam.driver?.name ?? "", Options: nullIfEmpty(ipam.driver?.options), Config: config };
}

/** A network as the Engine API shows it. */
export function networkToApi(network: NetworkObject, clock: WallClock): ApiNetwork {
  const { spec, driverState } = network;
  return {
    Name: spec.annotations.name,
    Id: network.id,
    Created: clock.format(network.meta.createdAt),
    Scope: "swarm",
    Driver: driverState?.name ?? "",
    EnableIPv6: spec.ipv6Enabled,
    IPAM: ipamToApi(network.ipam),
    Internal: spec.internal,
    Attachable: spec.attachable,
    Ingress: spec.ingress,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: null,
    Options: driverState === undefined ? null : sorted(driverState.options),
    Labels: nullIfEmpty(spec.annotations.labels),
  };
}

/** The body of POST /networks/create, as far as it concerns a swarm network. */
export interface ApiNetworkCreate {
  readonly Name: string;
  readonly Driver?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly EnableIPv6?: boolean;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Options?: Labels | null;
    readonly Config?: readonly ApiIpamConfig[] | null;
  };
  readonly Options?: Labels | null;
  readonly Labels?: Labels | null;
}

/** What `docker network create` asked for, as swarmkit keeps it. */
export function networkSpecFromApi(create: ApiNetworkCreate): NetworkSpec {
  const configs = (create.IPAM?.Config ?? []).map(({ Subnet, IPRange, Gateway }) => ({
    subnet: Subnet ?? "",
    range: IPRange ?? "",
    gateway: Gateway ?? "",
  }));
  return {
    annotations: { name: create.Name, labels: create.Labels ?? {} },
    driverConfig: { name: create.Driver ?? "", options: create.Options ?? {} },
    ipv6Enabled: create.EnableIPv6 ?? false,
    internal: create.Internal ?? false,
    ipam: { driver: { name: create.IPAM?.Driver ?? "", options: create.IPAM?.Options ?? {} }, configs },
    attachable: create.Attachable ?? false,
    ingress: create.Ingress ?? false,
  };
}
