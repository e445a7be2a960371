/** The view "Lab": the open lab's text to look at and to change, its parameters, its steps and how far they have come. */
import "./view.css";
import type { LabCheck, LabOutline, LabRequest, OpenLab } from "../../../session/labs/protocol.ts";
import { button, type Page } from "../../page.ts";
import type { StageView } from "../../stage.ts";
import type { LabText } from "../files.ts";
import type { CodeEditor } from "./code.ts";
import { type RunState, runStateOf } from "./run-state.ts";
import { SettingsForm } from "./settings-form.ts";
import { StepList } from "./steps.ts";

/** After the last key, in milliseconds, the text is read. */
const CHECK_DELAY_MS = 200;

/** What the view has done by others. */
export interface LabViewActions {
  /** The user has changed the text. @returns what it is called from now on, and what to say of where it is kept */
  edited(file: LabFileShown): { readonly name: string; readonly note: string };
  /** Buttons beside "Run this". */
  readonly buttons: readonly HTMLButtonElement[];
}

/** The text that the view shows. */
export interface LabFileShown extends LabText {
  /** The user has changed it, or brought it. */
  readonly own: boolean;
}

/** The view. */
export class LabView implements StageView {
  readonly id = "lab";
  readonly title = "Lab";
  readonly #page: Page;
  readonly #actions: LabViewActions;
  readonly #name = document.createElement("strong");
  readonly #note = document.createElement("span");
  readonly #problem = document.createElement("button");
  readonly #place = document.createElement("div");
  readonly #steps = new StepList((line) => this.goTo(line));
  readonly #form: SettingsForm;
  #code: CodeEditor | undefined;
  #loading: Promise<void> | undefined;
  #shown: LabFileShown = { name: "lab", text: "", own: false };
  #open: OpenLab | undefined;
  #outline: LabOutline | undefined;
  #run: RunState = { step: undefined, state: "next" };
  /** Where the cursor is to go once the editor is there. */
  #goal: { readonly line: number; readonly column: number } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #checked = 0;

  constructor(page: Page, actions: LabViewActions) {
    this.#page = page;
    this.#actions = actions;
    this.#form = new SettingsForm(() => this.#checkSoon());
    page.hub.on("lab", (lab) => this.#opened(lab));
    page.hub.on("status", (status) => {
      const { step, state } = runStateOf(status, this.#open?.steps.length ?? 0);
      if (step !== this.#run.step || state !== this.#run.state) this.#ran({ step, state });
    });
  }

  mount(panel: HTMLElement): void {
    panel.classList.add("lab-view");
    const bar = document.createElement("div");
    bar.className = "bar";
    const run = button("Run this", () => this.#page.attempt(this.runThis()));
    Object.assign(run, { id: "lab-run", title: "Opens this text as a lab (Ctrl-Enter in the text)" });
    this.#name.id = "lab-name";
    this.#note.className = "note";
    bar.append(this.#name, this.#note, run, ...this.#actions.buttons);
    Object.assign(this.#problem, { type: "button", id: "lab-problem", hidden: true });
    const status = document.createElement("div");
    status.setAttribute("role", "status");
    status.append(this.#problem);
    this.#place.className = "lab-code";
    const side = document.createElement("div");
    side.className = "lab-steps";
    const heading = document.createElement("h2");
    heading.textContent = "Steps";
    side.append(heading, this.#steps.element);
    panel.append(bar, this.#form.element, status, this.#place, side);
  }

  shown(shown: boolean): void {
    if (shown) void this.#load();
  }

  /** What the view shows. */
  get file(): LabFileShown {
    return this.#shown;
  }

  /** Loads the editor, the first time. */
  #load(): Promise<void> {
    this.#loading ??= import("./code.ts").then(({ CodeEditor }) => {
      this.#code = new CodeEditor(this.#place, {
        changed: (text) => this.#changed(text),
        run: () => this.#page.attempt(this.runThis()),
      });
      this.#code.load(this.#shown.text);
      this.#mark();
      this.#checkNow();
    });
    return this.#loading;
  }

  #opened(lab: OpenLab): void {
    const { source, settings = {} } = lab.request;
    this.#open = lab;
    const own = source.kind === "text";
    if (this.#shown.text === lab.text && this.#code !== undefined) this.#shown = { ...this.#shown, own };
    else this.#show({ name: source.name.replace(/^.*\//, ""), text: lab.text, own });
    this.#form.params(lab.outline.params);
    this.#form.show(settings);
    this.#named(lab.name, own ? "" : "comes with swarmwire");
    this.#checkNow();
    this.#mark();
  }

  /** Shows a text that isn't open, to be changed. */
  edit(file: LabText): void {
    this.#show({ ...file, own: true });
    this.#form.show({});
    this.#named(file.name, "not open");
    this.#checkNow();
  }

  #show(file: LabFileShown): void {
    this.#shown = file;
    this.#code?.load(file.text);
  }

  #named(name: string, note: string): void {
    this.#name.textContent = `${name}.yaml`;
    this.#note.textContent = note;
  }

  #changed(text: string): void {
    this.#shown = { ...this.#shown, text };
    const { name, note } = this.#actions.edited(this.#shown);
    this.#shown = { name, text, own: true };
    this.#named(name, note);
    this.#checkSoon();
    this.#ran(this.#run);
  }

  #checkSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#checkNow(), CHECK_DELAY_MS);
  }

  #checkNow(): void {
    clearTimeout(this.#timer);
    this.#page.attempt(this.#check());
  }

  async #check(): Promise<void> {
    const check = ++this.#checked;
    const { name, text } = this.#shown;
    const { problem } = this.#form;
    const found: LabCheck =
      problem === undefined
        ? await this.#page.session.check(name, text, this.#form.settings)
        : { error: { message: problem, problem } };
    if (check !== this.#checked) return;
    const { error, outline } = found;
    this.#outline = outline ?? this.#outline;
    this.#tell(error);
    if (outline === undefined) return;
    this.#form.params(outline.params);
    this.#steps.show(outline.steps, outline.stepLines);
    this.#ran(this.#run);
  }

  #tell(error: LabCheck["error"]): void {
    this.#problem.hidden = error === undefined;
    if (this.#problem.textContent !== (error?.message ?? "")) this.#problem.textContent = error?.message ?? "";
    this.#problem.title = error?.message ?? "";
    const { line, column } = error ?? {};
    const at = line !== undefined && column !== undefined ? { line, column } : undefined;
    this.#problem.onclick = at === undefined ? null : () => this.goTo(at.line, at.column);
    this.#code?.problem(at === undefined || error === undefined ? undefined : { ...at, problem: error.problem });
  }

  /** Puts the cursor on a line of the text. */
  goTo(line: number, column = 1): void {
    this.#goal = { line, column };
    this.#page.attempt(
      this.#load().then(() => {
        if (this.#goal !== undefined) this.#code?.goTo(this.#goal.line, this.#goal.column);
        this.#goal = undefined;
      }),
    );
  }

  /** Marks in the text where the steps of the run stand. */
  #mark(): void {
    const same = this.#open?.text === this.#shown.text;
    this.#code?.steps(same ? (this.#open?.outline.stepLines ?? []) : []);
    this.#ran(this.#run);
  }

  #ran(state: RunState): void {
    this.#run = state;
    this.#code?.run(state);
    const same = this.#open?.steps.join("\n") === this.#outline?.steps.join("\n");
    this.#steps.run(same ? state : undefined);
  }

  /** What would be opened: the lab as it comes with swarmwire where nothing was changed. */
  get request(): LabRequest {
    const { name, text } = this.#shown;
    const { settings } = this.#form;
    const open = this.#open?.request;
    const source =
      open !== undefined && this.#open?.text === text ? open.source : { kind: "text" as const, name, text };
    return { source, settings, ...(open?.seed === undefined ? {} : { seed: open.seed }) };
  }

  /** Opens the text as a lab. An error stands where the text's errors stand. */
  async runThis(): Promise<void> {
    await this.#check();
    if (!this.#problem.hidden) {
      this.#problem.click();
      return;
    }
    await this.#page.open(this.request);
  }
}
