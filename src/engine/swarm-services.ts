/** The requests under `/services` and `/tasks` (moby api/server/router/swarm, daemon/cluster/services.go; 20.10). */
import type { Random } from "../base/random.ts";
import { formatRfc3339Fixed } from "../base/wall-clock.ts";
import type { NetworkController } from "../libnetwork/controller.ts";
import { Channel, type HostRuntime, type Proc } from "../scheduler/process.ts";
import type { ApiServiceSpec } from "../swarm/api/convert-services.ts";
import type { LogMessage } from "../swarm/api/rpc.ts";
import type { SwarmNode } from "../swarm/node.ts";
import type { LocalNetwork } from "../swarm/service-client.ts";
import type { EngineApi, Filters, Json, JsonObject, ServiceLogChunk } from "./api.ts";
import { generateName } from "./names.ts";
import { type EnginePlatform, linuxPlatform } from "./platform.ts";

type ServiceLogOptions = Parameters<NonNullable<EngineApi["serviceLogs"]>>[2];

/** Answers for one engine; each request is refused where the node is no manager. */
export class ServiceRequests {
  readonly #os: HostRuntime;
  readonly #swarm: SwarmNode;
  readonly #controller: NetworkController;
  readonly #platform: EnginePlatform;
  readonly #random: Random;

  constructor(
    os: HostRuntime,
    swarm: SwarmNode,
    controller: NetworkController,
    platform: EnginePlatform = linuxPlatform,
  ) {
    this.#os = os;
    this.#swarm = swarm;
    this.#controller = controller;
    this.#platform = platform;
    this.#random = os.random.fork("service names");
  }

  *create(spec: JsonObject): Proc<{ ID: string }> {
    const request = withoutNulls(spec) as ApiServiceSpec;
    const Name =
      request.Name === undefined || request.Name === "" ? generateName(this.#random, () => false) : request.Name;
    const findLocal = (name: string) => this.#findLocal(name);
    return { ID: yield* this.#swarm.control.services.create({ ...request, Name }, findLocal) };
  }

  *list(options: { filters?: Filters; status?: boolean }): Proc<readonly JsonObject[]> {
    const { filters = {}, status = false } = options;
    return json(yield* this.#swarm.control.services.list(filters, status));
  }

  *inspect(id: string, insertDefaults: boolean): Proc<JsonObject> {
    return json(yield* this.#swarm.control.services.inspect(id, insertDefaults));
  }

  *update(
    id: string,
    version: number,
    spec: JsonObject,
    rollback?: string,
  ): Proc<{ Warnings: readonly string[] | null }> {
    yield* this.#swarm.control.services.update(id, version, withoutNulls(spec) as ApiServiceSpec, {
      ...(rollback === undefined ? {} : { rollback }),
      findLocal: (name) => this.#findLocal(name),
    });
    return { Warnings: null };
  }

  *remove(id: string): Proc<void> {
    yield* this.#swarm.control.services.remove(id);
  }

  *tasks(filters: Filters): Proc<readonly JsonObject[]> {
    return json(yield* this.#swarm.control.services.tasks(filters));
  }

  *task(id: string): Proc<JsonObject> {
    return json(yield* this.#swarm.control.services.task(id));
  }

  /** Lines as GET /services/{id}/logs gives them. Who has enough closes the channel. */
  logs(kind: "service" | "task", id: string, options: ServiceLogOptions): Channel<ServiceLogChunk> {
    const { follow = false, tail, since } = options;
    const { services } = this.#swarm.control;
    const messages = services.logs(kind, id, {
      follow,
      ...(tail === undefined || tail < 0 ? {} : { tail }),
      ...(since === undefined ? {} : { since: services.timeOf(since) }),
    });
    const out = new Channel<ServiceLogChunk>();
    this.#os.spawn("docker service logs", copyLines(messages, out, options));
    return out;
  }

  /** By ID, name, or prefix of the ID. */
  #findLocal(name: string): LocalNetwork | undefined {
    const networks = this.#controller.networks();
    const found =
      networks.find((network) => network.id === name) ??
      networks.find((network) => network.name === name) ??
      networks.find((network) => network.id.startsWith(name));
    if (found === undefined) return undefined;
    const predefined = this.#platform.predefinedNetworks.has(found.name);
    return { name: found.name, predefined, dynamic: found.scope === "swarm" };
  }
}

function* copyLines(
  messages: Channel<LogMessage | Error>,
  out: Channel<ServiceLogChunk>,
  options: ServiceLogOptions,
): Proc<void> {
  try {
    for (;;) {
      const message = messages.tryPop();
      if (message instanceof Error)
        out.push({ stream: "stderr", text: `Error grabbing logs: ${message.message}`, error: true });
      else if (message !== undefined) out.push({ stream: message.stream, text: lineOf(message, options) });
      else if (messages.closed || out.closed) return;
      else yield { on: [messages, out] };
    }
  } finally {
    messages.close();
    if (!out.closed) out.close();
  }
}

function lineOf({ context, timestamp, data }: LogMessage, options: ServiceLogOptions): string {
  const details = [
    `com.docker.swarm.node.id=${context.nodeId}`,
    `com.docker.swarm.service.id=${context.serviceId}`,
    `com.docker.swarm.task.id=${context.taskId}`,
  ].join(",");
  return `${options.timestamps ? `${formatRfc3339Fixed(timestamp)} ` : ""}${options.details ? `${details} ` : ""}${data}`;
}

/** A client may say null for what it doesn't say. */
function withoutNulls(value: Json | undefined): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
  return Object.fromEntries(entries.map(([key, part]) => [key, withoutNulls(part as Json)]));
}

/** Typed answers are plain JSON. */
function json<T>(value: T): T extends readonly unknown[] ? JsonObject[] : JsonObject {
  return value as never;
}
