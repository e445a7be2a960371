/** Docker's networks as the drawing tells them apart: a colour and a height that each keeps as long as it is there. */
import type { HostScene, SceneNetwork } from "../../../src/lab/inspect/scene.ts";
import { Slots } from "./slots.ts";

/** Networks that every host has its own of, and the swarm's ingress, in this order on the first places. */
const FIXED = ["bridge", "docker_gwbridge", "ingress"] as const;
/** Networks without a bridge. */
const WITHOUT_BRIDGE: readonly string[] = ["host", "null"];

/** A network of the swarm, or one of that name on each of some hosts. */
export interface ShownNetwork extends SceneNetwork {
  readonly key: string;
  /** Height at which its bridges are drawn. */
  readonly slot: number;
  /** Number of its colour; undefined for those that docker makes on every host by itself. */
  readonly colour: number | undefined;
  /** How many hosts have it. */
  readonly hosts: number;
}

/** What names a network: a swarm's by its ID, as it is the same one everywhere; a local one by its name. */
export function networkKey({ scope, ingress, id, name }: SceneNetwork): string {
  if (ingress) return "ingress";
  return scope === "swarm" ? id : name;
}

/** All networks, over all hosts. */
export class Networks {
  readonly #slots = new Slots(FIXED.length);
  readonly #byHost = new Map<number, readonly SceneNetwork[]>();
  #shown = new Map<string, ShownNetwork>();
  #keys = new Map<string, string>();

  /** A host's networks; undefined: it is switched off. */
  update(host: number, scene: HostScene | undefined): void {
    if (scene === undefined) this.#byHost.delete(host);
    else this.#byHost.set(host, scene.networks);
  }

  /** Gives places to new ones, and takes those of networks that are gone. To be called after updates. */
  settle(): void {
    const found = new Map<string, { network: SceneNetwork; hosts: number }>();
    this.#keys = new Map();
    for (const host of [...this.#byHost.keys()].sort((a, b) => a - b)) {
      for (const network of this.#byHost.get(host) ?? []) {
        if (WITHOUT_BRIDGE.includes(network.driver)) continue;
        const key = networkKey(network);
        this.#keys.set(network.id, key);
        const entry = found.get(key);
        if (entry === undefined) found.set(key, { network, hosts: 1 });
        else entry.hosts++;
      }
    }
    this.#slots.update([...found.keys()].filter((key) => !FIXED.some((fixed) => fixed === key)));
    this.#shown = new Map();
    for (const [key, { network, hosts }] of found) {
      const fixed = FIXED.indexOf(key as (typeof FIXED)[number]);
      const slot = fixed >= 0 ? fixed : (this.#slots.of(key) as number);
      const colour = key === "bridge" || key === "docker_gwbridge" ? undefined : slot - 2;
      this.#shown.set(key, { ...network, key, slot, colour, hosts });
    }
  }

  /** By a network's ID on any host. */
  byId(id: string | undefined): ShownNetwork | undefined {
    return id === undefined ? undefined : this.#shown.get(this.#keys.get(id) ?? "");
  }

  /** By VXLAN's network identifier. */
  byVni(vni: number | undefined): ShownNetwork | undefined {
    if (vni === undefined) return undefined;
    return this.list().find(({ vnis }) => vnis.includes(vni));
  }

  /** In the order of their heights. */
  list(): ShownNetwork[] {
    return [...this.#shown.values()].sort((a, b) => a.slot - b.slot);
  }
}
