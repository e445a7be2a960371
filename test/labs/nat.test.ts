/** A host behind 1:1 NAT: what each side of the router sees, and what happens where the router isn't thought of. */
import { describe, expect, it } from "vitest";
import { DEFAULT_CAPTURE } from "../../src/lab/trace.ts";
import { galleryLab, labOf, runLab } from "../support/lab.ts";
import { splitTrace } from "../support/split-trace.ts";
import { openTrace } from "../support/wireshark.ts";

const HEAD = `hosts: { host1: {}, host2: { nat: true }, host3: { nat: true } }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
`;
const NETWORK = `
  - host1: docker network create -d overlay --attachable n1
  - host1: docker run -dit --name c1 --network n1 alpine
  - host2: docker run -dit --name c2 --network n1 alpine
`;
const NONE_OF_ONE = '"1 packets transmitted, 0 packets received, 100% packet loss"';

/** Distinct source and destination columns of the frames that a filter takes, on one interface. */
async function ends(trace: Uint8Array, iface: string, filter: string): Promise<string[]> {
  const file = splitTrace(trace).get(iface);
  expect(file, iface).toBeDefined();
  const part = await openTrace(file as Uint8Array);
  try {
    expect(part.malformed()).toEqual([]);
    expect(part.badChecksums()).toEqual([]);
    const rows = part.filter(filter).map((frame) => part.columns(frame).slice(2, 4).join(" → "));
    return [...new Set(rows)].sort();
  } finally {
    part.close();
  }
}

describe("a host behind 1:1 NAT", () => {
  const joined = `${HEAD}
  - host2: docker swarm join --advertise-addr 192.168.77.12 --token $token 192.168.77.11:2377
  - host3: docker swarm join --advertise-addr 192.168.77.13 --token $token 192.168.77.11:2377
  - host2: docker info --format '{{.Swarm.NodeAddr}}'
    expect: ["192.168.77.12\\n"]
  - host1: docker node inspect --format '{{.Status.Addr}}' host2
    expect: ["192.168.77.12\\n"]
${NETWORK}
  - host3: docker run -dit --name c3 --network n1 alpine
  - host1: docker exec c1 ping -c 1 c2
    expect: ["0% packet loss"]
  - host3: docker exec c3 ping -c 1 c2
    expect: ["0% packet loss"]
  - host2: docker exec c2 ping -c 1 c1
    expect: ["0% packet loss"]
  - host2: ip addr show eth0
    expect: ["2: eth0: ", "inet 10.77.0.2/24"]
  - host2: ip route
    expect: ["default via 10.77.0.1 dev eth0"]
  - host2: ip netns exec nat ip addr
    expect: ["eth0: ", "inet 192.168.77.12/24", "eth1: ", "inet 10.77.0.1/24"]
  - host1: ping -c 1 192.168.77.12
    expect: ["64 bytes from 192.168.77.12: icmp_seq=1 ttl=63"]
  # The wire is the router's: a fault of it leaves the cable alone.
  - fault: { host: host2, drop: icmp }
  - host1: ping -c 1 -W 1 192.168.77.12
    exit: 1
  - host2: ping -c 1 10.77.0.1
  - fault: { host: host2, link: down }
  - host2: ping -c 1 10.77.0.1
  - fault: { host: host2, heal: true }
  - host1: ping -c 1 192.168.77.12
  - fault: { host: host2, crash: true }
  - wait: 1s
  - fault: { host: host2, restart: true }
  - host2: ping -c 1 192.168.77.11
    expect: ["ttl=63"]
`;

  it("is reached by its public address, which it advertises", { timeout: 60_000 }, async () => {
    const run = await runLab(labOf(joined), { capture: ["*"] });
    expect(run.failures).toEqual([]);
    for (const { name, made, arrived, delivered, dropped, sent, live } of run.result.counters.hosts)
      expect({ name, packets: made + arrived }).toEqual({ name, packets: delivered + dropped + sent + live });
    const spread = await runLab(labOf(joined), { capture: ["*"], workers: 2 });
    expect(spread.transcript).toBe(run.transcript);
    expect(Buffer.compare(spread.trace, run.trace)).toBe(0);
  });

  it("shows the wire and the cable where nothing is said about captures", async () => {
    const run = await runLab(labOf(joined), { capture: DEFAULT_CAPTURE });
    const vxlan = "vxlan && ip.addr==10.0.1.2 && icmp";
    const inner = ["c1 → c2", "c2 → c1"];
    expect(await ends(run.trace, "host2/nat/eth0", vxlan)).toEqual(inner);
    expect(await ends(run.trace, "host2/host/eth0", vxlan)).toEqual(inner);
    // Outer addresses: the router's on the wire, the host's own on the cable.
    const outer = async (iface: string, address: string): Promise<number> => {
      const part = await openTrace(splitTrace(run.trace).get(iface) as Uint8Array);
      try {
        return part.filter(`vxlan && ip.addr==${address}`).length;
      } finally {
        part.close();
      }
    };
    expect(await outer("host2/nat/eth0", "10.77.0.2")).toBe(0);
    expect(await outer("host2/nat/eth0", "192.168.77.12")).toBeGreaterThan(3);
    expect(await outer("host2/host/eth0", "192.168.77.12")).toBe(0);
    expect(await outer("host2/host/eth0", "10.77.0.2")).toBeGreaterThan(3);
  });

  it("can be the manager", async () => {
    const run = await runLab(
      labOf(`hosts: { host1: { nat: 10.1.2.3/24 }, host2: {} }
steps:
  - host1: docker swarm init --advertise-addr 192.168.77.11
    expect: ["docker swarm join --token ", " 192.168.77.11:2377"]
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable n1
  - host1: docker run -dit --name c1 --network n1 alpine
  - host2: docker run -dit --name c2 --network n1 alpine
  - host2: docker exec c2 ping -c 1 c1
    expect: ["0% packet loss"]
`),
    );
    expect(run.failures).toEqual([]);
  });

  it("is not reached by gossip when it advertises its own address", async () => {
    const run = await runLab(
      labOf(`${HEAD}
  - host2: docker swarm join --token $token 192.168.77.11:2377
    expect: ["This node joined a swarm as a worker."]
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
  - host2: docker info --format '{{.Swarm.NodeAddr}}'
    expect: ["10.77.0.2\\n"]
  - wait: 60s
${NETWORK}
  - host1: docker exec c1 ping -c 1 -W 1 10.0.1.4
    exit: 1
    expect: [${NONE_OF_ONE}]
`),
    );
    expect(run.failures).toEqual([]);
  });

  it("carries an encrypted overlay's ESP through the router, under one SPI on both sides", async () => {
    const run = await runLab(galleryLab("nat"), { capture: DEFAULT_CAPTURE });
    expect(run.failures).toEqual([]);
    const files = splitTrace(run.trace);
    const esp = async (iface: string): Promise<string[]> => {
      const trace = await openTrace(files.get(iface) as Uint8Array);
      try {
        return trace.filter("esp").map((frame) => [2, 3, 6].map((column) => trace.columns(frame)[column]).join(" "));
      } finally {
        trace.close();
      }
    };
    const wire = await esp("host1/host/eth0");
    expect(wire.map((line) => line.replace(/0x[0-9a-f]+/, "N"))).toEqual([
      ...Array(2).fill("host1 host2-nat ESP (SPI=N)"),
      ...Array(3).fill("host2-nat host1 ESP (SPI=N)"),
    ]);
    expect(new Set(wire).size).toBe(2);
    expect(await esp("host2/nat/eth0")).toEqual(wire);
    expect(await esp("host2/host/eth0")).toEqual(wire.map((line) => line.replace("host2-nat", "host2")));
  });
});
