/** The drawing as tables: hosts, containers and networks, for those who don't see it and for those who search. */

import { withoutDigest } from "./describe.ts";
import { faultWords } from "./fault-words.ts";
import type { SwarmModel } from "./model.ts";
import type { Selection } from "./selection.ts";
import { bitRate } from "./units.ts";

/** Rows shown at most of a table. */
const MOST = 200;
const KINDS = ["Hosts", "Containers", "Networks"] as const;
type Kind = (typeof KINDS)[number];

const HEADS: Record<Kind, readonly string[]> = {
  Hosts: ["Host", "Address", "Swarm", "State", "Containers", "Sends", "Receives", "Dropped"],
  Containers: ["Container", "Host", "Image", "State", "Service", "Networks"],
  Networks: ["Network", "Driver", "Subnets", "VNI", "Encrypted", "Hosts"],
};

interface Row {
  readonly cells: readonly string[];
  readonly selection: Selection | undefined;
}

function hostRows({ hosts }: SwarmModel): Row[] {
  return hosts.map(({ place, scene, off, wires, faults, dropped, index }) => {
    const broken = faults.flatMap((fault, i) =>
      fault === undefined ? [] : faultWords(fault, place.wires[i]?.latency),
    );
    const state = off ? "switched off" : scene?.daemon === false ? "dockerd stopped" : broken.join(", ") || "up";
    const sum = (of: (wire: (typeof wires)[number]) => number): string =>
      bitRate(wires.reduce((total, wire) => total + of(wire), 0));
    const cells = [
      place.name,
      place.wires.map(({ address }) => address).join(" "),
      scene?.node ?? "",
      state,
      String(scene?.containers.length ?? 0),
      sum(({ txBits }) => txBits),
      sum(({ rxBits }) => rxBits),
      String(dropped),
    ];
    return { cells, selection: { host: index, key: "" } };
  });
}

function containerRows({ hosts, networks }: SwarmModel): Row[] {
  return hosts.flatMap(({ place, scene, index }) =>
    (scene?.containers ?? []).map(({ id, name, image, state, service = "", attachments }) => {
      const on = attachments.map(({ network, address }) => `${networks.byId(network)?.name ?? ""} ${address}`);
      return {
        cells: [name, place.name, withoutDigest(image), state, service, on.join(", ")],
        selection: { host: index, key: id },
      };
    }),
  );
}

function networkRows({ networks }: SwarmModel): Row[] {
  return networks.list().map(({ name, driver, subnets, vnis, encrypted, hosts }) => ({
    cells: [name, driver, subnets.join(" "), vnis.join(" "), encrypted ? "yes" : "no", String(hosts)],
    selection: undefined,
  }));
}

const ROWS: Record<Kind, (model: SwarmModel) => Row[]> = {
  Hosts: hostRows,
  Containers: containerRows,
  Networks: networkRows,
};

/** The tables. */
export class Outline {
  readonly element = document.createElement("section");
  readonly #chosen: (selection: Selection) => void;
  readonly #kind = document.createElement("select");
  readonly #filter = document.createElement("input");
  readonly #table = document.createElement("table");
  readonly #count = document.createElement("p");
  #model: SwarmModel | undefined;

  /** @param chosen told of a row that the user chose */
  constructor(chosen: (selection: Selection) => void) {
    this.#chosen = chosen;
    const { element } = this;
    element.className = "swarm-outline";
    element.hidden = true;
    element.setAttribute("aria-label", "The swarm as tables");
    this.#kind.append(...KINDS.map((kind) => new Option(kind, kind)));
    this.#kind.setAttribute("aria-label", "Table");
    this.#filter.type = "search";
    this.#filter.placeholder = "Filter";
    this.#filter.setAttribute("aria-label", "Filter the rows");
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.append(this.#kind, this.#filter, this.#count);
    const scroller = document.createElement("div");
    scroller.className = "scroller";
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-label", "Rows");
    scroller.append(this.#table);
    element.append(bar, scroller);
    this.#kind.addEventListener("change", () => this.#show());
    this.#filter.addEventListener("input", () => this.#show());
  }

  /** Opens or closes it. */
  toggle(model: SwarmModel | undefined): void {
    this.element.hidden = !this.element.hidden;
    if (model !== undefined) this.update(model);
  }

  /** The swarm is another one now. */
  update(model: SwarmModel): void {
    this.#model = model;
    // Whoever is about to press a button of a row doesn't lose it.
    if (!this.element.hidden && !this.#table.contains(document.activeElement)) this.#show();
  }

  #show(): void {
    if (this.#model === undefined) return;
    const kind = this.#kind.value as Kind;
    const wanted = this.#filter.value.toLowerCase();
    const rows = ROWS[kind](this.#model).filter(({ cells }) => cells.join(" ").toLowerCase().includes(wanted));
    this.#count.textContent =
      rows.length > MOST ? `${MOST} of ${rows.length} rows: filter for others` : `${rows.length} rows`;
    const caption = document.createElement("caption");
    caption.textContent = kind;
    const head = document.createElement("tr");
    for (const text of HEADS[kind]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    this.#table.replaceChildren(caption, head, ...rows.slice(0, MOST).map((row) => this.#row(row)));
  }

  #row({ cells, selection }: Row): HTMLElement {
    const row = document.createElement("tr");
    for (const [i, text] of cells.entries()) {
      const cell = document.createElement(i === 0 ? "th" : "td");
      if (i === 0) cell.setAttribute("scope", "row");
      if (i === 0 && selection !== undefined) {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: text });
        button.addEventListener("click", () => this.#chosen(selection));
        cell.append(button);
      } else cell.textContent = text;
      row.append(cell);
    }
    return row;
  }
}
