/** The packet's tree (WAI-ARIA Authoring Practices, tree view pattern; Shift-→ and Ctrl-→ as in Wireshark). */
import type { TreeNode } from "../../dissectors/protocol.ts";
import { allLines, reveal, type TreeLine, visibleLines } from "./tree-model.ts";

/** What the user does with lines. */
export interface TreeEvents {
  selected(line: TreeLine): void;
  hovered(line: TreeLine | undefined): void;
  menu(line: TreeLine, place: { readonly x: number; readonly y: number }): void;
  /** The line speaks of another frame, and the user wants to go there. */
  followed(frame: number): void;
}

/** The tree. What is open stays open from packet to packet. */
export class PacketTree {
  readonly #tree: HTMLElement;
  readonly #events: TreeEvents;
  readonly #expanded = new Set<string>();
  #nodes: readonly TreeNode[] = [];
  #lines: TreeLine[] = [];
  /** The selected line's key. */
  #selected: string | undefined;

  constructor(place: HTMLElement, events: TreeEvents) {
    this.#tree = place;
    this.#events = events;
    place.tabIndex = 0;
    place.setAttribute("role", "tree");
    place.setAttribute("aria-label", "Packet details");
    place.addEventListener("keydown", (event) => this.#key(event));
    place.addEventListener("click", (event) => this.#click(event));
    place.addEventListener("dblclick", (event) => this.#at(event, (line) => this.#open(line)));
    place.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      this.#at(event, (line) => {
        this.#choose(line);
        events.menu(line, { x: event.clientX, y: event.clientY });
      });
    });
    place.addEventListener("pointermove", (event) => this.#at(event, (line) => events.hovered(line)));
    place.addEventListener("pointerleave", () => events.hovered(undefined));
  }

  /** Shows a packet. The field that was selected stays so where the packet has it. */
  show(nodes: readonly TreeNode[]): void {
    this.#nodes = nodes;
    this.#draw();
    const line = this.#current();
    if (line !== undefined) this.#events.selected(line);
    else this.#selected = undefined;
  }

  focus(): void {
    this.#tree.focus();
    if (this.#current() === undefined && this.#lines[0] !== undefined) this.#choose(this.#lines[0]);
  }

  /** Selects a line, wherever it stands. */
  select(line: TreeLine): void {
    reveal(line, this.#expanded);
    this.#draw();
    this.#choose(line);
  }

  #current(): TreeLine | undefined {
    return this.#lines.find(({ key }) => key === this.#selected);
  }

  #draw(): void {
    this.#lines = visibleLines(this.#nodes, this.#expanded);
    this.#tree.replaceChildren(...this.#lines.map((line, place) => this.#item(line, place)));
    this.#mark();
  }

  #item({ node, level, key }: TreeLine, place: number): HTMLElement {
    const item = document.createElement("div");
    item.id = `field-${place}`;
    item.dataset["place"] = String(place);
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", String(level));
    item.style.paddingLeft = `${(level - 1) * 14 + 18}px`;
    if (node.children.length > 0) item.setAttribute("aria-expanded", String(this.#expanded.has(key)));
    if (node.frame !== undefined) item.classList.add("link");
    if (node.filter.startsWith("_ws.expert") || node.filter.startsWith("_ws.malformed")) item.classList.add("expert");
    item.textContent = node.label;
    return item;
  }

  #mark(): void {
    let chosen: HTMLElement | undefined;
    for (const item of this.#tree.children as Iterable<HTMLElement> & HTMLCollection) {
      const line = this.#lines[Number((item as HTMLElement).dataset["place"])];
      const selected = line !== undefined && line.key === this.#selected;
      item.setAttribute("aria-selected", String(selected));
      if (selected) chosen = item as HTMLElement;
    }
    if (chosen === undefined) this.#tree.removeAttribute("aria-activedescendant");
    else {
      this.#tree.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    }
  }

  #choose(line: TreeLine): void {
    this.#selected = line.key;
    this.#mark();
    this.#events.selected(line);
  }

  #at(event: Event, action: (line: TreeLine) => void): void {
    const item = (event.target as Element).closest<HTMLElement>("[data-place]");
    const line = item === null ? undefined : this.#lines[Number(item.dataset["place"])];
    if (line !== undefined) action(line);
  }

  #click(event: MouseEvent): void {
    this.#at(event, (line) => {
      const item = (event.target as Element).closest<HTMLElement>("[data-place]") as HTMLElement;
      const inArrow = event.clientX - item.getBoundingClientRect().left < (line.level - 1) * 14 + 18;
      if (inArrow && line.node.children.length > 0) this.#toggle(line);
      this.#choose(line);
    });
  }

  #toggle(line: TreeLine, open = !this.#expanded.has(line.key)): void {
    if (open) this.#expanded.add(line.key);
    else this.#expanded.delete(line.key);
    this.#draw();
  }

  /** Enter or a double click. */
  #open(line: TreeLine): void {
    if (line.node.frame !== undefined) this.#events.followed(line.node.frame);
    else if (line.node.children.length > 0) this.#toggle(line);
  }

  /** Opens or closes all lines below some. */
  #all(nodes: readonly TreeNode[], above: TreeLine | undefined, open: boolean): void {
    const lines = allLines(nodes, above).filter(({ node }) => node.children.length > 0);
    for (const { key } of above === undefined ? lines : [above, ...lines]) {
      if (open) this.#expanded.add(key);
      else this.#expanded.delete(key);
    }
    this.#draw();
    const current = this.#current();
    if (current === undefined && this.#lines[0] !== undefined) this.#choose(this.#lines[0]);
  }

  #key(event: KeyboardEvent): void {
    const line = this.#current();
    const at = line === undefined ? -1 : this.#lines.indexOf(line);
    const page = Math.max(1, Math.floor(this.#tree.clientHeight / 18) - 1);
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#lines.length - 1,
    };
    const target = targets[event.key];
    if (event.altKey || event.metaKey) return;
    if (target !== undefined && !event.ctrlKey) {
      const to = this.#lines[Math.max(0, Math.min(this.#lines.length - 1, target))];
      if (to !== undefined) this.#choose(to);
    } else if (event.ctrlKey && (event.key === "ArrowRight" || event.key === "ArrowLeft"))
      this.#all(this.#nodes, undefined, event.key === "ArrowRight");
    else if (line === undefined || event.ctrlKey || !this.#lineKey(event, line)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @returns whether the key means something */
  #lineKey(event: KeyboardEvent, line: TreeLine): boolean {
    const open = this.#expanded.has(line.key) && line.node.children.length > 0;
    switch (event.key) {
      case "ArrowRight":
        if (line.node.children.length === 0) return true;
        if (event.shiftKey) this.#all(line.node.children, line, true);
        else if (open) this.#choose(this.#lines[this.#lines.indexOf(line) + 1] as TreeLine);
        else this.#toggle(line, true);
        return true;
      case "ArrowLeft":
        if (open) event.shiftKey ? this.#all(line.node.children, line, false) : this.#toggle(line, false);
        else if (line.parent !== undefined) this.#choose(line.parent);
        return true;
      case "Backspace":
        if (line.parent !== undefined) this.#choose(line.parent);
        return true;
      case "Enter":
        this.#open(line);
        return true;
      case "ContextMenu":
      case "F10": {
        if (event.key === "F10" && !event.shiftKey) return false;
        const item = this.#tree.querySelector('[aria-selected="true"]')?.getBoundingClientRect();
        if (item !== undefined) this.#events.menu(line, { x: item.left + 24, y: item.bottom });
        return true;
      }
      default:
        return false;
    }
  }
}
