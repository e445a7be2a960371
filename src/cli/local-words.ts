/** What Tab offers in `swarmwire shell` behind an @: hosts, and the prompt's own commands. */

const LOCAL_COMMANDS = ["@help", "@hosts", "@wait"];

/** @returns the words that fit, and the part of the line that they replace, as readline wants them */
export function localWords(line: string, hosts: readonly string[]): [string[], string] {
  if (/\s/.test(line)) return [[], ""];
  const all = [...hosts.map((host) => `@${host}`), ...LOCAL_COMMANDS];
  return [all.filter((word) => word.startsWith(line)).map((word) => `${word} `), line];
}
