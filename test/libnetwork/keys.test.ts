import { describe, expect, it } from "vitest";
import {
  changeKeys,
  type EncryptionKey,
  primaryFirst,
  primaryOf,
  SUBSYS_GOSSIP,
  SUBSYS_IPSEC,
} from "../../src/libnetwork/keys.ts";

const key = (subsystem: string, tag: number): EncryptionKey => ({
  subsystem,
  key: new Uint8Array(16).fill(tag),
  lamportTime: tag,
});
/** A key set of the manager, from the tags of both subsystems. */
const ring = (gossip: readonly number[], ipsec: readonly number[]): EncryptionKey[] => [
  ...gossip.map((tag) => key(SUBSYS_GOSSIP, tag)),
  ...ipsec.map((tag) => key(SUBSYS_IPSEC, tag)),
];
const tags = (keys: readonly EncryptionKey[], subsystem: string): number[] =>
  keys.flatMap((one) => (one.subsystem === subsystem ? [one.lamportTime] : []));
const change = (from: readonly EncryptionKey[], to: readonly EncryptionKey[]) => {
  const { keys, added, deleted } = changeKeys(from, to);
  return {
    keys,
    gossip: [added[SUBSYS_GOSSIP]?.lamportTime, deleted[SUBSYS_GOSSIP]?.lamportTime],
    ipsec: [added[SUBSYS_IPSEC]?.lamportTime, deleted[SUBSYS_IPSEC]?.lamportTime],
  };
};

const FIRST = ring([1, 2, 3], [4, 5, 6]);

describe("roles of keys", () => {
  it("the middle one by tag encrypts, whatever the order they come in", () => {
    const keys = [...FIRST].reverse();
    expect(primaryFirst(keys, SUBSYS_IPSEC).map((one) => one.lamportTime)).toEqual([5, 4, 6]);
    expect(primaryOf(keys, SUBSYS_GOSSIP).lamportTime).toBe(2);
  });
});

describe("a new key set", () => {
  it("of one rotation adds one and deletes one of each subsystem", () => {
    const { keys, gossip, ipsec } = change(FIRST, ring([2, 3, 7], [5, 6, 8]));
    expect([gossip, ipsec]).toEqual([
      [7, 1],
      [8, 4],
    ]);
    expect(keys.map((one) => one.lamportTime)).toEqual([2, 3, 5, 6, 7, 8]);
    expect(primaryOf(keys, SUBSYS_IPSEC).lamportTime).toBe(6);
  });

  it("that is the same changes nothing", () => {
    expect(change(FIRST, FIRST)).toEqual({
      keys: FIRST,
      gossip: [undefined, undefined],
      ipsec: [undefined, undefined],
    });
  });

  // Worked by hand through agent.go: 1 goes and 6 takes its place, 2 goes and 5 takes its place and is passed over.
  it("of two rotations leaves a stale key, and with it another primary than everybody else's", () => {
    const { keys, gossip, ipsec } = change(FIRST, ring([3, 7, 9], [6, 8, 10]));
    expect(tags(keys, SUBSYS_IPSEC)).toEqual([5, 6, 8, 10]);
    expect(primaryOf(keys, SUBSYS_IPSEC).lamportTime).toBe(6);
    expect(gossip).toEqual([9, 2]);
    expect(ipsec).toEqual([10, 4]);
  });

  it("of three rotations deletes no IPsec key at all", () => {
    const { keys, ipsec } = change(FIRST, ring([7, 9, 11], [8, 10, 12]));
    expect(tags(keys, SUBSYS_IPSEC)).toEqual([4, 5, 6, 8, 10, 12]);
    expect(ipsec).toEqual([12, undefined]);
  });
});
