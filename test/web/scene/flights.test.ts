/** Packets on wires, from what was captured of a run. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Flights, vniOf } from "../../../web/session/scene/flights.ts";
import { type Watching, watchLab } from "../../support/scene.ts";

const LAB = `
hosts: { host1: {}, host2: { latency: 2ms }, host3: { latency: 400us } }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable net
  - host1: docker run -dit --name aa --network net alpine
  - host2: docker run -dit --name bb --network net alpine
  - host1: docker exec aa ping -c 1 bb
  - host1: ping -c 1 192.168.77.13
`;

describe("packets on wires", () => {
  let lab: Watching;
  let flights: Flights;
  beforeAll(async () => {
    lab = await watchLab(LAB);
    flights = new Flights(lab.watch.topology, "1");
  });
  afterAll(() => lab.session.close());

  it("are those that were sent and have not arrived, on their way as long as the wire is", () => {
    const { recording } = lab;
    const index = recording.frames.findIndex((frame) => frame.direction === 2 && vniOf(frame.data) === 4097);
    const frame = recording.frames[index];
    expect(frame).toBeDefined();
    const time = frame?.time ?? 0;
    // As the page sees it with time standing 1 ms later: what comes then isn't known.
    const known = recording.frames.filter((one) => one.time <= time + 1e6);
    const source = { frames: known, points: recording.points };
    const now = flights.at(source, time - 1e6, time + 1e6);
    const one = now.find(({ packet }) => packet === index);
    expect(one).toMatchObject({ from: { host: 0, wire: 0 }, to: [{ host: 1, wire: 0 }], arrived: false, vni: 4097 });
    expect((one?.end ?? 0) - time).toBeGreaterThan(2e6);
    expect((one?.end ?? 0) - time).toBeLessThan(2.01e6);
    // Later it is known when it came.
    const later = flights.at(recording, time - 1e6, time + 5e6).find(({ packet }) => packet === index);
    const arrival = recording.frames.find(
      (other) =>
        other.direction === 1 && other.time > time && Buffer.compare(other.data, frame?.data ?? Buffer.of()) === 0,
    );
    expect(later).toMatchObject({ arrived: true, end: arrival?.time });
    expect((later?.end ?? 0) - (one?.end ?? 0)).toBeLessThan(1000);
  });

  it("go to everybody when they are broadcast", () => {
    const { recording } = lab;
    const index = recording.frames.findLastIndex((frame) => frame.direction === 2 && frame.data[0] === 0xff);
    const time = recording.frames[index]?.time ?? 0;
    const now = flights.at(recording, time, time + 1e6);
    const one = now.find(({ packet }) => packet === index);
    expect(one?.to).toHaveLength(2);
    expect(one?.protocol).toBe("ARP");
  });

  it("are looked for in the given span only", () => {
    const { recording } = lab;
    const last = recording.frames.at(-1)?.time ?? 0;
    expect(flights.at(recording, last + 1, last + 2)).toEqual([]);
    const all = flights.at(recording, 0, last);
    expect(all).toHaveLength(Math.min(400, recording.frames.filter(({ direction }) => direction === 2).length));
  });

  it("are not asked for while time runs fast", async () => {
    expect((await lab.watch.look({ fresh: true, near: [], packets: 0 })).flights).toEqual([]);
    expect((await lab.watch.look({ fresh: false, near: [], packets: 1e12 })).flights.length).toBeGreaterThan(10);
  });

  it("were seen on devices on their way, and where the last one was dropped", async () => {
    const look = () => lab.watch.look({ fresh: false, near: [], packets: 1e9 });
    const ping = { command: "docker exec aa ping -c 1 -W 1 bb" };
    await lab.session.command("host1", ping, lab.session.cluster.now + 3e10, () => {});
    const seen = (await look()).sightings;
    const places = seen.map(({ host, point }) => `${host} ${point}`);
    for (const place of ["0 aa/eth0", "0 net/vxlan0", "0 host/eth0", "1 host/eth0", "1 net/vxlan0", "1 bb/eth0"])
      expect(places).toContain(place);
    expect(new Set(places).size).toBe(places.length);
    expect(seen.map(({ time }) => time)).toEqual(seen.map(({ time }) => time).sort((a, b) => a - b));
    expect(seen.find(({ point }) => point === "aa/eth0")).toMatchObject({ protocol: "ICMP", out: false });
    expect(seen.find(({ host, point }) => host === 0 && point === "host/eth0")?.vni).toBeDefined();
    lab.session.fault({ hosts: ["host1"], drop: "udp port 4789" });
    await lab.session.command("host1", ping, lab.session.cluster.now + 3e10, () => {});
    const { lastDrop, now, hosts } = await look();
    expect(lastDrop).toMatchObject({ host: 0, reason: "WIRE_FILTER" });
    expect(now - (lastDrop?.time ?? 0)).toBeLessThan(2e9);
    expect(hosts.find(({ host }) => host === 0)?.drops["WIRE_FILTER"]).toBeGreaterThan(0);
    expect(hosts.flatMap(({ drops }) => Object.keys(drops))).not.toContain("OTHERHOST");
  });

  it("have an identifier where there is one", () => {
    expect(vniOf(new Uint8Array(20))).toBeUndefined();
    expect(vniOf(new Uint8Array(0))).toBeUndefined();
    expect(vniOf(new Uint8Array(60).fill(0xff))).toBeUndefined();
  });
});
