/** Programs as Windows finds them: whatever the case, with or without a path and `.exe` (CreateProcess, PATHEXT). */
import type { FileSystem, Program } from "../../../engine/program.ts";

/** `C:\Windows\System32\PING.EXE` → `ping`. */
export function programName(name: string): string {
  const base = name.slice(Math.max(name.lastIndexOf("\\"), name.lastIndexOf("/")) + 1);
  return base.toLowerCase().replace(/\.exe$/, "");
}

/** A root file system's programs by name. */
export class WindowsPrograms extends Map<string, Program> {
  override get(name: string): Program | undefined {
    return super.get(programName(name));
  }

  override has(name: string): boolean {
    return super.has(programName(name));
  }
}

/** `C:\dir\file` in a file system whose paths are those of Linux; relative names belong to the root. */
export function windowsPath(cwd: string, path: string): string {
  const full = /^(?:[a-z]:)?[\\/]/i.test(path) ? path : `${cwd}\\${path}`;
  return full
    .replace(/^[a-z]:/i, "")
    .replaceAll("\\", "/")
    .replace(/\/+/g, "/");
}

/** The path as the file system spells it, whatever the case of `path`; undefined when it isn't there. */
export function findPath(files: FileSystem, path: string): string | undefined {
  let found = "";
  for (const part of path.split("/").filter((word) => word !== "")) {
    const names = files.list(found === "" ? "/" : found) ?? [];
    const name = names.find((one) => one === part) ?? names.find((one) => one.toLowerCase() === part.toLowerCase());
    if (name === undefined) return undefined;
    found += `/${name}`;
  }
  return found === "" ? "/" : found;
}
