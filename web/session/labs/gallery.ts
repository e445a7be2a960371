/** The labs that come with swarmwire, built into the page. */
import { UserError } from "../../../src/base/errors.ts";

const GALLERY = "../../../src/lab/gallery/";
const TEXTS = import.meta.glob<string>("../../../src/lab/gallery/**/*.yaml", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** All of them: name, as `swarmwire run` takes it, and text. */
export function galleryTexts(): Map<string, string> {
  return new Map(
    Object.entries(TEXTS).map(([path, text]) => [path.slice(GALLERY.length).replace(/\.yaml$/, ""), text]),
  );
}

/** @throws UserError when there is none of that name */
export function galleryText(name: string): string {
  const text = TEXTS[`${GALLERY}${name}.yaml`];
  if (text === undefined) throw new UserError(`${name}: no lab of that name comes with swarmwire`);
  return text;
}
