import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wallClock } from "../../../src/swarm/api/convert.ts";
import { type ApiServiceSpec, serviceSpecFromApi, serviceSpecToApi } from "../../../src/swarm/api/convert-services.ts";
import { interpolateService } from "../../../src/swarm/api/defaults.ts";
import { deepEqual } from "../../../src/swarm/api/equality.ts";
import { goldenAvailable, goldenText } from "../../support/golden.ts";
import { Lab, type Machine } from "../lab.ts";

const texts = fc.array(fc.constantFrom("", "a", "b=c"), { maxLength: 2 });
const map = fc.dictionary(fc.constantFrom("x", "y"), fc.constantFrom("", "1"));
const duration = fc.constantFrom(0, 1e9);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const resources = fc.record(
  { NanoCPUs: fc.constantFrom(0, 1e9), MemoryBytes: fc.constantFrom(0, 2 ** 22) },
  { requiredKeys: [] },
);
const port = fc.record({
  Name: fc.constantFrom("", "web"),
  Protocol: fc.constantFrom("tcp", "udp", "sctp"),
  TargetPort: fc.constantFrom(80, 81),
  PublishedPort: fc.constantFrom(0, 8080),
  PublishMode: fc.constantFrom("ingress", "host"),
});
const update = fc.record({
  Parallelism: fc.nat(3),
  Delay: duration,
  FailureAction: fc.constantFrom("pause", "continue", "rollback"),
  Monitor: duration,
  MaxFailureRatio: fc.constantFrom(0, 0.5),
  Order: fc.constantFrom("stop-first", "start-first"),
});
const container = fc.record(
  {
    Image: fc.constantFrom("nginx", "redis:6"),
    Labels: map,
    Command: texts,
    Args: texts,
    Hostname: fc.constantFrom("", "h"),
    Env: texts,
    TTY: fc.boolean(),
    ReadOnly: fc.boolean(),
    Init: fc.boolean(),
    StopGracePeriod: duration,
    Mounts: fc.array(
      fc.record({
        Type: fc.constant("volume"),
        Source: fc.constant("v"),
        Target: fc.constantFrom("/a", "/b"),
        ReadOnly: fc.boolean(),
      }),
      { maxLength: 1 },
    ),
    Healthcheck: fc.record({ Test: texts, Interval: duration, Retries: fc.nat(2) }, { requiredKeys: [] }),
    DNSConfig: fc.record({ Nameservers: texts, Search: texts }, { requiredKeys: [] }),
    Isolation: fc.constantFrom("", "default"),
    Sysctls: map,
    CapabilityAdd: texts,
  },
  { requiredKeys: ["Image"] },
);
const spec = fc.record(
  {
    Name: fc.constantFrom("web", "db"),
    Labels: map,
    TaskTemplate: fc.record(
      {
        ContainerSpec: container,
        Resources: fc.record({ Limits: resources, Reservations: resources }, { requiredKeys: [] }),
        RestartPolicy: fc.record(
          {
            Condition: fc.constantFrom("any", "none", "on-failure"),
            Delay: duration,
            MaxAttempts: fc.nat(2),
            Window: duration,
          },
          { requiredKeys: [] },
        ),
        Placement: fc.record({ Constraints: texts, MaxReplicas: fc.nat(1) }, { requiredKeys: [] }),
        Networks: fc.array(
          fc.record({ Target: fc.constant("n"), Aliases: texts, DriverOpts: map }, { requiredKeys: ["Target"] }),
          { maxLength: 2 },
        ),
        LogDriver: fc.record({ Name: fc.constant("json-file"), Options: map }),
        ForceUpdate: fc.nat(2),
      },
      { requiredKeys: ["ContainerSpec"] },
    ),
    Mode: fc.constantFrom({ Global: {} }, { Replicated: {} }, { Replicated: { Replicas: 3 } }, { ReplicatedJob: {} }),
    UpdateConfig: update,
    RollbackConfig: update,
    EndpointSpec: fc.record(
      { Mode: fc.constantFrom("vip", "dnsrr"), Ports: fc.array(port, { maxLength: 2 }) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["TaskTemplate"] },
);

describe("a spec", () => {
  it("that is shown and sent back is the same: no task is replaced for it", () => {
    fc.assert(
      fc.property(spec, (api) => {
        const stored = serviceSpecFromApi(api as ApiServiceSpec);
        const again = serviceSpecFromApi(JSON.parse(JSON.stringify(serviceSpecToApi(stored))) as ApiServiceSpec);
        expect(deepEqual(again, stored), `${JSON.stringify(stored)}\n${JSON.stringify(again)}`).toBe(true);
      }),
    );
  });

  it("shows what applies where it says nothing", () => {
    const { RestartPolicy, ContainerSpec } = serviceSpecToApi(
      interpolateService(serviceSpecFromApi({ TaskTemplate: { ContainerSpec: { Image: "a" } } })),
    ).TaskTemplate as NonNullable<ApiServiceSpec["TaskTemplate"]>;
    expect(RestartPolicy).toEqual({ Condition: "any", Delay: 5e9, MaxAttempts: 0 });
    expect(ContainerSpec).toEqual({ Image: "a", StopGracePeriod: 1e10, DNSConfig: {}, Isolation: "default" });
  });
});

it("equality takes an absent field for an undefined one", () => {
  const value: fc.Arbitrary<unknown> = fc.jsonValue();
  fc.assert(fc.property(value, (one) => deepEqual(one, JSON.parse(JSON.stringify(one)))));
  fc.assert(fc.property(optional(value), (one) => deepEqual({ a: one }, { a: one, b: undefined })));
  expect(deepEqual([1], { 0: 1 })).toBe(false);
  expect(deepEqual({ a: [1, 2] }, { a: [1, 3] })).toBe(false);
  expect(wallClock(0).format(1)).toBe("1970-01-01T00:00:00.000000001Z");
});

/** The JSON that a captured command printed. */
function captured(command: string): unknown[] {
  const text = goldenText("D-service-vip/manager/commands.txt");
  const at = text.indexOf("\n", text.indexOf(command));
  return JSON.parse(text.slice(at, text.indexOf("\n]\n", at) + 2)) as unknown[];
}

/** IDs, times and version numbers, which differ from run to run, by their kind. */
function normalized(value: unknown): string {
  return JSON.stringify(value, null, 1)
    .replaceAll(/"[0-9a-z]{25}"/g, '"ID"')
    .replaceAll(/"\d{4}-\d\d-\d\dT[0-9:.]+Z"/g, '"TIME"')
    .replaceAll(/"Index": \d+/g, '"Index": N')
    .replaceAll(/"ContainerID": "[^"]+"/g, '"ContainerID": "C"')
    .replaceAll(/"PID": \d+/g, '"PID": P');
}

describe.skipIf(!goldenAvailable)("the captured service", () => {
  it("is shown field by field as it was, and so is its first task", () => {
    const lab = new Lab();
    const machines = lab.swarm(["manager", "worker-1", "worker-2"]);
    const manager = machines[0] as Machine;
    lab.wait(1);
    const create = (Name: string) =>
      lab.run(
        manager,
        manager.node.control.createNetwork({ Name, Driver: "overlay", IPAM: { Driver: "default", Config: [] } }),
      );
    for (const name of ["test-net", "enc-net"]) {
      create(name);
      lab.run(manager, manager.node.control.removeNetwork(name));
    }
    create("nginx-net");
    lab.service(manager, {
      Mode: { Replicated: { Replicas: 5 } },
      TaskTemplate: { Networks: [{ Target: "nginx-net" }] },
      EndpointSpec: {
        Mode: "vip",
        Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" }],
      },
    });
    lab.wait(2);
    expect(normalized(lab.inspect(manager, "my-nginx"))).toBe(
      normalized(captured("docker service inspect my-nginx")[0]),
    );
    expect(normalized(lab.tasks(manager)[0])).toBe(normalized(captured("docker inspect 1sbzou84md9o")[0]));
  });
});
