/** The network namespaces of a host, under the names that users of Docker know. */
import type { NetNs } from "../../../kernel/types.ts";
import type { Inspected } from "../inspect.ts";

/** A namespace. */
export interface NamespaceEntry {
  /** As capture points call it: `host`, a container's name, a network's, `ingress_sbox`, `lb_…`. */
  readonly name: string;
  readonly kind: "host" | "container" | "overlay" | "balancer" | "ingress" | "other";
  /** Its file in /run/docker/netns, `1-rzlw4lq7x2` for example; "" without one. */
  readonly file: string;
}

const ORDER: readonly NamespaceEntry["kind"][] = ["host", "ingress", "overlay", "balancer", "container", "other"];

/** A host's namespaces: its own, those of the swarm, containers'. */
export function namespaces({ os, engine }: Inspected): NamespaceEntry[] {
  const files = new Map<NetNs, string>();
  for (const [file, ns] of engine?.controller.namespaceFiles() ?? []) files.set(ns, file);
  const kinds = new Map<NetNs, NamespaceEntry["kind"]>();
  for (const network of engine?.controller.networks() ?? []) {
    const sandbox = engine?.controller.overlay.network(network.id)?.sandbox;
    if (sandbox !== undefined) kinds.set(sandbox.ns, "overlay");
  }
  for (const { ns, kind } of engine?.controller.sandboxes() ?? [])
    if (ns !== undefined) kinds.set(ns, kind === "loadBalancer" ? "balancer" : kind);
  const { root } = os.kernel;
  kinds.set(root, "host");
  const all = os.kernel.namespaces().map((ns): NamespaceEntry => {
    return { name: ns.name, kind: kinds.get(ns) ?? "other", file: files.get(ns) ?? "" };
  });
  return all.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

/** The namespace of a name, or of a file in /run/docker/netns; undefined when there is none. */
export function findNamespace({ os, engine }: Inspected, name: string): NetNs | undefined {
  return os.kernel.namespaces().find((ns) => ns.name === name) ?? engine?.controller.namespaceFiles().get(name);
}

/** Names of a namespace's devices by their index; `if5` where there is none. */
export function deviceNames(ns: NetNs): (index: number) => string {
  const names = new Map(ns.link.list().map(({ index, name }) => [index, name]));
  return (index) => (index === 0 ? "" : (names.get(index) ?? `if${index}`));
}
