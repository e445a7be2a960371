/** A node's identity and what it trusts (swarmkit ca/config.go SecurityConfig). */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import type { NodeRole, TlsInfo } from "../api/objects.ts";
import type { Credentials } from "../transport/transport.ts";
import { base64Encode } from "./der.ts";
import { generateKey, type PrivateKey } from "./p256.ts";
import { createRootCertificate, issueCertificate, issuerInfo, organizationalUnitOf } from "./x509.ts";

/** 90 days (ca.DefaultNodeCertExpiration), in seconds. */
export const NODE_CERT_LIFETIME_S = 7_776_000;

/** A node's certificate, key and trust root. */
export interface SecurityConfig {
  readonly nodeId: string;
  readonly role: NodeRole;
  readonly clusterId: string;
  /** The node's certificate and the root's, in PEM. */
  readonly certificate: string;
  readonly rootCert: string;
  readonly key: PrivateKey;
  /** The CA's key; only the node that made the swarm has it. */
  readonly rootKey?: PrivateKey | undefined;
}

/** A new swarm: a root CA, and the certificate of its first manager, which invents its own ID. */
export function bootstrapSecurity(random: Random, unixSeconds: number): SecurityConfig {
  const rootKey = generateKey(random.fork("root key"));
  const key = generateKey(random.fork("node key"));
  const rootCert = createRootCertificate(rootKey, random, unixSeconds);
  const nodeId = newSwarmId(random);
  const clusterId = newSwarmId(random);
  const subject = {
    organization: clusterId,
    organizationalUnit: organizationalUnitOf("manager"),
    commonName: nodeId,
  };
  const request = { publicKey: key.publicKey, subject };
  const certificate = issueCertificate(rootKey, request, random, unixSeconds, NODE_CERT_LIFETIME_S);
  return { nodeId, role: "manager", clusterId, certificate, rootCert, key, rootKey };
}

/** How this node connects to managers. */
export function credentialsOf(security: SecurityConfig): Credentials {
  return { certificate: security.certificate, root: security.rootCert, serverName: "swarm-manager" };
}

/** TLSInfo as the API shows it for a root. */
export function tlsInfoOf(rootCert: string): TlsInfo {
  const { subject, publicKey } = issuerInfo(rootCert);
  return {
    trustRoot: rootCert,
    certIssuerSubject: base64Encode(subject),
    certIssuerPublicKey: base64Encode(publicKey),
  };
}
