/** How the gallery is ordered: by the folders that the labs stand in. */
import type { LabEntry } from "../../session/labs/entry.ts";

/** Labs under a heading. */
export interface LabGroup {
  readonly title: string;
  readonly labs: readonly LabEntry[];
}

/** Headings of folders; one that isn't known is called what it is called. */
const TITLES: Readonly<Record<string, string>> = {
  "": "Overlay networks",
  services: "Services and faults",
  docs: "Docker's documentation",
};

function folderOf(name: string): string {
  const slash = name.lastIndexOf("/");
  return slash < 0 ? "" : name.slice(0, slash);
}

/** The lab to begin with: opened where nothing is asked for, and first in the list. */
export const FIRST_LAB = "standalone";

/** Groups with their labs in order; the known folders first. */
export function galleryGroups(all: readonly LabEntry[]): LabGroup[] {
  const labs = [...all].sort((a, b) => Number(b.name === FIRST_LAB) - Number(a.name === FIRST_LAB));
  const folders = [...new Set([...Object.keys(TITLES), ...labs.map(({ name }) => folderOf(name))])];
  return folders
    .map((folder) => ({ title: TITLES[folder] ?? folder, labs: labs.filter(({ name }) => folderOf(name) === folder) }))
    .filter((group) => group.labs.length > 0);
}

/** Whether a lab's name, sentence or size has all of the words. */
export function matches(lab: LabEntry, words: string): boolean {
  const text = `${lab.name} ${lab.description} ${lab.hosts} hosts ${lab.steps} steps`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
