/** The page's address: its fragment says what is open, and a link opens the same elsewhere. */
import { UserError } from "../../../src/base/errors.ts";
import type { Time } from "../../../src/base/time.ts";
import { formatLink, parseLink } from "../../../src/lab/link.ts";
import type { LabRequest } from "../../session/labs/protocol.ts";
import { pack, unpack } from "./pack.ts";

/** What an address asks for. */
export interface Asked {
  readonly request: LabRequest;
  /** Virtual time to go to. */
  readonly time: Time | undefined;
}

/** The fragment that opens a lab, without its `#`. @throws UserError when it gets too long */
export async function fragmentOf({ source, settings = {}, seed }: LabRequest, time?: Time): Promise<string> {
  return formatLink({
    ...(source.kind === "gallery"
      ? { lab: source.name }
      : { packed: { name: source.name, bytes: await pack(source.text) } }),
    settings,
    ...(seed === undefined ? {} : { seed }),
    ...(time === undefined ? {} : { time }),
  });
}

/** What a fragment asks for; undefined for an empty one. @throws UserError for one that is broken */
export async function askedBy(fragment: string): Promise<Asked | undefined> {
  const link = parseLink(fragment);
  if (link === undefined) return undefined;
  const { lab, packed, settings, seed, time } = link;
  const source: LabRequest["source"] =
    packed === undefined
      ? { kind: "gallery", name: lab ?? "" }
      : { kind: "text", name: packed.name, text: await unpack(packed.bytes) };
  return { request: { source, settings, ...(seed === undefined ? {} : { seed }) }, time };
}

/** Keeps the address to what is open, and opens what somebody writes into it. */
export class Address {
  readonly #open: (asked: Asked) => void;
  readonly #failed: (message: string) => void;
  /** The fragment that the page itself has put there. */
  #own: string | undefined;

  /** @param open told when the user changes the fragment @param failed told what is wrong with it */
  constructor(open: (asked: Asked) => void, failed: (message: string) => void) {
    this.#open = open;
    this.#failed = failed;
    addEventListener("hashchange", () => void this.#changed());
  }

  async #changed(): Promise<void> {
    if (location.hash.slice(1) === this.#own) return;
    try {
      const asked = await askedBy(location.hash);
      if (asked !== undefined) this.#open(asked);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#failed(error.message);
    }
  }

  /** What is open now. A text that is too long for an address isn't put there: the editor keeps it. */
  async show(request: LabRequest): Promise<void> {
    let fragment = "";
    try {
      fragment = await fragmentOf(request);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
    this.#own = fragment;
    history.replaceState(null, "", `${location.pathname}${fragment === "" ? "" : `#${fragment}`}`);
  }
}
