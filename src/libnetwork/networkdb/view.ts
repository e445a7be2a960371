/** What a node of NetworkDB knows, as plain data for whoever looks at it. Reading changes nothing. */
import type { Member } from "../../memberlist/members.ts";
import { MEMBER_STATE } from "../../memberlist/messages.ts";
import type { GossipView, MemberView, NodeView } from "../networkdb-types.ts";
import type { GossipNode } from "./nodes.ts";
import type { ClusterState } from "./state.ts";

const MEMBER_STATES = Object.keys(MEMBER_STATE) as MemberView["state"][];

function memberView({ name, addr, port, state, incarnation, stateChange }: Member): MemberView {
  return { name, ip: addr, port, state: MEMBER_STATES[state] ?? "dead", incarnation, since: stateChange };
}

function nodeView([name, { member, lTime, reapTime }]: [string, GossipNode], state: NodeView["state"]): NodeView {
  return { name, ip: member.addr, state, lTime, reapTime };
}

/** @param ring memberlist's members */
export function gossipView(state: ClusterState, ring: () => readonly Member[]): GossipView {
  const { nodes, attachments, store } = state;
  return {
    members: () => ring().map(memberView),
    nodes: () =>
      (["active", "failed", "left"] as const).flatMap((of) => [...nodes[of]].map((one) => nodeView(one, of))),
    attachments: () =>
      [...attachments.all()].map(([node, { networkId, lTime, leaving, reapTime }]) => {
        return { node, networkId, lTime, leaving, reapTime };
      }),
    entries: () => store.networks().flatMap((networkId) => store.ofNetwork(networkId)),
  };
}
