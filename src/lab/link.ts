/**
 * Links to the page that say what it opens: a lab by its name, or its whole text, with settings, seed and a virtual time.
 * All of it stands in the address's fragment, which browsers don't send to servers:
 *
 *     #lab=docs/003-ingress&seed=7&set=pause=2s&t=12.5s
 *     #name=my-lab&text=PACKED&seed=7          PACKED: UTF-8, raw deflate (RFC 1951), base64url (RFC 4648 §5)
 */
import { UserError } from "../base/errors.ts";
import { formatDuration, parseDuration, type Time } from "../base/time.ts";

/** What a link opens. */
export interface LabLink {
  /** A lab that comes with swarmwire; undefined where the link carries a text. */
  readonly lab?: string;
  /** A text, packed, and what it is called. */
  readonly packed?: { readonly name: string; readonly bytes: Uint8Array };
  /** As `swarmwire run --set` takes them. */
  readonly settings: Readonly<Record<string, string>>;
  /** Instead of the lab's own. */
  readonly seed?: string;
  /** Virtual time to go to. */
  readonly time?: Time;
}

/** Characters of a fragment at most: longer links get cut by programs that pass them on. */
export const LONGEST_LINK = 16_000;
/** Bytes of a lab's text at most: of a link's when it is unpacked, and of a file. */
export const LARGEST_TEXT = 1 << 20;

const FIELDS = ["lab", "name", "text", "seed", "set", "t"];

/** What URLSearchParams would write, but for what a fragment can carry as it is (RFC 3986 §3.5). */
function escapeValue(text: string): string {
  return encodeURIComponent(text).replace(/%(2F|3A|40|3D|2C|24)/g, (code) => decodeURIComponent(code));
}

/** The fragment without its `#`. @throws UserError when it gets too long */
export function formatLink({ lab, packed, settings, seed, time }: LabLink): string {
  const fields: [string, string][] = [];
  if (lab !== undefined) fields.push(["lab", lab]);
  if (packed !== undefined) fields.push(["name", packed.name], ["text", toBase64Url(packed.bytes)]);
  for (const [key, value] of Object.entries(settings)) fields.push(["set", `${key}=${value}`]);
  if (seed !== undefined) fields.push(["seed", seed]);
  if (time !== undefined && time > 0) fields.push(["t", formatDuration(time)]);
  const link = fields.map(([key, value]) => `${key}=${escapeValue(value)}`).join("&");
  if (link.length > LONGEST_LINK)
    throw new UserError(
      `the link would have ${link.length} characters, more than the ${LONGEST_LINK} that survive being passed on: send the file`,
    );
  return link;
}

/**
 * Reads a fragment.
 * @param fragment with or without its `#`
 * @returns undefined for one that is empty
 * @throws UserError that says what is wrong with it
 */
export function parseLink(fragment: string): LabLink | undefined {
  const text = fragment.replace(/^#/, "");
  if (text === "") return undefined;
  const fields = fieldsOf(text);
  const one = (key: string): string | undefined => {
    const [value, second] = fields.filter(([name]) => name === key);
    if (second !== undefined) throw new UserError(`the link says ${key} twice`);
    return value?.[1];
  };
  const [lab, name, packed, seed, t] = [one("lab"), one("name"), one("text"), one("seed"), one("t")];
  if ((lab === undefined) === (packed === undefined))
    throw new UserError("the link is broken: expected lab=NAME, or name=NAME and text=…");
  const time = t === undefined ? undefined : parseDuration(t);
  if (t !== undefined && time === undefined) throw new UserError(`the link's t=${t}: expected a time like 12.5s`);
  return {
    ...(lab === undefined ? {} : { lab }),
    ...(packed === undefined ? {} : { packed: { name: fileName(name ?? "lab"), bytes: fromBase64Url(packed) } }),
    settings: settingsOf(fields),
    ...(seed === undefined ? {} : { seed }),
    ...(time === undefined ? {} : { time }),
  };
}

function fieldsOf(text: string): [string, string][] {
  return text.split("&").map((field): [string, string] => {
    const [, key = field, value] = /^([^=]*)=(.*)$/s.exec(field) ?? [];
    if (!FIELDS.includes(key) || value === undefined)
      throw new UserError(
        `the link is broken at "${shorten(field)}": expected ${FIELDS.map((f) => `${f}=`).join(", ")}`,
      );
    try {
      return [key, decodeURIComponent(value)];
    } catch {
      throw new UserError(`the link's ${key}= is broken: "${shorten(value)}"`);
    }
  });
}

function settingsOf(fields: readonly (readonly [string, string])[]): Record<string, string> {
  const settings = new Map<string, string>();
  for (const [name, text] of fields) {
    if (name !== "set") continue;
    const [, key = "", value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (value === undefined) throw new UserError(`the link's set=${shorten(text)}: expected KEY=VALUE`);
    if (settings.has(key)) throw new UserError(`the link sets ${key} twice`);
    settings.set(key, value);
  }
  return Object.fromEntries(settings);
}

/** A name that a file can have: no folders, no dots in front. */
export function fileName(name: string): string {
  const plain = name
    .replace(/^.*[/\\]/s, "")
    .replace(/\.ya?ml$/i, "")
    .replace(/[^\p{L}\p{N} ._-]/gu, "-")
    .replace(/^\.+/, "")
    .slice(0, 80);
  return plain.trim() === "" ? "lab" : plain;
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @throws UserError for what is none */
export function fromBase64Url(text: string): Uint8Array {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1)
    throw new UserError("the link's text is broken: it was cut or changed on its way");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}
