/** What happens to an engine's containers and networks, and on a manager to its swarm, for `GET /events` (moby daemon/events; 20.10). */
import { SEC, type Time } from "../base/time.ts";
import { unixSeconds } from "../base/wall-clock.ts";
import { Channel, type HostRuntime, type Proc } from "../scheduler/process.ts";
import type { EngineEventView, Filters } from "./api.ts";
import type { ClusterEvent } from "./cluster-events.ts";
import type { Container } from "./container.ts";

/** Events that are kept for those who ask later (eventsLimit). */
const LIMIT = 256;

type Attributes = Readonly<Record<string, string>>;

interface EngineEvent {
  readonly time: Time;
  readonly type: "container" | ClusterEvent["type"];
  readonly scope: "local" | "swarm";
  readonly action: string;
  readonly id: string;
  readonly attributes: Attributes;
}

/** From when to when events are wanted, and which. Times in seconds since 1970. */
export interface EventOptions {
  readonly since?: number;
  readonly until?: number;
  readonly filters?: Filters;
}

/** An engine's events. */
export class Events {
  readonly #os: HostRuntime;
  readonly #kept: EngineEvent[] = [];
  readonly #listeners = new Set<Channel<EngineEvent>>();

  constructor(os: HostRuntime) {
    this.#os = os;
  }

  #publish(what: Omit<EngineEvent, "time">): void {
    const event = { time: this.#os.now(), ...what };
    this.#kept.push(event);
    if (this.#kept.length > LIMIT) this.#kept.shift();
    for (const listener of this.#listeners) listener.push(event);
  }

  /** With the container's labels, as those who follow a service's tasks need them (daemon/events.go LogContainerEvent). */
  container(container: Container, action: string, attributes: Attributes = {}): void {
    const { id, name, request } = container;
    const shown = { ...request.Labels, image: request.Image, name, ...attributes };
    this.#publish({ type: "container", scope: "local", action, id, attributes: shown });
  }

  network(
    network: { readonly id: string; readonly name: string; readonly type: string },
    action: string,
    attributes: Attributes = {},
  ): void {
    const shown = { ...attributes, name: network.name, type: network.type };
    this.#publish({ type: "network", scope: "local", action, id: network.id, attributes: shown });
  }

  /** Of the swarm that this engine's node manages. */
  cluster(event: ClusterEvent): void {
    this.#publish({ scope: "swarm", ...event });
  }

  /** Those kept since then, and those that come until then; without an end, until who reads closes the channel. */
  subscribe({ since, until, filters = {} }: EventOptions): Channel<EngineEventView> {
    const out = new Channel<EngineEventView>();
    const wanted = (event: EngineEvent): boolean => matches(event, filters);
    const timeOf = (seconds: number): Time => (seconds - unixSeconds(0)) * SEC;
    const end = until === undefined ? undefined : timeOf(until);
    if (since !== undefined) {
      const kept = this.#kept.filter(({ time }) => time >= timeOf(since) && (end === undefined || time <= end));
      for (const event of kept.filter(wanted)) out.push(view(event));
    }
    if (end !== undefined && end <= this.#os.now()) out.close();
    else this.#os.spawn("docker events", this.#follow(out, end, wanted));
    return out;
  }

  *#follow(out: Channel<EngineEventView>, end: Time | undefined, wanted: (event: EngineEvent) => boolean): Proc<void> {
    const live = new Channel<EngineEvent>();
    this.#listeners.add(live);
    try {
      while (!out.closed && (end === undefined || this.#os.now() < end)) {
        const event = live.tryPop();
        if (event === undefined) yield end === undefined ? { on: [live, out] } : { on: [live, out], until: end };
        else if (wanted(event)) out.push(view(event));
      }
    } finally {
      this.#listeners.delete(live);
      if (!out.closed) out.close();
    }
  }
}

function matches({ type, scope, action, id, attributes }: EngineEvent, filters: Filters): boolean {
  const named = (kind: string) => (value: string) =>
    type === kind && (id === value || id.startsWith(value) || attributes["name"] === value);
  const tests: Record<string, (value: string) => boolean> = {
    type: (value) => value === type,
    event: (value) => value === action || action.startsWith(`${value}:`),
    container: named("container"),
    network: named("network"),
    node: named("node"),
    service: named("service"),
    image: (value) => attributes["image"]?.split(":")[0] === value || attributes["image"] === value,
    label: (value) => {
      const [key = "", ...rest] = value.split("=");
      return value.includes("=") ? attributes[key] === rest.join("=") : key in attributes;
    },
    scope: (value) => value === scope,
  };
  return Object.entries(filters).every(([key, values]) => values.some((value) => tests[key]?.(value) === true));
}

function view({ time, type, scope, action, id, attributes }: EngineEvent): EngineEventView {
  const legacy = type === "container" ? { status: action, id, from: attributes["image"] } : {};
  const seconds = unixSeconds(time);
  // Go encodes a map by its sorted keys.
  const sorted = Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
  const event = {
    ...legacy,
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: sorted },
    scope,
    time: seconds,
    timeNano: seconds * SEC + (time % SEC),
  };
  return { time, event };
}
