/** `docker run`, `exec`, `attach`: order of requests, streams, exit statuses, what is refused. */
import { describe, expect, it } from "vitest";
import { ApiError, type AttachStream, type ContainerCreateRequest, type EngineApi } from "../../../src/engine/api.ts";
import { Pipe, type Program } from "../../../src/engine/program.ts";
import { Channel, type Proc, Signal, sleep } from "../../../src/scheduler/process.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { ProgramHost, type RunOptions, type RunResult } from "../harness.ts";
import { fakeEngine, give, refuse } from "./fake-engine.ts";

const ID = "ab".repeat(32);

/** An engine with one container that runs `main` on its streams. */
class OneContainer {
  readonly calls: string[] = [];
  readonly stdin = new Pipe();
  readonly output = new Channel<{ stream: "stdout" | "stderr"; text: string }>();
  readonly host = new ProgramHost();
  request: ContainerCreateRequest | undefined;
  status: number | undefined;
  interrupted = 0;
  detached = false;
  readonly #ended = new Signal();
  readonly #main: (self: OneContainer) => Proc<number>;

  constructor(main: (self: OneContainer) => Proc<number>) {
    this.#main = main;
  }

  print(text: string, stream: "stdout" | "stderr" = "stdout"): void {
    this.output.push({ stream, text });
  }

  end(status: number): void {
    this.status = status;
    this.output.close();
    this.#ended.notify();
  }

  get stream(): AttachStream {
    return {
      stdin: this.stdin,
      output: this.output,
      interrupt: () => {
        this.interrupted++;
      },
      detach: () => {
        this.detached = true;
      },
    };
  }

  engine(more: Partial<EngineApi> = {}): EngineApi {
    const self = this;
    return fakeEngine({
      containerCreate: (name, request) => {
        self.calls.push(`create ${name ?? ""}`);
        self.request = request;
        return give({ Id: ID, Warnings: [] });
      },
      containerAttach: () => {
        self.calls.push("attach");
        return self.stream;
      },
      containerWait: function* (_, condition) {
        self.calls.push(`wait ${condition}`);
        while (self.status === undefined) yield { on: [self.#ended] };
        return { StatusCode: self.status };
      },
      containerStart: function* () {
        yield* sleep(self.host.os, 1e6);
        self.calls.push("start");
        self.host.os.spawn("container", self.#run());
      },
      ...more,
    });
  }

  *#run(): Proc<void> {
    this.end(yield* this.#main(this));
  }

  docker(argv: readonly string[], options: RunOptions = {}, more: Partial<EngineApi> = {}): RunResult {
    return this.host.run(dockerProgram(this.engine(more)), ["docker", ...argv], options);
  }
}

/** Reads lines until `exit`; prints each. */
function* shell(container: OneContainer): Proc<number> {
  container.print("/ # ");
  for (;;) {
    const line = yield* container.stdin.readLine();
    if (line === undefined || line === "exit") return 3;
    container.print(`got ${line}\n/ # `);
  }
}

describe("docker run", () => {
  it("attaches, starts, forwards the terminal and gives back the container's status", () => {
    const container = new OneContainer(shell);
    const result = container.docker(["run", "-it", "--name", "alpine1", "--network", "test-net", "alpine"], {
      tty: true,
      stdin: "one\ntwo\nexit\n",
    });
    expect(result).toEqual({ out: "/ # got one\n/ # got two\n/ # ", err: "", status: 3 });
    expect(container.calls).toEqual(["create alpine1", "attach", "wait next-exit", "start"]);
    expect(container.request).toMatchObject({
      Image: "alpine",
      Tty: true,
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      HostConfig: { NetworkMode: "test-net", AutoRemove: false },
      NetworkingConfig: { EndpointsConfig: {} },
    });
  });

  it("takes typed text only while the container waits for input", () => {
    const takenAt: number[] = [];
    const container = new OneContainer(function* (self) {
      yield* sleep(self.host.os, 5e9);
      expect(self.stdin.length).toBe(0);
      const line = yield* self.stdin.readLine();
      takenAt.push(self.host.os.now());
      return line === "late" ? 0 : 1;
    });
    expect(container.docker(["run", "-it", "alpine"], { tty: true, stdin: "late\n" }).status).toBe(0);
    expect(takenAt[0]).toBeGreaterThanOrEqual(5e9);
  });

  it("shows the client's standard input as idle while the container waits", () => {
    const container = new OneContainer(shell);
    const result: RunResult = { out: "", err: "", status: undefined };
    const context = container.host.context(["docker", "run", "-it", "alpine"], { tty: true }, result);
    const process = container.host.os.spawn("docker", dockerProgram(container.engine())(context));
    container.host.network.runFor(1e9);
    expect(context.stdin.idle).toBe(true);
    context.stdin.push("exit\n");
    container.host.network.runFor(1e9);
    expect(process.result).toBe(3);
  });

  it("Ctrl-C goes through the terminal; without one the signal is sent", () => {
    for (const tty of [true, false]) {
      const container = new OneContainer(function* (self) {
        while (self.interrupted === 0) yield { until: self.host.os.now() + 1e6 };
        return 130;
      });
      const killed: (string | undefined)[] = [];
      const engine = container.engine({
        containerKill: (_, signal) => {
          killed.push(signal);
          container.interrupted++;
          return give(undefined);
        },
      });
      const result: RunResult = { out: "", err: "", status: undefined };
      const context = container.host.context(["docker", "run", ...(tty ? ["-it"] : []), "alpine"], { tty }, result);
      const process = container.host.os.spawn("docker", dockerProgram(engine)(context));
      container.host.network.runFor(1e9);
      context.signals.push("SIGINT");
      container.host.network.runFor(1e9);
      expect(process.result).toBe(130);
      expect(killed).toEqual(tty ? [] : ["INT"]);
    }
  });

  it("ctrl-p ctrl-q leaves it running", () => {
    const container = new OneContainer(shell);
    const result = container.docker(["run", "-it", "alpine"], { tty: true, stdin: "\u0010\u0011" });
    expect(result.status).toBe(0);
    expect(container.detached).toBe(true);
    expect(container.status).toBeUndefined();
  });

  it("keeps standard error apart, and passes the end of a pipe on", () => {
    const container = new OneContainer(function* (self) {
      self.print(`in: ${yield* self.stdin.readAll()}`);
      self.print("oops\n", "stderr");
      return 0;
    });
    expect(container.docker(["run", "-i", "--rm", "alpine", "cat"], { stdin: "hi\n" })).toEqual({
      out: "in: hi\n",
      err: "oops\n",
      status: 0,
    });
    expect(container.calls).toEqual(["create ", "attach", "wait removed", "start"]);
    expect(container.request).toMatchObject({ Cmd: ["cat"], HostConfig: { AutoRemove: true } });
  });

  it("-dit prints the ID and attaches nothing", () => {
    const container = new OneContainer(shell);
    expect(container.docker(["run", "-dit", "--name", "a", "alpine"])).toEqual({ out: `${ID}\n`, err: "", status: 0 });
    expect(container.calls).toEqual(["create a", "start"]);
    expect(container.request).toMatchObject({
      Tty: true,
      OpenStdin: true,
      StdinOnce: false,
      AttachStdin: false,
      AttachStdout: false,
    });
  });

  it("flags end at the image", () => {
    const container = new OneContainer(shell);
    container.docker(["run", "-d", "alpine", "ping", "-c", "2", "--name", "x"]);
    expect(container.request?.Cmd).toEqual(["ping", "-c", "2", "--name", "x"]);
  });

  it("makes the request that its flags say", () => {
    const container = new OneContainer(shell);
    const flags = [
      "--network",
      "n",
      "--network-alias",
      "web",
      "--network-alias",
      "www",
      "--ip",
      "10.0.1.9",
      "-h",
      "box",
      "-e",
      "A=1",
      "-e",
      "HOME",
      "-e",
      "NONE",
    ];
    const more = [
      "-l",
      "k=v",
      "-p",
      "8080:80",
      "-p",
      "127.0.0.1:53:53/udp",
      "--expose",
      "9000-9001",
      "--restart",
      "on-failure:3",
      "--dns",
      "1.1.1.1",
    ];
    const last = [
      "-w",
      "/srv",
      "-u",
      "1",
      "--add-host",
      "db:10.0.0.1",
      "--entrypoint",
      "sh",
      "--stop-timeout",
      "2",
      "--init",
      "--cap-add=NET_ADMIN",
    ];
    container.docker(["run", "-d", ...flags, ...more, ...last, "alpine", "-c", "id"], {
      env: new Map([["HOME", "/root"]]),
    });
    expect(container.request).toEqual({
      Image: "alpine",
      Cmd: ["-c", "id"],
      Entrypoint: ["sh"],
      Hostname: "box",
      User: "1",
      WorkingDir: "/srv",
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      StopTimeout: 2,
      Env: ["A=1", "HOME=/root"],
      Labels: { k: "v" },
      ExposedPorts: { "9000/tcp": {}, "9001/tcp": {}, "80/tcp": {}, "53/udp": {} },
      HostConfig: {
        NetworkMode: "n",
        AutoRemove: false,
        Privileged: false,
        PublishAllPorts: false,
        PortBindings: {
          "80/tcp": [{ HostIp: "", HostPort: "8080" }],
          "53/udp": [{ HostIp: "127.0.0.1", HostPort: "53" }],
        },
        RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
        Dns: ["1.1.1.1"],
        DnsSearch: [],
        DnsOptions: [],
        ExtraHosts: ["db:10.0.0.1"],
        CapAdd: ["NET_ADMIN"],
        Init: true,
      },
      NetworkingConfig: {
        EndpointsConfig: { n: { IPAMConfig: { IPv4Address: "10.0.1.9" }, Aliases: ["web", "www"] } },
      },
    });
  });

  it("an image that is not there", () => {
    const pull = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host';
    const create = { containerCreate: () => refuse(404, "No such image: nosuch:latest") };
    const container = new OneContainer(shell);
    const result = container.docker(["run", "nosuch"], {}, { ...create, imagePull: () => refuse(500, pull) });
    expect(result).toEqual({
      out: "",
      err: `Unable to find image 'nosuch:latest' locally\ndocker: Error response from daemon: ${pull}.\nSee 'docker run --help'.\n`,
      status: 125,
    });
  });

  it("exit statuses 127, 126 and 125 of a container that can't start", () => {
    const reasons: [string, number][] = [
      ['failed to create shim: exec: "nosuch": executable file not found in $PATH: unknown', 127],
      ['exec: "/etc/hosts": permission denied: unknown', 126],
      ["network x not found", 125],
    ];
    for (const [message, status] of reasons) {
      const result = new OneContainer(shell).docker(
        ["run", "alpine", "x"],
        {},
        { containerStart: () => refuse(400, message) },
      );
      expect(result).toEqual({ out: "", err: `docker: Error response from daemon: ${message}.\n`, status });
    }
  });

  it("refuses what its options forbid", () => {
    const cases: [string[], string, number][] = [
      [["run", "--nosuch", "alpine"], "unknown flag: --nosuch\nSee 'docker run --help'.\n", 125],
      [["run", "-dz", "alpine"], "unknown shorthand flag: 'z' in -z\nSee 'docker run --help'.\n", 125],
      [["run", "--name"], "flag needs an argument: --name\nSee 'docker run --help'.\n", 125],
      [["run", "-p", "80:x", "alpine"], "docker: Invalid containerPort: x.\nSee 'docker run --help'.\n", 125],
      [
        ["run", "--rm", "--restart=always", "alpine"],
        "docker: Conflicting options: --restart and --rm.\nSee 'docker run --help'.\n",
        125,
      ],
      [["run", "-it", "alpine"], "the input device is not a TTY\n", 1],
      [
        ["run", "--stop-timeout", "x", "alpine"],
        `invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x": invalid syntax\nSee 'docker run --help'.\n`,
        125,
      ],
      [
        ["run"],
        `"docker run" requires at least 1 argument.\nSee 'docker run --help'.\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun a command in a new container\n`,
        1,
      ],
    ];
    for (const [argv, err, status] of cases) {
      expect(new OneContainer(shell).docker(argv), argv.join(" ")).toEqual({ out: "", err, status });
    }
  });
});

describe("docker exec and attach", () => {
  const execution = (container: OneContainer, main: Program | undefined, code: number): Partial<EngineApi> => ({
    containerInspect: () => give({ Id: ID, State: { Running: true }, Config: { Tty: true, OpenStdin: true } }),
    execCreate: (_, request) => {
      container.calls.push(request.Cmd.join(" "));
      return give({ Id: "e1" });
    },
    execStart: function* (_, detach) {
      yield* sleep(container.host.os, 1e6);
      if (detach) return undefined;
      if (main === undefined) {
        container.print("done\n");
        container.end(0);
      }
      return container.stream;
    },
    execInspect: () => ({ ExitCode: code }),
  });

  it("exec gives back the command's status", () => {
    const container = new OneContainer(shell);
    const result = container.docker(
      ["exec", "alpine1", "ping", "-c", "1", "x"],
      {},
      execution(container, undefined, 7),
    );
    expect(result).toEqual({ out: "done\n", err: "", status: 7 });
    expect(container.calls).toEqual(["ping -c 1 x"]);
  });

  it("exec -d says nothing", () => {
    const container = new OneContainer(shell);
    expect(container.docker(["exec", "-d", "a", "true"], {}, execution(container, undefined, 0))).toEqual({
      out: "",
      err: "",
      status: 0,
    });
  });

  it("exec in a container that is not there", () => {
    const container = new OneContainer(shell);
    const result = container.docker(
      ["exec", "x", "true"],
      {},
      { containerInspect: () => refuse(404, "No such container: x") },
    );
    expect(result).toEqual({ out: "", err: "Error: No such container: x\n", status: 1 });
  });

  it("attach to a stopped container is refused", () => {
    const stopped = { containerInspect: () => give({ Id: ID, State: { Running: false } }) };
    const result = new OneContainer(shell).docker(["attach", "x"], {}, stopped);
    expect(result).toEqual({ out: "", err: "You cannot attach to a stopped container, start it first\n", status: 1 });
  });

  it("attach ends with the container's status, or with the detach keys", () => {
    const running = {
      containerInspect: () => give({ Id: ID, State: { Running: true }, Config: { Tty: true, OpenStdin: true } }),
    };
    const attach = (stdin: string) => {
      const container = new OneContainer(shell);
      container.host.os.spawn(
        "container",
        (function* () {
          container.end(yield* shell(container));
        })(),
      );
      return container.docker(["attach", "x"], { tty: true, stdin }, running);
    };
    expect(attach("exit\n").status).toBe(3);
    expect(attach("\u0010\u0011")).toMatchObject({ err: "read escape sequence\n", status: 1 });
  });
});

describe("docker stop, rm, start, logs …", () => {
  it("names what was done and collects what failed", () => {
    const engine = fakeEngine({
      containerStop: (name, seconds) =>
        name === "a" ? give(seconds === 1) : refuse(404, `No such container: ${name}`),
      containerRemove: (name) => (name === "a" ? give(undefined) : refuse(404, `No such container: ${name}`)),
      containerStart: (name) => (name === "a" ? give(undefined) : refuse(404, `No such container: ${name}`)),
    });
    const run = (...argv: string[]) => new ProgramHost().run(dockerProgram(engine), ["docker", ...argv]);
    expect(run("container", "stop", "-t", "1", "a")).toEqual({ out: "a\n", err: "", status: 0 });
    expect(run("stop", "x", "a", "y")).toEqual({
      out: "a\n",
      err: "Error response from daemon: No such container: x\nError response from daemon: No such container: y\n",
      status: 1,
    });
    expect(run("rm", "x", "a")).toEqual({ out: "a\n", err: "Error: No such container: x\n", status: 1 });
    expect(run("start", "a", "x")).toEqual({
      out: "a\n",
      err: "Error response from daemon: No such container: x\nError: failed to start containers: x\n",
      status: 1,
    });
  });

  it("unknown commands", () => {
    const run = (...argv: string[]) => new ProgramHost().run(dockerProgram(fakeEngine({})), ["docker", ...argv]);
    expect(run("foo")).toEqual({
      out: "",
      err: "docker: 'foo' is not a docker command.\nSee 'docker --help'\n",
      status: 1,
    });
    const bare = run("network");
    expect(bare.status).toBe(0);
    expect(bare.err).toMatch(
      /^\nUsage: {2}docker network COMMAND\n\nManage networks\n\nCommands:\n {2}connect {5}Connect a container to a network\n/,
    );
    expect(bare.err).toMatch(/\n\nRun 'docker network COMMAND --help' for more information on a command.\n$/);
    expect(run("network", "foo")).toEqual({ out: "", err: bare.err, status: 1 });
    expect(run("network", "rm")).toEqual({
      out: "",
      err: `"docker network rm" requires at least 1 argument.\nSee 'docker network rm --help'.\n\nUsage:  docker network rm NETWORK [NETWORK...]\n\nRemove one or more networks\n`,
      status: 1,
    });
    const versioned = fakeEngine({ version: () => ({ Version: "20.10.24+dfsg1", GitCommit: "297e128" }) });
    expect(new ProgramHost().run(dockerProgram(versioned), ["docker", "-v"]).out).toBe(
      "Docker version 20.10.24+dfsg1, build 297e128\n",
    );
  });

  it("another error than a refusal is not swallowed", () => {
    const host = new ProgramHost();
    host.network.keepFailures = true;
    host.run(dockerProgram(fakeEngine({})), ["docker", "ps"]);
    expect(String(host.network.failures[0]?.error)).toContain("unexpected call of EngineApi.containerList");
    expect(host.network.failures[0]?.error).not.toBeInstanceOf(ApiError);
  });
});
