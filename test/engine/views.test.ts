/** Spans of time in words, and what inspect shows beside a real engine's. */
import { describe, expect, it } from "vitest";
import { HOUR, MINUTE, MS, SEC } from "../../src/base/time.ts";
import { ApiError, type ContainerCreateRequest } from "../../src/engine/api.ts";
import { checkRequest, commandLine, configEnv, environment, withTag } from "../../src/engine/container-config.ts";
import { hostConfigView } from "../../src/engine/host-config-view.ts";
import { humanDuration } from "../../src/engine/views.ts";
import { alpine } from "../../src/images/alpine.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";

const DAY = 24 * HOUR;

describe("humanDuration", () => {
  // go-units duration_test.go, and the borders between.
  it.each([
    [450 * MS, "Less than a second"],
    [SEC, "1 second"],
    [1999 * MS, "1 second"],
    [45 * SEC, "45 seconds"],
    [59 * SEC, "59 seconds"],
    [60 * SEC, "About a minute"],
    [119 * SEC, "About a minute"],
    [3 * MINUTE, "3 minutes"],
    [35 * MINUTE + 40 * SEC, "35 minutes"],
    [59 * MINUTE + 59 * SEC, "59 minutes"],
    [60 * MINUTE, "About an hour"],
    [HOUR + 29 * MINUTE, "About an hour"],
    [HOUR + 30 * MINUTE, "2 hours"],
    [3 * HOUR + 1 * MINUTE, "3 hours"],
    [47 * HOUR, "47 hours"],
    [48 * HOUR, "2 days"],
    [13 * DAY, "13 days"],
    [14 * DAY, "2 weeks"],
    [24 * DAY, "3 weeks"],
    [59 * DAY, "8 weeks"],
    [60 * DAY, "2 months"],
    [100 * DAY, "3 months"],
    [24 * 30 * DAY, "24 months"],
    [2 * 365 * DAY, "2 years"],
    [3 * 365 * DAY + 2 * 30 * DAY, "3 years"],
  ])("%d ns is %j", (ns, text) => {
    expect(humanDuration(ns)).toBe(text);
  });
});

describe("requests for containers", () => {
  const base: ContainerCreateRequest = { Image: "alpine" };
  const host = (HostConfig: NonNullable<ContainerCreateRequest["HostConfig"]>, more = {}) => ({
    ...base,
    HostConfig,
    ...more,
  });

  it.each<[ContainerCreateRequest, string]>([
    [host({ NetworkMode: "container:" }), "Invalid network mode: invalid container format container:<name|id>"],
    [host({ NetworkMode: "container:x" }, { Hostname: "h" }), "conflicting options: hostname and the network mode"],
    [host({ NetworkMode: "container:x", Dns: ["1.1.1.1"] }), "conflicting options: dns and the network mode"],
    [
      host({ NetworkMode: "container:x", ExtraHosts: ["a:1.1.1.1"] }),
      "conflicting options: custom host-to-IP mapping and the network mode",
    ],
    [
      host({ NetworkMode: "host" }, { MacAddress: "02:42:00:00:00:01" }),
      "conflicting options: mac-address and the network mode",
    ],
    [
      host({ NetworkMode: "container:x", PublishAllPorts: true }),
      "conflicting options: port publishing and the container type network mode",
    ],
    [
      host({ NetworkMode: "container:x" }, { ExposedPorts: { "80/tcp": {} } }),
      "conflicting options: port exposing and the container type network mode",
    ],
    [
      host({ AutoRemove: true, RestartPolicy: { Name: "always" } }),
      "can't create 'AutoRemove' container with restart policy",
    ],
    [host({ RestartPolicy: { Name: "often" } }), "invalid restart policy 'often'"],
    [
      host({ RestartPolicy: { Name: "always", MaximumRetryCount: 3 } }),
      "maximum retry count cannot be used with restart policy 'always'",
    ],
    [host({ RestartPolicy: { Name: "on-failure", MaximumRetryCount: -1 } }), "maximum retry count cannot be negative"],
    [{ ...base, WorkingDir: "tmp" }, "the working directory 'tmp' is invalid, it needs to be an absolute path"],
    [{ ...base, Env: ["=x"] }, "invalid environment variable: =x"],
    [{ ...base, StopSignal: "NOPE" }, "Invalid signal: NOPE"],
    [host({ ExtraHosts: ["x"] }), 'bad format for add-host: "x"'],
  ])("%j is refused", (request, message) => {
    expect(() => checkRequest(request)).toThrow(new ApiError(400, message));
  });

  it("checks published ports", () => {
    const ports = (key: string, HostPort: string) => host({ PortBindings: { [key]: [{ HostPort }] } });
    expect(() => checkRequest(ports("80/tcp", "80"))).not.toThrow();
    expect(() => checkRequest(ports("80/icmp", "80"))).toThrow('invalid port specification: "80/icmp"');
    expect(() => checkRequest(ports("80/tcp", "x"))).toThrow('invalid port specification: "x"');
  });

  it.each<[Partial<ContainerCreateRequest>, readonly string[], readonly string[], readonly string[]]>([
    [{}, ["/e"], ["c"], ["/e", "c"]],
    [{ Cmd: ["x"] }, ["/e"], ["c"], ["/e", "x"]],
    [{ Entrypoint: ["/mine"] }, ["/e"], ["c"], ["/mine"]],
    [{ Entrypoint: ["/mine"], Cmd: ["x"] }, ["/e"], ["c"], ["/mine", "x"]],
    [{ Entrypoint: [""], Cmd: ["x"] }, ["/e"], ["c"], ["x"]],
    [{}, [], ["/bin/sh"], ["/bin/sh"]],
  ])("command line of %j with entrypoint %j and command %j", (request, entrypoint, cmd, argv) => {
    expect(commandLine({ ...alpine, entrypoint, cmd }, { ...base, ...request })).toEqual(argv);
  });

  it("environment: PATH, HOSTNAME, TERM on a terminal, the image's, the request's, HOME", () => {
    const image = { ...alpine, env: ["PATH=/x", "A=1"] };
    const env = environment(image, { ...base, Tty: true, Env: ["A=2", "B="] }, "box");
    expect([...env]).toEqual([
      ["PATH", "/x"],
      ["HOSTNAME", "box"],
      ["TERM", "xterm"],
      ["A", "2"],
      ["B", ""],
      ["HOME", "/root"],
    ]);
    expect(configEnv(image, { ...base, Env: ["A=2"] })).toEqual(["A=2", "PATH=/x"]);
  });

  it("withTag", () => {
    expect(["a", "a:1", "r:5000/a", "r:5000/a:2"].map(withTag)).toEqual([
      "a:latest",
      "a:1",
      "r:5000/a:latest",
      "r:5000/a:2",
    ]);
  });
});

describe.skipIf(!goldenAvailable)(goldenTitle("HostConfig beside a real engine's"), () => {
  it("has its keys, order and values", () => {
    const text = goldenText("B-standalone-attachable/manager/state-1-before-traffic/docker-inspect-containers.txt");
    const [container] = JSON.parse(text.slice(text.indexOf("[\n"))) as { HostConfig: object }[];
    // What the client always sends.
    const client = { RestartPolicy: { Name: "no" }, Dns: [], DnsOptions: [], DnsSearch: [] };
    const view = hostConfigView({ Image: "alpine", HostConfig: { NetworkMode: "test-net", ...client } });
    expect(JSON.stringify(view, null, 1)).toBe(JSON.stringify(container?.HostConfig, null, 1));
  });
});
