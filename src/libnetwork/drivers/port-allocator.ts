/** Which ports of the host are published, per address and protocol (moby libnetwork/portallocator/portallocator.go, 20.10). */
import { UserError } from "../../base/errors.ts";

/** Protocols of published ports. */
export type PortProtocol = "tcp" | "udp" | "sctp";

/** Ports that are given out where none is asked for: 20.10 takes the dynamic ones of IANA (DefaultPortRangeStart, -End). */
const FIRST_DYNAMIC = 49153;
const LAST_DYNAMIC = 65535;

/** Thrown when a port is taken by another container, or all of a range are. */
export class PortAllocationError extends UserError {
  override name = "PortAllocationError";
}

/** A range of ports, and the last one that was handed out of it: the search goes on behind that. */
interface PortRange {
  readonly begin: number;
  readonly end: number;
  last: number;
}

interface PortMap {
  readonly taken: Set<number>;
  readonly ranges: Map<string, PortRange>;
}

/** Which host ports are taken (libnetwork/portallocator). */
export class PortAllocator {
  /** `address protocol` → its ports. */
  readonly #maps = new Map<string, PortMap>();

  /**
   * Takes a port.
   * @param address text of the host's address; `0.0.0.0` and `::` are addresses of their own
   * @param first 0 (with `last` 0) = any of the dynamic ones
   * @throws PortAllocationError
   */
  request(address: string, protocol: PortProtocol, first: number, last: number): number {
    const key = `${address} ${protocol}`;
    const map = this.#maps.get(key) ?? { taken: new Set<number>(), ranges: new Map<string, PortRange>() };
    this.#maps.set(key, map);
    if (first > 0 && first === last) {
      if (map.taken.has(first)) {
        const host = address.includes(":") ? `[${address}]` : address;
        throw new PortAllocationError(`Bind for ${host}:${first} failed: port is already allocated`);
      }
      map.taken.add(first);
      return first;
    }
    return findPort(map, first === 0 || last === 0 ? FIRST_DYNAMIC : first, last === 0 ? LAST_DYNAMIC : last);
  }

  release(address: string, protocol: PortProtocol, port: number): void {
    this.#maps.get(`${address} ${protocol}`)?.taken.delete(port);
  }
}

function findPort({ taken, ranges }: PortMap, begin: number, end: number): number {
  const key = `${begin}-${end}`;
  const range = ranges.get(key) ?? { begin, end, last: end };
  ranges.set(key, range);
  for (let i = 0, port = range.last; i <= end - begin; i++) {
    port = port >= end ? begin : port + 1;
    if (taken.has(port)) continue;
    taken.add(port);
    range.last = port;
    return port;
  }
  throw new PortAllocationError("all ports are allocated");
}
