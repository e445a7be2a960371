/**
 * Join tokens (swarmkit ca/config.go GenerateJoinToken, ParseJoinToken):
 * `SWMTKN-1-<digest>-<secret>`, the digest being the SHA-256 of the root CA's PEM in base 36 padded to 50
 * digits, the secret 16 random bytes in base 36 padded to 25.
 */
import type { Random } from "../../base/random.ts";
import { sha256 } from "../../base/sha256.ts";
import { bigintToBytes, bytesToBigint } from "./p256.ts";

const DIGEST_LENGTH = 50;
const SECRET_LENGTH = 25;

/** ParseJoinToken's one error. */
export const INVALID_JOIN_TOKEN = "invalid join token";

/** The SHA-256 of a root certificate's PEM text. */
export function digestOfRoot(rootPem: string): Uint8Array {
  return sha256(new TextEncoder().encode(rootPem));
}

/** Bytes as lower-case hexadecimal. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A new token with a new secret. */
export function generateJoinToken(rootPem: string, random: Random): string {
  const digest = bytesToBigint(digestOfRoot(rootPem)).toString(36).padStart(DIGEST_LENGTH, "0");
  const secret = bytesToBigint(random.bytes(16)).toString(36).padStart(SECRET_LENGTH, "0");
  return `SWMTKN-1-${digest}-${secret}`;
}

/** The root digest that a token carries, in hexadecimal; undefined for a text that is no token. */
export function parseJoinToken(token: string): { readonly rootDigest: string } | undefined {
  const parts = token.split("-");
  if (parts.length !== 4 || parts[0] !== "SWMTKN" || parts[1] !== "1") return undefined;
  const [, , digest, secret] = parts as [string, string, string, string];
  if (digest.length !== DIGEST_LENGTH || secret.length !== SECRET_LENGTH || !/^[0-9a-z]+$/i.test(digest)) {
    return undefined;
  }
  let value = 0n;
  for (const digit of digest.toLowerCase()) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  if (value >= 1n << 256n) return undefined;
  return { rootDigest: hexOf(bigintToBytes(value, 32)) };
}
