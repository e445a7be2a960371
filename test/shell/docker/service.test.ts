/** `docker service` without an engine: what it posts, what it shows while it waits, what it refuses. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import { formatRfc3339 } from "../../../src/base/wall-clock.ts";
import type { EngineApi, Json, JsonObject } from "../../../src/engine/api.ts";
import { screenText } from "../../../src/lab/screen.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { parseServicePort, serviceLsPorts } from "../../../src/shell/docker/service-ports.ts";
import { splitWords } from "../../../src/shell/docker/words.ts";
import { ProgramHost, type RunOptions, type RunResult } from "../harness.ts";
import { fakeEngine, give, refuse } from "./fake-engine.ts";

function docker(line: string, answers: Partial<EngineApi>, options: RunOptions = {}): RunResult {
  return new ProgramHost().run(dockerProgram(fakeEngine(answers)), ["docker", ...splitWords(line)], options);
}

/** What `service create ARGS nginx` posts. */
function created(args: string): JsonObject {
  let posted: JsonObject = {};
  const result = docker(`service create -d --no-resolve-image ${args} nginx`, {
    networkInspect: (id) => give({ Id: `id-of-${id}` }),
    serviceCreate: (spec) => {
      posted = spec;
      return give({ ID: "s1" });
    },
  });
  expect([result.err, result.out]).toEqual(["", "s1\n"]);
  return posted;
}

const container = (spec: JsonObject): JsonObject => (spec["TaskTemplate"] as JsonObject)["ContainerSpec"] as JsonObject;

/** What `service update ARGS web` makes of a spec. */
function updated(args: string, spec: JsonObject): JsonObject {
  let posted: JsonObject = {};
  const result = docker(`service update -d ${args} web`, {
    networkInspect: (id) => give({ Id: `id-of-${id}` }),
    serviceInspect: () => give({ ID: "s1", Version: { Index: 7 }, Spec: spec }),
    serviceUpdate: (id, version, body) => {
      expect([id, version]).toEqual(["s1", 7]);
      posted = body;
      return give({ Warnings: null });
    },
  });
  expect([result.err, result.out]).toEqual(["", "web\n"]);
  return posted;
}

const BASE: JsonObject = {
  Name: "web",
  Labels: { a: "1" },
  TaskTemplate: {
    ContainerSpec: { Image: "nginx:1", Env: ["A=1", "B=2"] },
    Networks: [{ Target: "id-of-n1" }],
    ForceUpdate: 3,
  },
  Mode: { Replicated: { Replicas: 2 } },
  EndpointSpec: {
    Mode: "vip",
    Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" }],
  },
};

describe("ports of services", () => {
  it.each<[string, Json]>([
    ["8080:80", [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" }]],
    ["80", [{ Protocol: "tcp", TargetPort: 80, PublishMode: "ingress" }]],
    ["53:53/udp", [{ Protocol: "udp", TargetPort: 53, PublishedPort: 53, PublishMode: "ingress" }]],
    ["9:9/sctp", [{ Protocol: "sctp", TargetPort: 9, PublishedPort: 9, PublishMode: "ingress" }]],
    [
      "published=8081,target=80,protocol=udp,mode=host",
      [{ Protocol: "udp", TargetPort: 80, PublishedPort: 8081, PublishMode: "host" }],
    ],
    ["target=80", [{ Protocol: "tcp", TargetPort: 80, PublishMode: "ingress" }]],
  ])("%s", (spec, ports) => {
    expect(parseServicePort(spec)).toEqual(ports);
  });

  it.each([
    ["published=8080", 'missing mandatory field "target"'],
    ["target=80,mode=x", "invalid publish mode value x"],
    ["target=80,protocol=icmp", "invalid protocol value icmp"],
    ["target=80,foo=1", "invalid field key foo"],
    ["target=a", 'strconv.ParseUint: parsing "a": invalid syntax'],
    ["target=70000", 'strconv.ParseUint: parsing "70000": value out of range'],
    ["127.0.0.1:80:80", "hostip is not supported"],
    ["80:x", "Invalid containerPort: x"],
  ])("%s is refused", (spec, message) => {
    expect(() => parseServicePort(spec)).toThrow(message);
    const { err, status } = docker(`service create -p ${spec} nginx`, {});
    expect(err.split("\n")[0]).toBe(`invalid argument "${spec}" for "-p, --publish" flag: ${message}`);
    expect(status).toBe(125);
  });

  it("neighbours are shown as ranges, host ports not at all", () => {
    const port = (PublishedPort: number, TargetPort: number, PublishMode = "ingress", Protocol = "tcp") => ({
      Protocol,
      TargetPort,
      PublishedPort,
      PublishMode,
    });
    const shown = (...Ports: ReturnType<typeof port>[]) => serviceLsPorts({ Endpoint: { Ports } });
    expect(shown(port(8081, 81), port(8080, 80), port(9000, 90, "host"))).toBe("*:8080-8081->80-81/tcp");
    expect(shown(port(80, 80), port(443, 443), port(53, 53, "ingress", "udp"))).toBe(
      "*:80->80/tcp, *:443->443/tcp, *:53->53/udp",
    );
    expect(shown(port(30000, 80), port(30001, 79))).toBe("*:30000->80/tcp, *:30001->79/tcp");
  });
});

describe("service create", () => {
  it("posts nothing that wasn't asked for", () => {
    expect(created("")).toEqual({
      Name: "",
      Labels: {},
      TaskTemplate: {
        ContainerSpec: { Image: "nginx:latest", Init: false, DNSConfig: {} },
        Resources: { Limits: {}, Reservations: {} },
        Placement: {},
        ForceUpdate: 0,
      },
      Mode: { Replicated: {} },
      EndpointSpec: { Mode: "vip" },
    });
  });

  it.each<[string, string, Json]>([
    ["--replicas 3", "Mode", { Replicated: { Replicas: 3 } }],
    ["--mode global", "Mode", { Global: {} }],
    [
      "--mode replicated-job --replicas 4 --max-concurrent 2",
      "Mode",
      { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 4 } },
    ],
    ["--endpoint-mode dnsrr", "EndpointSpec", { Mode: "dnsrr" }],
    ["-l a=b --label c", "Labels", { a: "b", c: "" }],
    [
      "--update-parallelism 2 --update-delay 10s --update-order start-first",
      "UpdateConfig",
      {
        Parallelism: 2,
        Delay: 10 * SEC,
        FailureAction: "pause",
        Monitor: 5 * SEC,
        MaxFailureRatio: 0,
        Order: "start-first",
      },
    ],
  ])("%s", (args, key, value) => {
    expect(created(args)[key]).toEqual(value);
  });

  it("everything of a task", () => {
    const spec = created(
      "--name web --network n2 --network name=n1,alias=x --constraint node.role==manager --restart-condition on-failure " +
        "--stop-grace-period 1m -e A=1 --hostname h --host db:10.0.0.9 --entrypoint 'sh -c' --limit-memory 512M --limit-cpu 0.5 " +
        "--health-cmd 'wget -q localhost' --health-interval 5s --placement-pref spread=node.labels.zone --replicas-max-per-node 1",
    );
    const task = spec["TaskTemplate"] as JsonObject;
    expect(task["Networks"]).toEqual([{ Target: "id-of-n1", Aliases: ["x"] }, { Target: "id-of-n2" }]);
    expect(task["Placement"]).toEqual({
      Constraints: ["node.role==manager"],
      Preferences: [{ Spread: { SpreadDescriptor: "node.labels.zone" } }],
      MaxReplicas: 1,
    });
    expect(task["RestartPolicy"]).toEqual({ Condition: "on-failure", Delay: 5 * SEC, MaxAttempts: 0 });
    expect(task["Resources"]).toEqual({ Limits: { NanoCPUs: 5e8, MemoryBytes: 2 ** 29 }, Reservations: {} });
    expect(container(spec)).toEqual({
      Image: "nginx:latest",
      Command: ["sh", "-c"],
      Hostname: "h",
      Env: ["A=1"],
      Init: false,
      StopGracePeriod: 60 * SEC,
      Healthcheck: { Test: ["CMD-SHELL", "wget -q localhost"], Interval: 5 * SEC },
      Hosts: ["10.0.0.9 db"],
      DNSConfig: {},
    });
  });

  it("asks the registry; without an answer it warns", () => {
    let image: Json | undefined;
    const serviceCreate: EngineApi["serviceCreate"] = (spec) => {
      image = container(spec)["Image"];
      return give({ ID: "s1" });
    };
    const known = { Descriptor: { digest: "sha256:abc" }, Platforms: [] };
    expect(docker("service create -d nginx", { serviceCreate, distributionInspect: () => give(known) }).err).toBe("");
    expect(image).toBe("nginx:latest@sha256:abc");
    const unknown = docker("service create -d my/app:1", {
      serviceCreate,
      distributionInspect: () => refuse(404, "no"),
    });
    expect(unknown.err).toBe(
      "image my/app:1 could not be accessed on a registry to record\n" +
        "its digest. Each node will access my/app:1 independently,\n" +
        "possibly leading to different nodes running different\nversions of the image.\n\n",
    );
    expect(image).toBe("my/app:1");
  });

  it.each([
    ["--mode global --replicas 2 nginx", "replicas can only be used with replicated or replicated-job mode"],
    ["--mode foo nginx", "Unknown mode: foo, only replicated and global supported"],
    ["--no-healthcheck --health-cmd x nginx", "--no-healthcheck conflicts with --health-* options"],
    ["--secret s nginx", "--secret is not emulated"],
  ])("%s", (args, message) => {
    const { err, status } = docker(`service create ${args}`, {});
    expect([err, status]).toEqual([`${message}\n`, 1]);
  });
});

describe("spans that can't be negative", () => {
  it.each(["health-interval", "health-timeout", "health-start-period"])("--%s", (flag) => {
    const result = docker(`service create --${flag} -1s nginx`, {});
    expect([result.err.split("\n")[0], result.status]).toEqual([
      `invalid argument "-1s" for "--${flag}" flag: duration cannot be negative`,
      125,
    ]);
  });

  it("the manager refuses others: they are posted as they are", () => {
    expect(created("--update-delay -1s")["UpdateConfig"]).toMatchObject({ Delay: -SEC });
  });
});

describe("capabilities", () => {
  it("are named in full, sorted and once; added goes before dropped", () => {
    const spec = container(
      created("--cap-add net_raw --cap-add NET_ADMIN --cap-add CAP_NET_RAW --cap-drop NET_RAW --cap-drop chown"),
    );
    expect([spec["CapabilityAdd"], spec["CapabilityDrop"]]).toEqual([["CAP_NET_ADMIN", "CAP_NET_RAW"], ["CAP_CHOWN"]]);
  });

  it("ALL stands for all others", () => {
    expect(container(created("--cap-add NET_RAW --cap-add all"))["CapabilityAdd"]).toEqual(["ALL"]);
  });
});

describe("service ls and inspect of what has no ports", () => {
  const listed = (mode: Json, status: JsonObject, placement: JsonObject = {}): string =>
    docker("service ls --format {{.Mode}}:{{.Replicas}}", {
      serviceList: () =>
        give([
          { ID: "s1", Spec: { Name: "w", Mode: mode, TaskTemplate: { Placement: placement } }, ServiceStatus: status },
        ]),
    }).out;

  it("a job's progress, whatever the limit per node is", () => {
    const status = { RunningTasks: 1, DesiredTasks: 2, CompletedTasks: 3 };
    const limited = { MaxReplicas: 2 };
    expect(listed({ GlobalJob: {} }, status)).toBe("global job:1/2 (3/5 completed)\n");
    expect(listed({ ReplicatedJob: { TotalCompletions: 9 } }, status, limited)).toBe(
      "replicated job:1/2 (3/9 completed)\n",
    );
    expect(listed({ Replicated: { Replicas: 2 } }, status, limited)).toBe("replicated:1/2 (max 2 per node)\n");
  });

  it("--pretty: the spec's endpoint mode, preferences, log options, no word of a job's mode", () => {
    const spec = {
      Name: "w",
      TaskTemplate: {
        ContainerSpec: { Image: "nginx", Healthcheck: { Test: ["CMD", "true"] } },
        Placement: { Preferences: [{ Spread: { SpreadDescriptor: "node.labels.zone" } }] },
        LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
        Resources: {},
      },
      Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
      EndpointSpec: { Mode: "vip" },
    };
    const answer = () => give({ ID: "s1", Spec: spec, Endpoint: { Spec: {} } });
    const { out } = docker("service inspect --pretty w", { serviceInspect: answer });
    expect(out).toContain("Service Mode:\nPlacement:\n Preferences:   [spread=node.labels.zone]\n");
    expect(out).toContain("Log Driver:\n Name:\t\tjson-file\n LogOpts:\n  max-size:       1m\n\nResources:\n");
    expect(out).toContain("Endpoint Mode:\tvip\n");
    expect(out).toContain("\t Test = CMD\n\t Test = true \n");
  });
});

describe("service update", () => {
  it.each<[string, (spec: JsonObject) => Json | undefined, Json]>([
    ["--replicas 5", (spec) => spec["Mode"], { Replicated: { Replicas: 5 } }],
    ["--force", (spec) => (spec["TaskTemplate"] as JsonObject)["ForceUpdate"], 4],
    ["--env-add C=3 --env-rm A", (spec) => container(spec)["Env"], ["B=2", "C=3"]],
    ["--label-add b=2 --label-rm a", (spec) => spec["Labels"], { b: "2" }],
    [
      "--network-add n2 --network-rm n1",
      (spec) => (spec["TaskTemplate"] as JsonObject)["Networks"],
      [{ Target: "id-of-n2" }],
    ],
    ["--publish-rm 80", (spec) => spec["EndpointSpec"], { Mode: "vip" }],
    [
      "--publish-add 8080:80 --publish-add published=53,target=53,protocol=udp",
      (spec) =>
        ((spec["EndpointSpec"] as JsonObject)["Ports"] as JsonObject[]).map((port) => port["TargetPort"] as number),
      [53, 80],
    ],
    ["--endpoint-mode dnsrr --publish-rm 80", (spec) => spec["EndpointSpec"], { Mode: "dnsrr" }],
    [
      "--constraint-add b --constraint-add a",
      (spec) => (spec["TaskTemplate"] as JsonObject)["Placement"],
      { Constraints: ["a", "b"] },
    ],
  ])("%s", (args, part, value) => {
    const spec = updated(args, BASE);
    expect(part(spec)).toEqual(value);
    expect(spec["Name"]).toBe("web");
  });

  it("changes nothing else", () => {
    expect(updated("--force", BASE)).toEqual({
      ...BASE,
      TaskTemplate: {
        ...(BASE["TaskTemplate"] as JsonObject),
        ContainerSpec: { Image: "nginx:1", Env: ["A=1", "B=2"], DNSConfig: {} },
        ForceUpdate: 4,
      },
    });
  });

  it("refuses what can't be", () => {
    const serviceInspect = () => give({ ID: "s1", Version: { Index: 7 }, Spec: { ...BASE, Mode: { Global: {} } } });
    const run = (line: string) => docker(line, { serviceInspect, networkInspect: () => give({ Id: "id-of-n1" }) }).err;
    expect(run("service update --replicas 2 web")).toBe(
      "replicas can only be used with replicated or replicated-job mode\n",
    );
    expect(run("service update --network-add n1 web")).toBe("service is already attached to network n1\n");
    expect(run("service update --rollback --image x web")).toBe("other flags may not be combined with --rollback\n");
    expect(run("service scale web=2")).toBe("web: scale can only be used with replicated or replicated-job mode\n");
    expect(run("service scale web=x")).toBe(
      'web: invalid replicas value x: strconv.ParseUint: parsing "x": invalid syntax\n',
    );
    const none = { serviceInspect: () => refuse(404, "service x not found") };
    expect(docker("service update --force x", none).err).toBe("Error: No such service: x\n");
    expect(docker("service inspect x", none)).toMatchObject({
      out: "[]\n",
      err: "Error: no such service: x\n",
      status: 1,
    });
    expect(docker("service ps x", { serviceList: () => give([]) }).err).toBe("no such service: x\n");
  });
});

/** A service whose two tasks come up one after the other. */
function converging(states: readonly (readonly string[])[], more: () => JsonObject = () => ({})): Partial<EngineApi> {
  let look = 0;
  return {
    serviceCreate: () => give({ ID: "s1" }),
    serviceInspect: () => give({ ID: "s1", Spec: { Mode: { Replicated: { Replicas: 2 } } }, ...more() }),
    nodeList: () => give([{ ID: "n", Status: { State: "ready" } }]),
    taskList: (filters) => {
      expect(filters).toEqual({ "_up-to-date": ["true"], service: ["s1"] });
      const now = states[Math.min(look++, states.length - 1)] as readonly string[];
      return give(
        now.map((state, index) => ({
          Slot: index + 1,
          NodeID: "n",
          DesiredState: "running",
          Status: { State: state, ...(state === "rejected" ? { Err: "No such image: x:latest" } : {}) },
        })),
      );
    },
  };
}

describe("waiting for a service", () => {
  const STATES = [[], ["new", "new"], ["preparing", "running"], ["running", "running"]];
  const BAR = `[${"=".repeat(50)}>] `;

  it("elsewhere than on a terminal every message is a line, but for bars", () => {
    const { out, status } = docker("service create --no-resolve-image nginx", converging(STATES));
    const lines = out.split("\n");
    expect(lines.slice(0, 9)).toEqual([
      "s1",
      "overall progress: 0 out of 2 tasks",
      "1/2:  ",
      "2/2:  ",
      "overall progress: 0 out of 2 tasks",
      "overall progress: 0 out of 2 tasks",
      "overall progress: 1 out of 2 tasks",
      "overall progress: 2 out of 2 tasks",
      "verify: Waiting 5 seconds to verify that tasks are stable...",
    ]);
    expect(lines.slice(-3)).toEqual([
      "verify: Waiting 1 seconds to verify that tasks are stable...",
      "verify: Service converged",
      "",
    ]);
    expect(status).toBe(0);
  });

  it("on a terminal what the screen shows at the end", () => {
    const { out } = docker("service create --no-resolve-image nginx", converging(STATES), { tty: true });
    expect(out).toContain("s1\n\n\u001b[1A\u001b[2K\roverall progress: 0 out of 2 tasks \r\u001b[1B");
    expect(screenText(out)).toBe(
      "s1\noverall progress: 2 out of 2 tasks \n" +
        `1/2: running   ${BAR}\n2/2: running   ${BAR}\nverify: Service converged \n`,
    );
  });

  it("quietly", () => {
    expect(docker("service create -q --no-resolve-image nginx", converging(STATES)).out).toBe("s1\n");
  });

  it.each([
    ["SIGINT", 0, "Operation continuing in background.\nUse `docker service ps s1` to check progress.\n"],
    ["SIGTERM", 143, ""],
  ])("%s is noticed while the engine has not answered", (signal, status, said) => {
    const host = new ProgramHost();
    const result: RunResult = { out: "", err: "", status: undefined };
    const argv = ["docker", "service", "create", "--no-resolve-image", "nginx"];
    const context = host.context(argv, {}, result);
    const slow: Partial<EngineApi> = {
      ...converging(STATES),
      *taskList() {
        while (host.os.now() < 3600 * SEC) yield { until: 3600 * SEC };
        return [];
      },
    };
    const docker = host.os.spawn("docker", dockerProgram(fakeEngine(slow))(context));
    host.network.runFor(2 * SEC);
    expect([docker.done, context.signals.awaited]).toEqual([false, true]);
    context.signals.push(signal);
    host.network.runFor(SEC);
    expect([docker.done, docker.result, result.out.slice("s1\n".length)]).toEqual([true, status, said]);
  });

  it("a task that fails again begins the verification anew", () => {
    const states = [
      ["running", "running"],
      ["running", "failed"],
      ["running", "running"],
    ];
    const { out } = docker("service create --no-resolve-image nginx", converging(states));
    expect(out).toContain("verify: Detected task failure\n");
  });

  it("shows a task's error in its line", () => {
    const { out } = docker("service create --no-resolve-image x", converging([["rejected", "new"]]), {
      limit: 10 * SEC,
    });
    expect(out).toContain("1/2: No such image: x:latest\n");
  });

  it("ends with the update's end", () => {
    const update = (State: string, Message = "") =>
      converging([["running", "new"]], () => ({ UpdateStatus: { State, Message } }));
    const run = (answers: Partial<EngineApi>) =>
      docker("service create --no-resolve-image nginx", answers, { limit: 20 * SEC });
    expect(run(update("completed"))).toMatchObject({ out: "s1\n", err: "", status: 0 });
    expect(run(update("paused", "update paused due to failure"))).toMatchObject({
      err: "service update paused: update paused due to failure\n",
      status: 1,
    });
    expect(run(update("rollback_started", "started rollback")).out).toContain(
      "rollback: started rollback\noverall progress: rolling back update: 0 out of 2 tasks\n",
    );
  });
});

describe("service logs", () => {
  const line = (text: string) =>
    `com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t123456789012345 ${text}\n`;
  const answers = (lines: readonly string[]): Partial<EngineApi> => ({
    serviceInspect: () => give({ Spec: { Name: "web", Mode: { Replicated: { Replicas: 12 } } } }),
    taskInspect: () => give({ Slot: 3 }),
    nodeInspect: () => give({ Description: { Hostname: "host1" } }),
    serviceLogs: () => {
      const items = lines.map((text) => ({ stream: "stdout" as const, text }));
      return { tryPop: () => items.shift(), closed: true } as unknown as ReturnType<
        NonNullable<EngineApi["serviceLogs"]>
      >;
    },
  });

  it("puts task and node in front, padded to the largest slot", () => {
    expect(docker("service logs web", answers([line("GET / 200")])).out).toBe(
      "web.3.t12345678901@host1     | GET / 200\n",
    );
    expect(docker("service logs --raw web", answers(["GET / 200\n"])).out).toBe("GET / 200\n");
    const time = formatRfc3339(0);
    expect(docker("service logs -t --no-task-ids web", answers([`${time} ${line("x y")}`])).out).toBe(
      `${time} web.3@host1     | x y\n`,
    );
  });

  it("of nothing", () => {
    const none = { serviceInspect: () => refuse(404, "x"), taskInspect: () => refuse(404, "x") };
    expect(docker("service logs x", none)).toMatchObject({ err: "no such task or service: x\n", status: 1 });
  });
});
