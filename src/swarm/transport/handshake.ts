/**
 * What TLS settles between two nodes (swarmkit ca/config.go NewServerTLSConfig, NewClientTLSConfig): the
 * server shows a certificate of the swarm's root that carries the expected name; the client may show one.
 * Certificates are checked for real; that the peer holds the private key is not proven, since the records
 * are not encrypted either. Both belong to TLS, which fits behind `Transport`.
 */

import { isSignedBy, parseCertificate, ROOT_CN, roleOfOrganizationalUnit } from "../ca/x509.ts";
import type { Credentials, NodeIdentity } from "./transport.ts";

/** Verifications are repeated for the same certificates over and over; their result never changes. */
export class CertificateChecker {
  readonly #known = new Map<string, boolean>();

  isSignedBy(root: string, certificate: string): boolean {
    const key = `${root}\0${certificate}`;
    let result = this.#known.get(key);
    if (result === undefined) {
      result = isSignedBy(root, certificate);
      this.#known.set(key, result);
    }
    return result;
  }

  /** The caller's identity; undefined without a certificate; an error text for a bad one. */
  identityOf(root: string, certificate: string): NodeIdentity | string | undefined {
    if (certificate === "") return undefined;
    const parsed = parseCertificate(certificate);
    const role = parsed === undefined ? undefined : roleOfOrganizationalUnit(parsed.subject.organizationalUnit);
    if (parsed === undefined || role === undefined || !this.isSignedBy(root, certificate)) {
      return "x509: certificate signed by unknown authority";
    }
    return { nodeId: parsed.subject.commonName, role, organization: parsed.subject.organization };
  }

  /** What is wrong with a server's certificate; undefined = nothing. */
  serverError(credentials: Credentials, certificate: string): string | undefined {
    if (credentials.root === "") return undefined;
    const identity = this.identityOf(credentials.root, certificate);
    if (typeof identity === "string") return identity;
    const names = [`swarm-${identity?.role ?? "none"}`, ...(identity?.role === "manager" ? [ROOT_CN] : [])];
    if (credentials.serverName === "" || names.includes(credentials.serverName)) return undefined;
    return `x509: certificate is valid for ${names.join(", ")}, not ${credentials.serverName}`;
  }
}
