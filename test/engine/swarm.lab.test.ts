/** Containers on attachable overlay networks; leaving, joining again, starting anew; hosts that crash. */
import { describe, expect, it } from "vitest";
import { runSteps, SWARM } from "./labs.ts";

describe("attachable networks", () => {
  it("connect and disconnect, running and stopped", async () => {
    await runSteps(
      `
  - host1: docker run -dit --name c1 --network n1 alpine
  - host2: docker run -dit --name c2 alpine
  - host2: docker network connect --alias db n1 c2
  - host1: docker exec c1 ping -c 1 db
    expect: ["1 packets received"]
  - host2: docker network connect n1 c2
    exit: 1
    expect: ["Error response from daemon: c2 is already attached to network n1"]
  - host2: docker network disconnect n1 c2
  - wait: 5s
  - host2: docker network ls
    reject: [n1]
  - host1: docker exec c1 ping -c 1 c2
    exit: 1
    expect: ["bad address 'c2'"]
  - host2: docker stop -t 0 c2
  - host2: docker network connect n1 c2
  - host2: docker start c2
  - host1: docker exec c1 ping -c 1 c2
    expect: ["1 packets received"]
  - host2: docker network connect nosuch c2
    exit: 1
    expect: ["Could not attach to network nosuch: rpc error: code = NotFound desc = network nosuch not found"]
  - host1: docker network rm n1
    exit: 1
    expect: ["/rpc error: code = FailedPrecondition desc = network $netid is in use by task [0-9a-z]{25}/"]
`.replace("network $netid is", "network [0-9a-z]{25} is"),
      SWARM,
    );
  });

  it("a restarted container has a new address, its aliases stay", async () => {
    await runSteps(
      `
  - host1: docker run -dit --name c1 --hostname web --network n1 alpine
  - host1: docker restart -t 0 c1
  - host1: docker inspect -f '{{.NetworkSettings.Networks.n1.IPAddress}}' c1
    as: address
    expect: ["/^10\\\\.0\\\\.1\\\\.\\\\d+$/m"]
  - host2: docker run --rm --network n1 alpine ping -c 1 web
    expect: ["PING web ($address)"]
  - host1: docker inspect -f '{{.NetworkSettings.Networks.n1.IPAMConfig.IPv4Address}}' c1
    expect: ["$address"]
  - host1: docker stop -t 0 c1
  - host1: docker inspect -f '{{json .NetworkSettings.Networks.n1.IPAMConfig}} {{.NetworkSettings.Networks.n1.NetworkID}}' c1
    expect: ["null $netid"]
`,
      SWARM,
    );
  });

  it("rename fails as it does in 20.10: the old record stands in NetworkDB", async () => {
    await runSteps(
      `
  - host1: docker run -dit --name c1 --network n1 alpine
  - host1: docker rename c1 c2
    exit: 1
    expect:
      - "Error response from daemon: Could not add service state for endpoint c2 to cluster on rename: cannot create entry in table endpoint_table with network id $netid and key "
      - "Error: failed to rename container named c1"
  - host1: docker ps --format '{{.Names}}'
    expect: [c1]
  - host1: docker rm -f c1
  - wait: 10s
  - host1: docker network rm n1
`,
      SWARM,
    );
  });

  it("two containers at once on a network that is new here, and one that is taken away meanwhile", async () => {
    await runSteps(
      `
  - host2: docker run -d --name c1 --network n1 alpine sleep 1000 & docker run -d --name c2 --network n1 alpine sleep 1000 & docker run -d --name c3 --network n1 alpine sleep 1000; sleep 3
  - host2: docker ps --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Up/m", "/^c2 Up/m", "/^c3 Up/m"]
  - host2: docker exec c1 ping -c 1 c3
  - host2: docker rm -f c1 c2 c3
  - wait: 10s
  - host2: docker network ls
    reject: [n1]
  - host2: docker create --name c4 --network n1 alpine sleep 1000
  - host2: docker start c4 & sleep 0.02; docker rm -f c4
  - wait: 40s
  - host2: docker network ls
    reject: [n1]
  - host1: docker network rm n1
`,
      SWARM,
    );
  });
});

describe("leave", () => {
  it("containers run on without the swarm's network, and get it back in the next swarm", async () => {
    await runSteps(
      `
  - host2: docker run -dit --name c2 --network n1 alpine
  - host2: docker swarm leave
    expect: ["Node left the swarm."]
  - host2: docker network ls
    reject: [n1, ingress]
    expect: [docker_gwbridge]
  - host2: docker ps --format '{{.Names}}'
    expect: [c2]
  - host2: docker exec c2 ip addr
    reject: [eth]
  - host2: docker inspect -f '{{json .NetworkSettings.Networks}}' c2
    expect: ["{}"]
  - host2: docker swarm leave
    exit: 1
    expect: ["Error response from daemon: This node is not part of a swarm"]
  - host2: docker network connect n1 c2
    exit: 1
    expect: ["network n1 not found"]
  - host2: docker swarm join --token $token 192.168.77.11:2377
    expect: ["This node joined a swarm as a worker."]
  - host2: docker network connect n1 c2
  - host1: docker run --rm --network n1 alpine ping -c 2 c2
    expect: ["2 packets received"]
  - host1: docker node ls
    expect: ["/host2 +Ready.*host2 +/s"]
`,
      SWARM,
    );
  });

  it("the manager leaves by force, and starts another swarm", async () => {
    await runSteps(
      `
  - host1: docker run -dit --name c1 --network n1 alpine
  - host1: docker swarm leave
    exit: 1
    expect: ["Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message."]
  - host1: docker swarm leave --force
  - host1: docker node ls
    exit: 1
    expect: ["This node is not a swarm manager."]
  - host1: docker ps --format '{{.Names}}'
    expect: [c1]
  - host1: docker swarm init
    expect: ["Swarm initialized"]
  - host1: docker network ls
    expect: ["/ingress +overlay +swarm/"]
    reject: ["n1 "]
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
    exit: 1
    expect: ["This node is already part of a swarm."]
  - host2: docker swarm leave --force
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable n2
  - host1: docker network connect n2 c1
  - host2: docker run --rm --network n2 alpine ping -c 2 c1
    expect: ["2 packets received"]
`,
      SWARM,
    );
  });

  it("two inits at once: the second one is refused", async () => {
    await runSteps(`
  - host1: docker swarm init & docker swarm init; sleep 1
    expect: ["Swarm initialized", "This node is already part of a swarm."]
`);
  });
});

describe("hosts that crash", () => {
  it("come back with what they have on disk; the others see them go", async () => {
    const run = await runSteps(
      `
  - host1: docker run -dit --name c1 --network n1 alpine
  - host2: docker run -it --name c2 --network n1 alpine
  - host1: docker exec c1 ping -c 1 c2
  - fault: { host: host2, crash: true }
  - wait: 60s
  - host1: docker node ls
    expect: ["/host2 +Down/"]
  - fault: { host: host2, restart: true }
  - host2: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/^c2 Exited \\\\(255\\\\) Less than a second ago$/m"]
  - wait: 2s
  - host2: docker info -f '{{.Swarm.LocalNodeState}}'
    expect: [active]
  - host2: docker start c2
  - host1: docker exec c1 ping -c 2 c2
    expect: ["2 packets received"]
  - fault: { host: host2, restart: true }
  - fault: { host: host2, crash: true }
  - fault: { host: host2, crash: true }
  - fault: { host: host2, restart: true }
  - host2: docker version --format '{{.Server.Version}}'
    expect: ["20.10.24"]
`,
      SWARM,
    );
    expect(run.result.steps.at(-1)?.exit).toBe(0);
  });
});

describe("the address of a manager", () => {
  it("is an IP address or a name; one that can't be reached is refused at once", async () => {
    const refused = (address: string, why: string): string => `
  - host2: docker swarm join --token $token ${address}
    exit: 1
    expect: ["Error response from daemon: could not find local IP address: dial udp${why}\\n"]`;
    await runSteps(`
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
${refused("10.9.9.9:2377", " 10.9.9.9:2377: connect: network is unreachable")}
${refused("10.9.9.9", " 10.9.9.9:2377: connect: network is unreachable")}
${refused("192.168.77.11:x", ": address udp/x: unknown port")}
${refused("192.168.77.11:99999", ": address 99999: invalid port")}
  - host2: docker swarm join --token $token nosuch:2377
    exit: 1
    expect: ["/could not find local IP address: dial udp: lookup nosuch on 127.0.0.1:53: read udp 127.0.0.1:\\\\d+->127.0.0.1:53: read: connection refused\\n/"]
  - host2: echo 192.168.77.11 the-manager >> /etc/hosts
  - host2: docker swarm join --token $token the-manager:2377
    expect: ["This node joined a swarm as a worker."]
`);
  });
});
