/** "Break…": a panel to break things and mend them while the lab runs. It leaves the page usable beside it. */
import "./panel.css";
import { formatDuration } from "../../../src/base/time.ts";
import type { FaultTargets, MadeFault } from "../../session/faults/protocol.ts";
import { button, type Page } from "../page.ts";
import { ACTIONS, type ActionName, type FaultAction, faultOf } from "./form.ts";

/** Names that the field for hosts offers. */
const MOST_OFFERED = 1000;
const FILTERS = ["udp port 4789", "port 7946", "tcp port 2377", "esp", "icmp", "arp"];

/** The panel, and the button that opens it. */
export class FaultPanel {
  readonly #page: Page;
  readonly #panel = document.createElement("div");
  readonly #action = document.createElement("select");
  readonly #hosts = field("fault-hosts");
  readonly #network = document.createElement("select");
  readonly #leaf = field("fault-leaf");
  readonly #spine = field("fault-spine");
  readonly #value = field("fault-value");
  readonly #rows: Readonly<Record<"hosts" | "network" | "switches" | "value", HTMLElement>>;
  readonly #says = document.createElement("p");
  readonly #apply: HTMLButtonElement;
  readonly #made = document.createElement("ol");
  readonly #names = document.createElement("datalist");
  readonly #filters = document.createElement("datalist");
  #targets: FaultTargets = { hosts: [], networks: [], fabric: undefined };
  #checked = 0;
  /** Entries of the journal, and the list, when it was shown last. */
  #done = 0;
  #listed = "";

  /** @param bar the button comes here */
  constructor(page: Page, bar: HTMLElement) {
    this.#page = page;
    const open = button("Break…", () => this.#toggle());
    open.id = "break";
    open.setAttribute("aria-haspopup", "dialog");
    bar.append(open);
    page.keys.add({ key: "x", text: "break something, or mend it", group: "Lab", action: () => this.open() });
    this.#apply = document.createElement("button");
    Object.assign(this.#apply, { type: "submit", id: "fault-apply", textContent: "Apply" });
    this.#rows = {
      hosts: labelled("Hosts", this.#hosts),
      network: labelled("Network", this.#network),
      switches: labelled("Or switch link: leaf", this.#leaf, "spine", this.#spine),
      value: labelled("", this.#value),
    };
    this.#build();
    page.hub.on("lab", () => page.attempt(this.#load()));
    page.hub.on("host", ({ host }) => this.#choose(host));
    page.hub.on("break", ({ host }) => this.open(host));
    page.hub.on("status", ({ done }) => {
      if (this.#panel.hidden || done === this.#done) return;
      this.#done = done;
      page.attempt(this.#list());
    });
  }

  #build(): void {
    const form = document.createElement("form");
    const title = document.createElement("h2");
    Object.assign(title, { textContent: "Break something", id: "fault-title" });
    for (const [name, { text }] of Object.entries(ACTIONS)) this.#action.add(new Option(text, name));
    Object.assign(this.#action, { id: "fault-action" });
    Object.assign(this.#names, { id: "fault-host-names" });
    Object.assign(this.#filters, { id: "fault-filters" });
    this.#filters.append(...FILTERS.map((filter) => new Option(filter, filter)));
    this.#hosts.setAttribute("list", this.#names.id);
    Object.assign(this.#network, { id: "fault-network" });
    this.#says.setAttribute("role", "status");
    const buttons = document.createElement("div");
    buttons.className = "bar";
    buttons.append(
      this.#apply,
      button("Close", () => this.#close()),
    );
    const { hosts, network, switches, value } = this.#rows;
    form.append(labelled("What", this.#action), hosts, network, switches, value, this.#says, buttons);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#page.attempt(this.#make());
    });
    form.addEventListener("input", (event) => this.#changed(event.target === this.#action));
    Object.assign(this.#panel, { id: "faults", hidden: true });
    this.#panel.setAttribute("role", "dialog");
    this.#panel.setAttribute("aria-labelledby", title.id);
    this.#panel.append(title, form, this.#made, this.#names, this.#filters);
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
    });
    document.body.append(this.#panel);
    this.#changed(true);
  }

  #toggle(): void {
    if (!this.#panel.hidden) this.#close();
    else this.open();
  }

  /** Shows it. @param host the one to break */
  open(host?: string): void {
    if (host !== undefined) this.#choose(host);
    this.#panel.hidden = false;
    const below = document.querySelector("header")?.getBoundingClientRect().bottom ?? 0;
    this.#panel.style.top = `${below + 8}px`;
    this.#panel.style.maxHeight = `calc(100vh - ${below + 24}px)`;
    this.#action.focus();
    this.#changed(false);
    this.#page.attempt(this.#list());
  }

  #close(): void {
    this.#panel.hidden = true;
    document.getElementById("break")?.focus();
  }

  #choose(host: string): void {
    this.#hosts.value = host;
    if (!this.#panel.hidden) this.#changed(false);
  }

  /** What there is to break in the lab that is open now. */
  async #load(): Promise<void> {
    const targets = await this.#page.session.faultTargets();
    this.#targets = targets;
    this.#names.replaceChildren(...targets.hosts.slice(0, MOST_OFFERED).map((name) => new Option(name, name)));
    this.#network.replaceChildren(
      new Option("all cards", ""),
      ...targets.networks.map((name) => new Option(name, name)),
    );
    if (!targets.hosts.includes(this.#hosts.value)) this.#hosts.value = targets.hosts.at(-1) ?? "";
    this.#leaf.value = "";
    this.#spine.value = "";
    this.#changed(false);
    await this.#list();
  }

  get #form() {
    return {
      action: this.#action.value as ActionName,
      hosts: this.#hosts.value,
      network: this.#network.value,
      leaf: this.#leaf.value,
      spine: this.#spine.value,
      value: this.#value.value,
    };
  }

  /** @param other another action was chosen */
  #changed(other: boolean): void {
    const action: FaultAction = ACTIONS[this.#form.action];
    const { hosts, network, switches, value } = this.#rows;
    const { networks, fabric } = this.#targets;
    hosts.hidden = action.where === "none";
    network.hidden = action.where === "none" || networks.length === 0;
    switches.hidden = action.where !== "wire" || fabric === undefined;
    value.hidden = action.value === undefined;
    if (other) {
      (value.firstElementChild as HTMLElement).textContent = action.value ?? "";
      this.#value.value = action.example ?? "";
      if (this.#form.action === "drop") this.#value.setAttribute("list", this.#filters.id);
      else this.#value.removeAttribute("list");
      if (this.#form.action === "partition") this.#value.value = halves(this.#targets.hosts);
    }
    this.#page.attempt(this.#check());
  }

  async #check(): Promise<void> {
    if (this.#panel.hidden) return;
    const check = ++this.#checked;
    const { text, error } = await this.#page.session.checkFault(faultOf(this.#form));
    if (check !== this.#checked) return;
    this.#says.textContent = error ?? text;
    this.#says.className = error === undefined ? "" : "wrong";
    this.#apply.disabled = error !== undefined;
  }

  async #make(): Promise<void> {
    await this.#page.session.makeFault(faultOf(this.#form));
    await this.#list();
  }

  async #list(): Promise<void> {
    const made = await this.#page.session.madeFaults();
    const lines = made.map(({ time, text }: MadeFault) => `${formatDuration(time)}  ${text}`);
    if (lines.join("\n") === this.#listed) return;
    this.#listed = lines.join("\n");
    this.#made.replaceChildren(
      ...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
    );
  }
}

function field(id: string): HTMLInputElement {
  return Object.assign(document.createElement("input"), { id, type: "text", autocomplete: "off", spellcheck: false });
}

/** A line of the form: texts and fields; each text labels the field behind it. */
function labelled(...parts: readonly (string | HTMLElement)[]): HTMLElement {
  const row = document.createElement("div");
  let label: HTMLLabelElement | undefined;
  for (const part of parts) {
    if (typeof part === "string") {
      label = document.createElement("label");
      label.textContent = part;
      row.append(label);
    } else {
      if (label !== undefined) label.htmlFor = part.id;
      row.append(part);
    }
  }
  return row;
}

/** The last host apart from the others, to begin with. */
function halves(hosts: readonly string[]): string {
  return `${hosts.slice(0, -1).slice(0, 8).join(" ")} | ${hosts.at(-1) ?? ""}`;
}
