/**
 * The daemon of one host over its lives: `systemctl stop docker` and `start` (moby cmd/dockerd/daemon.go, daemon/daemon.go
 * Shutdown, restore; 20.10). What it has on disk goes from one life to the next, and from one boot of the host to the next:
 * containers, networks of users, the node's place in its swarm.
 */
import { MS } from "../base/time.ts";
import { type Proc, sleep } from "../scheduler/process.ts";
import { StreamError } from "./api.ts";
import { Engine, type EngineOptions, type EngineRemains } from "./engine.ts";
import { Mutex } from "./mutex.ts";

/** From the start of the process until the API answers. */
const START_LATENCY = 500 * MS;

/** What docker says when nothing listens on its socket (client/errors.go ErrorConnectionFailed). */
export function connectionFailed(): StreamError {
  return new StreamError(
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
  );
}

/** One host's daemon. */
export class Daemon {
  readonly #options: EngineOptions;
  readonly #lock = new Mutex();
  #engine: Engine | undefined;
  /** The one that runs, or ran last. */
  #latest: Engine;
  #remains: EngineRemains | undefined;

  /** Starts it; `options.restore` is what an earlier boot of the host left. */
  constructor(options: EngineOptions) {
    const { restore: _restore, ...rest } = options;
    this.#options = rest;
    this.#latest = new Engine(options);
    this.#engine = this.#latest;
    this.#latest.resume();
  }

  /** What the host's disk has if it loses power now. */
  get onDisk(): EngineRemains {
    const remains = this.#remains ?? this.#latest.onDisk;
    return { ...remains, crashed: true, networks: { ...remains.networks, namespaces: [] } };
  }

  /** The engine; undefined while the daemon is stopped. */
  get engine(): Engine | undefined {
    return this.#engine;
  }

  /** Stops the node's part in its swarm, then all containers, then the daemon. */
  *stop(): Proc<void> {
    yield* this.#lock.run(this.#stop());
  }

  *#stop(): Proc<void> {
    const engine = this.#engine;
    if (engine === undefined) return;
    this.#engine = undefined;
    this.#remains = yield* engine.shutdown();
  }

  *start(): Proc<void> {
    yield* this.#lock.run(this.#start());
  }

  *#start(): Proc<void> {
    if (this.#engine !== undefined) return;
    yield* sleep(this.#options.os, START_LATENCY);
    const restore = this.#remains;
    this.#latest = new Engine({ ...this.#options, ...(restore === undefined ? {} : { restore }) });
    this.#engine = this.#latest;
    this.#remains = undefined;
    this.#latest.resume();
  }
}
