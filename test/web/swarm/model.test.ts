/** What is drawn of a swarm that runs: its wires are the kernel's, and nothing moves when something comes. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describe as inWords, summary } from "../../../web/page/swarm/describe.ts";
import { type Interior, trunkOf } from "../../../web/page/swarm/interior.ts";
import { type HostState, SwarmModel } from "../../../web/page/swarm/model.ts";
import { keysIn, markKey, pick, placeOf } from "../../../web/page/swarm/pick.ts";
import type { SceneUpdate } from "../../../web/session/scene/protocol.ts";
import { SMALL_SWARM, type Watching, watchLab } from "../../support/scene.ts";

const LOOK = { fresh: false, near: [], packets: 0 } as const;

describe("the model of a swarm", () => {
  let lab: Watching;
  let model: SwarmModel;
  let host1: HostState;
  const look = async (more: Partial<Parameters<Watching["watch"]["look"]>[0]> = {}): Promise<SceneUpdate> => {
    const update = await lab.watch.look({ ...LOOK, ...more });
    model.apply(update);
    return update;
  };
  const type = async (host: string, command: string): Promise<void> => {
    await lab.session.command(host, { command }, lab.session.cluster.now + 6e10, () => {});
    await lab.session.wait(2e9);
  };
  const inside = (host = host1): Interior => host.interior(model.networks) as Interior;
  const boxOf = (name: string) => inside().boxes.find((box) => box.name.startsWith(name));

  beforeAll(async () => {
    lab = await watchLab(SMALL_SWARM);
    model = new SwarmModel(lab.watch.topology);
    host1 = model.hosts[0] as HostState;
    await look({ fresh: true });
  });
  afterAll(() => lab.session.close());

  it("knows networks of the swarm once, with their places and colours", () => {
    const networks = model.networks.list();
    expect(networks.map(({ name, slot, colour, hosts }) => [name, slot, colour, hosts])).toEqual([
      ["bridge", 0, undefined, 2],
      ["docker_gwbridge", 1, undefined, 2],
      ["ingress", 2, 0, 2],
      ["own", 3, 1, 1],
      ["secret", 4, 2, 2],
    ]);
    expect(model.networks.byVni(4097)?.encrypted).toBe(true);
    expect(summary(model)).toBe("2 hosts, 6 containers, 5 networks");
  });

  it("wires containers to the bridges that their pairs are ports of", () => {
    const { rails, lines, marks } = inside();
    expect(rails.map(({ name }) => name)).toContain("docker_gwbridge");
    const secret = rails.find(({ network }) => network?.name === "secret");
    const box = boxOf("aa");
    const eth = marks.filter((mark) => mark.kind === "interface" && mark.namespace === box?.namespace);
    expect(eth.map(({ network }) => network?.name).sort()).toEqual(["docker_gwbridge", "secret"]);
    const line = lines.find(
      ({ network, points }) => network?.name === "secret" && points[1] === box?.rect.y && points[0] === points[2],
    );
    expect(line?.points.at(-1)).toBe(secret?.y);
    const port = marks.find((mark) => mark.kind === "port" && mark.device.index === eth[0]?.device.peer?.index);
    expect(port?.rect.y).toBeGreaterThan(0);
    expect(marks.filter(({ kind }) => kind === "vxlan")).toHaveLength(2);
    expect(trunkOf(inside()).at(-1)).toBe(Math.max(...rails.map(({ y }) => y)));
    // A container that doesn't run has a place, and no wires.
    expect(boxOf("dd")).toMatchObject({ namespace: undefined });
    // A load balancer stands at the end of its network's bridge.
    const balancer = inside().boxes.find(({ name }) => name === "ingress_sbox");
    expect(balancer?.rect.x).toBeGreaterThan(secret?.to ?? 0);
  });

  it("finds what is drawn at a place, and has each thing on the keyboard's way", () => {
    const keys = keysIn(model, host1);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) {
      const rect = placeOf(model, { host: 0, key });
      expect(rect, key).toBeDefined();
      if (rect === undefined) continue;
      const found = pick(model, rect.x + rect.width / 2, rect.y + rect.height / 2, 20);
      const words = inWords(model, { host: 0, key });
      expect(words?.title, key).toContain("host1");
      // Ports lie on bridges, interfaces on containers.
      const over = inside().marks.some((mark) => found?.key === markKey(mark));
      expect(found?.key === key || over, `${key}, found ${found?.key}`).toBe(true);
    }
    expect(pick(model, host1.box.x + 5, host1.box.y + 700, 1)).toEqual({ host: 0, key: "" });
    expect(pick(model, -1e6, 0, 1)).toBeUndefined();
    // Far away a host is squares.
    const square = host1.squares(model.networks).find(({ container }) => container.name === "aa");
    expect(square?.network?.name).toBe("secret");
  });

  it("says of a device what ip says", async () => {
    await look({ near: ["host1"] });
    const box = boxOf("aa");
    const eth0 = inside().marks.find((mark) => mark.namespace === box?.namespace && mark.network?.name === "secret");
    const words = inWords(model, { host: 0, key: markKey(eth0 as never) })?.lines.join("\n");
    expect(words).toMatch(/^\d+: eth0@if\d+: <UP,LOWER_UP> mtu 1424/);
    expect(words).toMatch(/inet 10\.0\.1\.\d+\/24/);
    expect(words).toMatch(/^RX +\d+ +[1-9]\d* +0 +0$/m);
    expect(words).toContain("VNI 4097 encrypted");
  });

  it("moves nothing when a container or a network comes, or one goes", async () => {
    const before = new Map(inside().boxes.map(({ name, rect }) => [name, rect]));
    const rails = new Map(inside().rails.map(({ network, y }) => [network?.name, y]));
    await type("host1", "docker rm dd");
    await type("host1", "docker network create later");
    await type("host1", "docker run -dit --name later --network later alpine");
    await type("host2", "docker run -dit --name away alpine");
    await look();
    for (const { name, rect } of inside().boxes)
      if (before.has(name)) expect(rect, name).toEqual(before.get(name));
      else expect([name, rect]).toEqual(["later", before.get("dd")]);
    for (const { network, y } of inside().rails) if (rails.has(network?.name)) expect(y).toBe(rails.get(network?.name));
    expect(inside().rails).toHaveLength(rails.size + 1);
  });

  it("has the rates of wires, tells only of hosts that changed, and of those that are off", async () => {
    await look();
    const update = await look();
    expect(update.span).toBe(0);
    expect(update.hosts).toEqual([]);
    await type("host1", "docker exec aa ping -c 3 -i 0.1 -s 1000 bb");
    const busy = await look();
    expect(busy.hosts.map(({ host, scene }) => [host, scene])).toEqual([
      [0, undefined],
      [1, undefined],
    ]);
    expect(host1.wires[0]?.txBits).toBeGreaterThan(8 * 3 * 1000 * (1e9 / busy.span));
    lab.session.fault({ hosts: ["host2"], crash: true });
    lab.session.fault({ hosts: ["host1"], loss: 0.5, drop: "udp port 4789" });
    await lab.session.wait(1e9);
    const broken = await look();
    expect(broken.hosts.find(({ host }) => host === 1)).toMatchObject({ off: true });
    expect(model.hosts[1]?.interior(model.networks)).toBeUndefined();
    expect(inWords(model, { host: 1, key: "" })?.lines[0]).toBe("switched off");
    expect(inWords(model, { host: 0, key: "wire 0" })?.lines.slice(-2)).toEqual(["loss 50%", "drops udp port 4789"]);
    lab.session.fault({ hosts: ["host2"], restart: true });
    await lab.session.wait(3e9);
    const back = await look();
    expect(back.hosts.find(({ host }) => host === 1)).toMatchObject({ off: false });
    expect(model.hosts[1]?.scene?.daemon).toBe(true);
    // Going back, what was seen later hasn't happened.
    expect(host1.lastDrops).toBeDefined();
    model.apply({ ...back, now: 1e9, hosts: [] });
    expect([host1.lastDrops, model.now]).toEqual([undefined, 1e9]);
    const fresh = await look({ fresh: true });
    expect(fresh.hosts.map(({ scene }) => scene !== undefined)).toEqual([true, true]);
  });
});
