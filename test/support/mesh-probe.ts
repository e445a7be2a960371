/** A mesh's traffic on the hosts of a test, whoever made its containers; and what every device saw of it. */
import { assert } from "../../src/base/errors.ts";
import type { Time } from "../../src/base/time.ts";
import type { HostKernel, NetNs, RuleMatch } from "../../src/kernel/types.ts";
import type { CapturedFrame, CapturePoint, CaptureSink } from "../../src/scheduler/captures.ts";
import type { HostMachine } from "../../src/scheduler/machine.ts";
import type { HostOs } from "../../src/scheduler/os.ts";
import { HostTraffic } from "../../src/workload/mesh/traffic.ts";
import type { MeshPlan, MeshReport } from "../../src/workload/mesh/types.ts";

/** What a host is asked for; other requests go to the machine that it wraps. */
export interface ProbeRequest {
  readonly probe: "quiet" | "traffic" | "report";
  /** traffic: its plan, when it starts, and the containers' namespaces. */
  readonly plan?: MeshPlan;
  readonly at?: Time;
  readonly nsOf?: (container: number) => NetNs;
}

/** Ports of a swarm's control plane. */
const CONTROL: readonly (readonly [protocol: string, port: number])[] = [
  ["tcp", 2377],
  ["tcp", 7946],
  ["udp", 7946],
];

/** Puts traffic onto a host beside whatever machine it has. */
export class ProbedMachine implements HostMachine {
  readonly #os: HostOs;
  readonly #inner: HostMachine;
  readonly #reports: MeshReport[];
  #traffic: HostTraffic | undefined;

  constructor(os: HostOs, inner: HostMachine, reports: MeshReport[]) {
    this.#os = os;
    this.#inner = inner;
    this.#reports = reports;
  }

  start(): void {
    this.#inner.start();
  }

  command(id: number, request: unknown): void {
    const asked = request as ProbeRequest;
    if (asked.probe === undefined) this.#inner.command(id, request);
    else if (asked.probe === "quiet") quiet(this.#os.kernel);
    else if (asked.probe === "report") this.#reports[this.#os.hostIndex] = this.#running().report();
    else this.#start(asked);
  }

  #running(): HostTraffic {
    assert(this.#traffic !== undefined, "the traffic has been started");
    return this.#traffic;
  }

  #start({ plan, at, nsOf }: ProbeRequest): void {
    assert(plan !== undefined && at !== undefined && nsOf !== undefined, "what traffic needs");
    this.#traffic = new HostTraffic(this.#os, plan, this.#os.hostIndex, nsOf);
    this.#traffic.listen();
    this.#traffic.start(at);
  }
}

/** Takes the control plane off the wire, and forgets whom the host knew by it: from now on only traffic is seen. */
function quiet({ root }: HostKernel): void {
  for (const [protocol, port] of CONTROL) {
    for (const side of ["sport", "dport"] as const) {
      const match: RuleMatch = {
        protocol: { value: protocol, not: false },
        [side]: { value: [port, port], not: false },
      };
      root.iptables.insert("filter", "OUTPUT", { match, target: { kind: "DROP" } });
    }
  }
  for (const { dev, ip, state } of root.neigh.list()) if (state !== "PERMANENT") root.neigh.del(dev, ip);
}

const ETHERTYPE_IPV4 = 0x0800;
const IPPROTO_UDP = 17;
const IPPROTO_ESP = 50;
/** Places in a frame with an IPv4 header without options; of UDP; and what ESP seals, behind SPI and number. */
const [ETHERTYPE, IP_ID, IP_PROTO, IP_SUM, UDP_PORT, UDP_SUM, ESP_SEALED] = [12, 18, 23, 24, 36, 40, 42];
/** Bytes of a tunnel before the frame in it: Ethernet, IPv4, UDP, VXLAN. */
const TUNNEL = 50;
const VXLAN_PORT = 4789;

/** A frame without what hangs on the host's past: identifications and what sums them up, and what ESP seals. */
function lasting(data: Uint8Array): Buffer {
  const bytes = Buffer.from(data);
  if (bytes.readUInt16BE(ETHERTYPE) !== ETHERTYPE_IPV4) return bytes;
  bytes.fill(0, IP_ID, IP_ID + 2).fill(0, IP_SUM, IP_SUM + 2);
  if (bytes[IP_PROTO] === IPPROTO_ESP) return bytes.subarray(0, ESP_SEALED);
  if (bytes[IP_PROTO] !== IPPROTO_UDP || bytes.readUInt16BE(UDP_PORT) !== VXLAN_PORT) return bytes;
  bytes.fill(0, UDP_SUM, UDP_SUM + 2);
  return Buffer.concat([bytes.subarray(0, TUNNEL), lasting(bytes.subarray(TUNNEL))]);
}

/**
 * Every frame that a device sends or receives from a time on, with all its bytes, as one line each. Identifications of
 * IPv4 are left out: the counters are the host's, shared by its namespaces (net/ipv4/route.c ip_idents), and have gone on with
 * each datagram of the control plane. So is what ESP sealed, since each association's first IV is drawn by chance; it is seen
 * open at the devices behind.
 */
export class FrameLog implements CaptureSink {
  readonly lines: string[] = [];
  readonly #points = new Map<number, CapturePoint>();
  readonly #name: (point: CapturePoint) => string | undefined;
  since: Time = Number.MAX_SAFE_INTEGER;

  /** @param name of a point; undefined leaves it out */
  constructor(name: (point: CapturePoint) => string | undefined) {
    this.#name = name;
  }

  point(point: CapturePoint): void {
    this.#points.set(point.id, point);
  }

  frame({ time, point, direction, length, data }: CapturedFrame): void {
    if (time < this.since) return;
    const at = this.#points.get(point);
    const name = at === undefined ? undefined : this.#name(at);
    if (name === undefined) return;
    const way = direction === 2 ? "sent" : "received";
    this.lines.push(`${time - this.since} ${name} ${way} ${length} ${lasting(data).toString("hex")}`);
  }
}
