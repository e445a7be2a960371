/** What all sockets share: waiters, the pending error, ownership, closing (include/net/sock.h as programs see it). */
import type { Ipv4 } from "../base/addr.ts";
import { type Errno, errnoName, KernelError } from "../base/errors.ts";
import { Waiters } from "../base/waiters.ts";
import type { Kernel } from "./kernel.ts";
import { refuse } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import type { Socket, Wakeable } from "./socket-types.ts";

interface Waiter {
  wake(source: Wakeable): void;
}

/** What the sockets share: the handle, its life, its wake-ups. */
export abstract class SocketBase implements Socket {
  readonly ns: Namespace;
  readonly handle: number;
  readonly #waiters = new Waiters<Wakeable>();
  #owner = "";
  #closed = false;
  #error: Errno | undefined;

  constructor(ns: Namespace, handle: number) {
    this.ns = ns;
    this.handle = handle;
    this.kernel.addSocket(this);
  }

  get kernel(): Kernel {
    return this.ns.kernel;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get owner(): string {
    return this.#owner;
  }

  setOwner(name: string): void {
    this.#owner = name;
  }

  addWaiter(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  removeWaiter(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Tells everyone that waits to look again, in the order in which they began to wait. */
  notify(): void {
    this.#waiters.wake(this);
  }

  takeError(): Errno | undefined {
    if (this.#error !== undefined || this.#closed) {
      const error = this.#error;
      this.#error = undefined;
      return error;
    }
    const error = this.kernel.exports.sockTakeError(this.handle);
    return error === 0 ? undefined : errnoName(error);
  }

  close(): void {
    this.closeWith(() => this.release());
  }

  /** Closes by another way than release(). */
  protected closeWith(release: () => void): void {
    if (this.#closed) return;
    this.#closed = true;
    this.kernel.removeSocket(this);
    release();
    this.notify();
  }

  /** Its namespace was destroyed, and the kernel's socket with it. */
  namespaceGone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = "ENETDOWN";
    this.kernel.removeSocket(this);
    this.notify();
  }

  abstract localAddress(): { ip: Ipv4; port: number };

  /** Closes the kernel's socket. */
  protected abstract release(): void;

  /** Refuses work on a closed socket. */
  protected requireOpen(operation: string): void {
    if (this.#closed) refuse("EBADF", operation);
  }

  /** Throws the pending error, if there is one. */
  protected throwPending(operation: string): void {
    const error = this.takeError();
    if (error !== undefined) throw new KernelError(error, operation);
  }
}
