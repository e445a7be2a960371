/** Programs of Windows hosts and containers. Windows' own curl is the same program as on Linux. */
import type { Program } from "../../../engine/program.ts";
import { quick } from "../../lib/program.ts";
import { curl } from "../curl.ts";
import { cmd } from "./cmd.ts";
import { ipconfig } from "./ipconfig.ts";
import { windowsNslookup } from "./nslookup.ts";
import { windowsPing } from "./ping.ts";
import { WindowsPrograms } from "./programs.ts";

const hostname: Program = quick((context) => {
  context.stdout.write(`${context.hostname}\n`);
  return 0;
});

/** Windows' tools by name; `extra` adds to them. */
export function windowsTools(extra: readonly (readonly [string, Program])[] = []): WindowsPrograms {
  return new WindowsPrograms([
    ["cmd", cmd],
    ["curl", curl],
    ["hostname", hostname],
    ["ipconfig", ipconfig],
    ["nslookup", windowsNslookup],
    ["ping", windowsPing],
    ...extra,
  ]);
}
