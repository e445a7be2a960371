/** A large swarm that nobody runs: what the session would tell of it, to see how fast the drawing is. */
import type {
  HostScene,
  NamespaceRole,
  SceneContainer,
  SceneDevice,
  SceneNamespace,
  SceneNetwork,
} from "../../src/lab/inspect/scene.ts";
import type { HostUpdate, SceneTopology, SceneUpdate, WireRate } from "../session/scene/protocol.ts";

/** How large. */
export interface SwarmSize {
  readonly hosts: number;
  /** On each host. */
  readonly containers: number;
  /** Overlay networks, over which the containers are shared out. */
  readonly overlays: number;
  /** 0: one ideal switch. */
  readonly leaves: number;
}

const INGRESS = "ingress00000";

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}

function network(id: string, name: string, vni: number | undefined, encrypted = false): SceneNetwork {
  const overlay = vni !== undefined;
  return {
    id,
    name,
    driver: overlay ? "overlay" : "bridge",
    scope: overlay ? "swarm" : "local",
    ingress: name === "ingress",
    internal: false,
    encrypted,
    vnis: overlay ? [vni] : [],
    subnets: [overlay ? `10.${vni - 4096}.0.0/16` : "172.18.0.0/16"],
  };
}

/** Builds one host's namespaces. */
class HostBuilder {
  readonly #host: number;
  readonly #namespaces: {
    role: NamespaceRole;
    name: string;
    network?: string;
    container?: string;
    devices: SceneDevice[];
  }[] = [];
  #mac = 0;

  constructor(host: number) {
    this.#host = host;
  }

  namespace(role: NamespaceRole, name: string, more: { network?: string; container?: string } = {}): number {
    this.#namespaces.push({ role, name, ...more, devices: [] });
    const place = this.#namespaces.length - 1;
    this.device(place, { name: "lo", kind: "loopback", addresses: ["127.0.0.1/8"] });
    return place;
  }

  device(namespace: number, given: Partial<SceneDevice> & Pick<SceneDevice, "name" | "kind">): number {
    const devices = this.#namespaces[namespace]?.devices ?? [];
    const index = devices.length + 1;
    this.#mac++;
    devices.push({
      index,
      up: true,
      carrier: true,
      mac: `02:42:${hex(this.#host >> 8, 2)}:${hex(this.#host & 255, 2)}:00:${hex(this.#mac & 255, 2)}`,
      mtu: 1450,
      addresses: [],
      master: 0,
      portNo: 0,
      peer: undefined,
      vni: undefined,
      network: undefined,
      ...given,
    });
    return index;
  }

  /** A pair from a bridge to a namespace. */
  pair(at: number, bridge: number, to: number, id: string, address: string): void {
    const devices = this.#namespaces[at]?.devices ?? [];
    const index = devices.length + 1;
    const other = (this.#namespaces[to]?.devices.length ?? 0) + 1;
    const name = `veth${index}`;
    this.device(at, {
      name,
      kind: "veth",
      master: bridge,
      portNo: index - 2,
      network: id,
      peer: { namespace: to, index: other },
    });
    this.device(to, {
      name: `eth${other - 2}`,
      kind: "veth",
      addresses: [address],
      network: id,
      peer: { namespace: at, index },
    });
  }

  get all(): SceneNamespace[] {
    return this.#namespaces.map((one) => ({
      file: undefined,
      network: undefined,
      container: undefined,
      ...one,
    }));
  }
}

/** The swarm. */
export class LargeSwarm {
  readonly #size: SwarmSize;
  readonly #networks: readonly SceneNetwork[];
  readonly topology: SceneTopology;

  constructor(size: SwarmSize) {
    this.#size = size;
    this.#networks = Array.from({ length: size.overlays }, (_, i) =>
      network(`overlay${hex(i, 5)}`, `net-${i + 1}`, 4097 + i, i % 3 === 2),
    );
    const perLeaf = Math.ceil(size.hosts / Math.max(1, size.leaves));
    this.topology = {
      hosts: Array.from({ length: size.hosts }, (_, i) => ({
        name: `node-${i + 1}`,
        leaf: size.leaves === 0 ? 0 : Math.floor(i / perLeaf),
        wires: [
          {
            point: "host/eth0",
            device: "eth0",
            segment: "underlay",
            address: `192.168.${i >> 8}.${i & 255}/16`,
            latency: 50_000,
            bandwidth: 1e10,
          },
        ],
      })),
      fabric: size.leaves === 0 ? undefined : { leaves: size.leaves, spines: 4, latency: 5000 },
    };
  }

  /** One host of it. */
  scene(host: number): HostScene {
    const builder = new HostBuilder(host);
    const root = builder.namespace("host", "host");
    builder.device(root, {
      name: "eth0",
      kind: "nic",
      addresses: this.topology.hosts[host]?.wires.map(({ address }) => address) ?? [],
    });
    const [bridge, gateway] = [`bridge${hex(host, 6)}`, `gw${hex(host, 10)}`];
    builder.device(root, { name: "docker0", kind: "bridge", network: bridge });
    const gwbridge = builder.device(root, { name: "docker_gwbridge", kind: "bridge", network: gateway });
    const ingress = this.#overlay(builder, INGRESS, "ingress", 4096);
    const sandbox = builder.namespace("ingress", "ingress_sbox", { network: INGRESS });
    builder.pair(ingress.namespace, ingress.bridge, sandbox, INGRESS, "10.0.0.2/24");
    builder.pair(root, gwbridge, sandbox, gateway, "172.18.0.2/16");
    const overlays = this.#networks.map(({ id, name, vnis }) => this.#overlay(builder, id, name, vnis[0] ?? 0));
    const containers: SceneContainer[] = [];
    for (let i = 0; i < this.#size.containers; i++) {
      const on = (host + i) % overlays.length;
      const { id = "" } = this.#networks[on] ?? {};
      const container = `${hex(host, 6)}${hex(i, 6)}`;
      const place = builder.namespace("container", `web-${on + 1}.${host}.${i}`, { container });
      const { namespace = 0, bridge: master = 0 } = overlays[on] ?? {};
      const address = `10.${on + 1}.${host & 255}.${i + 2}/16`;
      builder.pair(namespace, master, place, id, address);
      builder.pair(root, gwbridge, place, gateway, `172.18.0.${i + 3}/16`);
      containers.push({
        id: container,
        name: `web-${on + 1}.${host}.${i}`,
        image: "nginx",
        state: (host + i) % 29 === 0 ? "exited" : "running",
        service: `web-${on + 1}`,
        attachments: [
          { network: id, address },
          { network: gateway, address: "172.18.0.3/16" },
        ],
      });
    }
    return {
      revision: "1",
      node: host < 3 ? "manager" : "worker",
      daemon: true,
      networks: [
        network(bridge, "bridge", undefined),
        network(gateway, "docker_gwbridge", undefined),
        network(INGRESS, "ingress", 4096),
        ...this.#networks,
      ],
      containers,
      namespaces: builder.all,
    };
  }

  #overlay(builder: HostBuilder, id: string, name: string, vni: number): { namespace: number; bridge: number } {
    const namespace = builder.namespace("overlay", name, { network: id });
    const bridge = builder.device(namespace, { name: "br0", kind: "bridge", network: id });
    builder.device(namespace, { name: "vxlan0", kind: "vxlan", master: bridge, portNo: 1, vni, network: id });
    return { namespace, bridge };
  }

  /** The n-th look at it: hosts come in parts, then their rates go up and down. */
  update(look: number, from: number): SceneUpdate {
    const { hosts } = this.#size;
    const part = 64;
    const told: HostUpdate[] = Array.from({ length: hosts }, (_, host) => {
      const bits = host % 17 === 0 ? 0 : 10 ** (3 + 6 * Math.abs(Math.sin(host * 12.9898 + look * 0.7)));
      const wire: WireRate = {
        up: true,
        rxBits: bits,
        txBits: bits / 2,
        rxPackets: bits / 8000,
        txPackets: bits / 16_000,
      };
      const update = { host, off: host % 211 === 210, wires: [wire], dropped: 0, drops: {} };
      return host >= from && host < from + part && !update.off ? { ...update, scene: this.scene(host) } : update;
    });
    return {
      now: 1e9 + look * 25e7,
      span: 25e7,
      hosts: told,
      more: from + part < hosts,
      links: [],
      faults: { wires: [], links: [] },
      counts: [],
      flights: [],
      sightings: [],
      lastDrop: undefined,
    };
  }
}
