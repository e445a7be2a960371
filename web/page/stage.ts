/** The middle of the page: large views of the emulation, one at a time. */
import { element } from "./page.ts";
import { Tabs } from "./tabs.ts";

/** A view of the stage. */
export interface StageView {
  /** Names it, in ids too. */
  readonly id: string;
  readonly title: string;
  /** Made once, into its panel. */
  mount(panel: HTMLElement): void;
  /** It is in sight from now on, or not any more: what isn't in sight costs nothing. */
  shown?(shown: boolean): void;
}

/** The views, as tabs. */
export class Stage {
  readonly #views = new Map<string, StageView>();
  readonly #tabs: Tabs;
  #shown: StageView | undefined;

  constructor() {
    this.#tabs = new Tabs(element("views"), element("view-panels"), (id) => this.#show(id));
  }

  /** Adds a view. The first one is shown. */
  add(view: StageView): void {
    this.#views.set(view.id, view);
    element("stage").hidden = false;
    const { panel } = this.#tabs.add(view.id, view.title);
    view.mount(panel);
    if (this.#tabs.current === view.id) view.shown?.(true);
  }

  /** Brings a view to the front. */
  choose(id: string): void {
    this.#tabs.choose(id);
  }

  #show(id: string): void {
    const view = this.#views.get(id);
    if (view === this.#shown) return;
    this.#shown?.shown?.(false);
    this.#shown = view;
    view?.shown?.(true);
  }
}
