/**
 * Situations that a day with a swarm brings: nodes that leave, crash and come back, networks that come and go under
 * running containers, wires that break. Each is a small lab whose steps say what a real swarm would show. For every
 * one of them the trace is the same with several workers, Wireshark finds nothing wrong in it, and no packet is lost
 * count of.
 */
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";
import { openTrace } from "../support/wireshark.ts";

/** A swarm of host1 (manager) and the others. */
function swarm(...workers: readonly string[]): string {
  const hosts = ["host1", ...workers].map((host) => `${host}: {}`).join(", ");
  const joins = workers.map((host) => `  - ${host}: docker swarm join --token $token 192.168.77.11:2377\n`).join("");
  return `hosts: { ${hosts} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
${joins}`;
}

/** Network n1 with c1 on host1, c2 on host2 … */
function attached(hosts: number): string {
  let text = "  - host1: docker network create -d overlay --attachable n1\n    as: n1\n";
  for (let i = 1; i <= hosts; i++) text += `  - host${i}: docker run -dit --name c${i} --network n1 alpine\n`;
  return text;
}

const ONE_OF_ONE = '"1 packets transmitted, 1 packets received, 0% packet loss"';
const NONE_OF_ONE = '"1 packets transmitted, 0 packets received, 100% packet loss"';

/** `from` reaches `to`, which is at `address`. */
function reaches(host: number, from: string, to: string, address: string, ttl = 64): string {
  return `  - host${host}: docker exec ${from} ping -c 1 -W 1 ${to}
    expect: ["PING ${to} (${address}): 56", "64 bytes from ${address}: seq=0 ttl=${ttl} ", ${ONE_OF_ONE}]
`;
}

/** `from` doesn't know the name `to`. */
function unknown(host: number, from: string, to: string): string {
  return `  - host${host}: docker exec ${from} ping -c 1 -W 1 ${to}
    exit: 1
    expect: ["ping: bad address '${to}'"]
`;
}

/** Nothing comes back from `to`. */
function silent(host: number, from: string, to: string): string {
  return `  - host${host}: docker exec ${from} ping -c 1 -W 1 ${to}
    exit: 1
    expect: [${NONE_OF_ONE}]
`;
}

const SITUATIONS: Readonly<Record<string, string>> = {
  "three hosts: every container reaches every other by any of its names":
    swarm("host2", "host3") +
    "  - host1: docker network create -d overlay --attachable n1\n" +
    "  - host1: docker run -dit --name c1 --network n1 alpine\n" +
    "  - host2: docker run -dit --name c2 --network n1 --network-alias web alpine\n" +
    "  - host3: docker run -dit --name c3 --network n1 --network-alias web alpine\n" +
    reaches(1, "c1", "c2", "10.0.1.4") +
    reaches(2, "c2", "c3", "10.0.1.6") +
    reaches(3, "c3", "C1", "10.0.1.2") +
    reaches(3, "c3", "c1.n1", "10.0.1.2") +
    `  - host1: docker exec c1 nslookup Web
    expect: ["Address: 10.0.1.4", "Address: 10.0.1.6"]
  - host1: docker network inspect --format '{{len .Peers}}' n1
    expect: ["3"]
`,

  "networks are connected and disconnected under running containers": `${swarm("host2")}${attached(2)}
  - host1: docker network create -d overlay --attachable --subnet 10.55.0.0/24 --gateway 10.55.0.254 n2
  - host1: docker network connect --alias second n2 c1
  - host2: docker network connect --ip 10.55.0.77 n2 c2
${reaches(2, "c2", "second", "10.55.0.1")}${reaches(1, "c1", "c2.n2", "10.55.0.77")}
  - host1: docker exec c1 ip addr show eth2
    expect: ["mtu 1450", "inet 10.55.0.1/24 brd 10.55.0.255"]
  - host1: docker network disconnect n1 c1
  - host1: docker exec c1 ip addr
    reject: ["10.0.1.2"]
${silent(2, "c2", "10.0.1.2")}${reaches(1, "c1", "c2", "10.55.0.77")}
  - host1: docker network rm n2
    exit: 1
    expect: ["/Error response from daemon: rpc error: code = FailedPrecondition desc = network \\\\S+ is in use by task \\\\S+/"]
  - host2: docker network disconnect n2 c2
${unknown(1, "c1", "c2")}
  - host2: docker network ls
    reject: ["n2"]
  - host1: docker rm -f c1
  - host1: docker network rm n2
    expect: ["n2"]
`,

  "a container that is started again has a new address under its old name": `${swarm("host2")}${attached(2)}
${reaches(1, "c1", "c2", "10.0.1.4")}
  - host2: docker stop -t 0 c2
${unknown(1, "c1", "c2")}
  - host2: docker network ls
    reject: ["n1"]
  - host2: docker start c2
${reaches(1, "c1", "c2", "10.0.1.6")}
  - host2: docker restart -t 0 c2
${reaches(1, "c1", "c2", "10.0.1.8")}
`,

  "bridges are kept apart, and lead out by masquerade": `hosts: { host1: {}, host2: {} }
steps:
  - host1: docker run -dit --name d1 alpine
  - host1: docker run -dit --name d2 alpine
  - host1: docker network create br1
  - host1: docker network create --internal inside
  - host1: docker network create -o com.docker.network.driver.mtu=1200 small
  - host1: docker run -dit --name b1 --network br1 alpine
  - host1: docker run -dit --name i1 --network inside alpine
  - host1: docker run -dit --name s1 --network small alpine
${reaches(1, "d1", "172.17.0.3", "172.17.0.3")}${unknown(1, "d1", "d2")}${silent(1, "b1", "172.17.0.2")}
${reaches(1, "b1", "192.168.77.12", "192.168.77.12", 63)}
  - host2: ip neigh
    expect: ["192.168.77.11 dev eth0"]
    reject: ["172."]
  - host1: docker exec i1 ping -c 1 192.168.77.12
    exit: 1
    expect: ["ping: sendto: Network unreachable"]
  - host1: docker exec s1 ip link show eth0
    expect: ["mtu 1200"]
  - host1: docker exec s1 ping -c 1 -s 1472 192.168.77.12
    expect: ["1480 bytes from 192.168.77.12", ${ONE_OF_ONE}]
  - host1: docker network connect bridge b1
${reaches(1, "b1", "172.17.0.2", "172.17.0.2")}
  - host1: docker network rm br1
    exit: 1
    expect: ["has active endpoints"]
  - host1: docker run -d --ip 172.17.0.9 alpine
    exit: 125
    expect: ["user specified IP address is supported on user defined networks only"]
`,

  "a rotated token, and a node that leaves and joins again": `${swarm("host2")}${attached(2)}
${reaches(1, "c1", "c2", "10.0.1.4")}
  - host2: docker swarm leave
    expect: ["Node left the swarm."]
  - host2: docker ps
    expect: ["/c2$/m"]
  - host2: docker network ls
    reject: ["n1", "ingress"]
${unknown(1, "c1", "c2")}
  - wait: 20s
  - host1: docker node ls
    expect: ["/host2 +Down +Active/"]
  - host1: docker swarm join-token --rotate -q worker
    as: fresh
  - host2: docker swarm join --token $token 192.168.77.11:2377
    exit: 1
    expect: ["code = InvalidArgument desc = A valid join token is necessary to join this cluster"]
  - host2: docker swarm join --token $fresh 192.168.77.11:2377
  - host1: docker node ls
    expect: ["/host2 +Down +Active/", "/host2 +Ready +Active/"]
  - host2: docker rm -f c2
  - host2: docker run -dit --name c2 --network n1 alpine
${reaches(1, "c1", "c2", "10.0.1.6")}
`,

  "a host that loses power is found out, and comes back as it is on disk": `${swarm("host2", "host3")}${attached(2)}
${reaches(1, "c1", "c2", "10.0.1.4")}
  - fault: { host: host2, crash: true }
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
${silent(1, "c1", "c2")}
  - wait: 30s
  - host1: docker node ls
    expect: ["/host2 +Down/", "/host3 +Ready/"]
${unknown(1, "c1", "c2")}
  - fault: { host: host2, restart: true }
  - host2: docker ps -a
    expect: ["/Exited \\\\(255\\\\) .* c2$/m"]
  - wait: 2s
  - host2: docker swarm join --token $token 192.168.77.11:2377
    exit: 1
    expect: ["This node is already part of a swarm."]
  - host2: docker start c2
${reaches(1, "c1", "c2", "10.0.1.6")}
`,

  "a partition heals: nodes, names and packets come back": `${swarm("host2", "host3")}${attached(3)}
  - fault: { partition: [[host1], [host2, host3]] }
${silent(1, "c1", "c2")}${reaches(2, "c2", "c3", "10.0.1.6")}
  - wait: 60s
  - host1: docker node ls
    expect: ["/host2 +Down/", "/host3 +Down/"]
${unknown(1, "c1", "c2")}${reaches(2, "c2", "c3", "10.0.1.6")}
  - host2: docker run -d --name late --network n1 alpine
    exit: 125
    expect: ["context deadline exceeded"]
  - fault: { heal: true }
  - wait: 60s
  - host1: docker node ls
    expect: ["/host2 +Ready/", "/host3 +Ready/"]
${reaches(1, "c1", "c2", "10.0.1.4")}${reaches(3, "c3", "c1", "10.0.1.2")}
`,

  "a bad wire: 5 % loss and 200 ms of latency": `${swarm("host2")}${attached(1)}
  - fault: { host: "*", loss: 5% }
  - host2: docker run -dit --name c2 --network n1 alpine
  - wait: 10m
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
  - host1: docker exec c1 ping -q -c 100 c2
    expect: ["/ (8[0-9]|9[0-8]) packets received, /"]
  - fault: { heal: true }
  - fault: { host: "*", latency: 200ms }
  - host2: docker run -dit --name c3 --network n1 alpine
  - wait: 5m
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
  - host1: docker exec c1 ping -c 1 c3
    expect: ["time=400.000 ms"]
`,

  "addresses run out and come back, subnets are routed, and what can't be is refused": `${swarm("host2")}
  - host1: docker network create -d overlay --attachable --subnet 10.5.0.0/29 tiny
  - host1: docker run -dit --name t1 --network tiny alpine
  - host1: docker run -dit --name t2 --network tiny alpine
  - host1: docker run -dit --name t3 --network tiny alpine
  - host1: docker run -dit --name t4 --network tiny alpine
  - host2: docker run -dit --name t5 --network tiny alpine
    exit: 125
    expect: ["attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded"]
  - host1: docker rm -f t2 t3 t4
  - host2: docker run -dit --name t6 --network tiny alpine
${reaches(2, "t6", "t1", "10.5.0.2")}
  - host1: docker network create -d overlay --attachable --subnet 10.5.0.0/24 overlap
  - host1: docker network ls
    expect: ["/overlap +swarm/"]
  - host1: docker network create -d overlay --attachable --subnet 10.6.0.0/24 --subnet 10.7.0.0/24 pair
  - host1: docker run -dit --name p1 --network pair --ip 10.7.0.9 alpine
  - host2: docker run -dit --name p2 --network pair alpine
${reaches(2, "p2", "p1", "10.7.0.9", 63)}
`,

  "an internal overlay of another MTU has no way out": `${swarm("host2")}
  - host1: docker network create -d overlay --attachable --internal -o com.docker.network.driver.mtu=1200 deep
  - host1: docker run -dit --name c1 --network deep alpine
  - host2: docker run -dit --name c2 --network deep alpine
  - host1: docker exec c1 ip addr
    expect: ["eth0@", "mtu 1150"]
    reject: ["eth1"]
  - host1: docker exec c1 ping -c 1 -s 1472 c2
    expect: ["1480 bytes from 10.0.1.4", ${ONE_OF_ONE}]
  - host1: docker exec c1 ping -c 1 192.168.77.12
    exit: 1
    expect: ["ping: sendto: Network unreachable"]
`,

  "a look into Docker's namespaces": `${swarm("host2")}${attached(2)}
  - host1: ls -1 /var/run/docker/netns
    expect: ["ingress_sbox", "/^1-[0-9a-z]{10}$/m", "/^lb_[0-9a-z]{9}$/m", "/^[0-9a-f]{12}$/m"]
  - host1: nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' c1) ip addr show eth0
    expect: ["inet 10.0.1.2/24"]
  - host1: nsenter --net=/var/run/docker/netns/1-$(docker network inspect -f '{{.Id}}' n1 | cut -c1-10) bridge fdb show dev vxlan0
    expect: ["02:42:0a:00:01:04 dev vxlan0 dst 192.168.77.12 ", "self permanent"]
  - host1: nsenter --net=/var/run/docker/netns/none ip addr
    exit: 1
    expect: ["nsenter: cannot open /var/run/docker/netns/none: No such file or directory"]
  - host1: ip netns exec n1 ip neigh
    expect: ["10.0.1.4 dev vxlan0 lladdr 02:42:0a:00:01:04 PERMANENT"]
  - host1: ip netns exec c1 ping -c 1 10.0.1.4
    expect: ["1 packets transmitted, 1 received, 0% packet loss"]
  - host1: ip netns exec nowhere ip addr
    exit: 255
    expect: ['Cannot open network namespace "nowhere": No such file or directory']
  - host1: bridge -n n1 fdb show dev vxlan0
    expect: ["02:42:0a:00:01:04 dev vxlan0 dst 192.168.77.12 "]
`,

  "a file grows while what writes it runs": `hosts: { host1: {} }
steps:
  - host1: docker run -dit --name c1 alpine
  - host1: docker exec -d c1 sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 1; done > /tmp/log'
  - host1: docker exec c1 cat /tmp/log
    expect: ["line 1"]
    reject: ["line 5"]
  - wait: 10s
  - host1: docker exec c1 cat /tmp/log
    expect: ["line 9"]
  - host1: docker exec c1 ping -c 1 172.17.0.1
`,
};

describe.each(Object.entries(SITUATIONS))("%s", (_title, text) => {
  it("is as in a real swarm, for any number of workers", { timeout: 60_000 }, async () => {
    const run = await runLab(labOf(text), { capture: ["*"] });
    expect(run.failures).toEqual([]);
    for (const { name, made, arrived, delivered, dropped, sent, live } of run.result.counters.hosts)
      expect({ name, packets: made + arrived }).toEqual({ name, packets: delivered + dropped + sent + live });

    const spread = await runLab(labOf(text), { capture: ["*"], workers: 3 });
    expect(spread.transcript).toBe(run.transcript);
    expect(Buffer.compare(spread.trace, run.trace)).toBe(0);

    const trace = await openTrace(run.trace);
    try {
      expect(trace.frames).toBeGreaterThan(0);
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
    } finally {
      trace.close();
    }
  });
});
