/**
 * What runs on an emulated host is given from above: the scheduler knows nothing of Docker. A machine is made
 * when its host is switched on, and again after a crash.
 */
import type { Time } from "../base/time.ts";
import type { HostOs } from "./os.ts";

/** The programs of one host, from power-on to power-off. */
export interface HostMachine {
  /** Power-on: starts programs. Called once, at the host's time of boot. */
  start(): void;
  /** A request from outside (a step of a lab), delivered as an event of this host. Answers go through `emit`. */
  command(id: number, request: unknown): void;
  /**
   * Answers a question from outside at once, without any effect: no event, no packet, no random number, nothing that
   * a later moment could tell. Called between windows. The answer must survive structured cloning.
   */
  inspect?(query: unknown): unknown;
}

/** What a host keeps while it is switched off. */
export type Disk = Map<string, unknown>;

/**
 * Makes the machine of a host.
 * @param config the host's `machine` entry of the topology
 * @param emit tells the outside something: an event of this host at the present virtual time. The payload must
 *   survive structured cloning
 * @param disk the same map at every boot of the host
 */
export type MachineFactory = (os: HostOs, config: unknown, emit: (event: unknown) => void, disk: Disk) => HostMachine;

/** A module that a worker imports exports its factory under this name. */
export interface MachineModule {
  readonly createMachine: MachineFactory;
}

/** A request for a host's machine, to be delivered at a virtual time. */
export interface PostedCommand {
  readonly time: Time;
  readonly host: number;
  readonly id: number;
  readonly request: unknown;
}

/** Something that a host's machine emitted. Total order: (time, host, seq). */
export interface HostEvent {
  readonly time: Time;
  readonly host: number;
  /** Per host, from 0. */
  readonly seq: number;
  readonly payload: unknown;
}
