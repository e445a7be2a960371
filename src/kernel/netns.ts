/** A network namespace: the two doors, netlink and sockets, of one network stack. */
import { assert } from "../base/errors.ts";
import { Addresses, Neighbours, Routes } from "./addresses.ts";
import { Conntrack } from "./conntrack.ts";
import type { Host } from "./host.ts";
import { Iptables } from "./iptables.ts";
import { Ipvs } from "./ipvs.ts";
import type { Kernel } from "./kernel.ts";
import { devicesOf, Fdb, Links, readLink, removeLink } from "./links.ts";
import { check, refuse } from "./memory.ts";
import type { SocketBase } from "./socket.ts";
import { Sockets } from "./sockets.ts";
import { getSysctl, readSnmp, setSysctl } from "./sysctl.ts";
import type { HostKernel, LinkInfo, NetNs } from "./types.ts";
import { Xfrm } from "./xfrm.ts";

/** A network namespace: the doors of types.ts over its handle. A door is made when it is first used. */
export class Namespace implements NetNs {
  readonly owner: Host;
  readonly handle: number;
  #name: string;
  #alive = true;
  #link: Links | undefined;
  #addr: Addresses | undefined;
  #route: Routes | undefined;
  #neigh: Neighbours | undefined;
  #fdb: Fdb | undefined;
  #iptables: Iptables | undefined;
  #conntrack: Conntrack | undefined;
  #xfrm: Xfrm | undefined;
  #ipvs: Ipvs | undefined;
  #socket: Sockets | undefined;
  #opened: Set<SocketBase> | undefined;

  /** Made by Host. */
  constructor(host: Host, name: string, handle: number) {
    this.owner = host;
    this.#name = name;
    this.handle = handle;
  }

  get link(): Links {
    this.#link ??= new Links(this);
    return this.#link;
  }

  get addr(): Addresses {
    this.#addr ??= new Addresses(this);
    return this.#addr;
  }

  get route(): Routes {
    this.#route ??= new Routes(this);
    return this.#route;
  }

  get neigh(): Neighbours {
    this.#neigh ??= new Neighbours(this);
    return this.#neigh;
  }

  get fdb(): Fdb {
    this.#fdb ??= new Fdb(this);
    return this.#fdb;
  }

  get iptables(): Iptables {
    this.#iptables ??= new Iptables(this);
    return this.#iptables;
  }

  get conntrack(): Conntrack {
    this.#conntrack ??= new Conntrack(this);
    return this.#conntrack;
  }

  get xfrm(): Xfrm {
    this.#xfrm ??= new Xfrm(this);
    return this.#xfrm;
  }

  get ipvs(): Ipvs {
    this.#ipvs ??= new Ipvs(this);
    return this.#ipvs;
  }

  get socket(): Sockets {
    this.#socket ??= new Sockets(this);
    return this.#socket;
  }

  get kernel(): Kernel {
    return this.owner.kernel;
  }

  get host(): HostKernel {
    return this.owner;
  }

  get name(): string {
    return this.#name;
  }

  /** Unique on its host, from 0 (the root), the same in every run: how marks name it. */
  get number(): number {
    return this.kernel.exports.netnsNumber(this.handle);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Throws ENOENT when the namespace was destroyed: the error of a path in /var/run/netns that is gone. */
  requireAlive(operation: string): void {
    if (!this.#alive) refuse("ENOENT", operation);
  }

  /** A socket was opened in it. */
  adopt(socket: SocketBase): void {
    this.#opened ??= new Set();
    this.#opened.add(socket);
  }

  /** A socket in it was closed. */
  release(socket: SocketBase): void {
    this.#opened?.delete(socket);
  }

  /** Its open sockets, in the order in which they were opened. */
  get sockets(): readonly SocketBase[] {
    return this.#opened === undefined ? [] : [...this.#opened];
  }

  /** Ends this object, not the namespace: another one stands for it when it is unparked. */
  leave(): void {
    this.#alive = false;
  }

  rename(name: string): void {
    if (name === this.#name) return;
    this.#name = name;
    if (!this.#alive) return;
    for (const dev of devicesOf(this)) this.kernel.linkEvent(this, dev, "change");
  }

  destroy(): void {
    if (!this.#alive) return;
    assert(this !== this.owner.root, "the root namespace stays", this.owner.name);
    for (const dev of devicesOf(this)) {
      if (readLink(this, dev).kind !== "nic") continue;
      check(this.kernel.exports.linkSetNs(dev, this.owner.root.handle), `destroy ${this.#name}`);
      this.kernel.linkEvent(this.owner.root, dev, "change");
    }
    this.discard();
  }

  /** Destroys the namespace and all that is in it, NICs too. */
  discard(): void {
    if (!this.#alive) return;
    const { sockets } = this;
    // A veth's peer goes along, and may be a device of this namespace too: so look again after each.
    for (let dev = this.#firstRemovable(); dev !== 0; dev = this.#firstRemovable()) removeLink(this, dev);
    for (const dev of devicesOf(this)) this.kernel.linkEvent(this, dev, "del");
    this.#alive = false;
    this.kernel.exports.netnsDel(this.handle);
    this.owner.forget(this);
    for (const socket of sockets) socket.namespaceGone();
  }

  #firstRemovable(): number {
    return devicesOf(this).find((dev) => !["loopback", "nic"].includes(readLink(this, dev).kind)) ?? 0;
  }

  /** Describes one of its devices. */
  readLink(dev: number): LinkInfo {
    return readLink(this, dev);
  }

  sysctlGet(name: string): number {
    this.requireAlive(`sysctl ${name}`);
    return getSysctl(this, name);
  }

  sysctlSet(name: string, value: number): void {
    this.requireAlive(`sysctl ${name}`);
    setSysctl(this, name, value);
  }

  snmp(): Record<string, number> {
    this.requireAlive("/proc/net/snmp");
    return readSnmp(this);
  }
}
