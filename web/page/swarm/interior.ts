/**
 * The inside of a host as it is drawn: bridges as bars with their ports, containers below them, load balancers at their
 * ends, and the wires as the kernel has them: each follows a veth pair to the bridge that its other end is a port of.
 */
import type { HostScene, SceneContainer, SceneDevice, SceneNamespace } from "../../../src/lab/inspect/scene.ts";
import type { HostPlace } from "../../session/scene/protocol.ts";
import {
  balancerPlace,
  CARD,
  containerPlace,
  HOST,
  RAIL,
  type Rect,
  ROUTER,
  railPlace,
  share,
  TRUNK,
  wirePath,
} from "./geometry.ts";
import { isRouted } from "./layout.ts";
import type { Networks, ShownNetwork } from "./networks.ts";
import type { Slots } from "./slots.ts";

/** A device, and where it is drawn. */
export interface DeviceMark {
  readonly rect: Rect;
  /** Place of its namespace in the scene's list. */
  readonly namespace: number;
  readonly device: SceneDevice;
  readonly network: ShownNetwork | undefined;
  readonly kind: "card" | "bridge" | "port" | "vxlan" | "interface";
}

/** A bridge. */
export interface Rail {
  readonly network: ShownNetwork | undefined;
  readonly name: string;
  /** Its namespace's frame; of the host's own bridges none. */
  readonly frame: Rect | undefined;
  readonly y: number;
  readonly thickness: number;
  readonly from: number;
  readonly to: number;
  readonly namespace: number;
  readonly bridge: SceneDevice;
}

/** A container, or a sandbox without one. */
export interface Box {
  readonly key: string;
  readonly rect: Rect;
  /** Place of its namespace in the scene's list; undefined: it has none, as it doesn't run. */
  readonly namespace: number | undefined;
  readonly container: SceneContainer | undefined;
  readonly name: string;
  /** The networks it is on, those first that docker doesn't make by itself. */
  readonly networks: readonly ShownNetwork[];
}

/** A veth pair, from the container to the bridge. */
export interface VethLine {
  readonly network: ShownNetwork | undefined;
  readonly points: readonly number[];
  readonly up: boolean;
}

/** All of it. In units of the drawing, from the host's corner. */
export interface Interior {
  readonly rails: readonly Rail[];
  readonly boxes: readonly Box[];
  readonly lines: readonly VethLine[];
  readonly marks: readonly DeviceMark[];
  /** A NAT router on top. */
  readonly router: Rect | undefined;
}

/** What it is made from. */
export interface InteriorParts {
  readonly place: HostPlace;
  readonly scene: HostScene;
  readonly networks: Networks;
  /** Of the host's containers, by `boxKey`. */
  readonly slots: Slots;
}

/** What names a box: its container, or its namespace where it has none. */
export function boxKeys({ containers, namespaces }: HostScene): string[] {
  const others = namespaces.filter(({ role }) => role === "other").map(({ name }) => `netns ${name}`);
  return [...containers.map(({ id }) => id), ...others];
}

/** Puts it together. */
export function interiorOf(parts: InteriorParts): Interior {
  return new InteriorBuilder(parts).build();
}

/** Docker's own networks last. */
export function byImportance(networks: readonly ShownNetwork[]): ShownNetwork[] {
  const rank = ({ colour, ingress }: ShownNetwork): number => (colour === undefined ? 2 : ingress ? 1 : 0);
  return [...networks].sort((a, b) => rank(a) - rank(b) || a.slot - b.slot);
}

class InteriorBuilder {
  readonly #parts: InteriorParts;
  readonly #rails = new Map<string, Rail>();
  readonly #boxes: Box[] = [];
  readonly #lines: VethLine[] = [];
  readonly #marks: DeviceMark[] = [];

  constructor(parts: InteriorParts) {
    this.#parts = parts;
  }

  build(): Interior {
    const { namespaces, containers } = this.#parts.scene;
    for (const [i, namespace] of namespaces.entries()) this.#bridges(i, namespace);
    this.#cards();
    for (const container of containers) this.#container(container);
    for (const [i, namespace] of namespaces.entries()) {
      if (namespace.role === "ingress" || namespace.role === "loadBalancer") this.#balancer(i, namespace);
      if (namespace.role === "other") this.#other(i, namespace);
    }
    const { place } = this.#parts;
    const { width, height } = ROUTER;
    const router = isRouted(place) ? { x: CARD.first - width / 2, y: -height, width, height } : undefined;
    const [rails, boxes, lines, marks] = [[...this.#rails.values()], this.#boxes, this.#lines, this.#marks];
    return { rails, boxes, lines, marks, router };
  }

  #network(id: string | undefined): ShownNetwork | undefined {
    return this.#parts.networks.byId(id);
  }

  #bridges(namespace: number, { role, devices }: SceneNamespace): void {
    if (role !== "host" && role !== "overlay") return;
    const bridges = devices.filter(({ kind }) => kind === "bridge");
    const unnamed = this.#parts.networks.list().length + 3;
    for (const [i, bridge] of bridges.entries()) {
      const network = this.#network(bridge.network);
      const overlay = role === "overlay";
      const [part, parts] = overlay ? [i, bridges.length] : [0, 1];
      const { frame, y, thickness } = railPlace(network?.slot ?? unnamed + i, part, parts);
      const from = overlay ? RAIL.bar : RAIL.device;
      const rail = {
        network,
        name: bridge.name,
        frame: overlay ? frame : undefined,
        y,
        thickness,
        from,
        to: RAIL.right,
      };
      this.#rails.set(`${namespace}/${bridge.index}`, { ...rail, namespace, bridge });
      const rect = { x: from, y: y - thickness / 2, width: RAIL.right - from, height: thickness };
      this.#marks.push({ rect, namespace, device: bridge, network, kind: "bridge" });
      this.#tunnels(namespace, devices, bridge, rail);
    }
  }

  #tunnels(
    namespace: number,
    devices: readonly SceneDevice[],
    bridge: SceneDevice,
    { network, y, thickness }: Pick<Rail, "network" | "y" | "thickness">,
  ): void {
    for (const device of devices) {
      if (device.kind !== "vxlan" || device.master !== bridge.index) continue;
      const height = thickness * 2;
      const rect = { x: RAIL.device, y: y - height / 2, width: RAIL.bar - RAIL.device - 8, height };
      this.#marks.push({ rect, namespace, device, network, kind: "vxlan" });
    }
  }

  #cards(): void {
    const { namespaces } = this.#parts.scene;
    for (const [namespace, { role, devices }] of namespaces.entries()) {
      if (role !== "host" && role !== "nat") continue;
      const cards = devices.filter(({ kind }) => kind === "nic");
      for (const [i, device] of cards.entries()) {
        const { width, height } = CARD;
        const x = CARD.first + i * CARD.step - width / 2;
        const inRouter = { x: CARD.first - ROUTER.width / 2 + i * (ROUTER.width / 2), y: -ROUTER.height };
        const rect =
          role === "nat" ? { ...inRouter, width: ROUTER.width / 2, height: ROUTER.height } : { x, y: 0, width, height };
        this.#marks.push({ rect, namespace, device, network: undefined, kind: "card" });
      }
    }
  }

  #container(container: SceneContainer): void {
    const { scene, slots } = this.#parts;
    const slot = slots.of(container.id) ?? 0;
    const at = scene.namespaces.findIndex((namespace) => namespace.container === container.id);
    const namespace = at < 0 ? undefined : at;
    const found = container.attachments.flatMap(({ network }) => this.#network(network) ?? []);
    const [rect, networks] = [containerPlace(slot), byImportance(found)];
    this.#boxes.push({ key: container.id, rect, namespace, container, name: container.name, networks });
    if (namespace !== undefined) this.#interfaces(namespace, rect, (x, spread, y) => wirePath(x, slot, spread, y));
  }

  #other(namespace: number, { name }: SceneNamespace): void {
    const key = `netns ${name}`;
    const slot = this.#parts.slots.of(key) ?? 0;
    const rect = containerPlace(slot);
    this.#boxes.push({ key, rect, namespace, container: undefined, name: key, networks: [] });
    this.#interfaces(namespace, rect, (x, spread, y) => wirePath(x, slot, spread, y));
  }

  #balancer(namespace: number, { name, file, network: id }: SceneNamespace): void {
    const network = this.#network(id);
    if (network === undefined) return;
    const rect = balancerPlace(network.slot);
    const networks = [network];
    this.#boxes.push({ key: `netns ${name}`, rect, namespace, container: undefined, name: file ?? name, networks });
    const interfaces = this.#veths(namespace);
    for (const [i, { device, rail }] of interfaces.entries()) {
      const own = rail?.network === network;
      const x = share(rect.x, rect.width, i, interfaces.length);
      const { y, height } = rect;
      const width = (0.8 * rect.width) / interfaces.length;
      const mark = { x: x - width / 2, y: y + height * 0.52, width, height: height * 0.42 };
      this.#marks.push({ rect: mark, namespace, device, network: rail?.network, kind: "interface" });
      if (rail === undefined) continue;
      const points = own ? [mark.x, rail.y, rail.to - 12, rail.y] : [x, mark.y, x, rail.y, rail.to - 12, rail.y];
      this.#line(device, rail, points, rail.to - 12);
    }
  }

  /** A namespace's interfaces, each with the bridge that its pair's other end is a port of. */
  #veths(namespace: number): { readonly device: SceneDevice; readonly rail: Rail | undefined }[] {
    const devices = this.#parts.scene.namespaces[namespace]?.devices ?? [];
    return devices
      .filter(({ kind }) => kind === "veth")
      .map((device) => ({ device, rail: this.#rails.get(`${device.peer?.namespace}/${this.#port(device)?.master}`) }));
  }

  /** The other end of a pair. */
  #port({ peer }: SceneDevice): SceneDevice | undefined {
    if (peer === undefined) return undefined;
    return this.#parts.scene.namespaces[peer.namespace]?.devices.find(({ index }) => index === peer.index);
  }

  #interfaces(namespace: number, box: Rect, path: (x: number, spread: number, y: number) => number[]): void {
    const interfaces = this.#veths(namespace);
    for (const [i, { device, rail }] of interfaces.entries()) {
      const x = share(box.x, box.width, i, interfaces.length);
      const width = (0.86 * box.width) / interfaces.length;
      const rect = { x: x - width / 2, y: box.y, width, height: 0.26 * box.height };
      this.#marks.push({ rect, namespace, device, network: rail?.network, kind: "interface" });
      if (rail === undefined) continue;
      const points = path(x, (i + 0.5) / interfaces.length, rail.y);
      this.#line(device, rail, points, points[points.length - 2] ?? x);
    }
  }

  #line(device: SceneDevice, rail: Rail, points: readonly number[], x: number): void {
    const port = this.#port(device);
    this.#lines.push({ network: rail.network, points, up: device.up && port?.up === true });
    if (port === undefined || device.peer === undefined) return;
    const size = rail.thickness * 1.5;
    const rect = { x: x - size / 2, y: rail.y - size / 2, width: size, height: size };
    const { namespace } = device.peer;
    this.#marks.push({ rect, namespace, device: port, network: rail.network, kind: "port" });
  }
}

/** The line from a host's cards down to its bridges. */
export function trunkOf({ rails }: Interior): readonly number[] {
  const lowest = Math.max(0, ...rails.map(({ y }) => y));
  return lowest === 0 ? [] : [CARD.first, CARD.height, CARD.first, TRUNK.y, TRUNK.x, TRUNK.y, TRUNK.x, lowest];
}

/** A host's box, from its own corner. */
export const HOST_RECT: Rect = { x: 0, y: 0, ...HOST };
