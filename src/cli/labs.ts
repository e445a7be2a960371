/** Finds lab files: a path, or the name of one in the gallery. */
import { readdirSync, readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { parseLab } from "../lab/parse.ts";
import type { LabPlan } from "../lab/plan.ts";

/** The gallery stands in the source tree, beside dist. */
const GALLERIES = ["../lab/gallery/", "../../../src/lab/gallery/"].map((place) => new URL(place, import.meta.url));

function read(path: string | URL): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UserError(`${path}: ${(error as Error).message}`);
  }
}

/** Names of the labs that come with swarmwire. */
export function galleryNames(): string[] {
  for (const gallery of GALLERIES) {
    try {
      const names = readdirSync(gallery, { recursive: true }) as string[];
      return names
        .filter((name) => name.endsWith(".yaml"))
        .map((name) => name.replace(/\.yaml$/, ""))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return [];
}

/** @throws UserError when there is none, or it is wrong */
export function loadLab(name: string): LabPlan {
  const text = read(name);
  if (text !== undefined) return parseLab(name, text);
  for (const gallery of GALLERIES) {
    const found = read(new URL(`${name}.yaml`, gallery));
    if (found !== undefined) return parseLab(`${name}.yaml`, found);
  }
  throw new UserError(`${name}: no such file, and no lab of that name; there are ${galleryNames().join(", ")}`);
}
