/** Settings as lines of text. */

/** Settings as a lab is opened with. */
export type SettingTexts = Readonly<Record<string, string>>;

/** Lines of `KEY=VALUE`. @returns what they say, and the first line that says nothing */
export function parseSettings(lines: string): { readonly settings: SettingTexts; readonly wrong: string | undefined } {
  const settings = new Map<string, string>();
  let wrong: string | undefined;
  for (const line of lines.split("\n")) {
    const match = /^\s*([^=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (match !== null) settings.set(match[1] as string, match[2] as string);
    else if (line.trim() !== "") wrong ??= line.trim();
  }
  return { settings: Object.fromEntries(settings), wrong };
}
