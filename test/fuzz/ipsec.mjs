/** IPsec between the fuzzer's hosts, and ESP frames with right ICVs around payloads that are not right. */
import { createCipheriv } from "node:crypto";
import { abi, ip } from "../bench/kernel.mjs";
import { addPolicy, addState, encryptionStates, encryptOverlay, overlayKey, overlaySpi } from "../bench/xfrm.mjs";
import { repair } from "./mutate.mjs";

const KEY = Uint8Array.from({ length: 20 }, (_, i) => 3 * i);
const REQID = 9;

/** The pairs of addresses, with their namespaces and the SPIs there and back. */
function pairs(sides) {
  const [a, b] = sides;
  return [
    { from: a.ns, to: b.ns, src: ip("192.168.77.11"), dst: ip("192.168.77.12"), spi: 0x100, port: 7946 },
    { from: b.ns, to: a.ns, src: ip("192.168.77.12"), dst: ip("192.168.77.11"), spi: 0x200, port: 7946 },
    { from: a.container, to: b.container, src: a.ip, dst: b.ip, spi: 0x300, port: 53 },
    { from: b.container, to: a.container, src: b.ip, dst: a.ip, spi: 0x400, port: 53 },
  ];
}

/** How the state of an SPI guards against replay: not at all, 32 packets, ESN. */
function replay(spi) {
  if (spi === 0x100) return [abi.XSA_F_EXT | abi.XSA_F_ESN, 64];
  return spi === 0x200 ? [0, 32] : [0, 0];
}

/** Whether the overlay between the hosts is encrypted, as dockerd does it. */
let overlay = false;

/** Encrypts the overlay from now on. */
export function secureOverlay(kernel, sides) {
  overlay = true;
  for (const { ns } of sides) kernel.x.xfrmStateFlush(ns);
  encryptOverlay(kernel, sides);
  secure(kernel, sides);
}

/** States and policies of both hosts and both containers; those that are there are replaced. */
export function secure(kernel, sides, limit = Infinity) {
  for (const pair of pairs(sides)) for (const ns of [pair.from, pair.to]) kernel.x.xfrmStateFlush(ns);
  if (overlay) encryptionStates(kernel, sides, { limit });
  for (const pair of pairs(sides)) {
    const { src, dst, spi } = pair;
    const [flags, window] = replay(spi);
    for (const ns of [pair.from, pair.to])
      addState(kernel, ns, { src, dst, spi, reqid: REQID, key: KEY, flags, window, limit });
    const policy = (ns, dir, prefix, action) => addPolicy(kernel, ns, dir, { ...pair, reqid: REQID, prefix, action });
    policy(pair.from, abi.XFRM_POLICY_OUT, pair.spi & 0x100 ? 32 : 24);
    // Only what was encrypted, on one side; and nothing may be forwarded to that port.
    if (pair.spi & 0x100) policy(pair.to, abi.XFRM_POLICY_IN, 32);
    policy(pair.from, abi.XFRM_POLICY_FWD, 32, abi.XFRM_POLICY_BLOCK);
  }
}

/** What seals a frame: one of the pairs' states, or one of the overlay's with any of its three keys. */
function association(mutator, sides) {
  const from = mutator.below(2);
  const pair = pairs(sides)[from];
  if (!overlay || mutator.below(2) === 0) return { ...pair, key: KEY };
  const index = mutator.below(3);
  return { ...pair, spi: overlaySpi(from, index), key: overlayKey(from, index) };
}

let sequence = 0;

/** An ESP frame for a host's NIC: true cipher, anything inside. `corpus` lends the payloads. */
export function sealed(mutator, sides, corpus) {
  const pair = association(mutator, sides);
  const { bytes } = corpus[mutator.below(corpus.length)];
  const from = Math.min(34 + mutator.below(3), bytes.length);
  const inside = Uint8Array.from(bytes.subarray(from, from + mutator.below(1500)));
  for (let i = mutator.below(4); i > 0 && inside.length > 0; i--)
    inside[mutator.below(inside.length)] = mutator.below(256);
  const pad = mutator.below(8) === 0 ? mutator.below(256) : (inside.length + 2) & 3 ? 4 - ((inside.length + 2) & 3) : 0;
  const protocol = [17, 17, 6, 1, 4, 47, 50, 51, 59, 108, mutator.below(256)][mutator.below(11)];
  const clear = new Uint8Array(inside.length + (mutator.below(16) === 0 ? 0 : pad) + 2);
  clear.set(inside);
  clear[clear.length - 2] = pad;
  clear[clear.length - 1] = protocol;
  sequence += 1 + (mutator.below(64) === 0 ? mutator.below(500) : 0);
  const number = mutator.below(8) === 0 ? Math.max(0, sequence - mutator.below(100)) : sequence;
  const head = new Uint8Array(16);
  const view = new DataView(head.buffer);
  view.setUint32(0, pair.spi);
  view.setUint32(4, number);
  view.setUint32(12, sequence);
  const esn = pair.spi === 0x100;
  const aad = esn ? Uint8Array.from([...head.subarray(0, 4), 0, 0, 0, 0, ...head.subarray(4, 8)]) : head.subarray(0, 8);
  const cipher = createCipheriv(
    "aes-128-gcm",
    pair.key.subarray(0, 16),
    Buffer.concat([pair.key.subarray(16), head.subarray(8)]),
  );
  cipher.setAAD(aad);
  const body = Buffer.concat([cipher.update(clear), cipher.final()]);
  const payload = Buffer.concat([head, body, cipher.getAuthTag().subarray(0, 8)]);
  return { side: sides.find((side) => side.ns === pair.to), frame: frameOf(pair, 50, payload) };
}

/** A datagram of the same pair that nobody encrypted. */
export function unsealed(mutator, sides) {
  const pair = pairs(sides)[mutator.below(2)];
  const payload = new Uint8Array(8 + mutator.below(100));
  const view = new DataView(payload.buffer);
  view.setUint16(0, 7946);
  view.setUint16(2, mutator.below(4) === 0 ? mutator.below(65536) : pair.port);
  view.setUint16(4, payload.length);
  return { side: sides.find((side) => side.ns === pair.to), frame: frameOf(pair, 17, payload) };
}

function frameOf(pair, protocol, payload) {
  const frame = new Uint8Array(34 + payload.length);
  const packet = new DataView(frame.buffer);
  packet.setUint16(12, 0x0800);
  packet.setUint16(14, 0x4500);
  packet.setUint16(16, 20 + payload.length);
  packet.setUint16(22, (64 << 8) | protocol);
  packet.setUint32(26, pair.src);
  packet.setUint32(30, pair.dst);
  frame.set(payload, 34);
  repair(frame);
  return frame;
}
