/** What docker has and this engine hasn't is said so in one line; what docker hasn't either, as docker says it. */
import { describe, expect, it } from "vitest";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { commandNotEmulated, flagNotEmulated } from "../../../src/shell/docker/not-emulated.ts";
import { ProgramHost } from "../harness.ts";
import { fakeEngine } from "./fake-engine.ts";

function docker(line: string) {
  return new ProgramHost().run(dockerProgram(fakeEngine({})), line.split(" "));
}

describe("what is not emulated", () => {
  it.each([
    ["docker build .", 1, "docker: 'build' is not emulated yet.\n"],
    ["docker system df", 1, "docker: 'system df' is not emulated yet.\n"],
    ["docker run --gpus all alpine", 125, "docker: the flag --gpus of 'docker run' is not emulated yet.\n"],
    [
      "docker container run -v /a:/b alpine",
      125,
      "docker: the flag -v of 'docker container run' is not emulated yet.\n",
    ],
  ])("%s", (line, status, err) => {
    expect(docker(line)).toEqual({ out: "", err, status });
  });

  it.each([
    ["docker frob", 1, "docker: 'frob' is not a docker command.\nSee 'docker --help'\n"],
    ["docker run --frob alpine", 125, "unknown flag: --frob\nSee 'docker run --help'.\n"],
    ["docker run -y alpine", 125, "unknown shorthand flag: 'y' in -y\nSee 'docker run --help'.\n"],
  ])("%s", (line, status, err) => {
    const result = docker(line);
    expect([result.out, result.status]).toEqual(["", status]);
    expect(result.err.startsWith(err)).toBe(true);
    expect(result.err).not.toContain("emulated");
  });

  it("nothing is known of the empty word, or of other groups", () => {
    expect(commandNotEmulated("system", "")).toBeUndefined();
    expect(commandNotEmulated("network", "prune")).toBeUndefined();
    expect(flagNotEmulated("docker network ls", "v")).toBeUndefined();
  });
});
