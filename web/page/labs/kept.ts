/** Labs of the user's own, kept in this browser: whatever is edited here is there again after a reload. */

const KEY = "swarmwire.labs";
const MOST_LABS = 32;
const MOST_CHARACTERS = 1 << 20;

/** A lab that is kept. */
export interface KeptLab {
  readonly name: string;
  readonly text: string;
}

/** Where they are kept; a part of the Web Storage API. */
export interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

function isKept(value: unknown): value is KeptLab {
  if (typeof value !== "object" || value === null) return false;
  const { name, text } = value as Record<string, unknown>;
  return typeof name === "string" && typeof text === "string";
}

/** Keeps them. */
export class KeptLabs {
  readonly #storage: TextStorage | undefined;
  #labs: KeptLab[] = [];

  /** @param storage undefined where the browser has none for this page */
  constructor(storage: TextStorage | undefined) {
    this.#storage = storage;
    try {
      const read: unknown = JSON.parse(storage?.getItem(KEY) ?? "[]");
      this.#labs = Array.isArray(read) ? read.filter(isKept).slice(0, MOST_LABS) : [];
    } catch {
      // Somebody else's, or cut: what comes next takes its place.
    }
  }

  /** All of them, by name. */
  list(): readonly KeptLab[] {
    return [...this.#labs].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Undefined where none is called so. */
  text(name: string): string | undefined {
    return this.#labs.find((lab) => lab.name === name)?.text;
  }

  /** A name that none has yet, and that isn't taken otherwise: NAME, NAME-2 … */
  freeName(name: string): string {
    for (let i = 1; ; i++) {
      const free = i === 1 ? name : `${name}-${i}`;
      if (this.text(free) === undefined) return free;
    }
  }

  /** Keeps a text under a name. @returns false where there is no room for it: it isn't kept then */
  put(name: string, text: string): boolean {
    return this.#write([...this.#labs.filter((lab) => lab.name !== name), { name, text }]);
  }

  /** Forgets one. */
  remove(name: string): void {
    this.#write(this.#labs.filter((lab) => lab.name !== name));
  }

  #write(labs: KeptLab[]): boolean {
    const size = labs.reduce((sum, { name, text }) => sum + name.length + text.length, 0);
    if (labs.length > this.#labs.length && labs.length > MOST_LABS) return false;
    if (size > MOST_CHARACTERS && labs.length >= this.#labs.length) return false;
    try {
      if (this.#storage === undefined) return false;
      this.#storage.setItem(KEY, JSON.stringify(labs));
    } catch {
      return false; // full, or forbidden
    }
    this.#labs = labs;
    return true;
  }
}
