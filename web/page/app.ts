/** The page: its views, and the lab that is open. */
import { proxy, type Remote } from "comlink";
import type { SessionApi, SessionEvent } from "../session/protocol.ts";
import { Gallery } from "./labs/gallery.ts";
import { PacketsView } from "./packets/packets.ts";
import { element, Hub, type Page, showProblem } from "./page.ts";
import { SaveBar } from "./save-bar.ts";
import { TerminalsView } from "./terminals/terminals.ts";
import { TimeBar } from "./time/bar.ts";

/** The page's state. */
export class App implements Page {
  readonly session: Remote<SessionApi>;
  readonly hub = new Hub();
  readonly #gallery: Gallery;
  /** Counts labs that were opened: what an earlier one still says is not for now. */
  #opened = 0;

  constructor(session: Remote<SessionApi>) {
    this.session = session;
    new TimeBar(this, element("time"));
    new SaveBar(this, element("save"));
    this.#gallery = new Gallery(this, element("labs"));
    new TerminalsView(this, element("tabs"), element("panels"), element("terminal-actions"));
    new PacketsView(this, element("packets"), element("bytes"));
  }

  attempt(action: Promise<unknown>): void {
    action.catch((error: unknown) => showProblem(error instanceof Error ? error.message : String(error)));
  }

  /** Lists the labs, and opens one. @param name the one that the address asks for */
  async start(name: string | undefined): Promise<void> {
    await this.#gallery.load();
    await this.open(name ?? "standalone");
  }

  async open(name: string, seed?: string): Promise<void> {
    const opened = ++this.#opened;
    showProblem(undefined);
    element("status").textContent = `Starting ${name}.`;
    /** Told before the lab is known. */
    let early: SessionEvent[] | undefined = [];
    const tell = (events: readonly SessionEvent[]): void => {
      if (opened !== this.#opened) return;
      if (early !== undefined) early.push(...events);
      else for (const event of events) this.#take(event);
    };
    const lab = await this.session.open(name, seed, proxy(tell));
    if (opened !== this.#opened) return;
    document.title = `${name} – swarmwire`;
    history.replaceState(null, "", `?lab=${encodeURIComponent(name)}`);
    this.hub.tell("lab", lab);
    for (const event of early) this.#take(event);
    early = undefined;
  }

  #take(event: SessionEvent): void {
    if (event.kind === "status") this.hub.tell("status", event.status);
    else if (event.kind === "failed") showProblem(event.message);
    else this.hub.tell("session", event);
  }
}
