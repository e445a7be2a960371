/** A packet in a few words. */

/** @param network of the tunnel that it is in */
export function packetWords(
  { protocol, summary }: { readonly protocol: string; readonly summary: string },
  network?: string,
): string {
  const own = summary.split(" | ").at(-1) ?? "";
  const said = own.toLowerCase().startsWith(protocol.toLowerCase()) ? own : `${protocol} ${own}`;
  return network === undefined ? said : `${network}: ${said}`;
}
