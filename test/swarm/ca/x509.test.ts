import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { base64Decode, base64Encode, pemDecode } from "../../../src/swarm/ca/der.ts";
import { generateKey } from "../../../src/swarm/ca/p256.ts";
import {
  createRequest,
  createRootCertificate,
  isSignedBy,
  issueCertificate,
  issuerInfo,
  parseCertificate,
  parseRequest,
} from "../../../src/swarm/ca/x509.ts";

const NOW = Date.UTC(2026, 10, 20) / 1000;
const random = new Random("x509");
const rootKey = generateKey(random.fork("root"));
const root = createRootCertificate(rootKey, random, NOW);
const subject = { organization: "cluster0", organizationalUnit: "swarm-worker", commonName: "node0" };

describe("certificates", () => {
  it("makes a root that node:crypto accepts", () => {
    const cert = new X509Certificate(root);
    expect(cert.subject).toBe("CN=swarm-ca");
    expect(cert.ca).toBe(true);
    expect(cert.verify(cert.publicKey)).toBe(true);
    expect(new Date(cert.validTo).getTime() / 1000).toBe(NOW - 3600 + 630_720_000);
  });

  it("issues a node certificate from a request, which node:crypto verifies under the root", () => {
    const request = parseRequest(createRequest(generateKey(random.fork("node"))));
    if (request === undefined) throw new Error("request does not parse");
    const pem = issueCertificate(rootKey, { publicKey: request.publicKey, subject }, random, NOW, 7_776_000);
    const cert = new X509Certificate(pem);
    expect(cert.subject).toBe("O=cluster0\nOU=swarm-worker\nCN=node0");
    expect(cert.subjectAltName).toBe("DNS:swarm-worker, DNS:node0");
    expect(cert.checkIssued(new X509Certificate(root))).toBe(true);
    expect(cert.verify(new X509Certificate(root).publicKey)).toBe(true);
    expect(parseCertificate(pem)?.subject).toEqual(subject);
    expect(isSignedBy(root, pem)).toBe(true);
    const other = createRootCertificate(generateKey(random.fork("other")), random, NOW);
    expect(isSignedBy(other, pem)).toBe(false);
  });

  it("gives the issuer's subject as Docker's API shows it", () => {
    expect(base64Encode(issuerInfo(root).subject)).toBe("MBMxETAPBgNVBAMTCHN3YXJtLWNh");
  });

  it("refuses a request whose signature is wrong, and any garbage, without throwing", () => {
    const pem = createRequest(generateKey(random.fork("node")));
    const at = pem.length - 60;
    const broken = pem.slice(0, at) + (pem[at] === "A" ? "B" : "A") + pem.slice(at + 1);
    expect(parseRequest(broken)).toBeUndefined();
    const wrap = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const der = pemDecode("CERTIFICATE", root) as Uint8Array;
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), fc.nat(der.length), (at, byte, cut) => {
        const mangled = der.slice(0, cut);
        if (at < cut) mangled[at] = byte;
        parseCertificate(wrap(base64Encode(mangled)));
      }),
      { numRuns: 300 },
    );
  });

  it("reads back what it writes in base64", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(base64Encode(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(base64Decode(base64Encode(bytes))).toEqual(bytes);
      }),
    );
  });
});
