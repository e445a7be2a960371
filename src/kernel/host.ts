/** One emulated machine: its namespaces and counters. */
import { DROP_REASONS } from "../../assembly/abi.ts";
import type { Mac } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { KernelAead } from "./aead.ts";
import type { Kernel } from "./kernel.ts";
import { check, type KernelMemory } from "./memory.ts";
import { Namespace } from "./netns.ts";
import { DROP_REASON_NAMES } from "./reasons.ts";
import { KernelMeter } from "./traffic-meter.ts";
import type { HostKernel, NetNs } from "./types.ts";
import type { KernelExports } from "./wasm.ts";

/** Packets of one host: made + arrived = delivered + dropped + sent + live, always. */
export interface PacketCounters {
  /** Built here: by a socket, by the kernel, or as a copy. */
  readonly made: number;
  /** Ended as they should. */
  readonly delivered: number;
  readonly dropped: number;
  /** Left over the wire to another host. */
  readonly sent: number;
  /** Came over the wire. */
  readonly arrived: number;
  /** Now in a queue, in a socket, or on the wire. */
  readonly live: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The name under which a namespace was parked. */
function parkedName(exports: KernelExports, mem: KernelMemory, id: number): string {
  const length = exports.netnsParkedName(id);
  assert(length > 0, "a parked namespace", id);
  return decoder.decode(mem.copy(exports.scratch(), length));
}

/** A machine in the kernel: its root namespace, NICs, and further namespaces. */
export class Host implements HostKernel {
  readonly name: string;
  readonly index: number;
  readonly kernel: Kernel;
  readonly handle: number;
  readonly #macRandom: Random;
  readonly #namespaces: Namespace[] = [];
  readonly #aeads = new Set<KernelAead>();
  readonly #meters = new Set<KernelMeter>();
  #root: Namespace | undefined;
  #linkChanges = 0;

  /** Made by Kernel.addHost. */
  constructor(kernel: Kernel, name: string, index: number, random: Random) {
    this.kernel = kernel;
    this.name = name;
    this.index = index;
    this.#macRandom = random.fork("mac");
    const seed = random.fork("seed");
    this.handle = kernel.exports.hostNew(index, seed.u32(), seed.u32(), seed.u32(), seed.u32());
    this.#adoptRoot(kernel.exports.hostRoot(this.handle));
  }

  /** Throws when the machine is switched off. */
  get root(): Namespace {
    assert(this.#root !== undefined, "the host is switched on", this.name);
    return this.#root;
  }

  get poweredOn(): boolean {
    return this.#root !== undefined;
  }

  get linkChanges(): number {
    return this.#linkChanges;
  }

  /** A link or an address of it has changed. */
  linkChanged(): void {
    this.#linkChanges++;
  }

  createNs(name: string): NetNs {
    return this.#adopt(new Namespace(this, name, this.kernel.exports.netnsNew(this.handle)));
  }

  park(ns: NetNs): number {
    const own = this.kernel.namespaceOf(ns);
    assert(own.owner === this && own.alive && own !== this.#root, "a namespace of this host, not its root", ns.name);
    assert(own.sockets.length === 0, "a namespace without open sockets", ns.name);
    const { exports, mem } = this.kernel;
    const name = encoder.encode(own.name);
    mem.bytes.set(name, exports.scratch());
    exports.netnsPark(own.handle, name.length);
    this.forget(own);
    own.leave();
    return own.handle;
  }

  unpark(id: number): Namespace {
    const { exports, mem } = this.kernel;
    const known = this.kernel.namespaceAt(id);
    if (known !== undefined) {
      assert(known.owner === this, "a namespace of this host", id);
      return known;
    }
    const ns = new Namespace(this, parkedName(exports, mem, id), id);
    exports.netnsUnpark(id);
    this.#namespaces.push(ns);
    this.kernel.addNamespace(ns);
    return ns;
  }

  parked(): { readonly id: number; readonly name: string }[] {
    const { exports, mem } = this.kernel;
    const out: { id: number; name: string }[] = [];
    for (let id = exports.netnsParkedFirst(this.handle); id !== 0; id = exports.netnsParkedNext(id))
      out.push({ id, name: parkedName(exports, mem, id) });
    return out.reverse();
  }

  namespaces(): readonly Namespace[] {
    return this.#namespaces;
  }

  drops(): Record<string, number> {
    const at = this.kernel.exports.hostDrops(this.handle);
    const out: Record<string, number> = {};
    for (let i = 0; i < DROP_REASONS; i++) {
      const count = this.kernel.mem.u64(at + 8 * i);
      if (count > 0) out[DROP_REASON_NAMES[i] as string] = count;
    }
    return out;
  }

  packets(): PacketCounters {
    const at = this.kernel.exports.hostPackets(this.handle);
    const word = (i: number): number => this.kernel.mem.u64(at + 8 * i);
    return { made: word(0), delivered: word(1), dropped: word(2), sent: word(3), arrived: word(4), live: word(5) };
  }

  aead(key: Uint8Array): KernelAead {
    const { exports, mem } = this.kernel;
    const aead = new KernelAead(exports, mem, key, (closed) => this.#aeads.delete(closed));
    this.#aeads.add(aead);
    return aead;
  }

  meter(): KernelMeter {
    const meter = new KernelMeter(this, (closed) => this.#meters.delete(closed));
    this.#meters.add(meter);
    return meter;
  }

  exponential([high, low]: readonly [number, number], n: number): number {
    return this.kernel.exports.exponentialAt(high, low, n);
  }

  /** A random locally administered unicast address (eth_random_addr). */
  randomMac(): Mac {
    const first = ((this.#macRandom.u32() & 0xff) | 0x02) & 0xfe;
    const second = this.#macRandom.u32() & 0xff;
    return (first * 256 + second) * 2 ** 32 + this.#macRandom.u32();
  }

  /** Plugs a NIC into a port of the underlay: a device of the root namespace, down. Returns its ifindex. */
  addNic(port: number, name: string, mtu: number): number {
    const { exports, mem } = this.kernel;
    const dev = exports.linkNewNic(this.root.handle, port);
    mem.putName(exports.scratch(), name);
    check(exports.linkSetName(dev), `nic ${name}`);
    check(exports.linkSetMtu(dev, mtu), `nic ${name}`);
    this.kernel.linkEvent(this.root, dev, "add");
    return this.root.readLink(dev).index;
  }

  /** Power loss: everything that the kernel knew is gone, NICs are unplugged. */
  powerOff(): void {
    const { exports } = this.kernel;
    for (let id = exports.netnsParkedFirst(this.handle); id !== 0; id = exports.netnsParkedFirst(this.handle))
      this.unpark(id).discard();
    for (const ns of [...this.#namespaces].reverse()) ns.discard();
    for (const aead of [...this.#aeads]) aead.close();
    for (const meter of [...this.#meters]) meter.close();
    this.kernel.exports.hostSetRoot(this.handle, 0);
    this.#root = undefined;
  }

  /** Power on after a power loss: a new root namespace, without NICs. */
  powerOn(): void {
    assert(this.#root === undefined, "the host is switched off", this.name);
    const root = this.kernel.exports.netnsNew(this.handle);
    this.kernel.exports.hostSetRoot(this.handle, root);
    this.#adoptRoot(root);
  }

  /** Called by a namespace that is gone. */
  forget(ns: Namespace): void {
    // The newest ones come and go: they stand last.
    this.#namespaces.splice(this.#namespaces.lastIndexOf(ns), 1);
    this.kernel.removeNamespace(ns);
  }

  #adoptRoot(handle: number): void {
    this.#root = this.#adopt(new Namespace(this, "host", handle));
  }

  #adopt(ns: Namespace): Namespace {
    this.#namespaces.push(ns);
    this.kernel.addNamespace(ns);
    this.kernel.linkEvent(ns, this.kernel.exports.linkFirst(ns.handle), "add");
    return ns;
  }
}
