/** Generated traffic of a lab: the host's side (sockets in containers), and the runner's, which asks the hosts for it. */
import { formatIpv4, parseIpv4 } from "../base/addr.ts";
import { KernelError } from "../base/errors.ts";
import { formatDuration, SEC, type Time } from "../base/time.ts";
import type { ProcessRoot } from "../engine/process-runner.ts";
import { RunningProgram } from "../engine/process-runner.ts";
import { Pipe, type Program } from "../engine/program.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc } from "../scheduler/process.ts";
import { resolve } from "../shell/lib/resolve.ts";
import { sendUdp, type UdpSent, UdpSink } from "../workload/udp-flow.ts";
import type { Flow, FlowEnd, WorkloadStep } from "./plan.ts";
import type { MachineEvent, MachineRequest } from "./protocol.ts";

/** What is still on its way when the last datagram was sent gets this long. */
const DRAIN: Time = 2 * SEC;
/** A name lookup may take this long before a flow starts. */
const LOOKUP: Time = 30 * SEC;

type WorkloadRequest = Extract<MachineRequest, { kind: "sink" | "count" | "flow" }>;

/** Sinks and senders of one host. */
export class HostWorkload {
  readonly #os: HostOs;
  readonly #emit: (event: MachineEvent) => void;
  /** What processes of a container share, or those of the host; undefined when the container doesn't run. */
  readonly #rootOf: (container: string | undefined) => ProcessRoot | undefined;
  /** Open sinks by the request that opened them. */
  readonly #sinks = new Map<number, UdpSink>();

  constructor(
    os: HostOs,
    emit: (event: MachineEvent) => void,
    rootOf: (container: string | undefined) => ProcessRoot | undefined,
  ) {
    this.#os = os;
    this.#emit = emit;
    this.#rootOf = rootOf;
  }

  command(id: number, request: WorkloadRequest): void {
    if (request.kind === "count") {
      const sink = this.#sinks.get(request.sink);
      this.#sinks.delete(request.sink);
      this.#attempt(id, () => {
        const { packets } = sink?.received() ?? { packets: 0 };
        sink?.close();
        this.#emit({ kind: "counted", id, packets });
      });
      return;
    }
    const root = this.#rootOf(request.container);
    if (root === undefined) this.#refuse(id, `no container ${request.container} runs there`);
    else if (request.kind === "flow") this.#os.spawn("workload", this.#send(id, root, request));
    else
      this.#attempt(id, () => {
        this.#sinks.set(id, new UdpSink(root.ns, request.port));
        this.#emit({ kind: "sink", id });
      });
  }

  #refuse(id: number, message: string): void {
    this.#emit({ kind: "refused", id, message });
  }

  #attempt(id: number, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#refuse(id, error.message);
    }
  }

  /** Runs as a process of the container: it ends when that ends. */
  *#send(id: number, root: ProcessRoot, { container, to, port, load }: WorkloadRequest & { kind: "flow" }): Proc<void> {
    let done: (UdpSent & { readonly address: string }) | undefined;
    let problem = "the container ended";
    const program: Program = function* (context) {
      let ip = parseIpv4(to);
      if (ip === undefined) {
        const found = yield* resolve(context, to, container === undefined ? "glibc" : "musl");
        ip = "addresses" in found ? found.addresses[0] : undefined;
      }
      if (ip === undefined) {
        problem = `${to}: no address`;
        return 1;
      }
      try {
        done = { address: formatIpv4(ip), ...(yield* sendUdp(context.os, context.ns, ip, port, load)) };
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        problem = error.message;
      }
      return 0;
    };
    const stdin = new Pipe();
    stdin.close();
    const nowhere = { write: () => {} };
    const io = { stdin, stdout: nowhere, stderr: nowhere, tty: false };
    const running = new RunningProgram(root, program, ["workload"], new Map(), "/", io, false);
    yield* running.wait();
    if (done === undefined) this.#refuse(id, problem);
    else this.#emit({ kind: "sent", id, ...done });
  }
}

/** One request for a host. */
export interface HostRequest {
  readonly host: string;
  readonly request: MachineRequest;
}

/** How the runner asks hosts: all at once; undefined for those that have not answered in time. */
export type Ask = (
  requests: readonly HostRequest[],
  span: Time,
) => Promise<readonly { readonly id: number; readonly answer: MachineEvent | undefined }[]>;

/** What came of one flow. */
export interface FlowResult {
  /** HOST or HOST/CONTAINER. */
  readonly from: string;
  readonly to: string;
  /** Where it was sent. */
  readonly address: string;
  /** Datagrams. */
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Those that the sender's kernel refused; not among the sent. */
  readonly failed: number;
}

/** What came of a workload: a line a flow, and what went wrong. */
export interface WorkloadOutcome {
  readonly text: string;
  /** Those that ran, in the lab's order. */
  readonly results: readonly FlowResult[];
  readonly problems: readonly string[];
}

const nameOf = ({ host, container }: FlowEnd): string => (container === undefined ? host : `${host}/${container}`);

/** Opens the sinks, runs all flows at the same time, and counts. */
export async function runWorkload(
  step: WorkloadStep,
  ask: Ask,
  wait: (span: Time) => Promise<void>,
): Promise<WorkloadOutcome> {
  const { flows } = step;
  const problems: string[] = [];
  const sinks = await ask(
    flows.map(({ to, port }) => ({ host: to.host, request: { kind: "sink", container: to.container, port } })),
    SEC,
  );
  sinks.forEach(({ answer }, at) => {
    if (answer?.kind !== "sink") problems.push(problemOf((flows[at] as Flow).to, answer));
  });
  const longest = Math.max(...flows.map(({ load }) => load.duration));
  const sent =
    problems.length > 0
      ? []
      : await ask(
          flows.map(({ from, address, port, load }) => ({
            host: from.host,
            request: { kind: "flow", container: from.container, to: address, port, load },
          })),
          longest + LOOKUP,
        );
  if (problems.length === 0) await wait(DRAIN);
  const counted = await ask(
    flows.map(({ to }, at) => ({ host: to.host, request: { kind: "count", sink: sinks[at]?.id ?? 0 } })),
    SEC,
  );
  let text = "";
  const results: FlowResult[] = [];
  sent.forEach(({ answer }, at) => {
    const flow = flows[at] as Flow;
    const count = counted[at]?.answer;
    if (answer?.kind !== "sent") problems.push(problemOf(flow.from, answer));
    else if (count?.kind !== "counted") problems.push(problemOf(flow.to, count));
    else {
      const result = resultOf(flow, answer, count.packets);
      results.push(result);
      text += report(flow, result);
    }
  });
  return { text, results, problems };
}

function problemOf(end: FlowEnd, answer: MachineEvent | undefined): string {
  return `${nameOf(end)}: ${answer?.kind === "refused" ? answer.message : "no answer"}`;
}

function resultOf(
  { from, to }: Flow,
  { address, sent, failed }: UdpSent & { readonly address: string },
  received: number,
): FlowResult {
  return { from: nameOf(from), to: nameOf(to), address, sent, received, lost: sent - received, failed };
}

/** `host1/c1 to host2/c2 (10.0.1.4), 1000/s of 64 bytes for 10s: 10000 sent, 10000 received, 0 lost (0%)`. */
function report(flow: Flow, { from, to, address, sent, received, lost, failed }: FlowResult): string {
  const { rate, size, duration } = flow.load;
  const share = sent === 0 ? 0 : Number(((100 * lost) / sent).toFixed(2));
  const refused = failed === 0 ? "" : `, ${failed} could not be sent`;
  return `${from} to ${to} (${address}), ${rate}/s of ${size} bytes for ${formatDuration(duration)}: ${sent} sent, ${received} received, ${lost} lost (${share}%)${refused}\n`;
}
