/**
 * One overlay network on one node: its namespace with a bridge and a VXLAN device per subnet, made when the first
 * local endpoint joins and destroyed when the last one leaves (moby libnetwork/drivers/overlay/ov_network.go,
 * ov_utils.go, 20.10).
 */
import { type Cidr, cidrContains, formatCidr, type Ipv4, type Mac } from "../../base/addr.ts";
import { KernelError, UserError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { NetNs } from "../../kernel/types.ts";
import { goErrorText } from "../go-errors.ts";
import { OPTION_ENCRYPTED, OPTION_MTU, OPTION_VXLAN_IDS } from "../labels.ts";
import type { DaemonLog } from "../log.ts";
import { makeNamespace } from "../namespaces.ts";
import { OslNamespace } from "../osl.ts";
import { type DriverNetwork, parseMtu } from "./driver.ts";

/** Bytes that VXLAN over IPv4 adds to an inner IP packet: Ethernet 14, IPv4 20, UDP 8, VXLAN 8. */
const VXLAN_ENCAP = 50;
/** What ESP adds at most before alignment: SPI 4, sequence 4, IV 8, pad length 1, next header 1, ICV 8. */
const ESP_OVERHEAD = 26;
const ETHERNET_MTU = 1500;
/** MAC ageing of a VXLAN device whose creator names none (drivers/net/vxlan FDB_AGE_DEFAULT). */
const VXLAN_AGEING = 300 * SEC;

/** MTU of an overlay network's devices from the option `com.docker.network.driver.mtu` (0 = none): the underlay's MTU less the encapsulation. */
export function overlayMtu(option: number, encrypted: boolean): number {
  const mtu = (option === 0 ? ETHERNET_MTU : option) - VXLAN_ENCAP;
  if (!encrypted) return mtu;
  const secure = mtu - ESP_OVERHEAD;
  return secure - (secure % 4);
}

/** A subnet of the network, with its own VNI and devices. */
export interface OverlaySubnet {
  readonly subnet: Cidr;
  readonly gateway: Cidr;
  readonly vni: number;
  /** Names before the devices are moved in and renamed; libnetwork goes on using them as handles. */
  readonly bridgeName: string;
  readonly vxlanName: string;
  ready: boolean;
}

/** A local endpoint. */
export interface OverlayEndpoint {
  readonly id: string;
  readonly address: Cidr;
  readonly mac: Mac;
  /** The container's end of its veth pair; undefined until it joins. */
  ifName: string | undefined;
  /** Its other end, as it was called before it became a port of the bridge. */
  overlayIfName: string | undefined;
}

/** Reads the VNI list, one per subnet. Throws with the driver's texts. */
function parseVnis(network: DriverNetwork): number[] {
  const text = network.options[OPTION_VXLAN_IDS];
  if (text === undefined || text === "") throw new UserError("no VNI provided");
  const vnis = text.split(",").map((word) => {
    if (!/^\d+$/.test(word)) throw new UserError(`invalid vxlan id value "${word}" passed`);
    return Number(word);
  });
  if (vnis.length < network.subnets.length) throw new UserError(`insufficient vnis(${vnis.length}) passed to overlay`);
  return vnis;
}

/** What a network needs of its driver. */
export interface OverlayDataPath {
  /** UDP port of the data path. */
  port(): number;
  /** Rules of an encrypted network's VNI, or the end of those that an earlier network with that VNI left. */
  programRules(vni: number, encrypted: boolean): void;
}

/** An overlay network on this host: subnets, their namespace, devices and peers (drivers/overlay/ov_network.go). */
export class OverlayNetwork {
  readonly id: string;
  readonly name: string;
  readonly encrypted: boolean;
  readonly mtu: number;
  readonly subnets: readonly OverlaySubnet[];
  readonly endpoints = new Map<string, OverlayEndpoint>();
  readonly #host: NetNs;
  readonly #log: DaemonLog;
  readonly #dataPath: OverlayDataPath;
  /** Grows each time the namespace is made anew in this daemon's life; part of its file name. */
  #epoch = 0;
  #joined = 0;
  #sandbox: OslNamespace | undefined;

  constructor(network: DriverNetwork, host: NetNs, log: DaemonLog, dataPath: OverlayDataPath) {
    this.id = network.id;
    this.name = network.name;
    this.#host = host;
    this.#log = log;
    this.#dataPath = dataPath;
    this.encrypted = network.options[OPTION_ENCRYPTED] !== undefined;
    const mtu = parseMtu(network.options[OPTION_MTU]);
    if (mtu === undefined) throw new UserError(`invalid MTU value: ${network.options[OPTION_MTU]}`);
    this.mtu = overlayMtu(mtu, this.encrypted);
    const vnis = parseVnis(network);
    this.subnets = network.subnets.map(({ pool, gateway }, i) => {
      if (gateway === undefined) throw new UserError(`no gateway for subnet ${formatCidr(pool)}`);
      const vni = vnis[i] as number;
      const suffix = `${vni.toString(16).padStart(6, "0")}-${network.id.slice(0, 5)}`;
      return { subnet: pool, gateway, vni, bridgeName: `ov-${suffix}`, vxlanName: `vx-${suffix}`, ready: false };
    });
  }

  get sandbox(): OslNamespace | undefined {
    return this.#sandbox;
  }

  /** Name of the namespace's file under /var/run/docker/netns (osl.GenerateKey). */
  get dockerNetnsName(): string {
    return `${this.#epoch}-${this.id}`.slice(0, 12);
  }

  /** Local endpoints that have joined, the load balancer's included. */
  get joinCount(): number {
    return this.#joined;
  }

  subnetOf(ip: Ipv4): OverlaySubnet | undefined {
    return this.subnets.find((s) => cidrContains(s.subnet, ip));
  }

  /** Makes the namespace if there is none. @returns whether it was made now (then known peers are to be programmed) */
  ensureSandbox(): boolean {
    if (this.#sandbox !== undefined) return false;
    this.#epoch++;
    this.#sandbox = new OslNamespace(makeNamespace(this.#host.host, this.name, this.dockerNetnsName), false, this.#log);
    return true;
  }

  /** Makes a subnet's bridge and VXLAN device if they are not there. @returns whether they were made now */
  ensureSubnet(subnet: OverlaySubnet): boolean {
    const sandbox = this.#sandbox;
    if (subnet.ready || sandbox === undefined) return false;
    this.#dataPath.programRules(subnet.vni, this.encrypted);
    try {
      sandbox.addInterface(subnet.bridgeName, "br", { address: subnet.gateway, bridge: true });
      this.#createVxlan(subnet);
      sandbox.addInterface(subnet.vxlanName, "vxlan", { master: subnet.bridgeName });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#abandonSubnet(subnet);
      const what = error.code === "EADDRINUSE" ? "failed to set link up" : "error creating vxlan interface";
      const chain =
        error.code === "EADDRINUSE"
          ? `vxlan interface creation failed for subnet "${formatCidr(subnet.subnet)}": `
          : "";
      throw new UserError(
        `subnet sandbox join failed for "${formatCidr(subnet.subnet)}": ${chain}${what}: ${goErrorText(error)}`,
      );
    }
    subnet.ready = true;
    return true;
  }

  /** Made in the host's namespace, so that its socket, its routes and the firewall of the outer packets are the host's. */
  #createVxlan(subnet: OverlaySubnet): void {
    this.#host.link.add({
      kind: "vxlan",
      name: subnet.vxlanName,
      mtu: this.mtu,
      vni: subnet.vni,
      port: this.#dataPath.port(),
      learning: true,
      proxy: true,
      l2miss: true,
      l3miss: true,
      udpCsum: true,
      ttl: 0,
      tos: 0,
      ageing: VXLAN_AGEING,
    });
  }

  /** After a failed set-up: what exists of the subnet's devices goes. */
  #abandonSubnet(subnet: OverlaySubnet): void {
    this.#sandbox?.removeInterface(subnet.vxlanName);
    this.#sandbox?.removeInterface(subnet.bridgeName);
    for (const name of [subnet.vxlanName]) {
      if (this.#host.link.list().some((l) => l.name === name)) this.#host.link.del(name);
    }
    if (this.#joined === 0) this.destroySandbox();
  }

  countJoin(): void {
    this.#joined++;
  }

  /** The last one to leave destroys the namespace. */
  leaveSandbox(): void {
    if (this.#joined === 0) return;
    this.#joined--;
    if (this.#joined === 0) this.destroySandbox();
  }

  /** Interfaces go back to the host's namespace, the VXLAN devices are deleted, the namespace ends. */
  destroySandbox(): void {
    const sandbox = this.#sandbox;
    if (sandbox === undefined) return;
    for (const { srcName } of [...sandbox.interfaces]) sandbox.removeInterface(srcName);
    for (const subnet of this.subnets) {
      if (subnet.ready) this.#host.link.del(subnet.vxlanName);
      subnet.ready = false;
    }
    sandbox.destroy();
    this.#sandbox = undefined;
  }
}
