/**
 * ESP's AES-128-GCM, packet by packet with a new IV each: 8 bytes of associated data, a tag of 8 bytes.
 *
 * Each peer is measured against the kernel in a process of its own (pure JavaScript ciphers slow each other down when
 * they share one), the two in turn, so that a busy machine slows both; and in PROCESSES of them one after the other, since
 * a few per cent of processes are unlucky with addresses and run a part at half speed. Ratios are medians over the rounds
 * of all; the bytes are compared in the same run. `node test/bench/crypto.mjs PEER ROUNDS` is such a process; main.mjs calls cryptoBench().
 */
import { execFileSync } from "node:child_process";
import { createCipheriv, createDecipheriv, webcrypto } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const SIZES = [64, 256, 576, 1400, 9000];
/** Ratios aimed at, by size. */
const PEERS = {
  node: { name: "node:crypto", aims: [7, 3.5, 2, 1.15, 0.35] },
  noble: { name: "@noble/ciphers", aims: [30, 18, 15, 12, 9] },
  webcrypto: { name: "WebCrypto, 64 at once", aims: [] },
};
/** Processes for each peer; the rounds are shared out. */
const PROCESSES = 3;
/** Packets of a batch: each is opened once before all are sealed again. */
const BATCH = 64;
const AAD = 8;

/** A peer: seal(iv, aad, plain) → ciphertext and tag; open(iv, aad, sealed) → plain. Both may be promises. */
async function peerOf(name, key) {
  if (name === "node") return nodePeer(key);
  if (name === "webcrypto") return webPeer(key);
  const noble = await nobleAes();
  return noble === undefined ? undefined : noblePeer(noble, key);
}

function nodePeer(key) {
  return {
    tag: 8,
    seal(iv, aad, plain) {
      const cipher = createCipheriv("aes-128-gcm", key, iv, { authTagLength: 8 });
      cipher.setAAD(aad);
      const sealed = cipher.update(plain);
      cipher.final();
      return [sealed, cipher.getAuthTag()];
    },
    open(iv, aad, sealed) {
      const cipher = createDecipheriv("aes-128-gcm", key, iv, { authTagLength: 8 });
      cipher.setAAD(aad);
      cipher.setAuthTag(sealed.subarray(-8));
      const plain = cipher.update(sealed.subarray(0, -8));
      cipher.final();
      return plain;
    },
  };
}

async function webPeer(raw) {
  const key = await webcrypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  const settings = (iv, additionalData) => ({ name: "AES-GCM", iv, additionalData, tagLength: 64 });
  return {
    tag: 8,
    async: true,
    seal: (iv, aad, plain) => webcrypto.subtle.encrypt(settings(iv, aad), key, plain),
    open: (iv, aad, sealed) => webcrypto.subtle.decrypt(settings(iv, aad), key, sealed),
  };
}

function noblePeer({ gcm }, key) {
  return {
    tag: 16,
    seal: (iv, aad, plain) => gcm(key, iv, aad).encrypt(plain),
    open: (iv, aad, sealed) => gcm(key, iv, aad).decrypt(sealed),
  };
}

/** The package from node_modules, or from the folder that NOBLE_CIPHERS names; undefined when it isn't there. */
async function nobleAes() {
  const folder =
    process.env.NOBLE_CIPHERS ?? fileURLToPath(new URL("../../node_modules/@noble/ciphers", import.meta.url));
  const file = `${folder}/aes.js`;
  return existsSync(file) ? await import(pathToFileURL(file).href) : undefined;
}

function nobleVersion() {
  const folder =
    process.env.NOBLE_CIPHERS ?? fileURLToPath(new URL("../../node_modules/@noble/ciphers", import.meta.url));
  return JSON.parse(readFileSync(`${folder}/package.json`, "utf8")).version;
}

function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** One size: the same packets for the kernel and for the peer. */
class Bout {
  constructor(kernel, context, peer, size) {
    this.kernel = kernel;
    this.context = context;
    this.peer = peer;
    this.size = size;
    this.stride = (AAD + 8 + size + peer.tag + 63) & ~31;
    this.at = (kernel.x.kmalloc(this.stride * BATCH + 128) + 15) & ~15;
    this.nonce = kernel.x.kmalloc(16);
    this.iv = 0;
    const make = (length) => new Uint8Array(length);
    this.packets = Array.from({ length: BATCH }, () => ({ iv: make(12), aad: make(AAD), plain: make(size) }));
    for (const { plain } of this.packets) plain.fill(0xa5);
    this.times = { seal: [[], []], open: [[], []] };
  }

  newIvs() {
    for (const packet of this.packets) new DataView(packet.iv.buffer).setUint32(8, ++this.iv);
  }

  /** | nonce, 4 unused | AAD | data | tag | in the kernel's memory. */
  kernelSeal() {
    const { x } = this.kernel;
    const view = this.kernel.view();
    for (let i = 0, at = this.at; i < BATCH; i++, at += this.stride) {
      view.setUint32(at, i);
      view.setUint32(this.nonce + 8, this.iv - BATCH + 1 + i);
      x.gcmSeal(this.context, this.nonce, at, AAD, at + 16, this.size, at + 16 + this.size, this.peer.tag);
    }
  }

  kernelOpen() {
    const { x } = this.kernel;
    const view = this.kernel.view();
    let good = 0;
    for (let i = 0, at = this.at; i < BATCH; i++, at += this.stride) {
      view.setUint32(this.nonce + 8, this.iv - BATCH + 1 + i);
      good += x.gcmOpen(this.context, this.nonce, at, AAD, at + 16, this.size, at + 16 + this.size, this.peer.tag);
    }
    if (good !== BATCH) throw new Error(`${BATCH - good} packets of ${this.size} bytes did not open`);
  }

  async peerSeal() {
    const { peer, packets } = this;
    for (const [i, packet] of packets.entries()) {
      new DataView(packet.aad.buffer).setUint32(0, i);
      packet.sealed = peer.seal(packet.iv, packet.aad, packet.plain);
    }
    if (peer.async) for (const packet of packets) packet.sealed = await packet.sealed;
  }

  async peerOpen() {
    const { peer, packets } = this;
    for (const packet of packets) packet.opened = peer.open(packet.iv, packet.aad, packet.whole);
    if (peer.async) for (const packet of packets) packet.opened = await packet.opened;
  }

  /** Both seal and open a batch. Returns [kernel, peer] CPU nanoseconds of each. */
  async turn() {
    this.newIvs();
    for (let i = 0; i < BATCH; i++) {
      this.kernel.u8().fill(0xa5, this.at + i * this.stride + 16, this.at + i * this.stride + 16 + this.size);
    }
    const marks = [cpuNs()];
    this.kernelSeal();
    marks.push(cpuNs());
    await this.peerSeal();
    marks.push(cpuNs());
    for (const packet of this.packets) packet.whole = joined(packet.sealed);
    this.compare();
    const before = cpuNs();
    this.kernelOpen();
    marks.push(cpuNs() - before);
    const between = cpuNs();
    await this.peerOpen();
    marks.push(cpuNs() - between);
    if (Buffer.compare(Buffer.from(this.packets[0].opened), this.packets[0].plain) !== 0)
      throw new Error("peer's open");
    return { seal: [marks[1] - marks[0], marks[2] - marks[1]], open: [marks[3], marks[4]] };
  }

  compare() {
    const i = this.iv % BATCH;
    const start = this.at + i * this.stride + 16;
    const sealed = this.kernel.u8().subarray(start, start + this.size + this.peer.tag);
    if (Buffer.compare(sealed, this.packets[i].whole) !== 0) throw new Error(`${this.size} bytes: results differ`);
  }

  /** Takes turns until each has used `budget` ns of CPU; returns ns per packet of that time. */
  async sample(budget) {
    const sum = { seal: [0, 0], open: [0, 0] };
    let turns = 0;
    for (const start = cpuNs(); cpuNs() - start < budget; turns++) {
      const took = await this.turn();
      for (const what of ["seal", "open"]) for (const who of [0, 1]) sum[what][who] += took[what][who];
    }
    return Object.fromEntries(Object.entries(sum).map(([what, of]) => [what, of.map((ns) => ns / turns / BATCH)]));
  }
}

function joined(sealed) {
  return Array.isArray(sealed) ? Buffer.concat(sealed) : new Uint8Array(sealed);
}

/** One process: the samples of each size, [{ size, seal: [kernel's, peer's], open: … }], or null. */
async function child(name, rounds) {
  const { Kernel } = await import("./kernel.mjs");
  const kernel = new Kernel();
  const key = Uint8Array.from({ length: 16 }, (_, i) => 17 * i);
  const peer = await peerOf(name, key);
  if (peer === undefined) return null;
  kernel.put(key);
  const context = kernel.x.gcmKeyNew(kernel.scratch, 16);
  const bouts = SIZES.map((size) => new Bout(kernel, context, peer, size));
  for (const bout of bouts) await bout.sample(2e8);
  for (let round = 0; round < rounds; round++) {
    for (const bout of bouts) {
      const took = await bout.sample(4e7);
      for (const what of ["seal", "open"]) for (const who of [0, 1]) bout.times[what][who].push(took[what][who]);
    }
  }
  return bouts.map(({ size, times }) => ({ size, ...times }));
}

/** All processes of a peer: [{ size, seal, open }], each [kernel, peer, ratio]; null when it isn't installed. */
function against(name, rounds) {
  const each = String(Math.ceil(rounds / PROCESSES));
  const runs = [];
  for (let i = 0; i < PROCESSES; i++) {
    const out = execFileSync(process.execPath, [fileURLToPath(import.meta.url), name, each]);
    const run = JSON.parse(out.toString());
    if (run === null) return null;
    runs.push(run);
  }
  const all = (i, what, who) => runs.flatMap((run) => run[i][what][who]);
  return SIZES.map((size, i) => {
    const of = (what) => summary([all(i, what, 0), all(i, what, 1)]);
    return { size, seal: of("seal"), open: of("open") };
  });
}

function summary([ours, theirs]) {
  return [median(ours), median(theirs), median(ours.map((ns, i) => theirs[i] / ns))];
}

/** Runs all peers and prints; returns their results by name. */
export function cryptoBench(rounds, json) {
  const results = {};
  for (const [name, { name: title, aims }] of Object.entries(PEERS)) {
    results[name] = against(name, rounds);
    if (json) continue;
    if (results[name] === null) {
      console.log(`\n  ${title}: not installed (npm install --no-save @noble/ciphers)`);
      continue;
    }
    const version =
      name === "noble" ? ` ${nobleVersion()}` : name === "node" ? ` (OpenSSL ${process.versions.openssl})` : "";
    console.log(`\nAES-128-GCM of one packet: the kernel against ${title}${version}`);
    for (const [i, { size, seal, open }] of results[name].entries()) {
      const part = ([ours, theirs, ratio]) =>
        `${us(ours)} / ${us(theirs)} us = ${ratio.toFixed(2).padStart(6)}x${aimed(ratio, aims[i])}`;
      console.log(`  ${String(size).padStart(5)} B  seal ${part(seal)}   open ${part(open)}`);
    }
  }
  return results;
}

function us(ns) {
  return (ns / 1000).toFixed(2).padStart(6);
}

function aimed(ratio, aim) {
  return aim === undefined ? "" : ` (aim ${aim}x: ${ratio >= aim ? "reached" : "missed"})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name, rounds] = process.argv;
  if (PEERS[name] === undefined) throw new Error(`no peer "${name}"; there are ${Object.keys(PEERS).join(", ")}`);
  console.log(JSON.stringify(await child(name, Number(rounds ?? 11))));
}
