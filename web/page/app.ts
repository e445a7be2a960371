/** The page: its views, and the lab that is open. */
import { proxy, type Remote } from "comlink";
import type { LabRequest } from "../session/labs/protocol.ts";
import type { SessionApi, SessionEvent } from "../session/protocol.ts";
import { ChartsView } from "./charts/view.ts";
import { Keys } from "./keys.ts";
import { Gallery } from "./labs/gallery.ts";
import { PacketsView } from "./packets/packets.ts";
import { element, Hub, type Page, showProblem } from "./page.ts";
import { SaveBar } from "./save-bar.ts";
import { Stage } from "./stage.ts";
import { TablesView } from "./tables/view.ts";
import { TerminalsView } from "./terminals/terminals.ts";
import { TimeBar } from "./time/bar.ts";

/** The page's state. */
export class App implements Page {
  readonly session: Remote<SessionApi>;
  readonly hub = new Hub();
  readonly keys = new Keys();
  /** What was opened last. */
  #request: LabRequest | undefined;
  /** Counts labs that were opened: what an earlier one still says is not for now. */
  #opened = 0;

  constructor(session: Remote<SessionApi>) {
    this.session = session;
    new TimeBar(this, element("time"));
    new SaveBar(this, element("save"));
    new Gallery(this, element("lab-filter"), element("labs"));
    new TerminalsView(this, element("tabs"), element("panels"));
    new PacketsView(this, element("packets"), element("bytes"));
    const stage = new Stage();
    stage.add(new TablesView(this, () => stage.choose("tables")));
    stage.add(new ChartsView(this));
  }

  attempt(action: Promise<unknown>): void {
    action.catch((error: unknown) => showProblem(error instanceof Error ? error.message : String(error)));
  }

  /** Opens the lab that the address asks for. */
  async start(name: string | undefined): Promise<void> {
    await this.open({ source: { kind: "gallery", name: name ?? "standalone" } });
  }

  async restart(seed?: string): Promise<void> {
    if (this.#request === undefined) return;
    const { seed: last, ...request } = this.#request;
    const next = seed ?? last ?? "";
    await this.open(next === "" ? request : { ...request, seed: next });
  }

  async open(request: LabRequest): Promise<void> {
    const opened = ++this.#opened;
    const { name } = request.source;
    showProblem(undefined);
    element("status").textContent = `Starting ${name}.`;
    /** Told before the lab is known. */
    let early: SessionEvent[] | undefined = [];
    const tell = (events: readonly SessionEvent[]): void => {
      if (opened !== this.#opened) return;
      if (early !== undefined) early.push(...events);
      else for (const event of events) this.#take(event);
    };
    const lab = await this.session.open(request, proxy(tell));
    if (opened !== this.#opened) return;
    this.#request = request;
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
