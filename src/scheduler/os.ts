/** An emulated host as its programs see it: time, chance, processes, and the kernel's two doors. */
import type { HostKernel } from "../kernel/types.ts";
import type { HostRuntime } from "./process.ts";

/** What programs of a host see of it: clock, chance, processes, kernel. */
export interface HostOs extends HostRuntime {
  readonly kernel: HostKernel;
}
