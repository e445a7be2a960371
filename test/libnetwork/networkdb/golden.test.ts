import { describe, expect, it } from "vitest";
import { parseProto } from "../../../src/base/protobuf.ts";
import * as n from "../../../src/libnetwork/networkdb/messages.ts";
import { decompressIfNeeded, unframePacket, unframeStream } from "../../../src/memberlist/framing.ts";
import { Keyring } from "../../../src/memberlist/keyring.ts";
import * as m from "../../../src/memberlist/messages.ts";
import { GOLDEN_KEYS, readGoldenGossip } from "../../memberlist/golden-gossip.ts";
import { goldenAvailable, goldenTitle, xzAvailable } from "../../support/golden.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Decodes an envelope and all within it, and encodes it again; counts the messages by type. */
function reencode(message: Uint8Array, kinds: Map<string, number>): Uint8Array {
  const { type, data } = n.decodeEnvelope(message);
  const count = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  switch (type) {
    case n.GOSSIP.nodeEvent:
      count("node");
      return n.encodeNodeEvent(n.decodeNodeEvent(data));
    case n.GOSSIP.networkEvent:
      count("network");
      return n.encodeNetworkEvent(n.decodeNetworkEvent(data));
    case n.GOSSIP.tableEvent: {
      const event = n.decodeTableEvent(data);
      count(event.tableName);
      expect(parseProto(event.value).length).toBeGreaterThan(1);
      return n.encodeTableEvent(event);
    }
    case n.GOSSIP.pushPull:
      count("pushPull");
      return n.encodePushPullState(n.decodePushPullState(data));
    case n.GOSSIP.bulkSync: {
      count("bulkSync");
      const sync = n.decodeBulkSync(data);
      return n.encodeBulkSync({ ...sync, payload: reencode(sync.payload, kinds) });
    }
    case n.GOSSIP.compound:
      return n.encodeCompound(n.decodeCompound(data).map((part) => reencode(part, kinds)));
    default:
      throw new Error(`type ${type}`);
  }
}

function* userMessages(message: Uint8Array): Generator<Uint8Array> {
  if (message[0] === m.MESSAGE.compress) yield* userMessages(decompressIfNeeded(message));
  else if (message[0] === m.MESSAGE.compound) {
    for (const part of m.decodeCompound(message.subarray(1)).parts) yield* userMessages(part);
  } else if (message[0] === m.MESSAGE.user) yield message.subarray(1);
}

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("captured NetworkDB messages", true), () => {
  it.each([
    [
      "A-swarm-init",
      { pushPull: 26, node: 8, network: 24, bulkSync: 32, overlay_peer_table: 134, endpoint_table: 143 },
    ],
    [
      "B-standalone-attachable",
      { pushPull: 80, network: 48, bulkSync: 100, overlay_peer_table: 510, endpoint_table: 408 },
    ],
  ])("%s: every message parses completely and encodes to the same bytes", (scenario, expected) => {
    const keyring = new Keyring(GOLDEN_KEYS);
    const kinds = new Map<string, number>();
    const gossip = readGoldenGossip(scenario);
    const messages: Uint8Array[] = [];
    for (const { payload } of gossip.udp) messages.push(...userMessages(unframePacket(payload, keyring)));
    for (const { payload } of gossip.tcp) {
      const message = unframeStream(payload.subarray(0, 5), payload.subarray(5), keyring);
      const body = message.subarray(1);
      if (message[0] === m.MESSAGE.pushPull) messages.push(m.decodePushPull(body).userState);
      if (message[0] === m.MESSAGE.user) messages.push(m.decodeUserStream(body));
    }
    for (const message of messages) expect(hex(reencode(message, kinds))).toBe(hex(message));
    expect(Object.fromEntries(kinds)).toEqual(expected);
  });
});
