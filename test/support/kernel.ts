/** The real kernel for tests of src/kernel: build/kernel.wasm, or what KERNEL_WASM names. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Cidr } from "../../src/base/addr.ts";
import { parseCidr, parseIpv4 } from "../../src/base/addr.ts";
import { Random } from "../../src/base/random.ts";
import { MS, type Time, US } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { compileKernel, type WasmModule } from "../../src/kernel/wasm.ts";

const path = process.env["KERNEL_WASM"] ?? fileURLToPath(new URL("../../build/kernel.wasm", import.meta.url));

/** Whether the kernel has been built. */
export const kernelBuilt = existsSync(path);

let compiled: Promise<WasmModule> | undefined;

/** The compiled kernel. */
export function kernelModule(): Promise<WasmModule> {
  compiled ??= compileKernel(readFileSync(path));
  return compiled;
}

/** A kernel with hosts on one segment: 10.1.1.1, 10.1.1.2 …, eth0 up, 50 µs apart. */
export async function lan(hosts: number, seed = "test"): Promise<{ kernel: Kernel; hosts: Host[] }> {
  const kernel = Kernel.create(await kernelModule());
  const made: Host[] = [];
  for (let i = 0; i < hosts; i++) {
    const settings = { down: false, latency: 50 * US, bandwidth: 1e10, loss: 0, queueBytes: 1_538_000, group: 0 };
    const port = kernel.underlay.addPort(1, i, 0, 0x525400000000 + i + 1, settings);
    const host = kernel.addHost(`host${i + 1}`, i, new Random(`${seed}/host${i + 1}`));
    host.addNic(port, "eth0", 1500);
    host.root.link.set("lo", { up: true });
    host.root.link.set("eth0", { up: true });
    host.root.addr.add("eth0", cidr(`10.1.1.${i + 1}/24`));
    made.push(host);
  }
  return { kernel, hosts: made };
}

/** Lets virtual time pass, whatever stops the kernel on the way. */
export function pass(kernel: Kernel, span: Time = 10 * MS): void {
  const end = kernel.now + span;
  while (kernel.run(end) !== "done");
}

export function cidr(text: string): Cidr {
  const value = parseCidr(text);
  if (value === undefined) throw new Error(`no CIDR: ${text}`);
  return value;
}

export function ip(text: string): number {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(`no IPv4 address: ${text}`);
  return value;
}
