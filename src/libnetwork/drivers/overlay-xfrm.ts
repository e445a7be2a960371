/**
 * Encryption of overlay networks by IPsec: security associations and policies towards each other node, in the order
 * in which moby programs them (libnetwork/drivers/overlay/encryption.go, 20.10.24).
 *
 * Steady state per node: three inbound associations, one per key, and one outbound with its policy, for the key in
 * position 0 of the list. What that release leaves behind, or gets wrong, is left behind and wrong here too:
 * associations stay when a network goes, the policy's port is 4789 whatever the data path's is, and a whole new key
 * set forgets the nodes that are known.
 */
import { formatIpv4, type Ipv4 } from "../../base/addr.ts";
import { assert, KernelError, UserError } from "../../base/errors.ts";
import type { NetNs } from "../../kernel/types.ts";
import type { XfrmPolicySpec, XfrmStateSpec } from "../../kernel/xfrm-types.ts";
import { goErrorText } from "../go-errors.ts";
import type { EncryptionKey } from "../keys.ts";
import type { DaemonLog } from "../log.ts";
import type { EncryptionContext, KeyUpdate, OverlayEncryption } from "./overlay-encryption.ts";
import { ENCRYPTION_MARK, programInput, programMangle } from "./overlay-encryption-rules.ts";
import { aeadOf, spiOf } from "./overlay-spi.ts";
import { listText, policyText, type SaId, saText } from "./overlay-xfrm-text.ts";

const UDP = 17;
/** The policy's port: a constant up to release 24.0, even when the data path has another one. */
const POLICY_PORT = 4789;

/** A key as the driver keeps it: the low 32 bits of its Lamport time name it. */
interface Key {
  readonly value: Uint8Array;
  readonly tag: number;
}

/** SPIs of a node under one key: of what is sent to it, and of what it sends. */
interface SpiPair {
  readonly forward: number;
  readonly reverse: number;
}

function keyOf({ key, lamportTime }: EncryptionKey): Key {
  return { value: key, tag: lamportTime % 2 ** 32 };
}

function keyText(key: Key | undefined): string {
  if (key === undefined) return "";
  const hex = Array.from(key.value.subarray(0, 3), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `(key: ${hex.slice(0, 5)}, tag: 0x${key.tag.toString(16)})`;
}

function spiText({ forward, reverse }: SpiPair): string {
  return `SPI(FWD: 0x${forward.toString(16)}, REV: 0x${reverse.toString(16)})`;
}

/** Exchanges two elements. */
function swap<T>(list: T[], a: number, b: number): void {
  const [left, right] = [list[a], list[b]];
  assert(left !== undefined && right !== undefined, "elements to swap", a, b, list.length);
  list[a] = right;
  list[b] = left;
}

/** {@link OverlayEncryption} over the host's NETLINK_XFRM and iptables. */
export class XfrmEncryption implements OverlayEncryption {
  readonly #host: NetNs;
  readonly #log: DaemonLog;
  #context: EncryptionContext | undefined;
  /** The one that encrypts first. */
  #keys: Key[] = [];
  /** Known nodes and their SPIs, in the order of the keys (secMap). */
  #nodes = new Map<Ipv4, SpiPair[]>();

  constructor(host: NetNs, log: DaemonLog) {
    this.#host = host;
    this.#log = log;
  }

  attach(context: EncryptionContext): void {
    this.#context = context;
  }

  get hasKeys(): boolean {
    return this.#keys.length > 0;
  }

  /** Nodes with associations, for inspection and tests. */
  get nodes(): readonly Ipv4[] {
    return [...this.#nodes.keys()];
  }

  #attached(): EncryptionContext {
    assert(this.#context !== undefined, "encryption knows the node's addresses");
    return this.#context;
  }

  #spis(remote: Ipv4, tag: number): SpiPair {
    const own = this.#attached().advertiseAddress;
    return { forward: spiOf(own, remote, tag), reverse: spiOf(remote, own, tag) };
  }

  programVni(vni: number, add: boolean): void {
    const port = this.#attached().dataPathPort;
    programMangle(this.#host.iptables, port, vni, add);
    programInput(this.#host.iptables, port, vni, add);
  }

  // ------------------------------------------------------------------------------------------------ nodes

  checkEncryption(networkId: string, vtep: Ipv4 | undefined, isLocal: boolean, add: boolean): void {
    const shown = vtep === undefined ? "<nil>" : formatIpv4(vtep);
    this.#log("debug", `checkEncryption(${networkId.slice(0, 7)}, ${shown}, ${isLocal})`);
    if (!this.hasKeys) {
      this.#log("warning", "encryption key is not present");
      return;
    }
    const { advertiseAddress, peerVteps, hasLocalEndpoints } = this.#attached();
    let nodes: readonly Ipv4[] = [];
    if (isLocal) nodes = peerVteps(networkId).filter((node) => node !== advertiseAddress);
    else if (vtep !== undefined && hasLocalEndpoints(networkId)) nodes = [vtep];
    const list = [...nodes].map(formatIpv4).sort();
    this.#log("debug", `List of nodes: map[${list.map((node) => `${node}:${node}`).join(" ")}]`);
    if (add) for (const node of nodes) this.#setup(node);
    else if (nodes.length === 0 && vtep !== undefined) this.#remove(vtep);
  }

  /** setupEncryption: the same again changes nothing. */
  #setup(remote: Ipv4): void {
    const local = this.#attached().bindAddress;
    this.#log("debug", `Programming encryption between ${formatIpv4(local)} and ${formatIpv4(remote)}`);
    const spis = this.#keys.map((key) => this.#spis(remote, key.tag));
    this.#keys.forEach((key, i) => {
      const pair = spis[i] as SpiPair;
      this.#addInbound(remote, pair, key);
      if (i > 0) return;
      this.#addOutbound(remote, pair, key);
      const policy = this.#policy(remote, pair.forward);
      const text = (): string => `Adding fSP{${policyText(policy)}}`;
      if (this.#unless("EEXIST", text, () => this.#host.xfrm.policyAdd(policy))) this.#log("debug", text());
    });
    this.#nodes.set(remote, spis);
  }

  /** removeEncryption; the node stays in the list, as it does in moby. */
  #remove(remote: Ipv4): void {
    for (const [i, pair] of (this.#nodes.get(remote) ?? []).entries()) {
      this.#delInbound(remote, pair);
      if (i > 0) continue;
      this.#delOutbound(remote, pair);
      const policy = this.#policy(remote, pair.forward);
      const text = (): string => `Removing fSP{${policyText(policy)}}`;
      if (this.#unless("ENOENT", text, () => this.#host.xfrm.policyDel(policy))) this.#log("debug", text());
    }
  }

  // ------------------------------------------------------------------------------------------------ keys

  setKeys(keys: readonly EncryptionKey[]): void {
    this.#clearStates();
    this.#keys = keys.map(keyOf);
    this.#nodes = new Map();
    this.#log("debug", `Initial encryption keys: ${listText(this.#keys.map(keyText))}`);
  }

  /** clearEncryptionStates: policies with the driver's mark, then associations with its reqid. */
  #clearStates(): void {
    const { xfrm } = this.#host;
    const policies = xfrm.policyList();
    const states = xfrm.stateList();
    for (const policy of policies) {
      if (policy.mark?.value !== ENCRYPTION_MARK) continue;
      const text = policyText(policy);
      if (
        this.#unless(
          undefined,
          () => `Failed to delete stale SP ${text}`,
          () => xfrm.policyDel(policy),
        )
      )
        this.#log("debug", `Removed stale SP: ${text}`);
    }
    for (const state of states) {
      if (state.reqid !== ENCRYPTION_MARK) continue;
      const text = saText(state, state);
      if (
        this.#unless(
          undefined,
          () => `Failed to delete stale SA ${text}`,
          () => xfrm.stateDel(state),
        )
      )
        this.#log("debug", `Removed stale SA: ${text}`);
    }
  }

  updateKeys(change: KeyUpdate): void {
    const [added, primary, pruned] = [change.key, change.primary, change.prune].map((key) =>
      key === undefined ? undefined : keyOf(key),
    );
    this.#log(
      "debug",
      `Updating Keys. New: ${keyText(added)}, Primary: ${keyText(primary)}, Pruned: ${keyText(pruned)}`,
    );
    this.#log("debug", `Current: ${listText(this.#keys.map(keyText))}`);
    if (added !== undefined) this.#keys.push(added);
    const newIdx = added === undefined ? -1 : this.#keys.length - 1;
    const priIdx = primary === undefined ? -1 : this.#keys.findLastIndex((key) => key.tag === primary.tag);
    const delIdx = pruned === undefined ? -1 : this.#keys.findLastIndex((key) => key.tag === pruned.tag);
    if ((primary !== undefined && priIdx === -1) || (pruned !== undefined && delIdx === -1)) {
      throw new UserError(
        `cannot find proper key indices while processing key update:(newIdx,priIdx,delIdx):(${newIdx}, ${priIdx}, ${delIdx})`,
      );
    }
    if (priIdx !== -1 && priIdx === delIdx)
      throw new UserError(`attempting to both make a key (index ${priIdx}) primary and delete it`);
    assert(delIdx !== 0 || priIdx !== -1, "the primary key is pruned for another primary");
    for (const [remote, spis] of this.#nodes) this.#updateNode(remote, spis, newIdx, priIdx, delIdx);
    if (priIdx !== -1) swap(this.#keys, 0, priIdx);
    if (delIdx !== -1) this.#keys.splice(delIdx === 0 ? priIdx : delIdx, 1);
    this.#log("debug", `Updated: ${listText(this.#keys.map(keyText))}`);
  }

  /** updateNodeKey: -rSA of the pruned key, +rSA of the new one, +fSA of the primary, policy, -fSA of the old primary. */
  #updateNode(remote: Ipv4, spis: SpiPair[], newIdx: number, priIdx: number, delIdx: number): void {
    this.#log("debug", `Updating keys for node: ${formatIpv4(remote)} (${newIdx},${priIdx},${delIdx})`);
    this.#log("debug", `Current: ${listText(spis.map(spiText))}`);
    const keys = this.#keys;
    if (newIdx !== -1) spis.push(this.#spis(remote, (keys[newIdx] as Key).tag));
    const at = (index: number): SpiPair => {
      const pair = spis[index];
      assert(pair !== undefined, "SPIs of a node follow the keys", index, spis.length);
      return pair;
    };
    if (delIdx !== -1) this.#delInbound(remote, at(delIdx));
    if (newIdx !== -1) this.#addInbound(remote, at(newIdx), keys[newIdx] as Key);
    if (priIdx > 0) {
      this.#addOutbound(remote, at(priIdx), keys[priIdx] as Key);
      const policy = this.#policy(remote, at(priIdx).forward);
      const text = `fSP{${policyText(policy)}}`;
      this.#log("debug", `Updating ${text}`);
      this.#unless(
        undefined,
        () => `Failed to update ${text}`,
        () => this.#host.xfrm.policyUpdate(policy),
      );
      this.#delOutbound(remote, at(0));
      swap(spis, 0, priIdx);
    }
    if (delIdx !== -1) spis.splice(delIdx === 0 ? priIdx : delIdx, 1);
    this.#log("debug", `Updated: ${listText(spis.map(spiText))}`);
  }

  // -------------------------------------------------------------------------------------------- netlink

  #inbound(remote: Ipv4, { reverse }: SpiPair): SaId {
    return { src: remote, dst: this.#attached().bindAddress, spi: reverse, reqid: ENCRYPTION_MARK };
  }

  #outbound(remote: Ipv4, { forward }: SpiPair): SaId {
    return { src: this.#attached().bindAddress, dst: remote, spi: forward, reqid: ENCRYPTION_MARK };
  }

  #addInbound(remote: Ipv4, pair: SpiPair, key: Key): void {
    this.#addState("Adding: rSA", { ...this.#inbound(remote, pair), aead: aeadOf(key.value, pair.reverse) });
  }

  #addOutbound(remote: Ipv4, pair: SpiPair, key: Key): void {
    this.#addState("Adding fSA", { ...this.#outbound(remote, pair), aead: aeadOf(key.value, pair.forward) });
  }

  /** programSA: one that is there already is left alone. */
  #addState(action: string, state: XfrmStateSpec): void {
    const text = (): string => `${action}{${saText(state, state)}}`;
    if (this.#unless("EEXIST", text, () => this.#host.xfrm.stateAdd(state))) this.#log("debug", text());
  }

  #delInbound(remote: Ipv4, pair: SpiPair): void {
    this.#delState("Removing: rSA", this.#inbound(remote, pair));
  }

  #delOutbound(remote: Ipv4, pair: SpiPair): void {
    this.#delState("Removing fSA", this.#outbound(remote, pair));
  }

  #delState(action: string, id: SaId): void {
    const text = (): string => `${action}{${saText(id, undefined)}}`;
    if (this.#unless("ESRCH", text, () => this.#host.xfrm.stateDel(id))) this.#log("debug", text());
  }

  #policy(remote: Ipv4, spi: number): XfrmPolicySpec {
    const local = this.#attached().bindAddress;
    return {
      selector: {
        src: { ip: local, prefix: 32 },
        dst: { ip: remote, prefix: 32 },
        protocol: UDP,
        sport: 0,
        dport: POLICY_PORT,
      },
      dir: "out",
      mark: { value: ENCRYPTION_MARK, mask: 0xffffffff },
      priority: 0,
      action: "allow",
      templates: [{ src: local, dst: remote, spi, reqid: ENCRYPTION_MARK }],
    };
  }

  /**
   * Does something in the kernel. The refusal that says that there is nothing to do is none; any other is a warning,
   * and what follows is done all the same, as moby does. @returns whether it was done
   */
  #unless(idle: string | undefined, what: () => string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code !== idle) this.#log("warning", `${what()}: ${goErrorText(error)}`);
      return false;
    }
  }
}
