/** Splits a command line into words as a shell does, without expanding anything (github.com/google/shlex, mattn/go-shellwords). */
import { StatusError } from "./command.ts";

/** @throws StatusError for a quote without its end */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote === "'") {
      if (char === "'") quote = "";
      else word = (word ?? "") + char;
    } else if (char === "\\" && at + 1 < line.length) word = (word ?? "") + (line[++at] as string);
    else if (quote === '"') {
      if (char === '"') quote = "";
      else word = (word ?? "") + char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (quote !== "") throw new StatusError(1, "EOF found when expecting closing quote");
  if (word !== undefined) words.push(word);
  return words;
}
