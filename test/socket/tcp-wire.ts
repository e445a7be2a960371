/** A wire between two kernels (two workers) on which a test loses, doubles and delays frames as it likes. */
import * as abi from "../../assembly/abi.ts";
import { loadKernel } from "../support/wasm.ts";
import { MS, TcpNet } from "./tcp-net.ts";

/** A small deterministic generator for tests (xorshift32). */
export function rng(seed: number): () => number {
  let s = seed | 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

export interface Weather {
  loss: number;
  duplicate: number;
  /** Extra delay of a frame, ns: uniformly 0 … jitter, so that frames overtake each other. */
  jitter: number;
}

class End extends TcpNet {
  constructor(worker: number) {
    super();
    // A kernel of the other worker.
    const k = loadKernel(worker);
    Object.assign(this, { k, x: k.x });
  }
}

/** Two hosts, each in a kernel of its own; `latency` is the window in which they run apart. */
export class Wire {
  readonly ends: [TcpNet, TcpNet];
  readonly hosts: [number, number];
  readonly #random: () => number;
  readonly #weather: Weather;
  readonly #latency: number;
  #order = 0;
  now = 0;
  frames = 0;

  constructor(seed: number, weather: Weather, latency = 2 * MS) {
    this.#random = rng(seed * 7919 + 17);
    this.#weather = weather;
    this.#latency = latency;
    this.ends = [new End(0), new End(1)];
    const [a, b] = this.ends;
    this.hosts = [a.host(), b.host()];
    for (const [i, net] of this.ends.entries()) {
      for (const port of [0, 1]) net.x["portNew"](0, port, port, 0x5254, 0x00770000 + 11 + port, latency, 1e9);
      const dev = net.x["linkNewNic"](net.root(this.hosts[i]!), i) as number;
      net.named(dev, "eth0");
      net.addr(dev, `10.0.0.${11 + i}`, 24);
      net.up(dev);
    }
  }

  root(i: 0 | 1): number {
    return this.ends[i].root(this.hosts[i]!);
  }

  /** Runs both ends through one window and exchanges what they sent. */
  step(): void {
    this.now += this.#latency;
    for (const net of this.ends) {
      while (net.x["run"](this.now, 0xffffffff) !== abi.RUN_DONE) {
        net.x["clearWakes"]();
        net.x["captureClear"]();
      }
      net.x["outboxFlip"]();
    }
    for (const i of [0, 1] as const) this.#carry(this.ends[i], this.ends[1 - i]!, 1 - i);
  }

  #carry(from: TcpNet, to: TcpNet, worker: number): void {
    const count = from.x["outboxCount"](worker) as number;
    const at = from.x["outboxRecords"](worker) as number;
    const view = from.k.view();
    for (let n = 0; n < count; n++) {
      const r = at + n * abi.OUT_RECORD;
      const arrival = Number(view.getBigUint64(r + abi.OUT_ARRIVAL, true));
      const bytes = from.k.get(view.getUint32(r + abi.OUT_DATA, true), view.getUint32(r + abi.OUT_LEN, true));
      const arp = bytes[12] === 8 && bytes[13] === 6;
      this.frames++;
      if (!arp && this.#random() < this.#weather.loss) continue;
      const copies = !arp && this.#random() < this.#weather.duplicate ? 2 : 1;
      for (let c = 0; c < copies; c++) {
        const time = Math.max(arrival, this.now) + Math.floor(this.#random() * this.#weather.jitter);
        const flags = view.getUint32(r + abi.OUT_FLAGS, true);
        const into = to.x["wireImport"](
          view.getUint32(r + abi.OUT_PORT, true),
          Math.floor(time / 2 ** 32),
          time >>> 0,
          0x0fffffff,
          ++this.#order,
          bytes.length,
          flags,
        ) as number;
        to.k.put(into, bytes);
      }
    }
  }
}
