/** `getent` of glibc for what hosts of the network are called: the databases hosts and ahosts. */
import { formatIpv4, parseIpv4 } from "../../base/addr.ts";
import type { Program } from "../../engine/program.ts";
import { lookup, lookupAddress } from "../lib/resolve.ts";

/** Status when a key is not found (getent(1)). */
const NOT_FOUND = 2;

/** getent(1). */
export const getent: Program = function* (context) {
  const [, database, ...keys] = context.argv;
  if (database === undefined) {
    context.stderr.write(
      "getent: wrong number of arguments\nTry `getent --help' or `getent --usage' for more information.\n",
    );
    return 1;
  }
  if (!["hosts", "ahosts", "ahostsv4"].includes(database)) {
    context.stderr.write(
      `Unknown database: ${database}\nTry \`getent --help' or \`getent --usage' for more information.\n`,
    );
    return 1;
  }
  let status = 0;
  for (const key of keys) {
    const address = parseIpv4(key);
    if (database === "hosts" && address !== undefined) {
      const name = yield* lookupAddress(context, key, "glibc");
      if (name === undefined) status = NOT_FOUND;
      else context.stdout.write(`${key.padEnd(15)} ${name}\n`);
      continue;
    }
    const found = yield* lookup(context, key, "glibc");
    if (!found.ok) status = NOT_FOUND;
    else if (database === "hosts")
      for (const ip of found.addresses) context.stdout.write(`${formatIpv4(ip).padEnd(15)} ${key}\n`);
    else
      for (const ip of found.addresses)
        for (const [at, kind] of ["STREAM", "DGRAM", "RAW"].entries())
          context.stdout.write(
            `${formatIpv4(ip).padEnd(15)} ${kind.padEnd(6)} ${at === 0 ? key : ""}`.trimEnd().concat("\n"),
          );
  }
  return status;
};
