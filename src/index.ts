/**
 * swarmwire as a library: read a lab, run it, look at what it did. Platform-neutral; Node's side (loading the
 * kernel, worker threads) is `swarmwire/node`.
 *
 * @example
 * ```ts
 * import { LabSession, createMachine, parseLab, runSteps } from "swarmwire";
 * import { loadKernel } from "swarmwire/node";
 *
 * const plan = parseLab("two.yaml", "hosts: { a: {}, b: {} }\nsteps: [{ a: ping -c 1 192.168.77.12 }]");
 * const session = await LabSession.start(plan, { module: await loadKernel(), machines: createMachine });
 * const result = await runSteps(session, {});
 * await session.close();
 * ```
 */
export { KernelError, UserError } from "./base/errors.ts";
export { formatDuration, HOUR, MINUTE, MS, parseDuration, SEC, type Time, US } from "./base/time.ts";
export { createMachine } from "./lab/machine.ts";
export { parseLab } from "./lab/parse.ts";
export type { CommandStep, Fault, HostPlan, LabPlan, Step } from "./lab/plan.ts";
export { type LabObserver, type LabOptions, type LabResult, LabSession, runSteps, type StepResult } from "./lab/run.ts";
export { LAB_SCHEMA } from "./lab/schema.ts";
export { LabTrace } from "./lab/trace.ts";
export type { CapturedFrame, CapturePoint, CaptureSink } from "./scheduler/captures.ts";
export { Cluster, type ClusterOptions } from "./scheduler/cluster.ts";
export type { SimCounters } from "./scheduler/counters.ts";
