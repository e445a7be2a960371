/** NETLINK_XFRM of a FakeNetNs: states and policies as plain lists, and what `ip xfrm monitor` would have told. */
import type {
  XfrmApi,
  XfrmEvent,
  XfrmPolicyInfo,
  XfrmPolicySpec,
  XfrmStateId,
  XfrmStateInfo,
  XfrmStateSpec,
} from "../../src/kernel/xfrm-types.ts";
import { refuse } from "./fake-netns-tables.ts";

type PolicyId = Pick<XfrmPolicySpec, "selector" | "dir" | "mark">;

const stateKey = ({ dst, spi, mark }: XfrmStateId): string => JSON.stringify([dst, spi, mark]);
const policyKey = ({ selector, dir, mark }: PolicyId): string =>
  JSON.stringify([
    selector.src,
    selector.dst,
    selector.protocol,
    selector.sport,
    selector.dport,
    dir,
    mark?.value,
    mark?.mask,
  ]);

export class FakeXfrm implements XfrmApi {
  readonly #states = new Map<string, XfrmStateSpec>();
  readonly #policies = new Map<string, XfrmPolicyInfo>();
  /** Everything that happened, oldest first. */
  readonly events: XfrmEvent[] = [];
  #index = 1;

  stateAdd(state: XfrmStateSpec): void {
    if (this.#states.has(stateKey(state))) refuse("EEXIST", "xfrm state add");
    this.#states.set(stateKey(state), state);
    this.events.push({ kind: "newsa", state });
  }

  stateUpdate(state: XfrmStateSpec): void {
    if (!this.#states.has(stateKey(state))) refuse("ESRCH", "xfrm state update");
    this.#states.set(stateKey(state), state);
    this.events.push({ kind: "updsa", state });
  }

  stateDel(id: XfrmStateId): void {
    const state = this.#states.get(stateKey(id)) ?? refuse("ESRCH", "xfrm state delete");
    this.#states.delete(stateKey(id));
    this.events.push({ kind: "delsa", state });
  }

  stateFlush(): void {
    for (const state of [...this.#states.values()]) this.stateDel(state);
  }

  /** Newest first, as `ip xfrm state` lists them. */
  stateList(): XfrmStateInfo[] {
    const stats = { replayWindow: 0, replay: 0, failed: 0 };
    return [...this.#states.values()].reverse().map((state) => ({
      replayWindow: 0,
      seq: 0,
      seqHi: 0,
      oseq: 0,
      oseqHi: 0,
      bitmap: [0],
      bytes: 0,
      packets: 0,
      added: 0,
      used: undefined,
      stats,
      ...state,
    }));
  }

  policyAdd(policy: XfrmPolicySpec): void {
    if (this.#policies.has(policyKey(policy))) refuse("EEXIST", "xfrm policy add");
    this.#put("newpolicy", policy);
  }

  policyUpdate(policy: XfrmPolicySpec): void {
    this.#put(this.#policies.has(policyKey(policy)) ? "updpolicy" : "newpolicy", policy);
  }

  #put(kind: "newpolicy" | "updpolicy", policy: XfrmPolicySpec): void {
    this.#policies.set(policyKey(policy), { ...policy, index: 8 * this.#index++ + 1, added: 0, used: undefined });
    this.events.push({ kind, policy });
  }

  policyDel(id: PolicyId): void {
    const policy = this.#policies.get(policyKey(id)) ?? refuse("ENOENT", "xfrm policy delete");
    this.#policies.delete(policyKey(id));
    this.events.push({ kind: "delpolicy", policy });
  }

  policyFlush(): void {
    for (const policy of [...this.#policies.values()]) this.policyDel(policy);
  }

  policyList(): XfrmPolicyInfo[] {
    return [...this.#policies.values()];
  }

  policyDefault(): XfrmPolicySpec["action"] {
    return "allow";
  }

  setPolicyDefault(): void {
    refuse("EOPNOTSUPP", "xfrm policy setdefault");
  }

  stat(): Record<string, number> {
    return {};
  }
}
