/**
 * The hooks by which the overlay driver's encryption takes part (moby libnetwork/drivers/overlay/encryption.go).
 * The driver calls them at the same points as moby does; an implementation programs xfrm and iptables.
 */
import type { Ipv4 } from "../../base/addr.ts";
import type { EncryptionKey } from "../keys.ts";

/** The driver's view of the node and its peers, for encryption. */
export interface EncryptionContext {
  readonly advertiseAddress: Ipv4;
  readonly bindAddress: Ipv4;
  readonly dataPathPort: number;
  /** VTEPs of all remote endpoints of a network, each once, in order of learning. */
  peerVteps(networkId: string): readonly Ipv4[];
  /** Whether the network has an endpoint on this node. */
  hasLocalEndpoints(networkId: string): boolean;
}

/** One rotation step (discoverapi.DriverEncryptionUpdate): each part may be missing. */
export interface KeyUpdate {
  /** The key that came. */
  readonly key?: EncryptionKey;
  /** The one that encrypts from now on. */
  readonly primary?: EncryptionKey;
  /** The key that went. */
  readonly prune?: EncryptionKey;
}

/** Encryption of the data path. All calls are about networks with the option `encrypted` unless said. */
export interface OverlayEncryption {
  attach(context: EncryptionContext): void;
  /** True when keys have arrived; without them no endpoint joins an encrypted network. */
  readonly hasKeys: boolean;
  /** The first, or a wholly new, key set: primary first. Clears all SAs and policies (setKeys). */
  setKeys(keys: readonly EncryptionKey[]): void;
  /** One rotation step (updateKeys). @throws UserError when its keys are not those that are known */
  updateKeys(change: KeyUpdate): void;
  /**
   * SAs and policy towards one VTEP, or towards all of a network's when it is undefined (checkEncryption).
   * @param isLocal a local endpoint joined or left; else a remote peer came or went
   */
  checkEncryption(networkId: string, vtep: Ipv4 | undefined, isLocal: boolean, add: boolean): void;
  /** mangle and filter rules of a VNI (programMangle, programInput); `add` false clears leftovers of an encrypted network. */
  programVni(vni: number, add: boolean): void;
}
