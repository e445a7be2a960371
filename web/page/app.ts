/** The page: what the user does goes to the session's worker, what that tells is shown. */
import { proxy, type Remote } from "comlink";
import { formatDuration } from "../../src/base/time.ts";
import type { OpenLab, SessionApi, SessionEvent, Status } from "../session/protocol.ts";
import { Packets } from "./packets.ts";
import { save } from "./save.ts";
import { Terminals } from "./terminals.ts";

const CONTROLS = ["run", "pause", "step", "restart", "save-trace", "save-keys", "save-text"] as const;

/** An element of index.html. */
export function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Says what went wrong. */
export function showProblem(message: string | undefined): void {
  const place = element("problem");
  place.textContent = message ?? "";
  place.hidden = message === undefined;
}

/** The page's state and its elements. */
export class App {
  readonly #session: Remote<SessionApi>;
  readonly #terminals: Terminals;
  readonly #packets: Packets;
  readonly #seed = element<HTMLInputElement>("seed");
  #lab: OpenLab | undefined;
  /** Counts labs that were opened: what an earlier one still says is not for now. */
  #opened = 0;
  #transcript = "";

  constructor(session: Remote<SessionApi>) {
    this.#session = session;
    this.#terminals = new Terminals(element("tabs"), element("panels"), {
      line: (host, text) => this.#do(session.type(host, text)),
      key: (host, key) => this.#do(session.key(host, key)),
    });
    this.#packets = new Packets(element("packets"), element("bytes"), session);
    const actions: Record<(typeof CONTROLS)[number], () => void> = {
      run: () => this.#do(session.run()),
      pause: () => this.#do(session.pause()),
      step: () => this.#do(session.step()),
      restart: () => this.#do(this.#restart()),
      "save-trace": () => this.#do(this.#saveTrace()),
      "save-keys": () => this.#do(this.#saveKeys()),
      "save-text": () => this.#saveText(),
    };
    for (const id of CONTROLS) element(id).addEventListener("click", actions[id]);
    this.#seed.addEventListener("keydown", (event) => {
      if (event.key === "Enter") actions.restart();
    });
  }

  /** An action whose error the user is told. */
  #do(action: Promise<unknown>): void {
    action.catch((error: unknown) => showProblem(error instanceof Error ? error.message : String(error)));
  }

  /** Lists the labs, and opens one. @param name the one that the address asks for */
  async start(name: string | undefined): Promise<void> {
    const labs = await this.#session.labs();
    const list = element("labs");
    for (const lab of labs) {
      const button = document.createElement("button");
      const [title, sentence] = [document.createElement("strong"), document.createElement("small")];
      title.textContent = lab.name;
      sentence.textContent = lab.description;
      Object.assign(button, { type: "button" });
      button.dataset["lab"] = lab.name;
      button.append(title, sentence);
      button.addEventListener("click", () => this.#do(this.#open(lab.name, undefined)));
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
    }
    await this.#open(name ?? "standalone", undefined);
  }

  async #restart(): Promise<void> {
    const { value } = this.#seed;
    if (this.#lab !== undefined) await this.#open(this.#lab.name, value === "" ? undefined : value);
  }

  async #open(name: string, seed: string | undefined): Promise<void> {
    const opened = ++this.#opened;
    showProblem(undefined);
    element("status").textContent = `Starting ${name}.`;
    for (const id of CONTROLS) element<HTMLButtonElement>(id).disabled = true;
    this.#packets.count(0);
    this.#transcript = "";
    /** Told before the hosts are known. */
    let early: SessionEvent[] | undefined = [];
    const tell = (events: readonly SessionEvent[]): void => {
      if (opened !== this.#opened) return;
      if (early !== undefined) early.push(...events);
      else for (const event of events) this.#take(event);
    };
    const lab = await this.#session.open(name, seed, proxy(tell));
    if (opened !== this.#opened) return;
    this.#lab = lab;
    this.#seed.value = lab.seed;
    for (const button of document.querySelectorAll<HTMLElement>("[data-lab]"))
      button.setAttribute("aria-current", String(button.dataset["lab"] === name));
    document.title = `${name} – swarmwire`;
    history.replaceState(null, "", `?lab=${encodeURIComponent(name)}`);
    this.#terminals.open(lab.hosts);
    for (const event of early) this.#take(event);
    early = undefined;
  }

  #take(event: SessionEvent): void {
    switch (event.kind) {
      case "output":
        if (event.host === undefined) this.#transcript += event.text;
        this.#terminals.print(event.host, event.text);
        return;
      case "prompt":
        this.#terminals.prompt(event.host, event.prompt);
        return;
      case "failed":
        showProblem(event.message);
        return;
      case "status":
        this.#status(event.status);
    }
  }

  #status(status: Status): void {
    const { phase, step, frames, lost, failures } = status;
    const steps = this.#lab?.steps ?? [];
    const next = phase === "ready" && steps[step] !== undefined ? `; next ${steps[step]}` : "";
    const parts = [
      `${phase}, step ${step} of ${steps.length}`,
      `virtual time ${formatDuration(status.now)}`,
      `${frames} packets${lost > 0 ? `, ${lost} more not kept` : ""}`,
      ...(failures > 0 ? [`${failures} not as expected`] : []),
    ];
    const place = element("status");
    place.textContent = parts.join(" · ") + next;
    place.dataset["phase"] = phase;
    const going = phase === "running";
    const usable: Record<(typeof CONTROLS)[number], boolean> = {
      run: !going && phase !== "done",
      pause: going,
      step: !going && phase !== "done",
      restart: true,
      "save-trace": frames > 0,
      "save-keys": frames > 0,
      "save-text": true,
    };
    for (const id of CONTROLS) element<HTMLButtonElement>(id).disabled = !usable[id];
    this.#packets.count(frames);
  }

  #fileName(): string {
    return (this.#lab?.name ?? "trace").replaceAll("/", "-");
  }

  async #saveTrace(): Promise<void> {
    const { trace } = await this.#session.trace();
    save(`${this.#fileName()}.pcapng`, trace, "application/octet-stream");
  }

  async #saveKeys(): Promise<void> {
    const { keys } = await this.#session.trace();
    if (keys === "") throw new Error("Nothing was encrypted in this run: there are no keys.");
    save(`${this.#fileName()}.pcapng.esp_sa`, keys, "text/plain");
  }

  #saveText(): void {
    save(`${this.#fileName()}.txt`, this.#transcript, "text/plain");
  }
}
