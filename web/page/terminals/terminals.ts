/** The terminals: the run's transcript and those of hosts and containers, as tabs. */
import "./terminals.css";
import type { TerminalEntry } from "../../session/terminals/protocol.ts";
import { button, type Page } from "../page.ts";
import { Tabs } from "../tabs.ts";
import { History } from "./history.ts";
import { Picker } from "./picker.ts";
import { TerminalTab, type Typing } from "./terminal-tab.ts";

/** The whole run's transcript. */
const TRANSCRIPT = "Transcript";

/** The terminals of the lab that is open. */
export class TerminalsView {
  readonly #page: Page;
  readonly #tabs: Tabs;
  /** By name. */
  readonly #terminals = new Map<string, TerminalTab>();
  /** What was typed on terminals, by the lab's name and theirs: it outlives a restart. */
  readonly #histories = new Map<string, History>();
  readonly #close: HTMLButtonElement;
  #lab = "";
  /** A terminal that the user wants to type on, as soon as it is there. */
  #wanted: string | undefined;
  #reader = false;

  /** @param actions where the buttons for all terminals go */
  constructor(page: Page, list: HTMLElement, panels: HTMLElement, actions: HTMLElement) {
    this.#page = page;
    this.#tabs = new Tabs(list, panels, (name) => this.#shown(name), "terminal");
    new ResizeObserver(() => this.#fit()).observe(panels);
    const picker = new Picker(page, {
      chosen: (place, another) => this.#open(place.host, place.container, another),
      reader: (on) => this.#readAloud(on),
    });
    const open = button("Open…", () => page.attempt(picker.open()));
    open.setAttribute("aria-label", "Open a terminal");
    this.#close = button("Close", () => this.#closeTab(this.#tabs.current));
    actions.append(open, this.#close);
    list.addEventListener("keydown", (event) => {
      if (event.key === "Delete") this.#closeTab(this.#tabs.current);
    });
    const group = "Terminals";
    page.keys.add({ key: "t", text: "type on the terminal in front", group, action: () => this.#focus() });
    page.keys.add({ key: "T", text: "open a terminal", group, action: () => page.attempt(picker.open()) });
    page.hub.on("lab", ({ name }) => this.#begin(name));
    page.hub.on("terminal", ({ host, container }) => this.#open(host, container, false));
    page.hub.on("session", (event) => {
      if (event.kind === "terminal") this.#add(event.terminal);
      else if (event.kind === "rewound") for (const terminal of this.#terminals.values()) terminal.reset();
      else if (event.kind === "output") this.#terminals.get(event.terminal ?? TRANSCRIPT)?.print(event.text);
      else if (event.kind === "prompt") this.#terminals.get(event.terminal)?.prompt(event.prompt);
    });
  }

  /** Begins anew, for another lab. */
  #begin(lab: string): void {
    for (const terminal of this.#terminals.values()) terminal.dispose();
    this.#terminals.clear();
    this.#tabs.clear();
    this.#lab = lab;
    this.#wanted = undefined;
    this.#make(TRANSCRIPT);
  }

  #add({ name }: TerminalEntry): void {
    if (this.#terminals.has(name)) return;
    this.#make(name, this.#typing(name));
    if (this.#wanted === name) this.#choose(name);
  }

  #make(name: string, typing?: Typing): void {
    const { button: tab, panel } = this.#tabs.add(name, name);
    const terminal = new TerminalTab(panel, name, this.#reader, typing);
    tab.addEventListener("click", () => terminal.focus());
    this.#terminals.set(name, terminal);
    this.#fit();
  }

  #typing(name: string): Typing {
    const { session } = this.#page;
    const key = `${this.#lab} ${name}`;
    const history = this.#histories.get(key) ?? new History();
    this.#histories.set(key, history);
    return {
      history,
      line: (text, shown) => this.#page.attempt(session.type(name, text, shown)),
      key: (pressed) => this.#page.attempt(session.key(name, pressed)),
      complete: async (text) => {
        try {
          return await session.complete(name, text);
        } catch {
          // A worker that has just ended says so itself.
          return { candidates: [], word: "" };
        }
      },
    };
  }

  #open(host: string, container: string | undefined, another: boolean): void {
    this.#page.attempt(
      this.#page.session.openTerminal(host, container, another).then((name) => {
        this.#wanted = name;
        if (this.#terminals.has(name)) this.#choose(name);
      }),
    );
  }

  #choose(name: string): void {
    this.#wanted = undefined;
    this.#tabs.choose(name);
    this.#terminals.get(name)?.focus();
  }

  #focus(): void {
    this.#terminals.get(this.#tabs.current ?? "")?.focus();
  }

  /** The transcript stays. */
  #closeTab(name: string | undefined): void {
    if (name === undefined || name === TRANSCRIPT) return;
    this.#terminals.get(name)?.dispose();
    this.#terminals.delete(name);
    this.#tabs.remove(name);
    this.#page.attempt(this.#page.session.closeTerminal(name));
  }

  #shown(name: string): void {
    this.#close.disabled = name === TRANSCRIPT;
    this.#fit();
  }

  #readAloud(on: boolean): void {
    this.#reader = on;
    for (const terminal of this.#terminals.values()) terminal.reader = on;
  }

  #fit(): void {
    this.#terminals.get(this.#tabs.current ?? "")?.fit();
  }
}
