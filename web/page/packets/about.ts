/** What the pane of details says while no packet is selected: keys, and whose dissectors read the packets. */
import type { DissectorsState } from "./dissection.ts";

const KEYS = `/                to the filter; ↓ there: earlier filters
Ctrl-↓, Ctrl-↑   next and previous packet, from anywhere (also F8, F7)
Enter            from the list to the tree
→, ←, Shift-→    open a line, close it, open all below it
Shift-F10        menu of a packet or a line: follow it, apply it as a filter`;

const OWN = "Packets are read by swarmwire itself: a line each, as tcpdump says it. Wireshark's dissectors";

const ABSENT = `${OWN} aren't beside this page. From a checkout, npm run build:dissectors puts them beside dist/web, swarmwire view --dissectors FOLDER beside any copy of the page (npm package @goodtools/wiregasm, GPL-2.0).`;

const OFFERED = `${OWN} stand beside this page and can be loaded: trees, display filters, ESP decrypted (npm package @goodtools/wiregasm, GPL-2.0).`;

function ready(version: string): string {
  return `Packets are read by Wireshark ${version} (npm package @goodtools/wiregasm, GPL-2.0). Conversations are told apart by VLAN, MAC address and interface, since each frame is captured at both ends of its wire; ESP is decrypted with the run's keys.`;
}

/** @param state how the dissectors stand */
export function aboutPackets(state: DissectorsState): string {
  const whose = state.kind === "ready" ? ready(state.version) : state.kind === "absent" ? ABSENT : OFFERED;
  return `${whose}\n\n${KEYS}`;
}
