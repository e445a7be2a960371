/** Asks the session what has changed: often while little virtual time passes, seldom while much does, once when it stands. */
import type { Time } from "../../../src/base/time.ts";
import type { SceneLook, SceneTopology, SceneUpdate } from "../../session/scene/protocol.ts";

/** From look to look, ms: while time runs freely, and while packets can be seen to move. */
const PERIOD = { fast: 250, slow: 50 } as const;
/** A packet can be seen to move if it takes so long from host to host, ms. */
const VISIBLE = 80;
/** Looks are put off by so much after a message of the session, so that several make one. */
const SOON = 10;

/** Where it gets what it asks for, and who is told. */
export interface LookTarget {
  scene(look: SceneLook): Promise<SceneUpdate>;
  /** Hosts that are looked at closely now. */
  near(): readonly string[];
  /** @param wall since the look before, ms @param slow packets can be seen to move */
  took(update: SceneUpdate, wall: number, slow: boolean): void;
  failed(error: unknown): void;
}

/** One-way delays of a lab: the least and the most, ns. */
export function delaysOf({ hosts, fabric }: SceneTopology): { readonly least: Time; readonly most: Time } {
  const all = hosts.flatMap(({ wires }) => wires.map(({ latency }) => latency));
  const most = Math.max(0, ...all) * 2 + 2 * (fabric?.latency ?? 0);
  return { least: Math.max(1, Math.min(...all)), most };
}

/** Looks again and again while it is on. */
export class Looker {
  readonly #target: LookTarget;
  #delays = { least: 50_000, most: 100_000 };
  #fresh = true;
  #on = false;
  #running = false;
  #slow = true;
  #busy = false;
  /** Asked for while one was under way. */
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;
  #span: Time = 0;
  /** Counts labs: an answer about an earlier one is not for now. */
  #lab = 0;

  constructor(target: LookTarget) {
    this.#target = target;
  }

  /** Another lab is open. */
  open(topology: SceneTopology): void {
    this.#delays = delaysOf(topology);
    this.#lab++;
    this.#fresh = true;
    this.#slow = true;
    this.soon();
  }

  /** Whether the view is in sight. */
  show(on: boolean): void {
    this.#on = on;
    if (on) this.soon();
    else clearTimeout(this.#timer);
  }

  /** How time stands: it passes, or not. */
  status(running: boolean): void {
    const changed = running !== this.#running;
    this.#running = running;
    if (changed || !running) this.soon();
  }

  /** Looks in a moment. */
  soon(): void {
    this.#plan(SOON);
  }

  #plan(delay: number): void {
    if (!this.#on || this.#lab === 0) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), delay);
  }

  async #look(): Promise<void> {
    this.#busy = true;
    this.#again = false;
    const lab = this.#lab;
    const fresh = this.#fresh;
    this.#fresh = false;
    const visible = this.#slow || !this.#running;
    const packets = visible ? Math.min(this.#span, 1e9) + 2 * this.#delays.most + 2e6 : 0;
    let more = false;
    try {
      const update = await this.#target.scene({ fresh, near: this.#target.near(), packets });
      if (lab === this.#lab) {
        more = update.more;
        this.#take(update);
      }
    } catch (error) {
      // Between two labs none is open: the next one's topology starts it anew.
      if (lab === this.#lab) this.#target.failed(error);
    } finally {
      this.#busy = false;
    }
    if (more || this.#again || this.#fresh) this.soon();
    else if (this.#running) this.#plan(this.#slow ? PERIOD.slow : PERIOD.fast);
  }

  #take(update: SceneUpdate): void {
    const wall = performance.now();
    const passed = wall - this.#last;
    this.#last = wall;
    this.#span = update.span;
    this.#slow = update.span / Math.max(1, passed) <= this.#delays.least / VISIBLE;
    this.#target.took(update, passed, this.#slow || !this.#running);
  }
}
