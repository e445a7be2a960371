import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { digestOfRoot, generateJoinToken, hexOf, parseJoinToken } from "../../../src/swarm/ca/token.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
// golden/A-swarm-init: the worker's and the manager's token of the captured swarm.
const WORKER = "SWMTKN-1-4c6wlz8jvw7i26cqhz297yk5duxlcb6e0rgor0sj5lqt9nmr0r-3bfpxmzche5kjly9fe4bgcfr4";
const MANAGER = "SWMTKN-1-4c6wlz8jvw7i26cqhz297yk5duxlcb6e0rgor0sj5lqt9nmr0r-46g2vzhtzc09wu33xdn43hr58";

describe("join tokens", () => {
  it("carry the digest of the root's PEM, in 85 characters", () => {
    const random = new Random("token");
    for (let i = 0; i < 50; i++) {
      const pem = `${PEM}${i}`;
      const token = generateJoinToken(pem, random);
      expect(token).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
      expect(parseJoinToken(token)).toEqual({ rootDigest: createHash("sha256").update(pem).digest("hex") });
      expect(parseJoinToken(token)?.rootDigest).toBe(hexOf(digestOfRoot(pem)));
    }
  });

  it("accept the captured ones, with one digest for both roles", () => {
    expect(parseJoinToken(WORKER)?.rootDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(parseJoinToken(WORKER)).toEqual(parseJoinToken(MANAGER));
  });

  it("refuse wrong shapes", () => {
    for (const bad of [
      "",
      "garbage",
      "SWMTKN-1-bad-bad",
      WORKER.slice(0, -1),
      `${WORKER}0`,
      WORKER.replace("-1-", "-3-"),
    ]) {
      expect(parseJoinToken(bad)).toBeUndefined();
    }
    expect(parseJoinToken(`SWMTKN-1-${"z".repeat(50)}-${"0".repeat(25)}`)).toBeUndefined();
    expect(parseJoinToken(`SWMTKN-1-${"0".repeat(50)}-${"0".repeat(25)}`)?.rootDigest).toBe("0".repeat(64));
  });
});
