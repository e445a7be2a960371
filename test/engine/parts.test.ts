/** The engine's small parts: pipes, streams, logs, files, names, filters, the restart manager, locks, requests. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { MS, SEC } from "../../src/base/time.ts";
import { ApiError, type JsonObject } from "../../src/engine/api.ts";
import { DaemonRequest, inDaemon } from "../../src/engine/daemon-request.ts";
import { LayeredFiles } from "../../src/engine/filesystem.ts";
import { checkFilters, matchesFilters } from "../../src/engine/filters.ts";
import { Mutex } from "../../src/engine/mutex.ts";
import { generateName } from "../../src/engine/names.ts";
import { Pipe } from "../../src/engine/program.ts";
import { isDefect, refusable } from "../../src/engine/refusals.ts";
import { RestartManager } from "../../src/engine/restart-manager.ts";
import { OutputLog, StandardStreams } from "../../src/engine/stdio.ts";
import { type Proc, sleep } from "../../src/scheduler/process.ts";
import { RpcError, SwarmError } from "../../src/swarm/api/status.ts";
import { UnitHost } from "./units.ts";

describe("Pipe", () => {
  it("gives lines over chunk borders, the last one without its newline", () => {
    const host = new UnitHost();
    const pipe = new Pipe();
    for (const chunk of ["a", "b\nc", "d\n", "e"]) pipe.push(chunk);
    pipe.close();
    const lines = [1, 2, 3, 4].map(() => host.result(pipe.readLine(), 1e9));
    expect(lines).toEqual(["ab", "cd", "e", undefined]);
  });

  it("has an end of file in the middle after Ctrl-D", () => {
    const host = new UnitHost();
    const pipe = new Pipe();
    for (const chunk of ["ab", "", "cd\n"]) pipe.push(chunk);
    expect(host.result(pipe.readAll(), 1e9)).toBe("ab");
    expect(host.result(pipe.readLine(), 1e9)).toBe("cd");
    pipe.push("");
    expect(host.result(pipe.readLine(), 1e9)).toBeUndefined();
  });

  it("tells that a reader waits", () => {
    const host = new UnitHost();
    const pipe = new Pipe();
    expect(pipe.idle).toBe(false);
    host.os.spawn("reader", pipe.readLine());
    host.run(1e9);
    expect(pipe.idle).toBe(true);
    pipe.push("x\n");
    host.run(1e9);
    expect(pipe.idle).toBe(false);
  });
});

describe("StandardStreams", () => {
  const make = (tty: boolean, log?: OutputLog) =>
    new StandardStreams({ tty, now: () => 5, interrupt: () => {}, ...(log === undefined ? {} : { log }) });

  it("logs and shows what is printed from the attachment on", () => {
    const log = new OutputLog();
    const streams = make(false, log);
    streams.stdout.write("before ");
    const client = streams.attach();
    streams.stderr.write("after\n");
    expect(client.output.tryPop()).toEqual({ stream: "stderr", text: "after\n" });
    expect(log.entries.map(({ text }) => text)).toEqual(["before ", "after\n"]);
  });

  it("on a terminal standard error is standard output", () => {
    const streams = make(true);
    const client = streams.attach();
    streams.stderr.write("x");
    expect(client.output.tryPop()).toEqual({ stream: "stdout", text: "x" });
  });

  it("closes clients' output at the end, which can still be read", () => {
    const streams = make(false);
    const client = streams.attach();
    streams.stdout.write("x");
    streams.close();
    streams.stdout.write("y");
    expect(client.output.tryPop()?.text).toBe("x");
    expect(client.output.tryPop()).toBeUndefined();
    expect(client.output.closed).toBe(true);
    expect(streams.attach().output.closed).toBe(true);
  });

  it("a client that owns standard input ends it when it goes, but not on a terminal", () => {
    const [plain, other, terminal] = [make(false), make(false), make(true)];
    plain.attach(true).detach();
    other.attach(false).detach();
    terminal.attach(true).detach();
    expect([plain.stdin.closed, other.stdin.closed, terminal.stdin.closed]).toEqual([true, false, false]);
  });

  it("a client that went away costs nothing", () => {
    const streams = make(false);
    const client = streams.attach();
    client.detach();
    streams.stdout.write("x");
    expect(client.output.length).toBe(0);
  });
});

describe("OutputLog", () => {
  it("joins chunks to lines; a line has the time of its beginning", () => {
    const log = new OutputLog();
    log.append({ time: 1, stream: "stdout", text: "a\nb" });
    log.append({ time: 2, stream: "stdout", text: "c\n" });
    log.append({ time: 3, stream: "stderr", text: "d" });
    log.append({ time: 4, stream: "stdout", text: "e" });
    expect(log.lines()).toEqual([
      { time: 1, stream: "stdout", text: "a\n" },
      { time: 1, stream: "stdout", text: "bc\n" },
      { time: 3, stream: "stderr", text: "d" },
      { time: 4, stream: "stdout", text: "e" },
    ]);
  });

  it("drops the oldest beyond 4 MiB", () => {
    const log = new OutputLog();
    for (let i = 0; i < 6; i++) log.append({ time: i, stream: "stdout", text: "x".repeat(1 << 20) });
    expect(log.entries.map(({ time }) => time)).toEqual([2, 3, 4, 5]);
  });
});

describe("LayeredFiles", () => {
  const make = () =>
    new LayeredFiles(
      new Map([
        ["/etc/os-release", "alpine"],
        ["/bin/x/y", ""],
      ]),
      new Map([["/etc/hosts", () => "generated"]]),
    );

  it("shows what was written above what is generated above the image", () => {
    const files = make();
    expect(files.read("/etc/hosts")).toBe("generated");
    files.write("/etc/hosts", "mine");
    expect(files.read("/etc/hosts")).toBe("mine");
    files.regenerate();
    expect(files.read("/etc/hosts")).toBe("generated");
  });

  it("is read again after a power loss, but for what was in memory", () => {
    const before = make();
    before.write("/root/a", "a");
    before.write("/tmp/b", "b");
    before.remove("/etc/os-release");
    before.makeDirectory("/srv");
    before.makeDirectory("/tmp");
    const after = make();
    after.remount(before, (path) => path.startsWith("/tmp"));
    expect([after.read("/root/a"), after.read("/tmp/b"), after.read("/etc/os-release")]).toEqual([
      "a",
      undefined,
      undefined,
    ]);
    expect([after.list("/srv"), after.list("/tmp")]).toEqual([[], undefined]);
    // They share nothing.
    after.write("/root/a", "c");
    expect(before.read("/root/a")).toBe("a");
  });

  it("removes files of the image", () => {
    const files = make();
    expect(files.remove("/etc/os-release")).toBe(true);
    expect(files.read("/etc/os-release")).toBeUndefined();
    expect(files.remove("/etc/os-release")).toBe(false);
    expect(files.list("/etc")).toEqual(["hosts"]);
  });

  it("lists directories", () => {
    const files = make();
    files.write("/tmp/a", "");
    expect(files.list("/")).toEqual(["bin", "etc", "tmp"]);
    expect(files.list("/bin/")).toEqual(["x"]);
    expect(files.list("/nosuch")).toBeUndefined();
  });
});

describe("generateName", () => {
  it("is an adjective and a surname, and free", () => {
    const name = generateName(new Random("x"), () => false);
    expect(name).toMatch(/^[a-z]+_[a-z]+$/);
    const other = generateName(new Random("x"), (candidate) => candidate === name);
    expect(other).not.toBe(name);
  });

  it("adds a digit when all are taken that it tries (namesgenerator's retry)", () => {
    expect(generateName(new Random("x"), (candidate) => !/\d$/.test(candidate))).toMatch(/^[a-z]+_[a-z]+\d$/);
  });

  it("never gives boring_wozniak: Steve Wozniak is not boring", () => {
    const random = new Random("woz");
    for (let i = 0; i < 20_000; i++) expect(generateName(random, () => false)).not.toBe("boring_wozniak");
  });
});

describe("filters", () => {
  const container: JsonObject = {
    Id: "abc123",
    Names: ["/web-1"],
    Image: "alpine",
    ImageID: "sha256:feed",
    State: "exited",
    Status: "Exited (3) 5 seconds ago",
    Labels: { a: "1", b: "" },
    NetworkSettings: { Networks: { front: { NetworkID: "n0123" } } },
  };

  it.each([
    ["name", "web"],
    ["name", "^web-1$"],
    ["name", "^/web"],
    ["name", "("],
    ["id", "^abc"],
    ["status", "exited"],
    ["ancestor", "alpine:latest"],
    ["ancestor", "feed"],
    ["exited", "3"],
    ["network", "front"],
    ["network", "n01"],
    ["label", "a"],
    ["label", "a=1"],
  ])("container %s=%s", (key, value) => {
    checkFilters("container", { [key]: [value] });
    expect(matchesFilters("container", container, { [key]: [value] })).toBe(value !== "(");
  });

  it("takes values of a key as alternatives, labels and keys together", () => {
    expect(matchesFilters("container", container, { name: ["x", "web"] })).toBe(true);
    expect(matchesFilters("container", container, { label: ["a", "z"] })).toBe(false);
    expect(matchesFilters("container", container, { name: ["web"], status: ["running"] })).toBe(false);
  });

  it.each([
    ["container", "foo", "x", "Invalid filter 'foo'"],
    ["container", "status", "dancing", "Invalid filter 'status=dancing'"],
    ["container", "exited", "x", "Invalid filter 'exited=x'"],
    ["network", "dangling", "perhaps", "Invalid filter 'dangling=perhaps'"],
    ["network", "type", "odd", "Invalid filter 'type=odd'"],
    ["node", "role", "king", "Invalid filter 'role=king'"],
  ] as const)("%s: %s=%s is refused, with or without objects", (kind, key, value, message) => {
    expect(() => checkFilters(kind, { [key]: [value] })).toThrow(new ApiError(400, message));
  });

  it("network filters", () => {
    const network = { Id: "x1", Name: "bridge", Driver: "bridge", Scope: "local", Labels: {}, Containers: {} };
    const test = (key: string, value: string) => matchesFilters("network", network, { [key]: [value] });
    expect(test("type", "builtin")).toBe(true);
    expect(test("type", "custom")).toBe(false);
    expect(test("dangling", "true")).toBe(false);
    expect(test("driver", "bridge")).toBe(true);
    expect(test("name", "idg")).toBe(true);
  });
});

describe("RestartManager", () => {
  const decisions = (policy: string, maximum: number, exit: number, count: number, ran = SEC) => {
    const manager = new RestartManager(policy, maximum);
    return Array.from({ length: count }, () => manager.decide(exit, false, ran));
  };

  it("doubles its wait from 100 ms up to a minute", () => {
    expect(decisions("always", 0, 0, 12).map((ns) => (ns ?? 0) / MS)).toEqual([
      100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000,
    ]);
  });

  it("begins anew after ten good seconds", () => {
    expect(decisions("always", 0, 0, 3, 10 * SEC)).toEqual([100 * MS, 100 * MS, 100 * MS]);
  });

  it("on-failure: only failures, and not more than it was told", () => {
    expect(decisions("on-failure", 0, 0, 1)).toEqual([undefined]);
    expect(decisions("on-failure", 2, 1, 3)).toEqual([100 * MS, 200 * MS, undefined]);
  });

  it("unless-stopped: not when somebody stopped it; always: again", () => {
    expect(new RestartManager("unless-stopped", 0).decide(0, true, SEC)).toBeUndefined();
    expect(new RestartManager("always", 0).decide(0, true, SEC)).toBe(100 * MS);
    expect(new RestartManager("no", 0).decide(1, false, SEC)).toBeUndefined();
  });

  it("cancelled: no more, and a wait ends at once", () => {
    const host = new UnitHost();
    const manager = new RestartManager("always", 0);
    const waiting = host.os.spawn("wait", manager.wait(host.os, 60 * SEC));
    host.run(SEC);
    expect(waiting.done).toBe(false);
    manager.cancel();
    host.run(MS);
    expect(waiting.result).toBe(false);
    expect(manager.decide(0, false, SEC)).toBeUndefined();
    expect(host.result(new RestartManager("always", 0).wait(host.os, SEC), 2 * SEC)).toBe(true);
  });
});

describe("Mutex", () => {
  it("lets one in at a time, in order, and the next when one is killed", () => {
    const host = new UnitHost();
    const mutex = new Mutex();
    const log: string[] = [];
    const hold = (name: string) =>
      host.os.spawn(
        name,
        mutex.run(
          (function* (): Proc<void> {
            log.push(`${name} in`);
            yield* sleep(host.os, SEC);
            log.push(`${name} out`);
          })(),
        ),
      );
    const first = hold("a");
    hold("b");
    hold("c");
    host.run(500 * MS);
    first.kill();
    host.run(10 * SEC);
    expect(log).toEqual(["a in", "b in", "b out", "c in", "c out"]);
    expect(mutex.held).toBe(false);
  });
});

describe("requests of the daemon", () => {
  it("run to their end when the client is killed", () => {
    const host = new UnitHost();
    let done = false;
    const request = (function* (): Proc<void> {
      yield* sleep(host.os, 5 * SEC);
      done = true;
    })();
    const client = host.os.spawn("client", inDaemon(host.os, "x", request));
    host.run(SEC);
    client.kill();
    host.run(10 * SEC);
    expect(done).toBe(true);
  });

  it("hand refusals to the client, and nobody misses them when it is gone", () => {
    const host = new UnitHost();
    // biome-ignore lint/correctness/useYield: a request
    const refuse = function* (): Proc<void> {
      throw new ApiError(409, "no");
    };
    expect(() => host.result(inDaemon(host.os, "x", refuse()), SEC)).toThrow(new ApiError(409, "no"));
    new DaemonRequest(host.os, "y", refuse());
    host.run(SEC);
    expect(host.network.failures).toEqual([]);
  });

  it("a defect is not a refusal: it ends the run", () => {
    const host = new UnitHost();
    host.network.keepFailures = true;
    // biome-ignore lint/correctness/useYield: a request
    const broken = function* (): Proc<void> {
      throw new TypeError("x is undefined");
    };
    new DaemonRequest(host.os, "z", broken());
    host.run(SEC);
    expect(host.network.failures).toMatchObject([{ program: "dockerd: z" }]);
  });

  it("errors get the HTTP status of their class", () => {
    const host = new UnitHost();
    const statusOf = (error: Error): number | undefined => {
      // biome-ignore lint/correctness/useYield: a request
      const fail = function* (): Proc<void> {
        throw error;
      };
      try {
        host.result(refusable(fail()), SEC);
      } catch (refusal) {
        return refusal instanceof ApiError ? refusal.status : undefined;
      }
      return undefined;
    };
    expect(statusOf(new SwarmError(503, "x"))).toBe(503);
    expect(statusOf(new RpcError("PermissionDenied", "x"))).toBe(403);
    expect(statusOf(new Error("context deadline exceeded"))).toBe(500);
    expect(statusOf(new Error("assertion failed: x"))).toBeUndefined();
    expect(isDefect(new RangeError("x"))).toBe(true);
    expect(isDefect(new ApiError(400, "x"))).toBe(false);
  });
});
