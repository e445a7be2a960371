/**
 * Containers of one engine by ID and name: create, find, rename, remove (moby daemon/create.go, names.go,
 * rename.go, delete.go, container.go; 20.10). What happens between start and exit is lifecycle.ts.
 */
import { newHexId, shortId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { DaemonLog } from "../libnetwork/log.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { ApiError, type ContainerCreateRequest } from "./api.ts";
import { Container } from "./container.ts";
import { checkName, checkRequest, commandLine, withTag } from "./container-config.ts";
import type { Events } from "./events.ts";
import { Execs } from "./execs.ts";
import { LayeredFiles } from "./filesystem.ts";
import { type ContainerNetworking, Lifecycle } from "./lifecycle.ts";
import { generateName } from "./names.ts";
import type { ImageStore } from "./program.ts";
import { type ContainerService, withoutDigest } from "./task-container.ts";

/** What containers need of their engine. */
export interface ContainersOptions {
  readonly os: HostOs;
  readonly images: ImageStore;
  readonly networking: ContainerNetworking;
  readonly log: DaemonLog;
  /** Text of the host's /etc/hosts, which containers in the host's network see. */
  readonly hostsFile: string;
  /** How often the daemon has been started: each life has a random stream of its own. */
  readonly lives?: number;
  readonly events?: Events;
}

/** The containers of one engine. */
export class Containers {
  readonly #options: ContainersOptions;
  readonly #random: Random;
  readonly #byId = new Map<string, Container>();
  readonly lifecycle: Lifecycle;
  readonly execs: Execs;

  constructor(options: ContainersOptions) {
    const { os, networking, log } = options;
    this.#options = options;
    const { lives = 1 } = options;
    this.#random = os.random.fork(lives === 1 ? "containers" : `containers/${lives}`);
    this.execs = new Execs(os, this.#random);
    this.lifecycle = new Lifecycle(os, networking, log, (container) => this.#autoRemove(container), options.events);
  }

  /** Takes over the containers of an earlier life of the daemon. @returns those that are to be restarted */
  restore(containers: readonly Container[]): readonly Container[] {
    for (const container of containers) this.#byId.set(container.id, container);
    return containers.filter((container) => container.restartsAtBoot);
  }

  /** Likewise, after the host lost power: containers with `--rm`, and those half removed, go (daemon.go restore). */
  restoreAfterCrash(containers: readonly Container[]): readonly Container[] {
    const kept = containers.filter(({ removing, removed, autoRemove }) => !removing && !removed && !autoRemove);
    return this.restore(kept.map((disk) => this.#reopen(disk)));
  }

  #reopen(disk: Container): Container {
    const { id, name, anonymous, request, image, hostname, argv, managed, service, created } = disk;
    const { os } = this.#options;
    const container = new Container({
      ...{ id, name, anonymous, request, image, hostname, argv, managed, service, created },
      files: (self) => this.#files(self),
      now: () => os.now(),
    });
    container.readFrom(disk);
    return container;
  }

  /** In order of creation. */
  list(): readonly Container[] {
    return [...this.#byId.values()];
  }

  /** By full ID, name, or unambiguous prefix of the ID (daemon/container.go GetContainer). */
  find(reference: string): Container | undefined {
    const name = reference.replace(/^\//, "");
    const exact = this.#byId.get(reference) ?? this.list().find((container) => container.name === name);
    if (exact !== undefined) return exact;
    if (reference === "") return undefined;
    const matches = this.list().filter((container) => container.id.startsWith(reference));
    if (matches.length > 1) throw new ApiError(400, `Multiple IDs found with provided prefix: ${reference}`);
    return matches[0];
  }

  /** @throws ApiError 404 */
  get(reference: string): Container {
    const container = this.find(reference);
    if (container === undefined) throw new ApiError(404, `No such container: ${reference}`);
    return container;
  }

  /** @param name undefined: one is made up, which DNS doesn't know */
  create(
    name: string | undefined,
    request: ContainerCreateRequest,
    options: { managed?: boolean; service?: ContainerService } = {},
  ): { container: Container; warnings: string[] } {
    const { os, images, networking } = this.#options;
    checkRequest(request);
    if (options.managed !== true) networking.check(request);
    const reference = withoutDigest(request.Image);
    const image = images.find(reference);
    if (image === undefined) throw new ApiError(404, `No such image: ${withTag(reference)}`);
    const argv = commandLine(image, request);
    if (argv.length === 0) throw new ApiError(400, "No command specified");
    const id = newHexId(this.#random);
    const given = name === undefined || name === "" ? undefined : checkName(name);
    const plain = given ?? generateName(this.#random, (candidate) => this.#holder(candidate) !== undefined);
    this.#reserve(plain);
    const host = request.HostConfig?.NetworkMode === "host";
    const container = new Container({
      id,
      name: plain,
      anonymous: given === undefined,
      request,
      image,
      hostname: request.Hostname || (host ? os.hostName : shortId(id)),
      argv,
      files: (self) => this.#files(self),
      managed: options.managed ?? false,
      service: options.service,
      now: () => os.now(),
    });
    networking.plan(container);
    this.#byId.set(id, container);
    this.#options.events?.container(container, "create");
    return { container, warnings: [] };
  }

  #files(container: Container): LayeredFiles {
    const { hostsFile } = this.#options;
    const hosts = (): string => {
      const { sandbox } = container;
      return sandbox?.kind === "host" ? hostsFile : (sandbox?.hostsFile() ?? "");
    };
    const generated = new Map([
      ["/etc/hosts", hosts],
      ["/etc/resolv.conf", () => container.sandbox?.resolvConf() ?? ""],
      ["/etc/hostname", () => `${container.hostname}\n`],
    ]);
    return new LayeredFiles(container.image.files, generated);
  }

  #holder(name: string): Container | undefined {
    return this.list().find((container) => container.name === name);
  }

  /** @throws ApiError 409 when the name is taken */
  #reserve(name: string): void {
    const holder = this.#holder(name);
    if (holder === undefined) return;
    throw new ApiError(
      409,
      `Conflict. The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }

  *rename(reference: string, name: string): Proc<void> {
    if (reference === "" || name === "") throw new ApiError(400, "Neither old nor new names may be empty");
    const container = this.get(reference);
    yield* container.lock.free();
    const wished = name.startsWith("/") ? name : `/${name}`;
    if (wished === `/${container.name}`)
      throw new ApiError(400, "Renaming a container with the same name as its current name");
    try {
      this.#reserve(checkName(wished));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new ApiError(error.status, `Error when allocating new name: ${error.message}`);
    }
    const { name: old, anonymous } = container;
    container.name = wished.slice(1);
    container.anonymous = false;
    try {
      this.#options.networking.renamed(container);
      this.#options.events?.container(container, "rename", { oldName: `/${old}` });
    } catch (error) {
      container.name = old;
      container.anonymous = anonymous;
      throw error;
    }
  }

  /**
   * Removes a container (ContainerRm, cleanupContainer).
   * @param reference what was asked for, as messages show it
   * @param force kills it when it runs
   */
  *remove(container: Container, reference: string, force: boolean): Proc<void> {
    if (container.removing) throw new ApiError(409, `removal of container ${reference} is already in progress`);
    if (container.removed) return;
    container.removing = true;
    try {
      yield* container.lock.free();
      if (container.running && !force) {
        throw new ApiError(
          409,
          `You cannot remove a ${container.status} container ${container.id}. Stop the container before attempting removal or force remove`,
        );
      }
      if (container.running) yield* this.lifecycle.killAndWait(container);
      yield* container.lock.free();
      container.removed = true;
      this.#byId.delete(container.id);
      this.#options.events?.container(container, "destroy");
      this.execs.forget(container);
    } finally {
      container.removing = false;
      container.changed.notify();
    }
  }

  /** The end of a container with `--rm`; somebody may be removing it already. */
  *#autoRemove(container: Container): Proc<void> {
    try {
      yield* this.remove(container, container.id, true);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#options.log("error", `can't remove container ${container.id}: ${error.message}`);
    }
  }
}
