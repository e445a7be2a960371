/** One packet: its tree, its bytes (each data source in a tab), and the name of the field that is selected. */
import type { PacketDetails, TreeNode } from "../../dissectors/protocol.ts";
import { Tabs } from "../tabs.ts";
import { type ByteRange, BytesView } from "./bytes.ts";
import type { Join } from "./completion.ts";
import { type MenuItem, type MenuPlace, openMenu } from "./menu.ts";
import { PacketTree } from "./tree.ts";
import { fieldName, lineAt, type TreeLine } from "./tree-model.ts";

/** What the user does with a packet. */
export interface DetailsEvents {
  /** A field is to become the filter, or a part of it; applied at once or prepared. */
  filter(text: string, join: Join, apply: boolean): void;
  /** Another packet is to be shown, by its place in the recording. */
  packet(index: number): void;
}

const JOINS: readonly (readonly [join: Join, text: string])[] = [
  ["replace", "Apply as filter"],
  ["not", "Apply as filter: not selected"],
  ["and", "Apply as filter: … and selected"],
  ["or", "Apply as filter: … or selected"],
  ["and not", "Apply as filter: … and not selected"],
  ["or not", "Apply as filter: … or not selected"],
];

function range(node: TreeNode): ByteRange {
  return { start: node.start, length: node.length };
}

/** The pane. */
export class DetailsView {
  readonly #events: DetailsEvents;
  readonly #title = document.createElement("p");
  readonly #fields = document.createElement("div");
  /** Instead of the tree, without dissectors. */
  readonly #text = document.createElement("pre");
  readonly #field = document.createElement("p");
  readonly #list = document.createElement("div");
  readonly #tree: PacketTree;
  readonly #tabs: Tabs;
  #about = "";
  #empty = true;
  #views: BytesView[] = [];
  #nodes: readonly TreeNode[] = [];
  /** Places in the recording are so much higher than those that the tree speaks of. */
  #from = 0;

  constructor(place: HTMLElement, events: DetailsEvents) {
    this.#events = events;
    this.#title.className = "details-title";
    this.#fields.className = "fields";
    this.#text.className = "fields";
    this.#text.tabIndex = 0;
    this.#text.setAttribute("role", "region");
    this.#text.setAttribute("aria-label", "Packet summary");
    this.#field.className = "field";
    Object.assign(this.#list, { id: "sources", className: "sources" });
    this.#list.setAttribute("role", "tablist");
    this.#list.setAttribute("aria-label", "Bytes of the packet");
    const panels = document.createElement("div");
    panels.id = "bytes";
    const frame = document.createElement("div");
    frame.className = "fields-frame";
    frame.append(this.#fields, this.#text);
    place.append(this.#title, frame, this.#list, panels, this.#field);
    this.#tree = new PacketTree(this.#fields, {
      selected: (line) => this.#selected(line),
      hovered: (line) => this.#hovered(line),
      menu: (line, at) => this.#menu(line, at),
      followed: (frame) => events.packet(frame + this.#from),
    });
    this.#tabs = new Tabs(this.#list, panels, () => {});
    this.clear();
  }

  /** Nothing is selected. */
  clear(): void {
    this.#begin("No packet selected");
    this.#tree.show([]);
    this.#fields.hidden = true;
    this.#text.hidden = false;
    this.#text.textContent = this.#about;
    this.#empty = true;
  }

  /** What is said while nothing is selected. */
  set about(about: string) {
    this.#about = about;
    if (this.#empty) this.clear();
  }

  #begin(title: string): void {
    this.#empty = false;
    this.#title.textContent = title;
    this.#title.title = title;
    this.#field.textContent = "";
    this.#tabs.clear();
    this.#views = [];
    this.#nodes = [];
  }

  #sources(sources: PacketDetails["sources"]): void {
    this.#list.hidden = sources.length < 2;
    this.#views = sources.map(({ name, data }, source) => {
      const { panel } = this.#tabs.add(`bytes-${source}`, name);
      const pane = document.createElement("div");
      panel.append(pane);
      return new BytesView(pane, data, `Bytes: ${name}`, {
        hovered: (at) => this.#over(source, at),
        selected: (at) => {
          const line = lineAt(this.#nodes, source, at);
          if (line !== undefined) this.#tree.select(line);
          else this.#views[source]?.mark("chosen", { start: at, length: 1 }, true);
        },
      });
    });
  }

  /** A packet as Wireshark reads it. @param from what its places are counted from */
  show(title: string, { tree, sources }: PacketDetails, from: number): void {
    this.#begin(title);
    this.#from = from;
    this.#nodes = tree;
    this.#fields.hidden = false;
    this.#text.hidden = true;
    this.#sources(sources);
    this.#tree.show(tree);
  }

  /** A packet without dissectors: what can be said of it in a few lines. */
  plain(title: string, text: string, data: Uint8Array): void {
    this.#begin(title);
    this.#fields.hidden = true;
    this.#text.hidden = false;
    this.#text.textContent = text;
    this.#sources([{ name: `Frame (${data.length} bytes)`, data }]);
  }

  /** The keyboard's place. */
  focus(): void {
    if (this.#fields.hidden) this.#text.focus();
    else this.#tree.focus();
  }

  #selected({ node }: TreeLine): void {
    const name = fieldName(node);
    const bytes = node.length > 0 ? `${node.length} ${node.length === 1 ? "byte" : "bytes"}` : "";
    this.#field.textContent = [name, bytes].filter((text) => text !== "").join(", ");
    for (const [source, view] of this.#views.entries()) {
      const here = source === node.source && node.length > 0;
      if (here) this.#tabs.choose(`bytes-${source}`);
      view.mark("chosen", here ? range(node) : undefined, here);
    }
  }

  #hovered(line: TreeLine | undefined): void {
    for (const [source, view] of this.#views.entries())
      view.mark("hover", line !== undefined && source === line.node.source ? range(line.node) : undefined);
  }

  /** The mouse is over a byte: its field is marked and named. */
  #over(source: number, at: number | undefined): void {
    const line = at === undefined ? undefined : lineAt(this.#nodes, source, at);
    this.#hovered(line);
    if (line !== undefined) this.#field.textContent = line.node.label;
  }

  #menu(line: TreeLine, place: MenuPlace): void {
    const { filter, label, frame } = line.node;
    const items: MenuItem[] = [];
    if (frame !== undefined)
      items.push({
        text: `Go to packet ${frame + 1 + this.#from}`,
        action: () => this.#events.packet(frame + this.#from),
      });
    if (filter !== "" && fieldName(line.node) !== "") {
      for (const [join, text] of JOINS) items.push({ text, action: () => this.#events.filter(filter, join, true) });
      items.push({ text: "Prepare as filter", action: () => this.#events.filter(filter, "replace", false) });
      items.push({ text: "Copy filter", action: () => void navigator.clipboard.writeText(filter) });
    }
    items.push({ text: "Copy line", action: () => void navigator.clipboard.writeText(label) });
    openMenu("Field", place, items);
  }
}
