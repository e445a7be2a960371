/** What of which host, when, and beside what: the choices above a table. */
import { formatDuration } from "../../../src/base/time.ts";
import { TABLES, type TableId } from "../../../src/lab/inspect/tables/list.ts";
import type { NamespaceEntry } from "../../../src/lab/inspect/tables/namespaces.ts";
import type { Moment, TableChoice } from "../../session/tables/protocol.ts";

/** What a table is compared with. */
export type Against =
  | { readonly kind: "nothing" }
  | { readonly kind: "all" }
  | { readonly kind: "host"; readonly host: string }
  | { readonly kind: "now" }
  | { readonly kind: "moment"; readonly moment: number };

const KINDS: Readonly<Record<NamespaceEntry["kind"], string>> = {
  host: "the host",
  ingress: "ingress sandbox",
  overlay: "overlay networks",
  balancer: "load balancers",
  container: "containers",
  other: "others",
};

interface Option {
  readonly value: string;
  readonly text: string;
  readonly group?: string;
}

/** Puts options into a select, and keeps what is chosen if it is there still. */
function fill(select: HTMLSelectElement, options: readonly Option[]): void {
  const signature = JSON.stringify(options);
  if (select.dataset["options"] === signature) return;
  select.dataset["options"] = signature;
  const { value } = select;
  select.replaceChildren();
  let group: HTMLOptGroupElement | undefined;
  for (const one of options) {
    const option = new Option(one.text, one.value);
    if (one.group === undefined) select.append(option);
    else {
      if (group?.label !== one.group) {
        group = document.createElement("optgroup");
        group.label = one.group;
        select.append(group);
      }
      group.append(option);
    }
  }
  if (options.some((one) => one.value === value)) select.value = value;
}

function labelled(text: string, id: string): { readonly label: HTMLLabelElement; readonly select: HTMLSelectElement } {
  const label = document.createElement("label");
  const select = document.createElement("select");
  select.id = id;
  label.append(text, select);
  return { label, select };
}

/** The choices. */
export class Pickers {
  readonly #host = labelled("Host", "table-host");
  readonly #table = labelled("Table", "table-id");
  readonly #namespace = labelled("Namespace", "table-namespace");
  readonly #moment = labelled("At", "table-moment");
  readonly #against = labelled("Compare with", "table-against");
  #hosts: readonly string[] = [];
  #moments: readonly Moment[] = [];

  /** @param changed told of each choice of the user */
  constructor(place: HTMLElement, changed: () => void) {
    for (const { label, select } of [this.#table, this.#host, this.#namespace, this.#moment, this.#against]) {
      place.append(label);
      select.addEventListener("change", () => {
        this.#refill();
        changed();
      });
    }
    const tables = Object.entries(TABLES).map(([value, { title, group }]) => ({ value, text: title, group }));
    fill(this.#table.select, tables);
  }

  get choice(): TableChoice {
    const moment = this.#moment.select.value;
    return {
      host: this.#host.select.value,
      table: this.#table.select.value as TableId,
      namespace: this.namespaced ? this.#namespace.select.value || "host" : undefined,
      moment: moment === "" ? undefined : Number(moment),
    };
  }

  /** The table is one of a network namespace. */
  get namespaced(): boolean {
    return TABLES[this.#table.select.value as TableId].scope === "namespace";
  }

  get against(): Against {
    const [kind = "", what = ""] = this.#against.select.value.split("\n");
    if (kind === "host") return { kind, host: what };
    if (kind === "moment") return { kind, moment: Number(what) };
    return { kind: kind === "all" || kind === "now" ? kind : "nothing" };
  }

  /** Another lab. */
  hosts(hosts: readonly string[]): void {
    this.#hosts = hosts;
    this.moments([]);
    this.namespaces([]);
    this.#against.select.value = "";
  }

  namespaces(entries: readonly NamespaceEntry[]): void {
    const { value } = this.#namespace.select;
    const options = entries.map(({ name, kind, file }) => {
      return { value: name, text: file === "" || file === name ? name : `${name} (${file})`, group: KINDS[kind] };
    });
    // One that is gone stays chosen, and its table says so: namespaces come and go with what a user does.
    const gone = value !== "" && !entries.some(({ name }) => name === value);
    if (gone && entries.length > 0) options.push({ value, text: value, group: "gone" });
    fill(this.#namespace.select, options);
  }

  moments(moments: readonly Moment[]): void {
    this.#moments = moments;
    this.#refill();
  }

  /** Chooses for the user. */
  choose({ host, table, namespace }: TableChoice): void {
    this.#host.select.value = host;
    this.#table.select.value = table;
    if (namespace !== undefined) {
      const { select } = this.#namespace;
      if (![...select.options].some((option) => option.value === namespace))
        select.append(new Option(namespace, namespace));
      select.value = namespace;
    }
    this.#moment.select.value = "";
    this.#refill();
  }

  momentText(id: number): string {
    const moment = this.#moments.find((one) => one.id === id);
    return moment === undefined ? "a moment" : formatDuration(moment.time);
  }

  #refill(): void {
    fill(
      this.#host.select,
      this.#hosts.map((value) => ({ value, text: value })),
    );
    const kept = this.#moments.map((moment) => ({ value: String(moment.id), text: this.momentText(moment.id) }));
    fill(this.#moment.select, [{ value: "", text: "now" }, ...kept]);
    this.#namespace.select.disabled = !this.namespaced;
    const { host, moment } = this.choice;
    const others = this.#hosts.filter((name) => name !== host);
    fill(this.#against.select, [
      { value: "", text: "nothing" },
      ...(moment === undefined ? [] : [{ value: "now", text: "now" }]),
      ...(others.length > 0 && moment === undefined ? [{ value: "all", text: "all hosts" }] : []),
      ...this.#moments
        .filter(({ id }) => id !== moment)
        .map(({ id }) => ({ value: `moment\n${id}`, text: this.momentText(id), group: "the same at" })),
      ...others.map((name) => ({ value: `host\n${name}`, text: name, group: "the same of" })),
    ]);
  }
}
