/** The drivers of the networks `host` and `none`: no links at all (moby libnetwork/drivers/host, drivers/null). */
import { UserError } from "../../base/errors.ts";
import type { Driver, DriverNetwork } from "./driver.ts";

/** A driver with one network and nothing to do for its endpoints. */
export class SpecialDriver implements Driver {
  readonly type: "host" | "null";
  readonly tables = [];
  #network: string | undefined;

  constructor(type: "host" | "null") {
    this.type = type;
  }

  createNetwork(network: DriverNetwork): void {
    if (this.#network !== undefined) throw new UserError(`only one instance of "${this.type}" network is allowed`);
    this.#network = network.id;
  }

  deleteNetwork(): void {
    throw new UserError(`network of type "${this.type}" cannot be deleted`);
  }

  createEndpoint(): void {}
  deleteEndpoint(): void {}
  join(): void {}
  leave(): void {}
  eventNotify(): void {}
  discover(): void {}

  hostIpOf(): undefined {
    return undefined;
  }
}
