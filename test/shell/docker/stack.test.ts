/** `docker stack`: Compose files, what they become, and what is printed. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../../src/base/time.ts";
import type { EngineApi, JsonObject, NetworkCreateRequest } from "../../../src/engine/api.ts";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import { parseCompose, substitute } from "../../../src/shell/docker/compose-file.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { ProgramHost, type RunResult } from "../harness.ts";
import { fakeEngine, give, refuse } from "./fake-engine.ts";

const FILE = `version: "3.8"
services:
  web:
    image: "nginx:\${TAG:-1.25}"
    command: nginx -g 'daemon off;'
    ports: ["8080:80", { target: 443, published: 8443, mode: host }]
    networks: [front, back]
    environment: { A: 1, B: x }
    deploy:
      replicas: 3
      labels: [tier=front]
      update_config: { parallelism: 2, delay: 10s, order: start-first }
      restart_policy: { condition: on-failure, max_attempts: 3 }
      placement: { constraints: ["node.role == worker"] }
      resources: { limits: { cpus: "0.5", memory: 50M } }
  db:
    image: redis
    environment: [PASSWORD]
    healthcheck: { test: redis-cli ping, interval: 5s, retries: 2 }
    networks: { back: { aliases: [store] } }
networks:
  front:
  back: { driver: overlay, driver_opts: { encrypted: "" }, internal: true, ipam: { config: [{ subnet: 10.9.0.0/24 }] } }
`;

interface Calls {
  readonly services: JsonObject[];
  readonly networks: NetworkCreateRequest[];
}

function deploy(
  file: string,
  answers: Partial<EngineApi> = {},
  env: [string, string][] = [],
): Calls & { result: RunResult } {
  const calls: Calls = { services: [], networks: [] };
  const engine = fakeEngine({
    info: () => give({ Swarm: { ControlAvailable: true } }),
    serviceList: () => give([]),
    networkList: () => give([]),
    networkCreate: (request) => {
      calls.networks.push(request);
      return give({ Id: "n", Warning: "" });
    },
    serviceCreate: (spec) => {
      calls.services.push(spec);
      return give({ ID: "s" });
    },
    ...answers,
  });
  const files = new LayeredFiles(new Map([["/stack.yml", file]]), new Map());
  const argv = ["docker", "stack", "deploy", "-c", "stack.yml", "st"];
  return { ...calls, result: new ProgramHost().run(dockerProgram(engine), argv, { files, env: new Map(env) }) };
}

describe("stack deploy", () => {
  it("makes networks, then services", () => {
    const { result, networks } = deploy(FILE);
    expect(result).toEqual({
      out: "Creating network st_back\nCreating network st_front\nCreating service st_db\nCreating service st_web\n",
      err: "",
      status: 0,
    });
    const labels = { "com.docker.stack.namespace": "st" };
    expect(networks).toEqual([
      {
        Name: "st_back",
        CheckDuplicate: true,
        Driver: "overlay",
        Options: { encrypted: "" },
        Labels: labels,
        Internal: true,
        Attachable: false,
        IPAM: { Driver: "default", Config: [{ Subnet: "10.9.0.0/24" }] },
      },
      {
        Name: "st_front",
        CheckDuplicate: true,
        Driver: "overlay",
        Options: {},
        Labels: labels,
        Internal: false,
        Attachable: false,
      },
    ]);
  });

  it("converts a service", () => {
    const { services } = deploy(FILE, {}, [["PASSWORD", "secret"]]);
    const [db, web] = services;
    expect(web).toEqual({
      Name: "st_web",
      Labels: { tier: "front", "com.docker.stack.namespace": "st", "com.docker.stack.image": "nginx:1.25" },
      TaskTemplate: {
        ContainerSpec: {
          Image: "nginx:1.25",
          Labels: { "com.docker.stack.namespace": "st" },
          Args: ["nginx", "-g", "daemon off;"],
          Env: ["A=1", "B=x"],
        },
        Resources: { Limits: { NanoCPUs: 5e8, MemoryBytes: 50 * 2 ** 20 } },
        RestartPolicy: { Condition: "on-failure", MaxAttempts: 3 },
        Placement: { Constraints: ["node.role == worker"] },
        Networks: [
          { Target: "st_back", Aliases: ["web"] },
          { Target: "st_front", Aliases: ["web"] },
        ],
        ForceUpdate: 0,
      },
      Mode: { Replicated: { Replicas: 3 } },
      UpdateConfig: { Parallelism: 2, Delay: 10 * SEC, MaxFailureRatio: 0, Order: "start-first" },
      EndpointSpec: {
        Ports: [
          { Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" },
          { Protocol: "tcp", TargetPort: 443, PublishedPort: 8443, PublishMode: "host" },
        ],
      },
    });
    const task = db?.["TaskTemplate"] as JsonObject;
    expect(task["ContainerSpec"]).toEqual({
      Image: "redis:latest",
      Labels: { "com.docker.stack.namespace": "st" },
      Env: ["PASSWORD=secret"],
      Healthcheck: { Test: ["CMD-SHELL", "redis-cli ping"], Interval: 5 * SEC, Retries: 2 },
    });
    expect(task["Networks"]).toEqual([{ Target: "st_back", Aliases: ["store", "db"] }]);
    expect(db?.["Mode"]).toEqual({ Replicated: {} });
  });

  it("updates what is there, and leaves ForceUpdate as it was", () => {
    let updated: JsonObject = {};
    const existing = {
      ID: "s1",
      Version: { Index: 4 },
      Spec: { Name: "st_a", TaskTemplate: { ForceUpdate: 2 }, Labels: {} },
    };
    const { result, services } = deploy('version: "3"\nservices: { a: { image: x } }\n', {
      serviceList: () => give([existing]),
      networkList: () => give([{ Name: "st_default" }]),
      serviceUpdate: (_id, _version, spec) => {
        updated = spec;
        return give({ Warnings: null });
      },
    });
    expect(result.out).toBe("Updating service st_a (id: s1)\n");
    expect(services).toEqual([]);
    expect((updated["TaskTemplate"] as JsonObject)["ForceUpdate"]).toBe(2);
  });

  it.each([
    ["services: {}\n", "unsupported Compose file version: 1.0"],
    ['version: "2.4"\n', "unsupported Compose file version: 2.4"],
    ["- a\n", "Top-level object must be a mapping"],
    ['version: "3"\nfoo: 1\n', "(root) Additional property foo is not allowed"],
    ['version: "3"\nservices: { web: { imge: x } }\n', "services.web Additional property imge is not allowed"],
    ['version: "3"\nservices: { web: { image: 1 } }\n', "services.web.image must be a string"],
    ['version: "3"\nservices: { web: { image: x, ports: 80 } }\n', "services.web.ports must be a list"],
    ['version: "3"\nservices: { web: { image: x, networks: [n] } }\n', 'service web: undefined network "n"'],
    [
      `version: "3"\nservices: { web: { image: "\${X?not set}" } }\n`,
      'invalid interpolation format for services.web.image: "required variable X is missing a value: not set". You may need to escape any $ with another $.',
    ],
    [
      'version: "3"\nservices: { web: { image: x, networks: [n] } }\nnetworks: { n: { external: true } }\n',
      'network "n" is declared as external, but could not be found. You need to create a swarm-scoped network before the stack is deployed',
    ],
  ])("%j is refused", (file, message) => {
    const { result } = deploy(file, { networkInspect: () => refuse(404, "network n not found") });
    expect([result.err, result.status]).toEqual([`${message}\n`, 1]);
  });

  it("says what it ignores", () => {
    const file = 'version: "3"\nservices: { a: { image: x, container_name: c, build: ., links: [b] } }\n';
    expect(deploy(file).result.err).toBe(
      "Ignoring unsupported options: build, links\n\nIgnoring deprecated options:\n\ncontainer_name: Setting the container name is not supported.\n\n",
    );
  });

  it("needs a manager and a file", () => {
    expect(deploy(FILE, { info: () => give({ Swarm: { ControlAvailable: false } }) }).result.err).toBe(
      'this node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again\n',
    );
    const run = (...argv: string[]) =>
      new ProgramHost().run(dockerProgram(fakeEngine({})), ["docker", "stack", "deploy", ...argv]);
    expect(run("st").err).toBe("Please specify a Compose file (with --compose-file)\n");
    expect(run("-c", "no.yml", "st").err).toBe("open no.yml: no such file or directory\n");
  });
});

describe("variables", () => {
  const env = new Map([
    ["A", "1"],
    ["E", ""],
  ]);
  it.each([
    ["#A-#{A}-##A", "1-1-#A"],
    ["#{N}", ""],
    ["#{N:-d} #{N-d} #{E:-d} #{E-d}", "d d d "],
    ["#{A:?x}", "1"],
  ])("%s, with dollars", (text, value) => {
    const dollars = (hashes: string): string => hashes.replaceAll("#", "$");
    expect(substitute(dollars(text), "p", env)).toBe(dollars(value));
  });
  it("a dollar alone is none", () => {
    expect(() => substitute("a $ b", "services.a.image", env)).toThrow(
      'invalid interpolation format for services.a.image: "a $ b". You may need to escape any $ with another $.',
    );
  });
  it("anchors and merges", () => {
    const text = 'version: "3"\nx-b: &b { image: x }\nservices: { a: { <<: *b, hostname: h } }\n';
    expect(parseCompose(text, env).services).toEqual([["a", { image: "x", hostname: "h" }]]);
  });
});

describe("stack ls, ps, services, rm", () => {
  const run = (line: string, answers: Partial<EngineApi>) =>
    new ProgramHost().run(dockerProgram(fakeEngine(answers)), ["docker", "stack", ...line.split(" ")]);
  const service = (name: string, stack: string): JsonObject => ({
    ID: `id-${name}`,
    Spec: { Name: name, Labels: { "com.docker.stack.namespace": stack } },
  });

  it("ls", () => {
    const found = [service("b_x", "b"), service("a_x", "a"), service("b_y", "b")];
    expect(run("ls", { serviceList: () => give(found) }).out).toBe(
      "NAME      SERVICES   ORCHESTRATOR\na         1          Swarm\nb         2          Swarm\n",
    );
  });

  it("nothing there", () => {
    const none = { serviceList: () => give([]), networkList: () => give([]), taskList: () => give([]) };
    expect(run("rm st", none)).toMatchObject({ err: "Nothing found in stack: st\n", status: 0 });
    expect(run("services st", none)).toMatchObject({ err: "Nothing found in stack: st\n", status: 0 });
    expect(run("ps st", none)).toMatchObject({ err: "nothing found in stack: st\n", status: 1 });
  });

  it("rm: services, then networks", () => {
    const removed: string[] = [];
    const gone = (id: string) => {
      removed.push(id);
      return give(undefined);
    };
    const result = run("rm st", {
      serviceList: () => give([service("st_b", "st"), service("st_a", "st")]),
      networkList: () => give([{ Name: "st_default", Id: "n1" }]),
      serviceRemove: gone,
      networkRemove: gone,
    });
    expect(result.out).toBe("Removing service st_a\nRemoving service st_b\nRemoving network st_default\n");
    expect(removed).toEqual(["id-st_a", "id-st_b", "n1"]);
  });
});
