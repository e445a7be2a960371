/**
 * One session of an agent with a manager (swarmkit agent/session.go): the session stream, heartbeats,
 * assignments and status reports, each in a process of its own over one connection. The first that fails ends
 * all.
 */
import { SEC, type Time } from "../../base/time.ts";
import { Channel, type HostRuntime, type Proc, type Process, TIME_SKIPPED } from "../../scheduler/process.ts";
import type { HostState } from "../../scheduler/quiet.ts";
import type { NodeDescription, TaskStatus } from "../api/objects.ts";
import { Assignments, Heartbeat, Session, type SessionMessage, UpdateTaskStatus } from "../api/rpc.ts";
import { deadlineExceeded, RpcError } from "../api/status.ts";
import { type AgentRest, HEARTBEATS, type HeartbeatRest, replayHeartbeats } from "../manager/dispatcher/quiet.ts";
import type { ClientConn } from "../transport/transport.ts";
import { LogPublisher } from "./log-publisher.ts";
import type { StatusReporter } from "./status-reporter.ts";
import type { Worker } from "./worker.ts";

/** Limit of the session's start, of a heartbeat and of a status report (dispatcherRPCTimeout). */
const RPC_TIMEOUT = 5 * SEC;
const DESCRIPTION_REFRESH = 20 * SEC;

/** What a session needs of its agent. */
export interface SessionParts {
  readonly os: HostRuntime;
  readonly conn: ClientConn;
  readonly worker: Worker;
  readonly reporter: StatusReporter;
  readonly describe: () => NodeDescription;
  /** Every session message, the first included. */
  readonly onMessage: (message: SessionMessage) => Proc<void>;
  /** The manager has registered the node. */
  readonly onRegistered: () => void;
}

/** A session with a dispatcher (agent/session.go). */
export class AgentSession {
  readonly #parts: SessionParts;
  readonly #ended = new Channel<RpcError>();
  readonly #children: Process[] = [];
  #sessionId = "";
  /** The last heartbeat: when it began, how long it took; -1 while there is no answer. When the next one is due. */
  #sentAt: Time = 0;
  #roundTrip: Time = -1;
  #due: Time = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Lasts as long as the session; gives the error that ended it. */
  *run(): Proc<RpcError> {
    const { os, conn, describe } = this.#parts;
    const endUpkeep = os.addUpkeep({
      kind: HEARTBEATS,
      unrest: () => (this.#roundTrip < 0 ? "a heartbeat is under way" : undefined),
      state: () => this.#rest(),
      replay: (states, _from, to) => replayHeartbeats(states as HostState<HeartbeatRest>[], to),
      resume: (state) => this.#resume(state as AgentRest),
    });
    try {
      const description = describe();
      const stream = conn.open(Session, { description, sessionId: "" });
      const first = yield* stream.recv(os.now() + RPC_TIMEOUT);
      if (first === undefined) return deadlineExceeded();
      this.#sessionId = first.sessionId;
      this.#child("agent heartbeat", this.#heartbeat());
      this.#child(
        "agent listen",
        this.#listen(first, () => stream.recv()),
      );
      this.#child("agent assignments", this.#watchAssignments());
      const logs = new LogPublisher(os, conn, this.#parts.worker, first.node.id);
      this.#child("agent log subscriptions", logs.run());
      this.#child("agent description", this.#watchDescription(JSON.stringify(description)));
      for (const { taskId, status } of this.#parts.worker.statuses()) this.#parts.reporter.push(taskId, status);
      this.#child(
        "agent reports",
        this.#parts.reporter.run((id, status) => this.#sendStatus(id, status)),
      );
      this.#parts.onRegistered();
      return (yield* this.#ended.pop()) ?? new RpcError("Canceled", "context canceled");
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return error;
    } finally {
      endUpkeep();
      for (const child of this.#children) child.kill();
      conn.close();
    }
  }

  /** Runs a part of the session; its error ends the session. */
  #child(name: string, program: Proc<RpcError>): void {
    const ended = this.#ended;
    const run = function* (): Proc<void> {
      try {
        ended.push(yield* program);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        ended.push(error);
      }
    };
    this.#children.push(this.#parts.os.spawn(name, run()));
  }

  /** The first heartbeat at once, then after the period that each answer gives. */
  *#heartbeat(): Proc<RpcError> {
    const { os, conn } = this.#parts;
    for (;;) {
      this.#sentAt = os.now();
      this.#roundTrip = -1;
      const { period } = yield* conn.call(Heartbeat, { sessionId: this.#sessionId }, os.now() + RPC_TIMEOUT);
      this.#roundTrip = os.now() - this.#sentAt;
      this.#due = os.now() + (period as Time);
      while (os.now() < this.#due) yield { until: this.#due, upkeep: true };
    }
  }

  #rest(): AgentRest {
    const [sessionId, sentAt, roundTrip, due] = [this.#sessionId, this.#sentAt, this.#roundTrip, this.#due];
    return { role: "agent", sessionId, sentAt, roundTrip, due };
  }

  #resume(rest: AgentRest): void {
    this.#sentAt = rest.sentAt;
    this.#due = rest.due;
  }

  *#listen(first: SessionMessage, next: () => Proc<SessionMessage | undefined>): Proc<RpcError> {
    let message: SessionMessage | undefined = first;
    for (;;) {
      if (message !== undefined) yield* this.#parts.onMessage(message);
      message = yield* next();
    }
  }

  *#watchAssignments(): Proc<RpcError> {
    const { conn, worker } = this.#parts;
    for (;;) {
      const stream = conn.open(Assignments, { sessionId: this.#sessionId });
      let applied = "";
      for (;;) {
        const message = yield* stream.recv();
        if (message === undefined) break;
        // A gap in the sequence: start over with a complete set.
        if (message.type === "incremental" && message.appliesTo !== applied) break;
        applied = message.resultsIn;
        worker.apply(message);
      }
      stream.cancel();
    }
  }

  *#watchDescription(sent: string): Proc<RpcError> {
    const { os } = this.#parts;
    let due = os.now();
    for (;;) {
      due += DESCRIPTION_REFRESH;
      while (os.now() < due) {
        const source = yield { until: due, upkeep: true };
        if (source === TIME_SKIPPED) due += Math.ceil((os.now() - due) / DESCRIPTION_REFRESH) * DESCRIPTION_REFRESH;
      }
      if (JSON.stringify(this.#parts.describe()) !== sent) return new RpcError("Aborted", "node description changed");
    }
  }

  *#sendStatus(taskId: string, status: TaskStatus): Proc<void> {
    const request = { sessionId: this.#sessionId, updates: [{ taskId, status }] };
    yield* this.#parts.conn.call(UpdateTaskStatus, request, this.#parts.os.now() + RPC_TIMEOUT);
  }
}
