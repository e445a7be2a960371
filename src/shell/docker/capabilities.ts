/** `--cap-add` and `--cap-drop` of services (docker/cli opts/capabilities.go; 20.10). */

/** `net_admin` → `CAP_NET_ADMIN`; ALL and RESET stay words. */
export function normalCapability(name: string): string {
  const upper = name.trim().toUpperCase();
  return upper === "ALL" || upper === "RESET" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

/** Sorted, each once; ALL stands for every other one; RESET only means something in an update. */
function effective(names: readonly string[]): string[] {
  const unique = new Set(names.map(normalCapability));
  if (unique.has("ALL")) return ["ALL"];
  unique.delete("RESET");
  return [...unique].sort();
}

/** What a new service gets of what was asked for: added goes before dropped. */
export function effectiveCapabilities(
  add: readonly string[],
  drop: readonly string[],
): { readonly CapabilityAdd: string[]; readonly CapabilityDrop: string[] } {
  const added = effective(add);
  return { CapabilityAdd: added, CapabilityDrop: effective(drop).filter((name) => !added.includes(name)) };
}
