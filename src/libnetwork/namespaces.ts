/** Names of the namespaces that libnetwork makes. */
import type { HostKernel, NetNs } from "../kernel/types.ts";

/**
 * Makes a namespace. Capture points show it as `name` (a network, a container); where another one of the host bears
 * that name already (a container called as its network), Docker's own name for the namespace's file is added.
 */
export function makeNamespace(kernel: HostKernel, name: string, dockerName: string): NetNs {
  const taken = kernel.namespaces().some((ns) => ns.name === name);
  return kernel.createNs(taken ? `${name}.${dockerName}` : name);
}
