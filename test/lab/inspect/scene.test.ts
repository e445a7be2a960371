/** Scenes of hosts: what docker and ip would tell, and looking at them changes nothing, to the last byte of the kernel. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Host } from "../../../src/kernel/host.ts";
import type { HostScene, SceneNamespace } from "../../../src/lab/inspect/scene.ts";
import { createMachine } from "../../../src/lab/machine.ts";
import { runSteps } from "../../../src/lab/run.ts";
import { LabSession } from "../../../src/lab/session.ts";
import { LabTrace } from "../../../src/lab/trace.ts";
import { MemorySink } from "../../../src/pcap-writer/index.ts";
import { loadKernel } from "../../../src/scheduler/node-adapter.ts";
import { galleryLab } from "../../support/lab.ts";
import { SMALL_SWARM, type Watching, watchLab } from "../../support/scene.ts";

/** SCRATCH_SIZE of assembly/memory: what the kernel's border writes its answers to. */
const SCRATCH = 262_144;

describe("a host's scene", () => {
  let lab: Watching;
  let host1: HostScene;
  let host2: HostScene;
  beforeAll(async () => {
    lab = await watchLab(SMALL_SWARM);
    [host1, host2] = (await lab.session.inspect(["host1", "host2"], { kind: "scene" })) as [HostScene, HostScene];
  });
  afterAll(() => lab.session.close());

  const space = (scene: HostScene, name: string): SceneNamespace =>
    scene.namespaces.find((one) => one.name === name || one.file === name) as SceneNamespace;

  it("has networks, containers and the node's part", () => {
    expect([host1.node, host2.node]).toEqual(["manager", "worker"]);
    const names = ["bridge", "host", "none", "docker_gwbridge", "ingress", "own", "secret"];
    expect(host1.networks.map(({ name }) => name).sort()).toEqual(names.sort());
    const secret = host1.networks.find(({ name }) => name === "secret");
    expect(secret).toMatchObject({ driver: "overlay", scope: "swarm", encrypted: true, subnets: ["10.0.1.0/24"] });
    expect(secret?.vnis).toEqual([4097]);
    expect(host2.networks.find(({ name }) => name === "secret")?.id).toBe(secret?.id);
    const containers = host1.containers.map(({ name, state, service }) => [name.split(".")[0], state, service]);
    expect(containers).toContainEqual(["web", "running", "web"]);
    expect(containers).toContainEqual(["aa", "running", undefined]);
    expect(containers).toContainEqual(["dd", "created", undefined]);
    const a = host1.containers.find(({ name }) => name === "aa");
    expect(a?.attachments.map(({ network }) => network)).toContain(secret?.id);
  });

  it("has namespaces with their roles, and devices with the other ends of their pairs", () => {
    expect(host1.namespaces[0]?.role).toBe("host");
    expect(space(host1, "ingress_sbox").role).toBe("ingress");
    const secret = host1.networks.find(({ name }) => name === "secret");
    const overlay = host1.namespaces.find(({ role, network }) => role === "overlay" && network === secret?.id);
    expect(overlay?.file).toMatch(/^1-[0-9a-z]{10}$/);
    const vxlan = overlay?.devices.find(({ kind }) => kind === "vxlan");
    expect(vxlan).toMatchObject({ vni: 4097, up: true, network: secret?.id });
    const bridge = overlay?.devices.find(({ kind }) => kind === "bridge");
    expect(vxlan?.master).toBe(bridge?.index);
    const own = space(host1, "aa");
    const eth0 = own.devices.find(({ network }) => network === secret?.id);
    expect(eth0?.addresses[0]).toMatch(/^10\.0\.1\.\d+\/24$/);
    const port = host1.namespaces[eth0?.peer?.namespace ?? -1]?.devices.find(
      ({ index }) => index === eth0?.peer?.index,
    );
    expect(host1.namespaces[eth0?.peer?.namespace ?? -1]).toBe(overlay);
    expect(port?.master).toBe(bridge?.index);
    expect(port?.portNo).toBeGreaterThan(0);
    expect(port?.peer).toMatchObject({ namespace: host1.namespaces.indexOf(own), index: eth0?.index });
    const userBridge = host1.namespaces[0]?.devices.find(({ name }) => name.startsWith("br-"));
    expect(userBridge?.network).toBe(host1.networks.find(({ name }) => name === "own")?.id);
  });

  it("has a revision that stands while nothing changes, and is the pulse's", async () => {
    const pulse = async () => (await lab.session.inspect(["host1"], { kind: "pulse" }))[0];
    const before = await pulse();
    expect(before?.revision).toBe(host1.revision);
    await lab.session.wait(5e9);
    expect((await pulse())?.revision).toBe(before?.revision);
    expect((await pulse())?.wires[0]?.txBytes).toBeGreaterThan(before?.wires[0]?.txBytes ?? 0);
    const type = async (command: string): Promise<string | undefined> => {
      await lab.session.command("host1", { command }, lab.session.cluster.now + 6e10, () => {});
      return (await pulse())?.revision;
    };
    let last = before?.revision;
    for (const command of [
      "ip link set docker0 mtu 1400",
      "ip addr add 10.9.9.9/32 dev docker0",
      "ip link set docker0 down",
      "docker rename dd ee",
      "docker rm ee",
      "docker stop cc",
      "docker network create one-more",
      "systemctl stop docker",
    ]) {
      const now = await type(command);
      expect(now, command).not.toBe(last);
      last = now;
    }
  });

  it("counts devices as their namespaces do", async () => {
    const [counts] = await lab.session.inspect(["host2"], { kind: "counts" });
    const [scene] = await lab.session.inspect(["host2"], { kind: "scene" });
    for (const [namespace, { devices }] of (scene?.namespaces ?? []).entries())
      for (const { index } of devices)
        expect(counts?.some((one) => one.namespace === namespace && one.index === index)).toBe(true);
    const eth0 = scene?.namespaces[0]?.devices.find(({ name }) => name === "eth0");
    expect(counts?.find((one) => one.namespace === 0 && one.index === eth0?.index)?.stats.rxPackets).toBeGreaterThan(
      100,
    );
  });
});

describe("looking at scenes", () => {
  async function run(look: boolean): Promise<{ trace: Uint8Array; changed: string[] }> {
    const plan = galleryLab("services/crash");
    const sink = new MemorySink();
    const trace = new LabTrace(sink, plan, plan.seed);
    let kernel: Host["kernel"] | undefined;
    let session: LabSession | undefined;
    let turn = 0;
    const changed: string[] = [];
    const memory = (): Buffer => {
      const copy = Buffer.from(kernel?.mem.bytes ?? []);
      const at = kernel?.exports.scratch() ?? 0;
      return copy.fill(0, at, at + SCRATCH);
    };
    const breathe = async (): Promise<void> => {
      if (session === undefined || ++turn % 25 !== 0) return;
      const before = memory();
      const hosts = plan.hosts.map(({ name }) => name);
      for (const kind of ["pulse", "scene", "counts"] as const) await session.inspect(hosts, { kind });
      if (!before.equals(memory())) changed.push(String(session.cluster.now));
    };
    session = await LabSession.start(plan, {
      module: await loadKernel(),
      machines: (os, config, emit, disk) => {
        if (os.kernel instanceof Host) kernel = os.kernel.kernel;
        return createMachine(os, config, emit, disk);
      },
      capture: { patterns: ["*/*/*"], snaplen: 262_144, sink: trace },
      ...(look ? { breathe } : {}),
    });
    try {
      trace.close((await runSteps(session, {})).end);
      return { trace: sink.bytes(), changed };
    } finally {
      await session.close();
    }
  }

  it("changes no byte of the kernel and none of the trace", async () => {
    const [seen, alone] = [await run(true), await run(false)];
    expect(seen.changed).toEqual([]);
    expect(Buffer.compare(seen.trace, alone.trace)).toBe(0);
  });
});
