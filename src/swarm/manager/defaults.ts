/** What a new leader puts into an empty store (swarmkit manager/manager.go defaultClusterObject, managerNode, newIngressNetwork). */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { SEC } from "../../base/time.ts";
import {
  type Availability,
  type ClusterObject,
  DEFAULT_CLUSTER_NAME,
  NEW_META,
  type NetworkObject,
  type NetworkSpec,
  type NodeObject,
  PREDEFINED_LABEL,
} from "../api/objects.ts";
import { bigintToBytes } from "../ca/p256.ts";
import { NODE_CERT_LIFETIME_S, type SecurityConfig } from "../ca/security.ts";
import { digestOfRoot, generateJoinToken, hexOf } from "../ca/token.ts";
import { DEFAULT_HEARTBEAT_PERIOD } from "./dispatcher/period.ts";

/** Networks that exist on every node; in the store for services that use them (networkallocator.PredefinedNetworks). */
const PREDEFINED_NETWORKS = [
  { name: "bridge", driver: "bridge" },
  { name: "host", driver: "host" },
] as const;

/** What `docker swarm init` chose. */
export interface ClusterSettings {
  readonly defaultAddressPool: readonly string[];
  readonly subnetSize: number;
  readonly vxlanUdpPort: number;
}

/** The cluster of a new swarm. */
export function defaultCluster(security: SecurityConfig, settings: ClusterSettings, random: Random): ClusterObject {
  const { rootCert, rootKey } = security;
  return {
    id: security.clusterId,
    meta: NEW_META,
    spec: {
      annotations: { name: DEFAULT_CLUSTER_NAME, labels: {} },
      orchestration: { taskHistoryRetentionLimit: 5 },
      raft: {
        snapshotInterval: 10_000,
        keepOldSnapshots: 0,
        logEntriesForSlowFollowers: 500,
        heartbeatTick: 1,
        electionTick: 10,
      },
      dispatcher: { heartbeatPeriod: DEFAULT_HEARTBEAT_PERIOD },
      ca: { nodeCertExpiry: NODE_CERT_LIFETIME_S * SEC, forceRotate: 0 },
      encryption: { autoLockManagers: false },
    },
    rootCa: {
      caCert: rootCert,
      caKey: rootKey === undefined ? "" : hexOf(bigintToBytes(rootKey.scalar, 32)),
      caCertHash: hexOf(digestOfRoot(rootCert)),
      joinTokens: { worker: generateJoinToken(rootCert, random), manager: generateJoinToken(rootCert, random) },
    },
    networkBootstrapKeys: [],
    encryptionKeyLamportClock: 0,
    removedNodes: [],
    defaultAddressPool: settings.defaultAddressPool,
    subnetSize: settings.subnetSize,
    vxlanUdpPort: settings.vxlanUdpPort,
  };
}

/** The first manager's node. */
export function managerNode(security: SecurityConfig, availability: Availability, vxlanUdpPort: number): NodeObject {
  const { nodeId, certificate } = security;
  return {
    id: nodeId,
    meta: NEW_META,
    spec: { annotations: { name: "", labels: {} }, desiredRole: "manager", membership: "accepted", availability },
    status: { state: "unknown", message: "", addr: "" },
    attachments: [],
    certificate: { role: "manager", csr: "", state: "issued", error: "", certificate, cn: nodeId },
    role: "manager",
    vxlanUdpPort,
  };
}

function network(random: Random, spec: NetworkSpec): NetworkObject {
  return { id: newSwarmId(random), meta: NEW_META, spec };
}

/** The network `ingress`. */
export function ingressNetwork(random: Random): NetworkObject {
  return network(random, {
    annotations: { name: "ingress", labels: {} },
    ipv6Enabled: false,
    internal: false,
    attachable: false,
    ingress: true,
  });
}

/** `host` and `bridge` as networks of the swarm. */
export function predefinedNetworks(random: Random): NetworkObject[] {
  return PREDEFINED_NETWORKS.map(({ name, driver }) =>
    network(random, {
      annotations: { name, labels: { [PREDEFINED_LABEL]: "true" } },
      driverConfig: { name: driver, options: {} },
      ipv6Enabled: false,
      internal: false,
      attachable: false,
      ingress: false,
    }),
  );
}
