/** What the page's views share: the session, what they tell each other, and how errors are shown. */
import type { Remote } from "comlink";
import type { LabRequest, OpenLab } from "../session/labs/protocol.ts";
import type { SessionApi, SessionEvent } from "../session/protocol.ts";
import type { Status } from "../session/time/protocol.ts";
import type { Keys } from "./keys.ts";

/** What views tell each other, by name. */
export interface PageEvents {
  /** A lab was opened in place of what was open; its first events come after it. */
  readonly lab: OpenLab;
  readonly status: Status;
  /** Anything else that the session tells. */
  readonly session: SessionEvent;
  /** The user chose a packet, by its place in the packet list. */
  readonly packet: { readonly index: number };
  /** The user wants to see the life of a packet. */
  readonly follow: { readonly index: number };
  /** The user chose a host, or a container on it. */
  readonly host: { readonly host: string; readonly container?: string };
  /** The user wants to type there. */
  readonly terminal: { readonly host: string; readonly container?: string };
  /** The user wants to see the packets that fit: a display filter of Wireshark's, and the same in plain words. */
  readonly filter: { readonly wireshark: string; readonly plain: string };
  /** The user wants to break something, of this host if one is named. */
  readonly break: { readonly host?: string };
  /** The user wants to see a table of a host. */
  readonly table: { readonly host: string; readonly table: string; readonly namespace?: string };
}

/** Hands events on to whoever listens, at once and in order. */
export class Hub {
  readonly #listeners = new Map<keyof PageEvents, ((event: never) => void)[]>();

  on<K extends keyof PageEvents>(name: K, listener: (event: PageEvents[K]) => void): void {
    const listeners = this.#listeners.get(name) ?? [];
    this.#listeners.set(name, [...listeners, listener]);
  }

  tell<K extends keyof PageEvents>(name: K, event: PageEvents[K]): void {
    for (const listener of this.#listeners.get(name) ?? []) (listener as (event: PageEvents[K]) => void)(event);
  }
}

/** Given to every view. */
export interface Page {
  readonly session: Remote<SessionApi>;
  readonly hub: Hub;
  /** Keys that work all over the page. */
  readonly keys: Keys;
  /** An action whose error the user is told. */
  attempt(action: Promise<unknown>): void;
  /** What was opened last. */
  readonly request: LabRequest | undefined;
  /** Opens a lab in place of the one that is open. */
  open(request: LabRequest): Promise<void>;
  /** Opens the lab that is open again. @param seed instead of the one it runs with; "" for the lab's own */
  restart(seed?: string): Promise<void>;
}

/** An element of index.html. */
export function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A button with a text. */
export function button(text: string, action: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}

/** Says what went wrong; undefined takes it away. */
export function showProblem(message: string | undefined): void {
  const place = element("problem");
  place.textContent = message ?? "";
  place.hidden = message === undefined;
}
