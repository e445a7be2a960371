/** The same life as a table, with the copies that went other ways. */
import type { Stage } from "../../session/follow/protocol.ts";
import { changeShort, copiesText, type JourneyRow, momentText, rowsOf, spanText } from "./model.ts";

const COLUMNS = ["After", "Host", "Namespace", "What", "Detail", "Changed", "Device", "Time (s)"] as const;
const WHAT = 3;
const NUMBERS = [0, 7];

/** The table. Arrow keys go through its rows; Enter or → opens a copy, ← closes it. */
export class JourneyTable {
  readonly element = document.createElement("div");
  readonly #body = document.createElement("tbody");
  readonly #chosen: (stage: Stage) => void;
  #stages: readonly Stage[] = [];
  #rows: readonly JourneyRow[] = [];
  readonly #open = new Set<string>();
  #at: string | undefined;

  constructor(chosen: (stage: Stage) => void) {
    this.#chosen = chosen;
    this.element.className = "journey-table";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "The packet's life as a table");
    const table = document.createElement("table");
    table.setAttribute("role", "treegrid");
    table.setAttribute("aria-label", "Stages of the packet's life");
    const head = document.createElement("thead");
    head.append(
      row(
        COLUMNS.map((name) => {
          const cell = document.createElement("th");
          cell.scope = "col";
          cell.textContent = name;
          return cell;
        }),
      ),
    );
    table.append(head, this.#body);
    this.element.append(table);
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("click", (event) => {
      const line = (event.target as Element).closest<HTMLElement>("tr");
      const found = this.#rows.find(({ id }) => id === line?.dataset["row"]);
      if (found !== undefined) this.#activate(found);
    });
  }

  show(stages: readonly Stage[]): void {
    this.#stages = stages;
    this.#open.clear();
    this.#at = undefined;
    this.#render();
  }

  /** Marks a stage. */
  select(key: number | undefined): void {
    this.#at = key === undefined ? undefined : `stage-${key}`;
    this.#mark();
  }

  #render(): void {
    this.#rows = rowsOf(this.#stages, this.#open);
    this.#body.replaceChildren(...this.#rows.map((one) => this.#line(one)));
    this.#mark();
  }

  #mark(): void {
    const lines = [...this.#body.rows];
    const current = lines.find((line) => line.dataset["row"] === this.#at) ?? lines[0];
    for (const line of lines) {
      line.tabIndex = line === current ? 0 : -1;
      line.setAttribute("aria-selected", String(line.dataset["row"] === this.#at));
    }
    if (this.#at !== undefined) current?.scrollIntoView({ block: "nearest" });
  }

  #line(one: JourneyRow): HTMLTableRowElement {
    const cells = one.stage === undefined ? this.#branchCells(one) : stageCells(one, one.stage);
    const line = row(cells);
    line.dataset["row"] = one.id;
    line.setAttribute("aria-level", String(one.depth + 1));
    line.className = one.stage?.kind ?? "branch";
    if (one.branch !== undefined) line.setAttribute("aria-expanded", String(one.open));
    return line;
  }

  #branchCells({ branch, open, depth }: JourneyRow): HTMLTableCellElement[] {
    const cell = document.createElement("td");
    cell.colSpan = COLUMNS.length;
    const count = branch?.stages.length ?? 0;
    cell.textContent = `${open ? "▾" : "▸"} a copy: ${branch?.end ?? ""} (${count} ${count === 1 ? "stage" : "stages"})`;
    cell.style.paddingLeft = `${8 + depth * 16}px`;
    return [cell];
  }

  #activate(one: JourneyRow): void {
    if (one.stage !== undefined) this.#chosen(one.stage);
    else this.#toggle(one, !one.open);
  }

  #toggle({ id }: JourneyRow, open: boolean): void {
    if (open) this.#open.add(id);
    else this.#open.delete(id);
    this.#at = id;
    this.#render();
    this.#focus(id);
  }

  #focus(id: string): void {
    [...this.#body.rows].find((line) => line.dataset["row"] === id)?.focus();
  }

  #key(event: KeyboardEvent): void {
    const id = (event.target as Element).closest<HTMLElement>("tr")?.dataset["row"];
    const at = this.#rows.findIndex((one) => one.id === id);
    const current = this.#rows[at];
    if (current === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.#rows.length - 1;
    const targets: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last };
    const target = targets[event.key];
    const expands = current.branch !== undefined && (event.key === "ArrowRight" || event.key === "ArrowLeft");
    if (target === undefined && !expands && event.key !== "Enter") return;
    event.preventDefault();
    if (expands) this.#toggle(current, event.key === "ArrowRight");
    else if (target === undefined) this.#activate(current);
    else this.#go(this.#rows[Math.max(0, Math.min(last, target))]);
  }

  #go(one: JourneyRow | undefined): void {
    if (one === undefined) return;
    this.#at = one.id;
    if (one.stage !== undefined) this.#chosen(one.stage);
    this.#mark();
    this.#focus(one.id);
  }
}

function row(cells: readonly HTMLTableCellElement[]): HTMLTableRowElement {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function stageCells({ since, depth }: JourneyRow, stage: Stage): HTMLTableCellElement[] {
  const { time, host, namespace, device, title, detail, changes } = stage;
  const what = [title, copiesText(stage)].filter(Boolean).join(", ");
  const after = since === undefined || since === 0 ? "" : `+${spanText(since)}`;
  const changed = changes.map(changeShort).join(", ");
  const texts = [after, host, namespace, what, detail, changed, device, momentText(time)];
  return texts.map((text, column) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    cell.title = text;
    if (NUMBERS.includes(column)) cell.className = "number";
    if (column === WHAT) cell.style.paddingLeft = `${8 + depth * 16}px`;
    return cell;
  });
}
