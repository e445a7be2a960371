/** The generic netlink family IPVS of a namespace (net/netfilter/ipvs/ip_vs_ctl.c ip_vs_genl_*), and its tables in /proc. */
import * as abi from "../../assembly/abi.ts";
import { formatIpv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import { readDump } from "./addresses.ts";
import {
  IPVS_SCHEDULERS,
  type IpvsApi,
  type IpvsConnection,
  type IpvsDestinationInfo,
  type IpvsDestinationSpec,
  type IpvsForwarding,
  type IpvsProtocol,
  type IpvsScheduler,
  type IpvsServiceId,
  type IpvsServiceInfo,
  type IpvsServiceSpec,
  type IpvsStats,
  type IpvsTimeouts,
} from "./ipvs-types.ts";
import { check, refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";

const PROTOCOLS: Record<IpvsProtocol, number> = {
  tcp: abi.IPPROTO_TCP,
  udp: abi.IPPROTO_UDP,
  sctp: abi.IPPROTO_SCTP,
};

/** Debian's kernel has no module ip_vs_twos: asking for it is ENOENT, as for a name that nobody knows. */
const SCHEDULERS: Record<IpvsScheduler, number> = {
  rr: abi.VS_SCHED_RR,
  wrr: abi.VS_SCHED_WRR,
  lc: abi.VS_SCHED_LC,
  wlc: abi.VS_SCHED_WLC,
  fo: abi.VS_SCHED_FO,
  ovf: abi.VS_SCHED_OVF,
  lblc: abi.VS_SCHED_LBLC,
  lblcr: abi.VS_SCHED_LBLCR,
  dh: abi.VS_SCHED_DH,
  sh: abi.VS_SCHED_SH,
  mh: abi.VS_SCHED_MH,
  sed: abi.VS_SCHED_SED,
  nq: abi.VS_SCHED_NQ,
  twos: abi.VS_SCHEDS,
};

const METHODS: Record<IpvsForwarding, number> = {
  masq: abi.VS_CONN_F_MASQ,
  local: abi.VS_CONN_F_LOCALNODE,
  tunnel: abi.VS_CONN_F_TUNNEL,
  direct: abi.VS_CONN_F_DROUTE,
};

// Names of states (ip_vs_proto_tcp.c tcp_state_name_table, ip_vs_proto_sctp.c sctp_state_name_table).
const TCP_STATES =
  "NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK".split(" ");
const SCTP_STATES = (
  "NONE INIT1 INIT COOKIE_SENT COOKIE_REPLIED COOKIE_WAIT COOKIE COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT " +
  "SHUTDOWN_RECEIVED SHUTDOWN_ACK_SENT REJECTED CLOSED"
).split(" ");

const ALL_ONES = 0xffffffff;

function keyOf<K extends string>(table: Record<K, number>, value: number): K {
  const found = (Object.keys(table) as K[]).find((key) => table[key] === value);
  assert(found !== undefined, "a known number", value);
  return found;
}

function describe(id: IpvsServiceId): string {
  return "fwmark" in id ? `fwmark ${id.fwmark}` : `${id.protocol} ${formatIpv4(id.address)}:${id.port}`;
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff;
}

function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= ALL_ONES;
}

/** IPVS of a namespace, over the kernel's border. */
export class Ipvs implements IpvsApi {
  readonly #ns: Namespace;

  /** Made by Namespace. */
  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  // ------------------------------------------------------------------------------------------------ services

  addService(spec: IpvsServiceSpec): void {
    const operation = `ipvsadm -A ${describe(spec.id)}`;
    this.#putService(spec, operation);
    check(this.#ns.kernel.exports.ipvsServiceAdd(this.#ns.handle), operation);
  }

  updateService(spec: IpvsServiceSpec): void {
    const operation = `ipvsadm -E ${describe(spec.id)}`;
    this.#putService(spec, operation);
    check(this.#ns.kernel.exports.ipvsServiceSet(this.#ns.handle), operation);
  }

  removeService(id: IpvsServiceId): void {
    const operation = `ipvsadm -D ${describe(id)}`;
    this.#putId(id, operation);
    check(this.#ns.kernel.exports.ipvsServiceDel(this.#ns.handle), operation);
  }

  services(): IpvsServiceInfo[] {
    const ns = this.#ns;
    ns.requireAlive("ipvsadm -L");
    const listed = readDump(
      ns,
      abi.VS_RECORD,
      (skip) => ns.kernel.exports.ipvsServiceDump(ns.handle, skip),
      (at) => this.#readService(at),
    );
    // The kernel walks its table of services by address, then that of marks; newest first in a bucket.
    const order = ({ spec, bucket }: ListedService): number => ("fwmark" in spec.id ? 256 : 0) + bucket;
    return listed
      .sort((a, b) => order(a) - order(b))
      .map(({ spec, handle }) => ({ ...spec, destinations: this.#destinations(handle) }));
  }

  service(id: IpvsServiceId): IpvsServiceInfo | undefined {
    const wanted = describe(id);
    return this.services().find((one) => describe(one.id) === wanted);
  }

  flush(): void {
    this.#ns.requireAlive("ipvsadm -C");
    this.#ns.kernel.exports.ipvsFlush(this.#ns.handle);
  }

  zero(id?: IpvsServiceId): void {
    const { exports } = this.#ns.kernel;
    if (id === undefined) {
      this.#ns.requireAlive("ipvsadm -Z");
      exports.ipvsZeroAll(this.#ns.handle);
      return;
    }
    const operation = `ipvsadm -Z ${describe(id)}`;
    this.#putId(id, operation);
    check(exports.ipvsZero(this.#ns.handle), operation);
  }

  #put(at: number, words: readonly number[]): void {
    const { view } = this.#ns.kernel.mem;
    words.forEach((word, i) => {
      view.setUint32(at + 4 * i, word >>> 0, true);
    });
  }

  /** Puts a service's key into scratch, all else 0. */
  #putId(id: IpvsServiceId, operation: string): number {
    this.#ns.requireAlive(operation);
    const at = this.#ns.kernel.exports.scratch();
    this.#ns.kernel.mem.bytes.fill(0, at, at + abi.VS_RECORD + abi.VD_RECORD);
    if ("fwmark" in id) {
      // A mark of 0 is no mark (ip_vs_genl_parse_service).
      if (!isWord(id.fwmark) || id.fwmark === 0) refuse("EINVAL", operation);
      this.#put(at + abi.VS_FWMARK, [id.fwmark]);
    } else {
      if (!isPort(id.port)) refuse("EINVAL", operation);
      this.#put(at + abi.VS_PROTO, [PROTOCOLS[id.protocol], id.address, id.port]);
    }
    return at;
  }

  #putService(spec: IpvsServiceSpec, operation: string): void {
    const at = this.#putId(spec.id, operation);
    const { persistent, schedulerFlags = [] } = spec;
    const flags =
      (persistent === undefined ? 0 : abi.VS_SVC_F_PERSISTENT) |
      (spec.onePacket === true ? abi.VS_SVC_F_ONEPACKET : 0) |
      (schedulerFlags.includes("fallback") ? abi.VS_SVC_F_SCHED1 : 0) |
      (schedulerFlags.includes("port") ? abi.VS_SVC_F_SCHED2 : 0);
    this.#put(at + abi.VS_SCHED, [
      SCHEDULERS[spec.scheduler] ?? abi.VS_SCHEDS,
      flags,
      persistent?.timeoutSec ?? 0,
      persistent?.netmask ?? ALL_ONES,
    ]);
  }

  #readStats(at: number): IpvsStats {
    const { mem } = this.#ns.kernel;
    return {
      connections: mem.u64(at),
      packetsIn: mem.u64(at + 8),
      packetsOut: mem.u64(at + 16),
      bytesIn: mem.u64(at + 24),
      bytesOut: mem.u64(at + 32),
    };
  }

  #readId(at: number): IpvsServiceId {
    const { mem } = this.#ns.kernel;
    const fwmark = mem.u32(at + abi.VS_FWMARK);
    if (fwmark !== 0) return { fwmark };
    return {
      protocol: keyOf(PROTOCOLS, mem.u32(at + abi.VS_PROTO)),
      address: mem.u32(at + abi.VS_ADDR),
      port: mem.u32(at + abi.VS_PORT),
    };
  }

  #readService(at: number): ListedService {
    const { mem } = this.#ns.kernel;
    const scheduler = IPVS_SCHEDULERS.find((name) => SCHEDULERS[name] === mem.u32(at + abi.VS_SCHED));
    assert(scheduler !== undefined, "a known scheduler");
    const flags = mem.u32(at + abi.VS_FLAGS);
    const schedulerFlags: ("fallback" | "port")[] = [];
    if (flags & abi.VS_SVC_F_SCHED1) schedulerFlags.push("fallback");
    if (flags & abi.VS_SVC_F_SCHED2) schedulerFlags.push("port");
    const timeoutSec = mem.u32(at + abi.VS_TIMEOUT);
    const netmask = mem.u32(at + abi.VS_NETMASK);
    return {
      bucket: mem.u32(at + abi.VS_BUCKET),
      handle: mem.u32(at + abi.VS_HANDLE),
      spec: {
        id: this.#readId(at),
        scheduler,
        ...(flags & abi.VS_SVC_F_PERSISTENT ? { persistent: { timeoutSec, netmask } } : {}),
        ...(flags & abi.VS_SVC_F_ONEPACKET ? { onePacket: true } : {}),
        ...(schedulerFlags.length === 0 ? {} : { schedulerFlags }),
        stats: this.#readStats(at + abi.VS_STATS),
      },
    };
  }

  // ------------------------------------------------------------------------------------------------ destinations

  addDestination(service: IpvsServiceId, spec: IpvsDestinationSpec): void {
    const operation = `ipvsadm -a ${describe(service)} -r ${formatIpv4(spec.address)}:${spec.port}`;
    this.#putDestination(service, spec, operation);
    check(this.#ns.kernel.exports.ipvsDestAdd(this.#ns.handle), operation);
  }

  updateDestination(service: IpvsServiceId, spec: IpvsDestinationSpec): void {
    const operation = `ipvsadm -e ${describe(service)} -r ${formatIpv4(spec.address)}:${spec.port}`;
    this.#putDestination(service, spec, operation);
    check(this.#ns.kernel.exports.ipvsDestSet(this.#ns.handle), operation);
  }

  removeDestination(service: IpvsServiceId, address: number, port: number): void {
    const operation = `ipvsadm -d ${describe(service)} -r ${formatIpv4(address)}:${port}`;
    const at = this.#putId(service, operation);
    this.#put(at + abi.VS_RECORD + abi.VD_ADDR, [address, port]);
    check(this.#ns.kernel.exports.ipvsDestDel(this.#ns.handle), operation);
  }

  #putDestination(service: IpvsServiceId, spec: IpvsDestinationSpec, operation: string): void {
    const at = this.#putId(service, operation);
    if (!isPort(spec.port) || !Number.isInteger(spec.weight)) refuse("EINVAL", operation);
    this.#put(at + abi.VS_RECORD + abi.VD_ADDR, [
      spec.address,
      spec.port,
      METHODS[spec.forwarding],
      spec.weight,
      spec.upper ?? 0,
      spec.lower ?? 0,
    ]);
  }

  #destinations(handle: number): IpvsDestinationInfo[] {
    const ns = this.#ns;
    return readDump(
      ns,
      abi.VD_RECORD,
      (skip) => ns.kernel.exports.ipvsDestDump(handle, skip),
      (at) => this.#readDestination(at),
    );
  }

  #readDestination(at: number): IpvsDestinationInfo {
    const { mem } = this.#ns.kernel;
    const upper = mem.u32(at + abi.VD_UPPER);
    const lower = mem.u32(at + abi.VD_LOWER);
    return {
      address: mem.u32(at + abi.VD_ADDR),
      port: mem.u32(at + abi.VD_PORT),
      forwarding: keyOf(METHODS, mem.u32(at + abi.VD_METHOD)),
      weight: mem.i32(at + abi.VD_WEIGHT),
      ...(upper === 0 ? {} : { upper }),
      ...(lower === 0 ? {} : { lower }),
      activeConnections: mem.i32(at + abi.VD_ACTIVE),
      inactiveConnections: mem.i32(at + abi.VD_INACTIVE),
      persistentConnections: mem.i32(at + abi.VD_PERSISTENT),
      stats: this.#readStats(at + abi.VD_STATS),
    };
  }

  // ------------------------------------------------------------------------------------------------ connections

  connections(): IpvsConnection[] {
    const ns = this.#ns;
    ns.requireAlive("ipvsadm -Lc");
    return readDump(
      ns,
      abi.VC_RECORD,
      (skip) => ns.kernel.exports.ipvsConnDump(ns.handle, skip),
      (at) => ({ bucket: ns.kernel.mem.u32(at + abi.VC_BUCKET), connection: this.#readConnection(at) }),
    )
      .sort((a, b) => a.bucket - b.bucket)
      .map(({ connection }) => connection);
  }

  #readConnection(at: number): IpvsConnection {
    const { mem } = this.#ns.kernel;
    const protocol = mem.u32(at + abi.VC_PROTO);
    const state = mem.u32(at + abi.VC_STATE);
    const template = (mem.u32(at + abi.VC_FLAGS) & abi.VS_CONN_F_TEMPLATE) !== 0;
    const end = (addr: number, port: number): { ip: number; port: number } => ({
      ip: mem.u32(at + addr),
      port: mem.u32(at + port),
    });
    return {
      protocol: protocol === 0 ? "ip" : keyOf(PROTOCOLS, protocol),
      client: end(abi.VC_CADDR, abi.VC_CPORT),
      virtual: end(abi.VC_VADDR, abi.VC_VPORT),
      destination: end(abi.VC_DADDR, abi.VC_DPORT),
      state: template ? (state === 0 ? "NONE" : "ASSURED") : stateName(protocol, state),
      expires: mem.i64(at + abi.VC_EXPIRES),
      fwmark: mem.u32(at + abi.VC_FWMARK),
    };
  }

  // ------------------------------------------------------------------------------------------------ the rest

  stats(): IpvsStats {
    this.#ns.requireAlive("/proc/net/ip_vs_stats");
    return this.#readStats(this.#ns.kernel.exports.ipvsStats(this.#ns.handle));
  }

  setTimeouts({ tcp, tcpFin, udp }: IpvsTimeouts): void {
    const operation = `ipvsadm --set ${tcp} ${tcpFin} ${udp}`;
    this.#ns.requireAlive(operation);
    if (![tcp, tcpFin, udp].every(isWord)) refuse("EINVAL", operation);
    check(this.#ns.kernel.exports.ipvsTimeoutsSet(this.#ns.handle, tcp, tcpFin, udp), operation);
  }

  timeouts(): IpvsTimeouts {
    this.#ns.requireAlive("ipvsadm -L --timeout");
    const get = (which: number): number => this.#ns.kernel.exports.ipvsTimeout(this.#ns.handle, which);
    return { tcp: get(0), tcpFin: get(1), udp: get(2) };
  }
}

/** A service as read, with what orders it and what its destinations are asked by. */
interface ListedService {
  readonly bucket: number;
  readonly handle: number;
  readonly spec: Omit<IpvsServiceInfo, "destinations">;
}

/** ip_vs_state_name. */
function stateName(protocol: number, state: number): string {
  const names = protocol === abi.IPPROTO_TCP ? TCP_STATES : protocol === abi.IPPROTO_SCTP ? SCTP_STATES : ["UDP"];
  return names[state] ?? "ERR!";
}
