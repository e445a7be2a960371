/** The labs that come with swarmwire, as the gallery lists them. The build puts the finished list in place of this file. */
import { type LabEntry, labEntries } from "../../session/labs/entry.ts";
import { galleryTexts } from "../../session/labs/gallery.ts";

/** All of them, by name. */
export const GALLERY: readonly LabEntry[] = labEntries([...galleryTexts()]);
