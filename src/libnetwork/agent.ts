/**
 * libnetwork's part in the cluster: NetworkDB with its keys, the tables of each network watched, and what they say
 * handed to drivers, load balancers and DNS (moby libnetwork/agent.go, 20.10).
 */
import { type Ipv4, parseIpv4 } from "../base/addr.ts";
import { UserError } from "../base/errors.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Channel, Proc, Process } from "../scheduler/process.ts";
import type { NetworkController } from "./controller.ts";
import type { Driver } from "./drivers/driver.ts";
import type { KeyUpdate } from "./drivers/overlay-encryption.ts";
import { type EncryptionKey, type KeyChange, primaryFirst, primaryOf, SUBSYS_GOSSIP, SUBSYS_IPSEC } from "./keys.ts";
import { ENDPOINT_TABLE } from "./labels.ts";
import type { Network } from "./network.ts";
import type { GossipKey, NetworkDb, TableNote } from "./networkdb-types.ts";
import { decodeEndpointRecord, type EndpointRecord } from "./records.ts";
import { addContainerNames, removeContainerNames, type ServiceBinding } from "./service.ts";

/** What NetworkDB is made with. */
export interface NetworkDbConfig {
  readonly os: HostOs;
  readonly bindAddress: Ipv4;
  readonly advertiseAddress: Ipv4;
  /** Empty: gossip in clear. */
  readonly keys: readonly GossipKey[];
  /** The one that encrypts; left out when there are no keys. */
  readonly primary?: GossipKey;
}

/** Makes (and starts) NetworkDB; injected, so that tests can do without gossip. */
export type NetworkDbFactory = (config: NetworkDbConfig) => NetworkDb;

/** Addresses of this node in the cluster. */
export interface AgentConfig {
  readonly advertiseAddress: Ipv4;
  /** Local address gossip listens on; 0 = any. */
  readonly bindAddress?: Ipv4;
  /** This node's own address, which behind NAT is not the advertised one; that one when left out. */
  readonly localAddress?: Ipv4;
  /** Address of the data path (`--data-path-addr`); the advertise address when left out. */
  readonly dataPathAddress?: Ipv4;
  /** 4789 when left out. */
  readonly dataPathPort?: number;
  /** Managers to join gossip through. */
  readonly remoteAddresses: readonly Ipv4[];
}

/** The gossip keys of a key set: all, and the primary (the middle one by Lamport tag). */
function gossipKeys(keys: readonly EncryptionKey[]): { keys: GossipKey[]; primary?: GossipKey } {
  const all = primaryFirst(keys, SUBSYS_GOSSIP).map((k) => ({ key: k.key, tag: k.lamportTime }));
  const primary = all[0];
  return primary === undefined ? { keys: [] } : { keys: all, primary };
}

interface Watch {
  readonly channel: Channel<TableNote>;
  readonly process: Process<unknown>;
}

/** Shares networks and endpoints with the other nodes over NetworkDB (libnetwork/agent.go). */
export class Agent {
  readonly db: NetworkDb;
  readonly config: AgentConfig;
  readonly #controller: NetworkController;
  readonly #watches = new Map<string, Watch[]>();

  /** Called by NetworkController.agentStart: makes NetworkDB and tells the drivers. */
  constructor(
    controller: NetworkController,
    config: AgentConfig,
    factory: NetworkDbFactory,
    keys: readonly EncryptionKey[],
  ) {
    this.#controller = controller;
    this.config = config;
    const { advertiseAddress, bindAddress = 0 } = config;
    this.db = factory({ os: controller.os, bindAddress, advertiseAddress, ...gossipKeys(keys) });
    const address = this.dataPathAddress;
    const ipsec = primaryFirst(keys, SUBSYS_IPSEC);
    // The keys are told twice, before the node's addresses (agentInit) and after them (agentDriverNotify).
    for (const driver of controller.drivers()) if (ipsec.length > 0) driver.discover({ kind: "keys", keys: ipsec });
    for (const driver of controller.drivers()) {
      driver.discover({
        kind: "node",
        address,
        bindAddress: config.localAddress ?? (bindAddress === 0 ? address : bindAddress),
        dataPathPort: config.dataPathPort ?? 0,
      });
      if (ipsec.length > 0) driver.discover({ kind: "keys", keys: ipsec });
    }
  }

  /** The VTEP address of this node. */
  get dataPathAddress(): Ipv4 {
    return this.config.dataPathAddress ?? this.config.advertiseAddress;
  }

  /** A new key set of the manager: gossip's ring first, then the drivers (handleKeyChange). */
  updateKeys({ keys, added, deleted }: KeyChange): void {
    const [newGossip, oldGossip] = [added[SUBSYS_GOSSIP], deleted[SUBSYS_GOSSIP]];
    if (newGossip !== undefined) this.db.setKey(newGossip.key);
    this.db.setPrimaryKey(primaryOf(keys, SUBSYS_GOSSIP).key);
    if (oldGossip !== undefined) this.db.removeKey(oldGossip.key);
    const [key, prune] = [added[SUBSYS_IPSEC], deleted[SUBSYS_IPSEC]];
    const update = {
      ...(key === undefined ? {} : { key }),
      primary: primaryOf(keys, SUBSYS_IPSEC),
      ...(prune === undefined ? {} : { prune }),
    };
    for (const driver of this.#controller.drivers()) this.#updateDriver(driver, update, keys);
  }

  /** A driver whose keys are others gets all keys anew. */
  #updateDriver(driver: Driver, update: KeyUpdate, keys: readonly EncryptionKey[]): void {
    const { log } = this.#controller;
    try {
      driver.discover({ kind: "keyUpdate", ...update });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      log("warning", `Failed to update datapath keys in driver ${driver.type}: ${error.message}`);
      log("warning", `Reconfiguring datapath keys for  ${driver.type}`);
      driver.discover({ kind: "keys", keys: primaryFirst(keys, SUBSYS_IPSEC) });
    }
  }

  /** Joins the gossip of a network and watches its tables. Everything known arrives as create notes. */
  *joinNetwork(network: Network): Proc {
    if (this.#watches.has(network.id)) return;
    this.#watches.set(network.id, []);
    yield* this.db.joinNetwork(network.id);
    // It may have been left while it was joined.
    if (!this.#watches.has(network.id)) return;
    const tables = [...network.driver.tables, ENDPOINT_TABLE];
    this.#watches.set(
      network.id,
      tables.map((table) => this.#watch(network, table)),
    );
  }

  #watch(network: Network, table: string): Watch {
    const channel = this.db.watch(table, network.id);
    const process = this.#controller.os.spawn(`watch-${table}`, this.#handleNotes(network, channel));
    return { channel, process };
  }

  *#handleNotes(network: Network, channel: Channel<TableNote>): Proc {
    for (;;) {
      const note = yield* channel.pop();
      if (note === undefined) return;
      if (note.table === ENDPOINT_TABLE) this.#endpointEvent(network, note);
      else network.driver.eventNotify(note);
    }
  }

  leaveNetwork(network: Network): void {
    for (const { channel, process } of this.#watches.get(network.id) ?? []) {
      this.db.unwatch(channel);
      process.kill();
    }
    if (this.#watches.delete(network.id)) this.db.leaveNetwork(network.id);
  }

  /** Ends all watches; NetworkDB itself is closed by the caller. */
  stopWatching(): void {
    for (const watches of this.#watches.values()) {
      for (const { channel, process } of watches) {
        this.db.unwatch(channel);
        process.kill();
      }
    }
    this.#watches.clear();
  }

  /** A name or a backend elsewhere came, changed or went (handleEpTableEvent). */
  #endpointEvent(network: Network, note: TableNote): void {
    const { log, services } = this.#controller;
    const record = decodeEndpointRecord(note.value);
    const ip = record === undefined ? undefined : parseIpv4(record.endpointIp);
    if (record === undefined || record.name === "" || ip === undefined) {
      log("error", `Invalid endpoint name/ip received while handling service table event for ${note.key}`);
      return;
    }
    const service = record.serviceId !== "";
    if (note.type === "update") {
      if (!service || !record.serviceDisabled) log("error", `Unexpected update table event for ${note.key}`);
      else services.remove(network, bindingOf(note.key, record, ip), false);
    } else if (note.type === "create") {
      if (service) services.add(network, bindingOf(note.key, record, ip));
      else addContainerNames(network, note.key, record.name, record.taskAliases, ip);
    } else if (service) {
      services.remove(network, bindingOf(note.key, record, ip), true);
    } else {
      removeContainerNames(network, note.key, record.name, record.taskAliases, ip);
    }
  }
}

function bindingOf(endpointId: string, record: EndpointRecord, ip: Ipv4): ServiceBinding {
  return {
    serviceName: record.serviceName,
    serviceId: record.serviceId,
    endpointId,
    containerName: record.name,
    vip: parseIpv4(record.virtualIp),
    ingressPorts: record.ingressPorts,
    serviceAliases: record.aliases,
    taskAliases: record.taskAliases,
    ip,
  };
}
