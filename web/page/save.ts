/** Files for the user to keep. */

/** Has the browser download it. */
export function save(name: string, content: string | Uint8Array<ArrayBuffer>, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

/** A file that the user chose to write to; a part of the File System API, which not every browser has. */
export interface ChosenFile {
  write(part: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** What a browser that has it offers. */
interface FilePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<{ createWritable(): Promise<ChosenFile> }>;
}

/** Whether large files can be written part by part. */
export function canStream(): boolean {
  return (globalThis as FilePicker).showSaveFilePicker !== undefined;
}

/**
 * Asks where to write a file, and writes it as its parts come: it is never held as a whole.
 * @param write hands them to what it is given, one after the other
 */
export async function saveParts(name: string, write: (file: ChosenFile) => Promise<void>): Promise<void> {
  let file: ChosenFile;
  try {
    const handle = await (globalThis as FilePicker).showSaveFilePicker?.({ suggestedName: name });
    if (handle === undefined) return;
    file = await handle.createWritable();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return; // the user changed their mind
    throw error;
  }
  try {
    await write(file);
    await file.close();
  } catch (error) {
    await file.abort();
    throw error;
  }
}
