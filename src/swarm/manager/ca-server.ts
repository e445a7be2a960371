/**
 * The swarm's certificate authority (swarmkit ca/server.go): hands out the root certificate, takes requests
 * against a join token, signs them when their node objects appear in the store, and tells the result.
 */
import { newSwarmId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { SEC } from "../../base/time.ts";
import { type Channel, type Proc, Signal } from "../../scheduler/process.ts";
import { type ClusterObject, NEW_META, type NodeObject, type NodeRole } from "../api/objects.ts";
import {
  GetRootCACertificate,
  IssueNodeCertificate,
  type IssueNodeCertificateRequest,
  type IssueNodeCertificateResponse,
  NodeCertificateStatus,
  type NodeCertificateStatusResponse,
} from "../api/rpc.ts";
import { RpcError } from "../api/status.ts";
import { privateKeyOf } from "../ca/p256.ts";
import { issueCertificate, organizationalUnitOf, parseRequest } from "../ca/x509.ts";
import { ERR_EXIST, StoreError, type StoreEvent } from "../store/memory.ts";
import type { Router } from "../transport/transport.ts";
import type { Component, ComponentContext } from "./component.ts";

/** Pending requests are looked at so often besides on events (ca.DefaultReconciliationRetryInterval). */
const RECONCILE_INTERVAL = 10 * SEC;
/** Tries to find a free node ID. */
const MAX_ID_TRIES = 3;

/** Signs certificates of nodes (ca/server.go). */
export class CaServer implements Component {
  readonly name = "ca server";
  readonly #context: ComponentContext;
  readonly #random: Random;
  readonly #events: Channel<StoreEvent>;
  readonly #unixSeconds: () => number;
  /** Notified when a certificate was signed. */
  readonly #signed = new Signal();

  /** @param unixSeconds wall-clock time for the certificates' validity */
  constructor(context: ComponentContext, unixSeconds: () => number) {
    this.#context = context;
    this.#random = context.random.fork("ca");
    this.#events = context.store.watch();
    this.#unixSeconds = unixSeconds;
  }

  register(router: Router): void {
    router.unary(GetRootCACertificate, () => this.#rootCertificate());
    router.unary(IssueNodeCertificate, (request) => this.#issue(request));
    router.unary(NodeCertificateStatus, (request) => this.#status(request.nodeId));
  }

  *run(): Proc<void> {
    try {
      for (let last = this.#context.os.now(); ; ) {
        const event = yield* this.#events.pop(last + RECONCILE_INTERVAL, true);
        const late = (this.#context.os.now() - last) % RECONCILE_INTERVAL;
        last = this.#context.os.now();
        if (event === undefined && late > 0) {
          last -= late; // quiet time was skipped
          continue;
        }
        if (event === undefined || (event.table === "node" && event.action !== "remove")) yield* this.#signPending();
      }
    } finally {
      this.#context.store.unwatch(this.#events);
    }
  }

  #cluster(): ClusterObject {
    const cluster = this.#context.store.view((tx) => tx.all("cluster"))[0];
    if (cluster === undefined) throw new RpcError("FailedPrecondition", "no cluster object");
    return cluster;
  }

  // biome-ignore lint/correctness/useYield: a handler is a program
  *#rootCertificate(): Proc<{ certificate: string }> {
    return { certificate: this.#cluster().rootCa.caCert };
  }

  *#issue(request: IssueNodeCertificateRequest): Proc<IssueNodeCertificateResponse> {
    const { joinTokens } = this.#cluster().rootCa;
    const role: NodeRole | undefined =
      request.token === joinTokens.worker ? "worker" : request.token === joinTokens.manager ? "manager" : undefined;
    if (role === undefined || request.token === "") {
      throw new RpcError("InvalidArgument", "A valid join token is necessary to join this cluster");
    }
    if (parseRequest(request.csr) === undefined) throw new RpcError("InvalidArgument", "CSR is invalid");
    if (role === "manager") {
      // Until the store's Proposer is a raft with several members, a second manager could only pretend.
      throw new RpcError("Unimplemented", "joining as a manager is not supported yet");
    }
    for (let i = 0; i < MAX_ID_TRIES; i++) {
      const nodeId = newSwarmId(this.#random);
      try {
        yield* this.#context.store.update((tx) =>
          tx.create("node", pendingNode(nodeId, role, request, this.#cluster())),
        );
        return { nodeId, membership: "accepted" };
      } catch (error) {
        if (!(error instanceof StoreError) || error.message !== ERR_EXIST) throw error;
      }
    }
    throw new RpcError("Unknown", ERR_EXIST);
  }

  *#status(nodeId: string): Proc<NodeCertificateStatusResponse> {
    for (;;) {
      const node = this.#context.store.view((tx) => tx.get("node", nodeId));
      if (node === undefined) throw new RpcError("NotFound", "node not found");
      const { certificate } = node;
      if (certificate.state === "issued" || certificate.state === "failed")
        return { state: certificate.state, certificate };
      yield { on: [this.#signed] };
    }
  }

  *#signPending(): Proc<void> {
    const pending = this.#context.store.view((tx) => tx.all("node")).filter((n) => n.certificate.state === "pending");
    for (const node of pending) {
      const { rootCa, id, spec } = this.#cluster();
      const csr = parseRequest(node.certificate.csr);
      if (csr === undefined) continue;
      const organizationalUnit = organizationalUnitOf(node.certificate.role);
      const subject = { organization: id, organizationalUnit, commonName: node.id };
      const key = privateKeyOf(BigInt(`0x${rootCa.caKey}`));
      const lifetime = spec.ca.nodeCertExpiry / SEC;
      const certificate = issueCertificate(
        key,
        { publicKey: csr.publicKey, subject },
        this.#random,
        this.#unixSeconds(),
        lifetime,
      );
      yield* this.#context.store.update((tx) => {
        const stored = tx.get("node", node.id);
        if (stored === undefined || stored.certificate.state !== "pending") return;
        tx.update("node", { ...stored, certificate: { ...stored.certificate, state: "issued", certificate } });
      });
    }
    if (pending.length > 0) this.#signed.notify();
  }
}

function pendingNode(
  id: string,
  role: NodeRole,
  request: IssueNodeCertificateRequest,
  cluster: ClusterObject,
): NodeObject {
  return {
    id,
    meta: NEW_META,
    spec: {
      annotations: { name: "", labels: {} },
      desiredRole: role,
      membership: "accepted",
      availability: request.availability,
    },
    status: { state: "unknown", message: "", addr: "" },
    attachments: [],
    certificate: { role, csr: request.csr, state: "pending", error: "", certificate: "", cn: id },
    role,
    vxlanUdpPort: cluster.vxlanUdpPort,
  };
}
