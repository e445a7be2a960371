/** Which swarmwire this is. */
import { existsSync, readFileSync } from "node:fs";

/** The package's version; its file stands above dist, and above src. */
export function version(): string {
  for (const place of ["../../package.json", "../../../package.json"]) {
    const file = new URL(place, import.meta.url);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  }
  throw new Error("package.json is gone");
}
