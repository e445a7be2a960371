/**
 * Frames over a leaf-spine segment, computed independently of the kernel: whole numbers of any size instead of words,
 * one queue of arrivals in the order of physical time, every queue served when its frame is there.
 */

/** What the kernel is told about a host's port. */
export interface ModelHost {
  readonly leaf: number;
  /** ns */
  readonly delay: number;
  /** bits a second */
  readonly rate: number;
  /** bytes */
  readonly queue: number;
}

export interface ModelFabric {
  readonly spines: number;
  readonly delay: number;
  readonly rate: number;
  readonly queue: number;
  /** Spines that each leaf reaches. */
  readonly live: readonly (readonly number[])[];
}

/** A frame that a host sends at a time. */
export interface ModelFrame {
  readonly time: number;
  readonly from: number;
  readonly to: number;
  /** On the wire. */
  readonly size: number;
  /** 32 bits that choose among the spines that both leaves reach. */
  readonly hash: number;
}

export interface ModelResult {
  /** Frames by number, and when each came to its port. */
  readonly arrivals: { readonly frame: number; readonly time: number; readonly to: number }[];
  /** Frames lost in the queues of switches, by the host that counts them. */
  readonly queueDrops: number[];
  /** Frames lost in the queues of NICs and their ports, by the host that counts them. */
  readonly portDrops: number[];
  /** Frames that each link has carried, by `up leaf spine` and `down leaf spine`. */
  readonly carried: Map<string, number>;
}

/** Something that sends one frame after the other: busy until an instant that is kept as ns times its rate. */
class Line {
  readonly #rate: bigint;
  readonly #queue: number;
  #busy = 0n;

  constructor(rate: number, queue: number) {
    this.#rate = BigInt(rate);
    this.#queue = queue;
  }

  #bytes(ns: bigint): number {
    return (Number(ns) * Number(this.#rate)) / 8e9;
  }

  /** A NIC: the frame begins when the one before it has ended. @returns when its last bit has left */
  store(now: number, size: number): number | undefined {
    const rate = this.#rate;
    const at = BigInt(now);
    const busy = this.#busy / rate;
    if (busy > at && this.#bytes(busy - at) + size > this.#queue) return undefined;
    this.#busy = (busy >= at ? this.#busy : at * rate) + BigInt(size) * 8_000_000_000n;
    return Number((this.#busy + rate - 1n) / rate);
  }

  /** A port that cuts through: the frame's last bit is there at `now`. @returns when it has left */
  cut(now: number, size: number): number | undefined {
    const rate = this.#rate;
    const at = BigInt(now);
    const end = this.#busy + BigInt(size) * 8_000_000_000n;
    const late = end / rate - at;
    if (late < 0n) {
      this.#busy = at * rate;
      return now;
    }
    if (this.#bytes(late) > this.#queue) return undefined;
    this.#busy = end;
    return late === 0n ? now : Number((end + rate - 1n) / rate);
  }
}

interface Step {
  readonly time: number;
  readonly frame: number;
  readonly at: "nic" | "leaf" | "spine" | "port";
}

export function modelFabric(
  hosts: readonly ModelHost[],
  fabric: ModelFabric,
  frames: readonly ModelFrame[],
): ModelResult {
  const sending = hosts.map((host) => new Line(host.rate, host.queue));
  const receiving = hosts.map((host) => new Line(host.rate, host.queue));
  const links = new Map<string, Line>();
  const carried = new Map<string, number>();
  const queueDrops = hosts.map(() => 0);
  const portDrops = hosts.map(() => 0);
  const arrivals: ModelResult["arrivals"] = [];
  // Frames of one sender are numbered in the order in which it sends them; frames of lower senders go first.
  const order = frames.map((frame, index) => frame.from * 1e6 + index);
  const steps: Step[] = frames.map(({ time }, frame) => ({ time, frame, at: "nic" }));
  const over = (name: string, now: number, size: number): number | undefined => {
    const link = links.get(name) ?? new Line(fabric.rate, fabric.queue);
    links.set(name, link);
    const out = link.cut(now, size);
    if (out !== undefined) carried.set(name, (carried.get(name) ?? 0) + 1);
    return out;
  };
  while (steps.length > 0) {
    steps.sort((a, b) => a.time - b.time || (order[a.frame] as number) - (order[b.frame] as number));
    const { time, frame, at } = steps.shift() as Step;
    const { from, to, size, hash } = frames[frame] as ModelFrame;
    const [sender, receiver] = [hosts[from] as ModelHost, hosts[to] as ModelHost];
    const live = (fabric.live[sender.leaf] ?? []).filter((spine) => fabric.live[receiver.leaf]?.includes(spine));
    const spine = live[Math.floor((hash * live.length) / 2 ** 32)];
    if (at === "nic") {
      const out = sending[from]?.store(time, size);
      if (out === undefined) portDrops[from] = (portDrops[from] as number) + 1;
      else if (sender.leaf === receiver.leaf)
        steps.push({ time: out + Math.max(sender.delay, receiver.delay), frame, at: "port" });
      else steps.push({ time: out + sender.delay, frame, at: "leaf" });
    } else if (at === "leaf") {
      const out = over(`up ${sender.leaf} ${spine}`, time, size);
      if (out === undefined) queueDrops[from] = (queueDrops[from] as number) + 1;
      else steps.push({ time: out + fabric.delay, frame, at: "spine" });
    } else if (at === "spine") {
      const out = over(`down ${receiver.leaf} ${spine}`, time, size);
      if (out === undefined) queueDrops[to] = (queueDrops[to] as number) + 1;
      else steps.push({ time: out + fabric.delay + receiver.delay, frame, at: "port" });
    } else {
      const out = receiving[to]?.cut(time, size);
      if (out === undefined) portDrops[to] = (portDrops[to] as number) + 1;
      else arrivals.push({ frame, time: out, to });
    }
  }
  return { arrivals, queueDrops, portDrops, carried };
}
