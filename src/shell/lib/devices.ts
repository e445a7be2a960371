/** Devices of /dev that programs read: null, zero, full, random, urandom (drivers/char/mem.c, random.c). */
import type { ProgramContext } from "../../engine/program.ts";
import { decodeBytes } from "./program.ts";

const ENDLESS = /^\/dev\/(?:zero|full|u?random)$/;

/** Devices that ls shows, with their major and minor numbers. */
export const DEVICES: ReadonlyMap<string, readonly [major: number, minor: number]> = new Map([
  ["/dev/null", [1, 3]],
  ["/dev/zero", [1, 5]],
  ["/dev/full", [1, 7]],
  ["/dev/random", [1, 8]],
  ["/dev/urandom", [1, 9]],
  ["/dev/tty", [5, 0]],
]);

/** Whether reading a path never comes to an end. */
export function isEndless(path: string): boolean {
  return ENDLESS.test(path);
}

/** Reads an endless device: a function that gives as many bytes as it is asked for. */
export function openDevice(context: Pick<ProgramContext, "os" | "pid">, path: string): (size: number) => string {
  if (path === "/dev/zero" || path === "/dev/full") return (size) => "\0".repeat(size);
  // Each opening reads a stream of its own, from the host's.
  const random = context.os.random.fork(`${path} ${context.pid} ${context.os.now()}`);
  return (size) => decodeBytes(random.bytes(size));
}
