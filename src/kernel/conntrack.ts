/** Connection tracking: what `conntrack -L` shows (net/netfilter/nf_conntrack_netlink.c). */
import * as abi from "../../assembly/abi.ts";
import { readDump } from "./addresses.ts";
import type { Namespace } from "./netns.ts";
import type { ConntrackApi, ConntrackInfo, ConntrackTuple } from "./types.ts";

/** enum tcp_conntrack. */
const TCP_STATES = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
];

/** enum sctp_conntrack. */
const SCTP_STATES = [
  "NONE",
  "CLOSED",
  "COOKIE_WAIT",
  "COOKIE_ECHOED",
  "ESTABLISHED",
  "SHUTDOWN_SENT",
  "SHUTDOWN_RECD",
  "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
];

/** Connection tracking of a namespace, over the kernel's border. */
export class Conntrack implements ConntrackApi {
  readonly #ns: Namespace;

  constructor(ns: Namespace) {
    this.#ns = ns;
  }

  list(): ConntrackInfo[] {
    const ns = this.#ns;
    ns.requireAlive("conntrack -L");
    return readDump(
      ns,
      abi.CT_RECORD,
      (skip) => ns.kernel.exports.nfCtDump(ns.handle, skip),
      (at) => this.#read(at),
    );
  }

  #read(at: number): ConntrackInfo {
    const { mem } = this.#ns.kernel;
    const protocol = mem.u32(at + abi.CT_PROTO);
    const status = mem.u32(at + abi.CT_STATUS);
    return {
      protocol,
      state: stateName(protocol, mem.u32(at + abi.CT_STATE)),
      original: this.#tuple(at + abi.CT_ORIG_SRC),
      reply: this.#tuple(at + abi.CT_REPLY_SRC),
      unreplied: (status & abi.IPS_SEEN_REPLY) === 0,
      assured: (status & abi.IPS_ASSURED) !== 0,
      mark: mem.u32(at + abi.CT_MARK),
      timeout: mem.view.getFloat64(at + abi.CT_TIMEOUT, true),
    };
  }

  /** A tuple: addresses, then two 16-bit ports (see CT_ORIG_* in abi.ts). */
  #tuple(at: number): ConntrackTuple {
    const { mem } = this.#ns.kernel;
    const ports = mem.u32(at + 8);
    return { src: mem.u32(at), dst: mem.u32(at + 4), sport: ports & 0xffff, dport: ports >>> 16 };
  }

  delete(fits: (flow: ConntrackInfo) => boolean): ConntrackInfo[] {
    const ns = this.#ns;
    ns.requireAlive("conntrack -D");
    const { exports, mem } = ns.kernel;
    const doomed = readDump(
      ns,
      abi.CT_RECORD,
      (skip) => exports.nfCtDump(ns.handle, skip),
      (at) => ({ handle: mem.u32(at + abi.CT_HANDLE), flow: this.#read(at) }),
    ).filter(({ flow }) => fits(flow));
    for (const { handle } of doomed) exports.nfCtDel(handle);
    return doomed.map(({ flow }) => flow);
  }

  flush(): void {
    this.#ns.requireAlive("conntrack -F");
    this.#ns.kernel.exports.nfCtFlush(this.#ns.handle);
  }

  count(): number {
    this.#ns.requireAlive("conntrack -C");
    return this.#ns.kernel.exports.nfCtCount(this.#ns.handle);
  }
}

function stateName(protocol: number, state: number): string | undefined {
  if (protocol === abi.IPPROTO_TCP) return TCP_STATES[state];
  return protocol === abi.IPPROTO_SCTP ? SCTP_STATES[state] : undefined;
}
