/**
 * X.509 certificates (RFC 5280) and certification requests (RFC 2986) as swarmkit makes them
 * (ca/certificates.go, through cfssl): ECDSA P-256 with SHA-256; the root with CN `swarm-ca`, a node with
 * CN = node ID, OU = role, O = cluster ID. They are real: any X.509 library reads and verifies them.
 */
import { assert } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { sha256 } from "../../base/sha256.ts";
import type { NodeRole } from "../api/objects.ts";
import {
  concatBytes,
  contextTag,
  der,
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derText,
  type Element,
  pemDecode,
  pemEncode,
  readElements,
  Tag,
} from "./der.ts";
import { bigintToBytes, bytesToBigint, type PrivateKey, sign, verify } from "./p256.ts";

/** Common name of the root (swarmkit ca.rootCN). */
export const ROOT_CN = "swarm-ca";
/** 20 years (swarmkit ca.RootCAExpiration), in seconds. */
const ROOT_LIFETIME_S = 630_720_000;
/** Certificates are valid from an hour before their making (swarmkit ca.CertBackdate), in seconds. */
const BACKDATE_S = 3600;

const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  organizationalUnit: "2.5.4.11",
  ecPublicKey: "1.2.840.10045.2.1",
  prime256v1: "1.2.840.10045.3.1.7",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** A distinguished name: role, node and organisation. */
export interface Subject {
  readonly organization: string;
  readonly organizationalUnit: string;
  readonly commonName: string;
}

/** What the swarm reads from a certificate or a request. */
export interface ParsedCertificate {
  readonly subject: Subject;
  readonly publicKey: Uint8Array;
  /** The signed part and its signature. */
  readonly signed: Uint8Array;
  readonly signature: { readonly r: bigint; readonly s: bigint };
}

/** OU of a role. */
export function organizationalUnitOf(role: NodeRole): string {
  return role === "manager" ? "swarm-manager" : "swarm-worker";
}

/** Role of an OU; undefined for another text. */
export function roleOfOrganizationalUnit(unit: string): NodeRole | undefined {
  return unit === "swarm-manager" ? "manager" : unit === "swarm-worker" ? "worker" : undefined;
}

// ---------------------------------------------------------------------------------------------- writing

function attribute(oid: string, text: string): Uint8Array {
  return der(Tag.SET, derSequence(derOid(oid), derText(Tag.PRINTABLE_STRING, text)));
}

/** A Name in DER; empty parts are left out. */
export function nameOf(subject: Subject): Uint8Array {
  const parts: Uint8Array[] = [];
  if (subject.organization !== "") parts.push(attribute(OID.organization, subject.organization));
  if (subject.organizationalUnit !== "") parts.push(attribute(OID.organizationalUnit, subject.organizationalUnit));
  parts.push(attribute(OID.commonName, subject.commonName));
  return derSequence(...parts);
}

const ROOT_NAME = nameOf({ organization: "", organizationalUnit: "", commonName: ROOT_CN });
const SIGNATURE_ALGORITHM = derSequence(derOid(OID.ecdsaWithSha256));

/** SubjectPublicKeyInfo of an uncompressed P-256 point. */
function publicKeyInfo(publicKey: Uint8Array): Uint8Array {
  return derSequence(derSequence(derOid(OID.ecPublicKey), derOid(OID.prime256v1)), derBitString(publicKey));
}

function timeOf(unixSeconds: number): Uint8Array {
  const text = new Date(unixSeconds * 1000).toISOString().replace(/[-:T]|\.\d+/g, "");
  const year = Number(text.slice(0, 4));
  return year < 2050 ? derText(Tag.UTC_TIME, text.slice(2)) : derText(Tag.GENERALIZED_TIME, text);
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [der(Tag.BOOLEAN, Uint8Array.of(0xff))] : [];
  return derSequence(derOid(oid), ...flag, der(Tag.OCTET_STRING, value));
}

/** Key identifier: the first 20 bytes of the key's SHA-256 (RFC 7093, method 1). */
function keyId(publicKey: Uint8Array): Uint8Array {
  return sha256(publicKey).subarray(0, 20);
}

function signedBy(key: PrivateKey, signed: Uint8Array): Uint8Array {
  const { r, s } = sign(key, signed);
  const signature = derSequence(derInteger(bigintToBytes(r, 32)), derInteger(bigintToBytes(s, 32)));
  return derSequence(signed, SIGNATURE_ALGORITHM, derBitString(signature));
}

interface CertificateFields {
  readonly serial: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Uint8Array[];
}

function certificate(key: PrivateKey, fields: CertificateFields): string {
  const toBeSigned = derSequence(
    der(contextTag(0, true), derInteger(Uint8Array.of(2))),
    derInteger(fields.serial),
    SIGNATURE_ALGORITHM,
    ROOT_NAME,
    derSequence(timeOf(fields.notBefore), timeOf(fields.notAfter)),
    fields.subject,
    publicKeyInfo(fields.publicKey),
    der(contextTag(3, true), derSequence(...fields.extensions)),
  );
  return pemEncode("CERTIFICATE", signedBy(key, toBeSigned));
}

/**
 * A self-signed root certificate in PEM.
 * @param unixSeconds the time of its making
 */
export function createRootCertificate(key: PrivateKey, random: Random, unixSeconds: number): string {
  return certificate(key, {
    serial: random.bytes(20),
    subject: ROOT_NAME,
    publicKey: key.publicKey,
    notBefore: unixSeconds - BACKDATE_S,
    notAfter: unixSeconds - BACKDATE_S + ROOT_LIFETIME_S,
    extensions: [
      extension(OID.keyUsage, true, derBitString(Uint8Array.of(0x06), 1)),
      extension(OID.basicConstraints, true, derSequence(der(Tag.BOOLEAN, Uint8Array.of(0xff)))),
      extension(OID.subjectKeyId, false, der(Tag.OCTET_STRING, keyId(key.publicKey))),
    ],
  });
}

/** A node's certificate in PEM, signed by the root. DNS names: OU, node ID, and `swarm-ca` for managers. */
export function issueCertificate(
  rootKey: PrivateKey,
  request: { readonly publicKey: Uint8Array; readonly subject: Subject },
  random: Random,
  unixSeconds: number,
  lifetimeSeconds: number,
): string {
  const { subject, publicKey } = request;
  const names = [subject.organizationalUnit, subject.commonName];
  if (roleOfOrganizationalUnit(subject.organizationalUnit) === "manager") names.push(ROOT_CN);
  return certificate(rootKey, {
    serial: random.bytes(20),
    subject: nameOf(subject),
    publicKey,
    notBefore: unixSeconds - BACKDATE_S,
    notAfter: unixSeconds + lifetimeSeconds,
    extensions: [
      extension(OID.keyUsage, true, derBitString(Uint8Array.of(0xa0), 5)),
      extension(OID.extKeyUsage, false, derSequence(derOid(OID.serverAuth), derOid(OID.clientAuth))),
      extension(OID.basicConstraints, true, derSequence()),
      extension(OID.subjectKeyId, false, der(Tag.OCTET_STRING, keyId(publicKey))),
      extension(OID.authorityKeyId, false, derSequence(der(contextTag(0, false), keyId(rootKey.publicKey)))),
      extension(OID.subjectAltName, false, derSequence(...names.map((name) => derText(contextTag(2, false), name)))),
    ],
  });
}

/** A certification request in PEM, signed by its own key. The CA sets the subject itself. */
export function createRequest(key: PrivateKey): string {
  const info = derSequence(
    derInteger(Uint8Array.of(0)),
    derSequence(),
    publicKeyInfo(key.publicKey),
    der(contextTag(0, true)),
  );
  return pemEncode("CERTIFICATE REQUEST", signedBy(key, info));
}

// ---------------------------------------------------------------------------------------------- reading

function children(element: Element | undefined): Element[] {
  return (element === undefined ? undefined : readElements(element.body)) ?? [];
}

function readSignature(bits: Element | undefined): { r: bigint; s: bigint } | undefined {
  if (bits?.tag !== Tag.BIT_STRING) return undefined;
  const [r, s] = children(readElements(bits.body.subarray(1))?.[0]);
  return r === undefined || s === undefined ? undefined : { r: bytesToBigint(r.body), s: bytesToBigint(s.body) };
}

function readSubject(name: Element | undefined): Subject {
  const values = new Map<string, string>();
  for (const set of children(name)) {
    const [type, value] = children(children(set)[0]);
    if (type !== undefined && value !== undefined) {
      values.set(pemEncode("", type.raw), new TextDecoder().decode(value.body));
    }
  }
  const attributeOf = (oid: string) => values.get(pemEncode("", derOid(oid))) ?? "";
  return {
    organization: attributeOf(OID.organization),
    organizationalUnit: attributeOf(OID.organizationalUnit),
    commonName: attributeOf(OID.commonName),
  };
}

function readPublicKey(info: Element | undefined): Uint8Array | undefined {
  const bits = children(info)[1];
  return bits?.tag === Tag.BIT_STRING ? bits.body.slice(1) : undefined;
}

function parse(label: string, pem: string, subjectAt: number, keyAt: number): ParsedCertificate | undefined {
  const bytes = pemDecode(label, pem);
  const [signed, , bits] = children(bytes === undefined ? undefined : readElements(bytes)?.[0]);
  const signature = readSignature(bits);
  const fields = children(signed);
  const publicKey = readPublicKey(fields[keyAt]);
  if (signed === undefined || signature === undefined || publicKey === undefined) return undefined;
  return { subject: readSubject(fields[subjectAt]), publicKey, signed: signed.raw, signature };
}

/** Reads a certificate in PEM; undefined when it is none. */
export function parseCertificate(pem: string): ParsedCertificate | undefined {
  return parse("CERTIFICATE", pem, 5, 6);
}

/** Reads a request in PEM and checks its own signature; undefined when it is none or the check fails. */
export function parseRequest(pem: string): ParsedCertificate | undefined {
  const request = parse("CERTIFICATE REQUEST", pem, 1, 2);
  if (request === undefined || !verify(request.publicKey, request.signed, request.signature)) return undefined;
  return request;
}

/** True when `pem` was signed by the root's key. */
export function isSignedBy(rootPem: string, certificatePem: string): boolean {
  const question = `${rootPem}\n${certificatePem}`;
  let answer = answers.get(question);
  if (answer === undefined) {
    const root = parseCertificate(rootPem);
    const child = parseCertificate(certificatePem);
    answer = root !== undefined && child !== undefined && verify(root.publicKey, child.signed, child.signature);
    if (answers.size >= MOST_ANSWERS) answers.clear();
    answers.set(question, answer);
  }
  return answer;
}

/** Answers of isSignedBy: a swarm's nodes ask it of the same certificates, and it costs much. */
const answers = new Map<string, boolean>();
const MOST_ANSWERS = 4096;

/** Issuer subject and issuer public key of the swarm's certificates in DER, for the API's TLSInfo. */
export function issuerInfo(rootPem: string): { readonly subject: Uint8Array; readonly publicKey: Uint8Array } {
  const root = parseCertificate(rootPem);
  assert(root !== undefined, "the root certificate does not parse");
  return { subject: concatBytes([ROOT_NAME]), publicKey: publicKeyInfo(root.publicKey) };
}
