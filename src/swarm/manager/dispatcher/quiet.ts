/**
 * What a rest does to heartbeats (src/scheduler/quiet.ts): each agent's would have come one announced period after the
 * other, and moved the node's deadline in the dispatcher along.
 */
import { Random } from "../../../base/random.ts";
import type { Time } from "../../../base/time.ts";
import type { HostState } from "../../../scheduler/quiet.ts";
import { choosePeriod, GRACE_MULTIPLIER } from "./period.ts";

/** The upkeep of dispatchers and agents. */
export const HEARTBEATS = "heartbeats";

/** A node as its dispatcher has it. */
export interface HeardNode {
  readonly sessionId: string;
  /** When it counts as down. */
  readonly deadline: Time;
  /** When its last heartbeat came. */
  readonly heardAt: Time;
  /** What its periods are drawn from. */
  readonly randomKey: string;
}

/** A dispatcher. */
export interface DispatcherRest {
  readonly role: "dispatcher";
  readonly period: Time;
  readonly nodes: readonly HeardNode[];
}

/** An agent with a session. */
export interface AgentRest {
  readonly role: "agent";
  readonly sessionId: string;
  /** When its last heartbeat began, and how long the answer took. */
  readonly sentAt: Time;
  readonly roundTrip: Time;
  /** When the next one is due. */
  readonly due: Time;
}

/** One end of a resting heartbeat. */
export type HeartbeatRest = DispatcherRest | AgentRest;

/** What dispatchers and agents become up to and including a time. */
export function replayHeartbeats(states: readonly HostState<HeartbeatRest>[], to: Time): HeartbeatRest[] {
  const agents = new Map<string, AgentRest>();
  for (const { state } of states) if (state.role === "agent") agents.set(state.sessionId, state);
  const dispatchers = new Map<DispatcherRest, DispatcherRest>();
  for (const { state } of states) {
    if (state.role !== "dispatcher") continue;
    const nodes = state.nodes.map((node) => {
      const agent = agents.get(node.sessionId);
      if (agent === undefined) return node;
      const after = beat(node, agent, state.period, to);
      agents.set(node.sessionId, after.agent);
      return after.node;
    });
    dispatchers.set(state, { ...state, nodes });
  }
  return states.map(({ state }) => {
    if (state.role === "dispatcher") return dispatchers.get(state) ?? state;
    return agents.get(state.sessionId) ?? state;
  });
}

function beat(node: HeardNode, agent: AgentRest, period: Time, to: Time): { node: HeardNode; agent: AgentRest } {
  const random = new Random(node.randomKey);
  const way = node.heardAt - agent.sentAt;
  let { deadline, heardAt } = node;
  let { sentAt, due } = agent;
  while (due <= to) {
    sentAt = due;
    heardAt = due + way;
    const chosen = choosePeriod(random, period, heardAt);
    deadline = heardAt + chosen * GRACE_MULTIPLIER;
    due += agent.roundTrip + chosen;
  }
  return { node: { ...node, deadline, heardAt }, agent: { ...agent, sentAt, due } };
}
