/** The page: its views, and the lab that is open. */
import { proxy, type Remote } from "comlink";
import type { LabRequest, OpenLab } from "../session/labs/protocol.ts";
import type { SessionApi, SessionEvent } from "../session/protocol.ts";
import { ChartsView } from "./charts/view.ts";
import { FaultPanel } from "./faults/panel.ts";
import { DropsView } from "./follow/drops.ts";
import { FollowView } from "./follow/view.ts";
import { Keys } from "./keys.ts";
import { Labs } from "./labs/labs.ts";
import { LinkButton } from "./labs/link-button.ts";
import { PacketsView } from "./packets/packets.ts";
import { element, Hub, type Page, showProblem } from "./page.ts";
import { SaveBar } from "./save-bar.ts";
import { addSkips } from "./skip.ts";
import { Stage } from "./stage.ts";
import { SwarmView } from "./swarm/view.ts";
import { TablesView } from "./tables/view.ts";
import { TerminalsView } from "./terminals/terminals.ts";
import { TimeBar } from "./time/bar.ts";
import { addWorkers } from "./workers/workers.ts";

/** The page's state. */
export class App implements Page {
  readonly session: Remote<SessionApi>;
  readonly hub = new Hub();
  readonly keys = new Keys();
  readonly #stage = new Stage();
  readonly #labs: Labs;
  /** What was opened last. */
  #open: OpenLab | undefined;
  /** Counts labs that were to be opened. */
  #asked = 0;
  /** Which of them is open: what an earlier one still says is not for now. */
  #told = 0;

  constructor(session: Remote<SessionApi>) {
    this.session = session;
    addSkips();
    new TimeBar(this, element("time"));
    new SaveBar(this, element("save"));
    addWorkers(this, element("save"));
    new TerminalsView(this, element("tabs"), element("panels"), element("terminal-actions"));
    this.#stage.add(new SwarmView(this));
    new PacketsView(this, element("packets"), element("details"));
    this.#stage.add(new TablesView(this, () => this.#stage.choose("tables")));
    this.#stage.add(new ChartsView(this));
    const follow = new FollowView(this, () => this.#stage.choose("follow"));
    this.#stage.add(follow);
    this.#stage.add(new DropsView(this, (journey) => follow.open(journey)));
    this.#labs = new Labs(this, this.#stage);
    new FaultPanel(this, element("tools"));
    element("tools").append(this.#labs.saveButton);
    new LinkButton(this, element("tools"), (moment) => this.#labs.link(moment));
  }

  attempt(action: Promise<unknown>): void {
    action.catch((error: unknown) => showProblem(error instanceof Error ? error.message : String(error)));
  }

  /** Opens the lab that the address asks for. */
  async start(): Promise<void> {
    await this.#labs.start();
  }

  get request(): LabRequest | undefined {
    return this.#open?.request;
  }

  async restart(seed?: string): Promise<void> {
    if (this.#open === undefined) return;
    const { seed: last, ...request } = this.#open.request;
    const next = seed ?? last ?? "";
    // The lab's own seed needn't be said.
    await this.open(next === "" || next === this.#open.outline.seed ? request : { ...request, seed: next });
  }

  async open(request: LabRequest): Promise<void> {
    const asked = ++this.#asked;
    const { name } = request.source;
    showProblem(undefined);
    const status = element("status");
    const before = status.textContent;
    status.textContent = `Starting ${name}.`;
    /** Told before the lab is known. */
    let early: SessionEvent[] | undefined = [];
    const tell = (events: readonly SessionEvent[]): void => {
      if (early !== undefined) early.push(...events);
      else if (asked === this.#told) for (const event of events) this.#take(event);
    };
    const lab = await this.session.open(request, proxy(tell)).catch((error: unknown) => {
      // What was open is open still.
      if (asked === this.#asked) status.textContent = before;
      throw error;
    });
    this.#told = asked;
    this.#open = lab;
    // Whatever went wrong meanwhile went wrong in the lab before.
    showProblem(undefined);
    document.title = `${name} – swarmwire`;
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
