/** A lab's parameters as fields, and lines for other settings: what `swarmwire run --set` takes. */
import type { ParamValue } from "../../../session/labs/protocol.ts";
import { parseSettings, type SettingTexts } from "./settings.ts";

/** The fields. */
export class SettingsForm {
  /** The form's element. */
  readonly element = document.createElement("form");
  readonly #fields: HTMLElement;
  readonly #more: HTMLTextAreaElement;
  readonly #changed: () => void;
  readonly #params = new Map<string, HTMLInputElement>();

  /** @param changed told when the user changes a value */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#fields = document.createElement("div");
    this.#fields.className = "params";
    const label = document.createElement("label");
    this.#more = document.createElement("textarea");
    Object.assign(this.#more, { rows: 1, spellcheck: false, placeholder: "network.loss=1%", id: "lab-set" });
    this.#more.addEventListener("input", changed);
    label.append("Set (KEY=VALUE, one a line) ", this.#more);
    this.element.className = "lab-settings";
    this.element.addEventListener("submit", (event) => event.preventDefault());
    this.element.append(this.#fields, label);
  }

  /** The fields of a lab's parameters; those that are there keep their values. */
  params(params: Readonly<Record<string, ParamValue>>): void {
    const names = Object.keys(params);
    for (const [name, input] of this.#params) {
      if (names.includes(name)) continue;
      input.parentElement?.remove();
      this.#params.delete(name);
    }
    for (const name of names) {
      const field = this.#params.get(name) ?? this.#add(name);
      field.placeholder = String(params[name]);
      field.size = Math.max(5, field.placeholder.length);
    }
  }

  #add(name: string): HTMLInputElement {
    const label = document.createElement("label");
    const field = document.createElement("input");
    Object.assign(field, { type: "text", autocomplete: "off", spellcheck: false, name: `param-${name}` });
    field.addEventListener("input", this.#changed);
    label.append(`${name} `, field);
    this.#fields.append(label);
    this.#params.set(name, field);
    return field;
  }

  /** What the user has set. */
  get settings(): SettingTexts {
    const given = [...this.#params].flatMap(([name, { value }]) => (value === "" ? [] : [[name, value]]));
    return { ...parseSettings(this.#more.value).settings, ...Object.fromEntries(given) };
  }

  /** What is wrong with what was written. */
  get problem(): string | undefined {
    const { wrong } = parseSettings(this.#more.value);
    return wrong === undefined ? undefined : `Set ${wrong}: expected KEY=VALUE`;
  }

  /** Shows the settings that a lab was opened with. */
  show(settings: SettingTexts): void {
    const others = Object.entries(settings).filter(([key]) => !this.#params.has(key));
    for (const [name, field] of this.#params) field.value = settings[name] ?? "";
    this.#more.value = others.map(([key, value]) => `${key}=${value}`).join("\n");
    this.#more.rows = Math.max(1, others.length);
  }
}
