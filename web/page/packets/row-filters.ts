/** Filters that a row of the list offers: its addresses and its protocol. */

/** What is known of a row. */
export interface RowValues {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
}

/** A filter and what it is called in a menu. */
export interface RowFilter {
  readonly title: string;
  readonly filter: string;
}

const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** In Wireshark's syntax: a MAC address, an IP address, or a name that one was resolved to. */
function address(end: "src" | "dst" | "addr", value: string): string {
  if (MAC.test(value)) return `eth.${end} == ${value}`;
  if (IPV4.test(value)) return `ip.${end} == ${value}`;
  return `ip.${end === "addr" ? "host" : `${end}_host`} == "${value}"`;
}

/** @param wireshark in Wireshark's syntax, not in that of the simple filter */
export function rowFilters({ source, destination, protocol }: RowValues, wireshark: boolean): readonly RowFilter[] {
  if (source === "" || destination === "") return [];
  const word = (key: string, value: string): string => `${key}=${value}`;
  const [from, to] = [`source ${source}`, `destination ${destination}`];
  const both = `${source} and ${destination}`;
  if (!wireshark)
    return [
      { title: from, filter: word("src", source) },
      { title: to, filter: word("dst", destination) },
      { title: both, filter: `${word("host", source)} ${word("host", destination)}` },
      { title: `protocol ${protocol}`, filter: word("proto", protocol) },
    ];
  return [
    { title: from, filter: address("src", source) },
    { title: to, filter: address("dst", destination) },
    // To everybody there is only one way.
    ...(destination === "Broadcast"
      ? []
      : [{ title: both, filter: `${address("addr", source)} && ${address("addr", destination)}` }]),
    { title: `protocol ${protocol}`, filter: protocol.toLowerCase() },
  ].filter(({ filter }) => !filter.includes('"Broadcast"'));
}
