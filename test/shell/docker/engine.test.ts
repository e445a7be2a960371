/** The docker command over the real engine, on a kernel in memory: what needs no packets. */
import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { Engine } from "../../../src/engine/engine.ts";
import type { Image, ImageStore, Program } from "../../../src/engine/program.ts";
import type { HostOs } from "../../../src/scheduler/os.ts";
import { HostScheduler } from "../../../src/scheduler/runtime.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { sh } from "../../../src/shell/sh/sh.ts";
import { FakeHostKernel } from "../../support/fake-netns.ts";
import { ProgramHost, type RunOptions, type RunResult } from "../harness.ts";

const shell: Program = (context) => sh(context, () => "/ # ");
const ALPINE: Image = {
  id: `sha256:${"6d".repeat(32)}`,
  tag: "alpine:latest",
  cmd: ["/bin/sh"],
  entrypoint: [],
  env: [],
  exposed: [],
  workingDir: "",
  sizeBytes: 5_541_000,
  programs: new Map([["sh", shell]]),
  files: new Map([["/etc/os-release", "NAME=Alpine\n"]]),
};
const IMAGES: ImageStore = {
  find: (name) => (/^alpine(:latest)?$/.test(name) ? ALPINE : undefined),
  list: () => [ALPINE],
};

class EngineHost {
  readonly failures: unknown[] = [];
  readonly scheduler = new HostScheduler((_, __, error) => this.failures.push(error));
  readonly os: HostOs;
  readonly engine: Engine;
  readonly #contexts = new ProgramHost();

  constructor() {
    const kernel = new FakeHostKernel("host1", 0, { ip: 0xc0a84d0b, prefix: 24 });
    this.os = Object.assign(this.scheduler.createHost("host1", 0, new Random("test/host1")), { kernel });
    this.engine = new Engine({ os: this.os, images: IMAGES, resolvConf: "" });
    this.run(30e9);
  }

  run(span: number): void {
    const end = this.scheduler.now + span;
    for (;;) {
      this.scheduler.runReady();
      if (this.failures.length > 0) throw this.failures[0];
      const next = Math.min(this.scheduler.nextTimer(), end);
      this.scheduler.advance(next);
      if (next >= end) break;
    }
    this.scheduler.runReady();
  }

  docker(argv: readonly string[], options: RunOptions = {}): RunResult {
    const result: RunResult = { out: "", err: "", status: undefined };
    const context = { ...this.#contexts.context(["docker", ...argv], options, result), os: this.os };
    const process = this.os.spawn("docker", dockerProgram(this.engine)(context));
    this.run(60e9);
    return Object.assign(result, { status: process.result });
  }
}

describe("docker over an engine", () => {
  it("lists, runs, shows, stops and removes", () => {
    const host = new EngineHost();
    expect(host.docker(["network", "ls"]).out).toMatch(
      /^NETWORK ID {5}NAME {6}DRIVER {4}SCOPE\n[0-9a-f]{12} {3}bridge {4}bridge {4}local\n/,
    );
    expect(host.docker(["run", "-it", "--name", "a1", "alpine"], { tty: true, stdin: "echo hi\nexit 3\n" })).toEqual({
      out: "/ # hi\n/ # ",
      err: "",
      status: 3,
    });
    const run = host.docker(["run", "-dit", "--name", "b1", "alpine"]);
    expect(run).toMatchObject({ err: "", status: 0 });
    expect(run.out).toMatch(/^[0-9a-f]{64}\n$/);
    expect(host.docker(["exec", "b1", "sh", "-c", "echo in; exit 4"])).toEqual({ out: "in\n", err: "", status: 4 });
    const listed = host.docker(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).out.split("\n");
    expect(listed[0]).toMatch(/^b1 Up \d+ seconds|^b1 Up About a minute/);
    expect(listed[1]).toMatch(/^a1 Exited \(3\) /);
    expect(host.docker(["inspect", "-f", "{{.State.Running}} {{.Name}}", "b1"]).out).toBe("true /b1\n");
    expect(host.docker(["container", "stop", "b1"])).toEqual({ out: "b1\n", err: "", status: 0 });
    expect(host.docker(["rm", "a1", "b1"])).toEqual({ out: "a1\nb1\n", err: "", status: 0 });
    expect(host.docker(["ps", "-aq"]).out).toBe("");
  });

  it("--rm leaves nothing behind", () => {
    const host = new EngineHost();
    expect(host.docker(["run", "--rm", "-i", "alpine", "sh"], { stdin: "echo x\n" })).toEqual({
      out: "x\n",
      err: "",
      status: 0,
    });
    expect(host.docker(["ps", "-aq"]).out).toBe("");
  });

  it("says what went wrong", () => {
    const host = new EngineHost();
    const swarm = `Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.\n`;
    expect(host.docker(["node", "ls"])).toEqual({ out: "", err: swarm, status: 1 });
    expect(host.docker(["network", "inspect", "x"])).toEqual({
      out: "[]\n",
      err: "Error: No such network: x\n",
      status: 1,
    });
    expect(host.docker(["inspect", "x"])).toEqual({ out: "[]\n", err: "Error: No such object: x\n", status: 1 });
    expect(host.docker(["run", "alpine", "nosuch"]).status).toBe(127);
    expect(host.docker(["run", "--rm", "--network", "nosuchnet", "alpine", "true"])).toMatchObject({
      err: "docker: Error response from daemon: network nosuchnet not found.\n",
      status: 125,
    });
  });

  it("shows images, the version and the system", () => {
    const host = new EngineHost();
    expect(host.docker(["images"]).out).toMatch(
      /^REPOSITORY {3}TAG {7}IMAGE ID {7}CREATED .*SIZE\nalpine {7}latest {4}6d6d6d6d6d6d {3}.*5\.54MB\n$/,
    );
    const version = host.docker(["version"]).out;
    expect(version).toMatch(/^Client:\n Version: {11}20\.10\.24.*\n API version: {7}1\.41\n/);
    expect(version).toMatch(/\n\nServer:\n Engine:\n {2}Version: {10}20\.10\.24/);
    expect(version).toContain("\n  Built:            Thu May 18 ");
    const info = host.docker(["info"]);
    expect(info.out).toMatch(/^Client:\n Context: {4}default\n Debug Mode: false\n\nServer:\n Containers: 0\n/);
    expect(info.out).toContain("\n Swarm: inactive\n");
  });

  it("makes a swarm of one and a network", () => {
    const host = new EngineHost();
    const init = host.docker(["swarm", "init"]);
    expect(init).toMatchObject({ err: "", status: 0 });
    const token = /docker swarm join --token (SWMTKN-1-\S+) 192\.168\.77\.11:2377\n/.exec(init.out)?.[1];
    expect(host.docker(["swarm", "join-token", "-q", "worker"]).out).toBe(`${token}\n`);
    expect(
      host.docker(["node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}{{if .Self}} *{{end}}"]).out,
    ).toBe("host1 Ready Leader *\n");
    const created = host.docker(["network", "create", "--driver=overlay", "--attachable", "test-net"]);
    expect(created.out).toMatch(/^[a-z0-9]{25}\n$/);
    expect(
      host.docker(["network", "ls", "-f", "name=test-net", "--format", "{{.ID}} {{.Driver}} {{.Scope}}"]).out,
    ).toBe(`${created.out.slice(0, 12)} overlay swarm\n`);
    expect(host.docker(["network", "create", "-d", "overlay", "test-net"])).toEqual({
      out: "",
      err: "Error response from daemon: network with name test-net already exists\n",
      status: 1,
    });
    expect(host.docker(["network", "rm", "test-net"])).toEqual({ out: "test-net\n", err: "", status: 0 });
    expect(host.docker(["info", "-f", "{{.Swarm.LocalNodeState}}"]).out).toBe("active\n");
    expect(host.docker(["swarm", "leave"]).err).toContain("participating as a manager");
    expect(host.docker(["swarm", "leave", "--force"])).toEqual({ out: "Node left the swarm.\n", err: "", status: 0 });
  });
});
