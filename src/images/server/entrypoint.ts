/** What the entrypoint scripts of images share. */
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";

/** A program of the image by its name or path; undefined when there is none. */
export type FindProgram = (name: string) => Program | undefined;

/**
 * `exec "$@"` at the end of an entrypoint: the script's process becomes the program (execve(2)), so that it is PID 1
 * and gets the signals.
 */
export function* become(context: ProgramContext, argv: readonly string[], find: FindProgram): Proc<number> {
  const name = argv[0] ?? "";
  const program = find(name.includes("/") ? name.slice(name.lastIndexOf("/") + 1) : name);
  if (program === undefined) {
    context.stderr.write(`${context.argv[0]}: exec: ${name}: not found\n`);
    return 127;
  }
  return yield* program(
    new Proxy(context, { get: (target, key) => (key === "argv" ? argv : Reflect.get(target, key, target)) }),
  );
}
