/** Lab files of the user's: dropped on the page, or chosen. */
import { UserError } from "../../../src/base/errors.ts";
import { fileName, LARGEST_TEXT } from "../../../src/lab/link.ts";

/** A text and what it is called. */
export interface LabText {
  readonly name: string;
  readonly text: string;
}

/** Reads one. @throws UserError for what can't be a lab */
export async function readLabFile(file: File): Promise<LabText> {
  if (!/\.ya?ml$/i.test(file.name)) throw new UserError(`${file.name}: expected a lab file, NAME.yaml`);
  if (file.size > LARGEST_TEXT)
    throw new UserError(
      `${file.name}: ${file.size} bytes, more than the ${LARGEST_TEXT >> 20} MiB that a lab may have`,
    );
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    const reason = error instanceof TypeError ? "not a text in UTF-8" : "it can't be read";
    throw new UserError(`${file.name}: ${reason}`);
  }
  return { name: fileName(file.name), text };
}

/** The one file of a drop or a choice. @throws UserError for more */
function only(files: FileList | null | undefined): File | undefined {
  if (files && files.length > 1) throw new UserError(`one lab at a time: these are ${files.length} files`);
  return files?.[0];
}

/**
 * Takes files that are dropped anywhere on the page.
 * @param hint shown while one is held over it
 * @param dropped told of the file, as a promise that says what is wrong with it
 */
export function takeDrops(hint: HTMLElement, dropped: (file: Promise<LabText>) => void): void {
  let depth = 0;
  const show = (change: number): void => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    hint.hidden = depth === 0;
  };
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragenter", (event) => {
    if (hasFiles(event)) show(1);
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event)) show(-1);
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener(
    "drop",
    (event) => {
      show(0);
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.stopPropagation();
      const files = event.dataTransfer?.files;
      dropped(take(files));
    },
    { capture: true },
  );
}

async function take(files: FileList | null | undefined): Promise<LabText> {
  const file = only(files);
  if (file === undefined) throw new UserError("no file was dropped");
  return await readLabFile(file);
}

/** Asks for a file, as its own dialog does. @param chosen as `dropped` of takeDrops */
export function chooseFile(chosen: (file: Promise<LabText>) => void): void {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: ".yaml,.yml" });
  input.addEventListener("change", () => {
    if (input.files?.length) chosen(take(input.files));
  });
  input.click();
}
