/** `docker inspect` of a container on an overlay beside a real engine's: the same keys, order and kinds of values. */
import { describe, expect, it } from "vitest";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";
import { runSteps, SWARM } from "./labs.ts";

/** Values that differ from run to run become their kind. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).map(([key, inner]) => [/^[0-9a-f]{64}$/.test(key) ? "<id>" : key, shape(inner)]);
  if (typeof value === "number") return value > 1000 ? "<number>" : value;
  if (typeof value !== "string") return value;
  return value
    .replace(/[0-9a-f]{64}/g, "<id>")
    .replace(/\b[0-9a-f]{12}\b/g, "<short>")
    .replace(/^[0-9a-z]{25}$/, "<swarm id>")
    .replace(/^2026-\d\d-\d\dT[\d:.]+Z$/, "<time>");
}

describe.skipIf(!goldenAvailable)(goldenTitle("docker inspect beside a real engine's"), () => {
  it("alpine1 on test-net", async () => {
    const { result } = await runSteps(
      `
  - host1: docker network create -d overlay --attachable test-net
  - host1: docker run -dit --name alpine1 --network test-net alpine /bin/sh
  - host1: docker inspect alpine1
`,
      SWARM.slice(0, SWARM.indexOf("  - host1: docker network create")),
    );
    const mine = JSON.parse(result.steps.at(-1)?.stdout ?? "") as Record<string, unknown>[];
    const text = goldenText("B-standalone-attachable/manager/state-1-before-traffic/docker-inspect-containers.txt");
    const real = JSON.parse(text.slice(text.indexOf("[\n"))) as Record<string, unknown>[];
    const expected = shape(real[0]) as [string, unknown][];
    // The golden image was imported from a tar file: it has no environment and no working directory of its own.
    const config = new Map(expected).get("Config") as [string, unknown][];
    for (const entry of config) {
      if (entry[0] === "Env") entry[1] = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
      if (entry[0] === "WorkingDir") entry[1] = "/";
    }
    expect(shape(mine[0])).toEqual(expected);
  });
});
