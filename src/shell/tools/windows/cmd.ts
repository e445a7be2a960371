/**
 * cmd.exe as far as a container's command line or a look into one needs it: `cmd /c LINE`, an interactive prompt, `&`,
 * `&&`, `||`, quotes, `%VARIABLE%`, redirection to NUL, and a few commands of its own. No pipes, files, batch language.
 */

import { WINDOWS_VERSION } from "../../../engine/platform-windows.ts";
import type { Output, Program, ProgramContext } from "../../../engine/program.ts";
import type { Proc } from "../../../scheduler/process.ts";
import { findPath, programName, windowsPath } from "./programs.ts";

const NUL: Output = { write: () => {} };
/** ERROR_FILE_NOT_FOUND's errorlevel for an unknown command. */
const NOT_RECOGNIZED = 9009;

/** A simple command and what decides whether it runs. */
interface Part {
  readonly after: "&" | "&&" | "||";
  readonly text: string;
}

/** Splits a line at `&`, `&&` and `||` outside of quotes. */
function partsOf(line: string): Part[] {
  const parts: Part[] = [];
  let after: Part["after"] = "&";
  let text = "";
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (char === '"') quoted = !quoted;
    const operator = quoted ? undefined : /^(?:&&|\|\||&)/.exec(line.slice(at))?.[0];
    if (operator === undefined || (operator === "&" && line[at - 1] === ">")) {
      text += char;
      continue;
    }
    parts.push({ after, text });
    after = operator as Part["after"];
    text = "";
    at += operator.length - 1;
  }
  return [...parts, { after, text }].filter((part) => part.text.trim() !== "");
}

/** Words of a command: blanks separate, quotes hold together. */
function wordsOf(text: string): string[] {
  return (text.match(/(?:"[^"]*"?|[^\s"])+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

class Cmd {
  readonly #context: ProgramContext;
  #cwd: string;
  status = 0;
  exited = false;

  constructor(context: ProgramContext) {
    this.#context = context;
    this.#cwd = /^[a-z]:/i.test(context.cwd) ? context.cwd : "C:\\";
  }

  get prompt(): string {
    return `${this.#cwd}>`;
  }

  *run(line: string): Proc<void> {
    // Variables are replaced before the line is taken apart: those of its own commands are not seen yet.
    for (const { after, text } of partsOf(this.#expand(line))) {
      if (after === "&&" && this.status !== 0) continue;
      if (after === "||" && this.status === 0) continue;
      yield* this.#command(text.trim());
      if (this.exited) return;
    }
  }

  #expand(text: string): string {
    return text.replace(/%([^%\s]+)%/g, (whole, name: string) => {
      const wanted = name.toUpperCase();
      if (wanted === "ERRORLEVEL") return String(this.status);
      if (wanted === "CD") return this.#cwd;
      if (wanted === "COMPUTERNAME") return this.#context.hostname.toUpperCase();
      const found = [...this.#context.env].find(([key]) => key.toUpperCase() === wanted);
      return found?.[1] ?? whole;
    });
  }

  *#command(text: string): Proc<void> {
    const context = this.#context;
    const silentErrors = /2>\s*nul\b/i.test(text);
    const bare = text.replace(/\s*2>\s*(?:&1|nul\b)/gi, "");
    const silent = /(?:^|[^2])>\s*nul\b/i.test(bare);
    const plain = bare.replace(/1?>\s*nul\b/gi, "").trim();
    if (/[|<>]/.test(plain.replace(/"[^"]*"/g, ""))) {
      context.stderr.write("This emulation's cmd has no pipes and redirects to NUL only.\n");
      this.status = 1;
      return;
    }
    const stdout = silent ? NUL : context.stdout;
    const stderr = silentErrors ? NUL : context.stderr;
    const own = this.#own(plain, stdout, stderr);
    if (own !== undefined) {
      this.status = own;
      return;
    }
    const argv = wordsOf(plain);
    if (!context.programs.includes(programName(argv[0] ?? ""))) {
      stderr.write(
        `'${argv[0]}' is not recognized as an internal or external command,\noperable program or batch file.\n`,
      );
      this.status = NOT_RECOGNIZED;
      return;
    }
    this.status = yield* context.exec(argv, { stdout, stderr });
  }

  /** cmd's own commands; undefined when it is none of them. */
  #own(text: string, stdout: Output, stderr: Output): number | undefined {
    const [, word = "", rest = ""] = /^(@?[a-z]+)(.*)$/is.exec(text) ?? [];
    const argument = wordsOf(rest)[0];
    switch (word.toLowerCase().replace(/^@/, "")) {
      case "echo":
        stdout.write(`${rest.trim() === "" ? "ECHO is on." : rest.replace(/^[\s.]/, "")}\n`);
        return 0;
      case "exit":
        this.exited = true;
        return Number(wordsOf(rest).find((one) => /^-?\d+$/.test(one)) ?? this.status);
      case "ver":
        stdout.write(`\nMicrosoft Windows [Version ${WINDOWS_VERSION}]\n`);
        return 0;
      case "cls":
      case "rem":
        return 0;
      case "cd":
        if (argument === undefined) stdout.write(`${this.#cwd}\n`);
        else return this.#changeDirectory(argument, stderr);
        return 0;
      case "type":
        return this.#type(argument, stdout, stderr);
      default:
        return undefined;
    }
  }

  #changeDirectory(argument: string, stderr: Output): number {
    const path = findPath(this.#context.files, windowsPath(this.#cwd, argument));
    if (path === undefined || (path !== "/" && this.#context.files.list(path) === undefined)) {
      stderr.write("The system cannot find the path specified.\n");
      return 1;
    }
    this.#cwd = `C:${path.replaceAll("/", "\\")}`;
    return 0;
  }

  #type(argument: string | undefined, stdout: Output, stderr: Output): number {
    const { files } = this.#context;
    const path = argument === undefined ? undefined : findPath(files, windowsPath(this.#cwd, argument));
    const text = path === undefined ? undefined : files.read(path);
    if (text !== undefined) stdout.write(text);
    else if (argument === undefined) stderr.write("The syntax of the command is incorrect.\n");
    else stderr.write("The system cannot find the file specified.\n");
    return text === undefined ? 1 : 0;
  }
}

function* main(context: ProgramContext): Proc<number> {
  const shell = new Cmd(context);
  const at = context.argv.findIndex((word) => /^\/[ck]/i.test(word));
  if (at > 0) {
    const flag = context.argv[at] as string;
    yield* shell.run([flag.slice(2), ...context.argv.slice(at + 1)].join(" ").trim());
    if (/^\/c/i.test(flag) || shell.exited) return shell.status === NOT_RECOGNIZED ? 1 : shell.status;
  } else {
    context.stdout.write(
      `Microsoft Windows [Version ${WINDOWS_VERSION}]\n(c) Microsoft Corporation. All rights reserved.\n\n`,
    );
  }
  while (!shell.exited) {
    context.stdout.write(shell.prompt);
    const line = yield* context.stdin.readLine();
    if (line === undefined) break;
    yield* shell.run(line);
    if (!shell.exited) context.stdout.write("\n");
  }
  return shell.status;
}

/** cmd.exe. */
export const cmd: Program = main;
