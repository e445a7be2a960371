/** Which tools there are: those of a Debian host (iproute2, iputils, coreutils) and those of busybox. */
import type { Program } from "../../engine/program.ts";
import * as basic from "./basic.ts";
import { dig } from "./dig.ts";
import * as files from "./files.ts";
import { ipProgram } from "./ip.ts";
import { nc } from "./netcat.ts";
import { nslookup } from "./nslookup.ts";
import { busyboxPing } from "./ping-busybox.ts";
import { iputilsPing } from "./ping-iputils.ts";

/** Tools that are the same on hosts and in containers. */
const common: readonly (readonly [string, Program])[] = [
  ["cat", files.cat],
  ["date", basic.date],
  ["dig", dig],
  ["echo", basic.echo],
  ["env", basic.env],
  ["false", basic.falseProgram],
  ["head", files.head],
  ["hostname", basic.hostname],
  ["id", basic.id],
  ["ls", files.ls],
  ["nc", nc],
  ["nslookup", nslookup],
  ["printenv", basic.printenv],
  ["rm", files.rm],
  ["seq", basic.seq],
  ["sleep", basic.sleep],
  ["tail", files.tail],
  ["touch", files.touch],
  ["true", basic.trueProgram],
  ["uname", basic.uname],
  ["wc", files.wc],
  ["whoami", basic.whoami],
  ["yes", basic.yes],
];

/** Tools of a Debian 12 host, by name. */
export const hostTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...common,
  ["ip", ipProgram("iproute2")],
  ["ping", iputilsPing],
]);

/** Applets of busybox, by name. */
export const busyboxTools: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...common,
  ["ip", ipProgram("busybox")],
  ["ping", busyboxPing],
]);
