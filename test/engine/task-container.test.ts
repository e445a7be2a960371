/** A service's task as a request for a container, beside a real engine's. */
import { describe, expect, it } from "vitest";
import { SEC } from "../../src/base/time.ts";
import { hostConfigView } from "../../src/engine/host-config-view.ts";
import { containerService, expandTemplate, stopGrace, taskContainerRequest } from "../../src/engine/task-container.ts";
import type { NodeDescription, TaskObject } from "../../src/swarm/api/objects.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../support/golden.ts";

const NODE = { hostname: "host1", platform: { architecture: "x86_64", os: "linux" } } as unknown as NodeDescription;

const attachment = (id: string, name: string, address: string, labels: Record<string, string> = {}) => ({
  network: { id, spec: { annotations: { name, labels } } },
  addresses: [address],
  aliases: name === "n1" ? ["x"] : [],
});

function task(parts: object = {}, container: object = {}): TaskObject {
  return {
    id: "qk66pxs2cpnytvnbmoccmpm9s",
    annotations: { name: "", labels: {} },
    serviceAnnotations: { name: "my-nginx", labels: { tier: "front" } },
    serviceId: "t5yfnltfiieutvv831x4cra4h",
    nodeId: "f8p7zai8ghudsl5w083nffuh0",
    slot: 4,
    spec: { runtime: "container", container: { image: "nginx:latest", init: false, ...container }, networks: [] },
    networks: [attachment("ing", "ingress", "10.0.0.9/24"), attachment("net", "n1", "10.0.3.6/24")],
    endpoint: {
      spec: undefined,
      ports: [
        { name: "", protocol: "tcp", targetPort: 80, publishedPort: 8080, publishMode: "ingress" },
        { name: "", protocol: "udp", targetPort: 53, publishedPort: 5353, publishMode: "host" },
        { name: "", protocol: "tcp", targetPort: 22, publishedPort: 0, publishMode: "host" },
      ],
      virtualIps: [
        { networkId: "ing", addr: "10.0.0.5/24" },
        { networkId: "net", addr: "10.0.3.2/24" },
      ],
    },
    ...parts,
  } as unknown as TaskObject;
}

describe("taskContainerRequest", () => {
  it("networks with the addresses that the manager gave, and host ports only", () => {
    const request = taskContainerRequest(task(), NODE);
    expect(request.NetworkingConfig?.EndpointsConfig).toEqual({
      ingress: { IPAMConfig: { IPv4Address: "10.0.0.9" } },
      n1: { IPAMConfig: { IPv4Address: "10.0.3.6" } },
    });
    expect(request.HostConfig).toMatchObject({
      NetworkMode: "default",
      PortBindings: { "53/udp": [{ HostPort: "5353" }], "22/tcp": [{}] },
    });
    expect(request.ExposedPorts).toEqual({ "53/udp": {}, "22/tcp": {} });
  });

  it("what its endpoints are told of the service", () => {
    expect(containerService(task())).toEqual({
      id: "t5yfnltfiieutvv831x4cra4h",
      name: "my-nginx",
      aliases: new Map([
        ["ing", []],
        ["net", ["x"]],
      ]),
      virtualIps: new Map([
        ["ing", 0x0a000005],
        ["net", 0x0a000302],
      ]),
      ingressPorts: [{ name: "", protocol: "tcp", targetPort: 80, publishedPort: 8080 }],
    });
    expect(containerService(task({ networks: [] }))).toBeUndefined();
  });

  it("a network of the host is its mode", () => {
    const host = attachment("h", "host", "", { "com.docker.swarm.predefined": "true" });
    expect(taskContainerRequest(task({ networks: [host] }), NODE).HostConfig?.NetworkMode).toBe("host");
  });

  it("command, arguments, hosts, templates, grace", () => {
    const container = {
      command: ["sh"],
      args: ["-c", "x"],
      hosts: ["10.0.0.1 db alias", "bad"],
      env: ["S={{.Task.Slot}}", "N={{ .Node.Hostname }}", 'T={{index .Service.Labels "tier"}}'],
      hostname: "{{.Service.Name}}-{{.Task.Slot}}",
      stopGracePeriod: 90 * SEC,
    };
    const request = taskContainerRequest(task({}, container), NODE);
    expect(request).toMatchObject({
      Entrypoint: ["sh"],
      Cmd: ["-c", "x"],
      Hostname: "my-nginx-4",
      Env: ["S=4", "N=host1", "T=front"],
      HostConfig: { ExtraHosts: ["db:10.0.0.1"] },
    });
    expect([stopGrace(task({}, container)), stopGrace(task())]).toEqual([90, undefined]);
    expect(expandTemplate("{{.Nothing}}", task(), NODE)).toBe("{{.Nothing}}");
  });
});

describe.skipIf(!goldenAvailable)(goldenTitle("a task's container beside a real engine's"), () => {
  interface Inspected {
    readonly HostConfig: object;
    readonly Config: { readonly Labels: object };
  }
  const captured = (): Inspected | undefined => {
    const text = goldenText("D-service-vip/manager/state-1-before-traffic/docker-inspect-containers.txt");
    return (JSON.parse(text.slice(text.indexOf("["), text.indexOf("\n]") + 2)) as Inspected[])[0];
  };
  const plain = task({ endpoint: { spec: undefined, ports: [], virtualIps: [] } });

  it("HostConfig: keys, order and values", () => {
    const view = hostConfigView(taskContainerRequest(plain, NODE));
    expect(JSON.stringify(view, null, 1)).toBe(JSON.stringify(captured()?.HostConfig, null, 1));
  });

  it("labels", () => {
    const { Labels } = taskContainerRequest(plain, NODE);
    expect(JSON.stringify(Labels, null, 1)).toBe(JSON.stringify(captured()?.Config.Labels, null, 1));
  });
});
