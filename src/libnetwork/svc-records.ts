/**
 * Names of one network's endpoints, as the embedded DNS server answers them (moby libnetwork network.go: svcInfo,
 * addSvcRecords, deleteSvcRecords, ResolveName, ResolveIP; common/setmatrix.go).
 */
import { formatIpv4, type Ipv4 } from "../base/addr.ts";

interface NameEntry {
  readonly ip: Ipv4;
  /** Service ID, or the endpoint's ID where there is no service. */
  readonly serviceId: string;
}

interface AddressEntry {
  readonly name: string;
  readonly serviceId: string;
  /** An upstream server gave this address under another name: PTR queries for it go upstream from then on. */
  extResolver: boolean;
}

/** Names of a network and their addresses (svcRecords). */
export class ServiceRecords {
  /** Lower-case name → set of (address, service). */
  readonly #names = new Map<string, NameEntry[]>();
  readonly #addresses = new Map<Ipv4, AddressEntry[]>();

  /** @param reverse whether the name is the one that PTR answers for the address */
  add(name: string, serviceId: string, ip: Ipv4, reverse: boolean): void {
    if (reverse) {
      const entries = this.#addresses.get(ip) ?? [];
      if (!entries.some((e) => e.name === name && e.serviceId === serviceId))
        entries.push({ name, serviceId, extResolver: false });
      this.#addresses.set(ip, entries);
    }
    const key = name.toLowerCase();
    const set = this.#names.get(key) ?? [];
    if (!set.some((e) => e.ip === ip && e.serviceId === serviceId)) set.push({ ip, serviceId });
    this.#names.set(key, set);
  }

  remove(name: string, serviceId: string, ip: Ipv4, reverse: boolean): void {
    if (reverse) {
      const left = (this.#addresses.get(ip) ?? []).filter((e) => e.name !== name || e.serviceId !== serviceId);
      if (left.length === 0) this.#addresses.delete(ip);
      else this.#addresses.set(ip, left);
    }
    const key = name.toLowerCase();
    const left = (this.#names.get(key) ?? []).filter((e) => e.ip !== ip || e.serviceId !== serviceId);
    if (left.length === 0) this.#names.delete(key);
    else this.#names.set(key, left);
  }

  /** Addresses of a name, each once, in order of adding; undefined when the network doesn't know it. */
  resolveName(name: string): Ipv4[] | undefined {
    const set = this.#names.get(name.toLowerCase());
    return set === undefined ? undefined : [...new Set(set.map((e) => e.ip))];
  }

  /** The name PTR answers (without the network), or undefined. */
  resolveIp(ip: Ipv4): string | undefined {
    const entry = this.#addresses.get(ip)?.[0];
    return entry === undefined || entry.extResolver ? undefined : entry.name;
  }

  /** An upstream server answered this address. */
  noteExternal(ip: Ipv4): void {
    const entry = this.#addresses.get(ip)?.[0];
    if (entry !== undefined) entry.extResolver = true;
  }

  clear(): void {
    this.#names.clear();
    this.#addresses.clear();
  }

  /** All of them, in order of adding: names with their addresses, and addresses with the names that PTR answers. */
  *entries(): Generator<{
    readonly type: "A" | "PTR";
    readonly name: string;
    readonly ip: Ipv4;
    readonly serviceId: string;
  }> {
    for (const [name, set] of this.#names)
      for (const { ip, serviceId } of set) yield { type: "A", name, ip, serviceId };
    for (const [ip, set] of this.#addresses)
      for (const { name, serviceId } of set) yield { type: "PTR", name, ip, serviceId };
  }

  /** `name address` lines in order, for diagnostics. */
  dump(): string[] {
    const lines: string[] = [];
    for (const [name, set] of this.#names) for (const e of set) lines.push(`${name} ${formatIpv4(e.ip)}`);
    return lines.sort();
  }
}
