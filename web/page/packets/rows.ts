/** Rows of the packet list: Wireshark's columns and colours where its dissectors have the packet, our own where not. */
import type { DissectedRow } from "../../dissectors/protocol.ts";
import type { PacketRow } from "../../session/packets/protocol.ts";
import type { Page } from "../page.ts";
import { rowColors } from "./colors.ts";
import type { Displayed } from "./displayed.ts";
import type { Dissection } from "./dissection.ts";
import type { ListRow } from "./list.ts";
import { covers } from "./pacing.ts";
import { formatTime } from "./time-format.ts";
import type { ListTools } from "./tools.ts";

const dark = matchMedia("(prefers-color-scheme: dark)");
/** A large capture is loaded around what is in sight once the list has rested that long. */
const REST_MS = 400;

/** Where the list's rows come from. */
export class PacketRows {
  readonly #page: Page;
  readonly #displayed: Displayed;
  readonly #dissection: Dissection;
  readonly #tools: ListTools;
  /** Time passes. */
  running = false;
  #rest: ReturnType<typeof setTimeout> | undefined;

  /** @param restyled told when rows look otherwise */
  constructor(page: Page, displayed: Displayed, dissection: Dissection, tools: ListTools, restyled: () => void) {
    this.#page = page;
    this.#displayed = displayed;
    this.#dissection = dissection;
    this.#tools = tools;
    dark.addEventListener("change", restyled);
  }

  /** Rows in sight: Wireshark's where it has them, our own where not. */
  async rows(from: number, count: number): Promise<readonly ListRow[]> {
    const before = this.#tools.format === "previous" ? this.#displayed.index(from - 1) : undefined;
    const indices = Uint32Array.from({ length: count }, (_, i) => this.#displayed.index(from + i) ?? 0);
    const asked = before === undefined ? indices : Uint32Array.of(before, ...indices);
    const [answered, dissected, first] = await Promise.all([
      this.#page.session.packetsAt(asked),
      this.#dissection.rows(indices),
      this.#page.session.packets(0, 1),
    ]);
    const start = first[0]?.time ?? 0;
    const rows = before === undefined ? answered : answered.slice(1);
    let previous = before === undefined ? undefined : answered[0]?.time;
    const out: ListRow[] = [];
    for (const [i, row] of rows.entries()) {
      const time = formatTime(row.time, this.#tools.format, { first: start, previous });
      previous = row.time;
      out.push(this.#row(row, from + i, time, dissected[i]));
    }
    this.#lookAround(indices);
    return out;
  }

  #row(row: PacketRow, position: number, time: string, dissected: DissectedRow | undefined): ListRow {
    const { index, length, point } = row;
    const { source, destination, protocol } = dissected ?? row;
    const info = dissected?.info ?? row.summary;
    const { background, foreground } = dissected ?? {};
    const colored = this.#tools.colors && background !== undefined && foreground !== undefined;
    const cells = [String(index + 1), time, source, destination, protocol, String(length), info, point];
    return { position, index, cells, colors: colored ? rowColors(background, foreground, dark.matches) : undefined };
  }

  /** A large capture: loads what is around the rows in sight, when time stands and nothing else is to do. */
  #lookAround(indices: Uint32Array): void {
    clearTimeout(this.#rest);
    const middle = indices[indices.length >>> 1];
    const { loaded, busy, partial, ready } = this.#dissection;
    if (middle === undefined || !partial || !ready || this.#displayed.filtered || covers(loaded, middle)) return;
    this.#rest = setTimeout(() => {
      if (!this.running && !busy) this.#page.attempt(this.#dissection.need(middle));
    }, REST_MS);
  }
}
