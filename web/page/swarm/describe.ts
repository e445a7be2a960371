/** What is drawn in words, as `ip -s link`, `docker network inspect` and `docker ps` would put it. */
import type { LinkStats } from "../../../src/kernel/types.ts";
import type { SceneContainer, SceneDevice, SceneNamespace } from "../../../src/lab/inspect/scene.ts";
import type { Flight } from "../../session/scene/protocol.ts";
import { faultWords } from "./fault-words.ts";
import type { HostState, SwarmModel } from "./model.ts";
import type { ShownNetwork } from "./networks.ts";
import { packetWords } from "./packet-words.ts";
import type { Selection } from "./selection.ts";
import { bitRate, packetRate } from "./units.ts";

/** Something in words. */
export interface Description {
  readonly title: string;
  readonly lines: readonly string[];
}

/** What is selected, in words; undefined: it is not there any more. */
export function describe(model: SwarmModel, { host, key }: Selection): Description | undefined {
  const state = model.hosts[host];
  if (state === undefined) return undefined;
  if (key === "") return describeHost(model, state);
  if (key.startsWith("wire ")) return describeWire(state, Number(key.slice(5)));
  const container = state.scene?.containers.find(({ id }) => id === key);
  if (container !== undefined) return describeContainer(model, state, container);
  const { scene } = state;
  const named = scene?.namespaces.findIndex(({ name }) => `netns ${name}` === key) ?? -1;
  const namespace = scene?.namespaces[named];
  if (namespace !== undefined) return describeNamespace(state, named, namespace);
  return describeDevice(model, state, key);
}

function describeHost({ lastDrop }: SwarmModel, host: HostState): Description {
  const { place, scene, off, dropped, lastDrops } = host;
  const running = scene?.containers.filter(({ state }) => state === "running").length ?? 0;
  const node = scene?.node === "none" ? "not part of a swarm" : `swarm ${scene?.node ?? ""}`;
  const lines = [
    ...(off ? ["switched off"] : [scene?.daemon === false ? "dockerd is stopped" : node]),
    ...place.wires.map(({ point, address, segment }) => `${point} ${address} on ${segment}`),
    ...(scene === undefined ? [] : [`${running} of ${scene.containers.length} containers running`]),
    ...(scene === undefined ? [] : [`networks: ${scene.networks.map(({ name }) => name).join(", ")}`]),
    ...host.faults.flatMap((fault, i) =>
      fault === undefined ? [] : faultWords(fault, place.wires[i]?.latency).map((words) => `${fault.device}: ${words}`),
    ),
    ...(dropped === 0 ? [] : [`packets dropped: ${dropped}`]),
    ...(lastDrop?.host === host.index
      ? [`last: ${lastDrop.reason} at ${lastDrop.point}`]
      : lastDrops === undefined
        ? []
        : [`last: ${reasons(lastDrops.drops)}`]),
  ];
  return { title: place.name, lines };
}

function reasons(drops: Readonly<Record<string, number>>): string {
  return Object.entries(drops)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(", ");
}

function describeWire(host: HostState, i: number): Description | undefined {
  const wire = host.place.wires[i];
  if (wire === undefined) return undefined;
  const rate = host.wires[i];
  const fault = host.faults[i];
  const lines = [
    `${wire.address} on ${wire.segment}`,
    `${bitRate(wire.bandwidth)}, latency ${wire.latency / 1000} µs`,
    ...(rate === undefined
      ? []
      : [
          `TX ${bitRate(rate.txBits)}, ${packetRate(rate.txPackets)}`,
          `RX ${bitRate(rate.rxBits)}, ${packetRate(rate.rxPackets)}`,
        ]),
    ...(fault === undefined ? [] : faultWords(fault, wire.latency)),
  ];
  return { title: `${host.place.name} ${wire.point}`, lines };
}

/** An image as it is asked for. */
export function withoutDigest(image: string): string {
  return image.split("@")[0] ?? "";
}

function describeContainer(
  { networks }: SwarmModel,
  host: HostState,
  { name, id, image, state, service, attachments }: SceneContainer,
): Description {
  const lines = [
    `${id.slice(0, 12)} ${withoutDigest(image)} ${state}`,
    ...(service === undefined ? [] : [`task of service ${service}`]),
    ...attachments.map(({ network, address }) => `${networks.byId(network)?.name ?? network.slice(0, 12)} ${address}`),
  ];
  return { title: `${name} on ${host.place.name}`, lines };
}

function describeNamespace(host: HostState, place: number, { name, file, role, devices }: SceneNamespace): Description {
  const lines = [
    ...(file === undefined ? [] : [`/run/docker/netns/${file}`]),
    role === "loadBalancer" ? "load balancer (IPVS) of its network" : role === "ingress" ? "routing mesh (IPVS)" : role,
    ...devices.map((device) => deviceLine(device, host.counts.get(`${place}/${device.index}`))),
  ];
  return { title: `${name} on ${host.place.name}`, lines };
}

function deviceLine({ name, addresses, up }: SceneDevice, counts: LinkStats | undefined): string {
  const traffic = counts === undefined ? "" : ` RX ${counts.rxPackets} TX ${counts.txPackets}`;
  return `${name} ${up ? "UP" : "DOWN"} ${addresses.join(" ")}${traffic}`;
}

function describeDevice(model: SwarmModel, host: HostState, key: string): Description | undefined {
  const [place, ifindex] = key.split("/").map(Number);
  const namespace = host.scene?.namespaces[place ?? -1];
  const device = namespace?.devices.find(({ index }) => index === ifindex);
  if (namespace === undefined || device === undefined) return undefined;
  const master = namespace.devices.find(({ index }) => index === device.master);
  const network = model.networks.byId(device.network);
  const lines = [
    ...linkLines(host, device, master),
    ...statsLines(host.counts.get(key)),
    ...(network === undefined ? [] : networkLines(network)),
  ];
  return { title: `${device.name} in ${namespace.name} on ${host.place.name}`, lines };
}

/** As `ip -d address show`. */
function linkLines(host: HostState, device: SceneDevice, master: SceneDevice | undefined): string[] {
  const { index, name, peer, up, carrier, mtu, kind, mac, vni, addresses, portNo } = device;
  const other = peer === undefined ? "" : `@if${peer.index}`;
  const flags = [...(up ? ["UP"] : []), ...(carrier ? ["LOWER_UP"] : ["NO-CARRIER"])].join(",");
  const away = peer === undefined ? undefined : host.scene?.namespaces[peer.namespace];
  return [
    `${index}: ${name}${other}: <${flags}> mtu ${mtu}${master === undefined ? "" : ` master ${master.name}`}`,
    `link/ether ${mac} ${kind === "nic" ? "" : kind}${vni === undefined ? "" : ` id ${vni}`}`.trimEnd(),
    ...addresses.map((address) => `inet ${address}`),
    ...(portNo === 0 ? [] : [`bridge port ${portNo}`]),
    ...(away === undefined
      ? []
      : [`other end: ${away.devices.find((one) => one.index === peer?.index)?.name ?? ""} in ${away.name}`]),
  ];
}

/** As `ip -s link show`. */
function statsLines(stats: LinkStats | undefined): string[] {
  if (stats === undefined) return [];
  const { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped } = stats;
  const row = (name: string, ...values: readonly (string | number)[]): string =>
    `${name} ${values.map((value) => String(value).padStart(9)).join(" ")}`;
  return [
    row("  ", "bytes", "packets", "errors", "dropped"),
    row("RX", rxBytes, rxPackets, rxErrors, rxDropped),
    row("TX", txBytes, txPackets, txErrors, txDropped),
  ];
}

function networkLines({ name, id, driver, subnets, vnis, encrypted, internal, scope }: ShownNetwork): string[] {
  const more = [...(encrypted ? ["encrypted"] : []), ...(internal ? ["internal"] : [])];
  return [
    `network ${name} ${id.slice(0, 12)} ${driver} ${scope}`,
    [subnets.join(" "), ...(vnis.length > 0 ? [`VNI ${vnis.join(" ")}`] : []), ...more].join(" "),
  ];
}

/** A packet on a wire. */
export function describeFlight({ hosts, networks }: SwarmModel, flight: Flight): Description {
  const name = (host: number): string => hosts[host]?.place.name ?? "";
  const { from, to, length, start, end, vni, packet, arrived } = flight;
  const receivers = to.map(({ host }) => name(host));
  const spine = to.find((one) => one.spine !== undefined)?.spine;
  const lines = [
    packetWords(flight, networks.byVni(vni)?.name),
    `${name(from.host)} → ${receivers.length > 3 ? `${receivers.length} hosts` : receivers.join(", ")}`,
    ...(spine === undefined ? [] : [`over spine${spine + 1}`]),
    `${length} bytes, ${(end - start) / 1000} µs on the wire${arrived ? "" : " at least"}`,
  ];
  return { title: `Packet ${packet + 1}`, lines };
}

/** All of it in a few words. */
export function summary({ hosts, networks }: SwarmModel): string {
  const containers = hosts.reduce((sum, { scene }) => sum + (scene?.containers.length ?? 0), 0);
  const off = hosts.filter((host) => host.off).length;
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  const parts = [count(hosts.length, "host"), count(containers, "container"), count(networks.list().length, "network")];
  return `${parts.join(", ")}${off === 0 ? "" : `, ${off} switched off`}`;
}
