/**
 * How a node gets its certificate (swarmkit ca/certificates.go DownloadRootCA, GetRemoteSignedCertificate; node.go):
 * the root CA over an unverified connection, checked against the token's digest; then a request with the
 * token, and a wait for the answer, over a second connection.
 */
import type { Ipv4 } from "../../base/addr.ts";
import type { Random } from "../../base/random.ts";
import { SEC, type Time } from "../../base/time.ts";
import { type HostRuntime, type Proc, sleep } from "../../scheduler/process.ts";
import type { Availability } from "../api/objects.ts";
import { GetRootCACertificate, IssueNodeCertificate, NodeCertificateStatus } from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import { generateKey, type PrivateKey } from "../ca/p256.ts";
import type { SecurityConfig } from "../ca/security.ts";
import { digestOfRoot, hexOf, INVALID_JOIN_TOKEN, parseJoinToken } from "../ca/token.ts";
import { createRequest, isSignedBy, parseCertificate, roleOfOrganizationalUnit } from "../ca/x509.ts";
import type { Transport } from "../transport/transport.ts";

/**
 * Each of the two steps is tried so often, so far apart (ca.GetCertRetryInterval): a wait follows each failure,
 * the last too. The time that an attempt took counts: the captured swarm gives up on an address that nobody
 * has, at 3 s of ARP an attempt, before the Engine's 20 s are over.
 */
const TRIES = 5;
const RETRY_INTERVAL = 2 * SEC;
const CALL_TIMEOUT = 5 * SEC;
/** Back-off of the status poll: 1 s … 30 s. */
const POLL_BACKOFF = SEC;
const MAX_POLL_BACKOFF = 30 * SEC;

/** What `docker swarm join` says. */
export interface JoinRequest {
  readonly ip: Ipv4;
  readonly port: number;
  readonly token: string;
  readonly availability: Availability;
}

interface JoinContext {
  readonly os: HostRuntime;
  readonly random: Random;
  readonly transport: Transport;
}

/** Throws RpcError, or a plain Error with swarmkit's text. */
export function* obtainSecurity(context: JoinContext, request: JoinRequest): Proc<SecurityConfig> {
  const rootCert = yield* retried(context.os, () => downloadRoot(context, request));
  const key = generateKey(context.random.fork("node key"));
  return yield* retried(context.os, () => requestCertificate(context, request, rootCert, key));
}

/** An error of a bad token is final at once: it needs no manager to be seen. */
class TokenError extends Error {}

function* retried<T>(os: HostRuntime, attempt: () => Proc<T>): Proc<T> {
  let last: unknown;
  for (let i = 0; i < TRIES; i++) {
    const next = os.now() + RETRY_INTERVAL;
    try {
      return yield* attempt();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TokenError) throw error;
      last = error;
    }
    yield* sleep(os, Math.max(0, next - os.now()));
  }
  throw last;
}

function* downloadRoot({ os, transport }: JoinContext, request: JoinRequest): Proc<string> {
  // An empty token is not checked here: the CA refuses it.
  const parsed = request.token === "" ? undefined : parseJoinToken(request.token);
  if (request.token !== "" && parsed === undefined) throw new TokenError(INVALID_JOIN_TOKEN);
  const conn = transport.dial(request.ip, request.port, { certificate: "", root: "", serverName: "" });
  try {
    const { certificate } = yield* conn.call(GetRootCACertificate, {}, os.now() + CALL_TIMEOUT);
    if (parsed !== undefined && hexOf(digestOfRoot(certificate)) !== parsed.rootDigest) {
      throw new Error(`remote CA does not match fingerprint. Expected: ${parsed.rootDigest}`);
    }
    return certificate;
  } finally {
    conn.close();
  }
}

function* requestCertificate(
  { os, transport }: JoinContext,
  request: JoinRequest,
  rootCert: string,
  key: PrivateKey,
): Proc<SecurityConfig> {
  const credentials = { certificate: "", root: rootCert, serverName: "swarm-ca" };
  const conn = transport.dial(request.ip, request.port, credentials);
  try {
    const { token, availability } = request;
    const issue = { csr: createRequest(key), token, availability };
    const { nodeId } = yield* conn.call(IssueNodeCertificate, issue, os.now() + CALL_TIMEOUT);
    let backoff: Time = POLL_BACKOFF;
    for (;;) {
      try {
        const answer = yield* conn.call(NodeCertificateStatus, { nodeId }, os.now() + CALL_TIMEOUT);
        return securityOf(answer.certificate.certificate, rootCert, key);
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== "DeadlineExceeded") throw error;
      }
      yield* sleep(os, backoff);
      backoff = Math.min(2 * backoff, MAX_POLL_BACKOFF);
    }
  } finally {
    conn.close();
  }
}

function securityOf(certificate: string, rootCert: string, key: PrivateKey): SecurityConfig {
  const parsed = parseCertificate(certificate);
  const role = roleOfOrganizationalUnit(parsed?.subject.organizationalUnit ?? "");
  if (parsed === undefined || role === undefined || !isSignedBy(rootCert, certificate)) {
    throw new Error("x509: certificate signed by unknown authority");
  }
  const { commonName, organization } = parsed.subject;
  return { nodeId: commonName, role, clusterId: organization, certificate, rootCert, key };
}
