/** Hosts lose power and come back: what is on their disks, and what the swarm does meanwhile (facts swarmkit.md §4.3, §5.5). */
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";
import { runSteps, SWARM } from "./labs.ts";

describe("the disk of a host that lost power", () => {
  it("has containers, networks of users and files; what was in memory is gone", async () => {
    await runSteps(`
  - host1: docker network create mynet
    as: mynet
  - host1: docker run -d --name once --network mynet alpine sh -c 'echo said; echo kept > /kept; sleep 10000'
    as: once
  - host1: docker run -d --name always --restart always --network mynet alpine sleep 10000
  - host1: docker run -d --name unless --restart unless-stopped alpine sleep 10000
  - host1: docker run -d --name failure --restart on-failure:3 alpine sleep 10000
  - host1: docker run -d --name stopped --restart unless-stopped alpine sleep 10000
  - host1: docker stop -t 0 stopped
  - host1: docker run -d --name done alpine sh -c 'exit 3'
  - host1: docker create --name made alpine
  - host1: docker run -d --rm --name fleeting alpine sleep 10000
  - host1: echo one > /root/one; echo two > /tmp/two; echo three > /run/three; mkdir /srv/empty; echo 10.1.2.3 far >> /etc/hosts
  - host1: ip addr add 10.9.9.9/24 dev eth0; iptables -A INPUT -p tcp --dport 99 -j DROP; x=1
  - wait: 90s
  - fault: { host: host1, crash: true }
  - wait: 30s
  - fault: { host: host1, restart: true }
  - host1: docker ps -a --format '{{.Names}} {{.Status}}'
    expect:
      - "/^once Exited \\\\(255\\\\) Less than a second ago$/m"
      - "/^stopped Exited \\\\(137\\\\) 2 minutes ago$/m"
      - "/^done Exited \\\\(3\\\\) 2 minutes ago$/m"
      - "/^made Created$/m"
    reject: [fleeting]
  - wait: 1s
  - host1: docker ps --format '{{.Names}}'
    expect: ["/^always$/m", "/^unless$/m", "/^failure$/m"]
    reject: [once, stopped, done]
  - host1: docker inspect -f '{{.Id}} {{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.RestartCount}}' once
    expect: ["$once exited 255 false 0"]
  - host1: docker network inspect -f '{{.Id}}' mynet
    expect: ["$mynet"]
  - host1: docker logs once
    expect: ["said"]
  - host1: docker start once
  - host1: docker exec once cat /kept
    expect: ["kept"]
  - host1: docker exec once ping -c 1 always
    expect: ["1 packets received"]
  - host1: cat /root/one /etc/hosts; ls -d /srv/empty
    expect: ["one", "10.1.2.3 far", "srv/empty"]
  - host1: cat /tmp/two /run/three
    exit: 1
    reject: [two\\n, three\\n]
  - host1: ip addr show eth0; iptables -S INPUT; echo "x=$x."
    expect: ["inet 192.168.77.11/24", "x=."]
    reject: ["10.9.9.9", "dport 99"]
`);
  });

  it("is written at once: a daemon that was stopped, or was stopping, and a second crash", async () => {
    await runSteps(
      `
  - host2: docker run -d --name c1 --restart always alpine sleep 10000
  - host2: docker run -d --name c2 alpine sh -c 'trap "" TERM; sleep 10000'
  - host2: systemctl stop docker
  - fault: { host: host2, crash: true }
  - fault: { host: host2, restart: true }
  - wait: 3s
  - host2: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Up/m", "/^c2 Exited \\\\(137\\\\)/m"]
  - host2: docker info -f '{{.Swarm.LocalNodeState}}'
    expect: [active]
  - host2: docker start c2
  - host2: systemctl stop docker &
  - fault: { host: host2, crash: true }
  - fault: { host: host2, restart: true }
  - fault: { host: host2, crash: true }
  - fault: { host: host2, restart: true }
  - wait: 20s
  - host2: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Up/m", "/^c2 Exited \\\\(255\\\\)/m"]
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
  - host2: docker swarm leave
  - fault: { host: host2, crash: true }
  - fault: { host: host2, restart: true }
  - host2: docker info -f '{{.Swarm.LocalNodeState}}'
    expect: [inactive]
`,
      SWARM,
    );
  });

  it("has the node's networks: containers with a restart policy are attached anew, with another address", async () => {
    await runSteps(
      `
  - host1: docker run -d --name a1 --network n1 alpine sleep 10000
  - host2: docker run -d --name a2 --restart always --network n1 alpine sleep 10000
  - host2: docker run -d --name a3 --network n1 alpine sleep 10000
  - host1: docker exec a1 ping -c 1 a2
    expect: ["PING a2 (10.0.1.4)", "1 packets received"]
  - fault: { host: host2, crash: true }
  - wait: 30s
  - host1: docker exec a1 ping -c 1 a2
    exit: 1
    expect: ["ping: bad address 'a2'"]
  - fault: { host: host2, restart: true }
  - wait: 10s
  - host1: docker exec a1 ping -c 1 a2
    expect: ["/PING a2 \\\\(10\\\\.0\\\\.1\\\\.[678]\\\\)/", "1 packets received"]
  - host2: docker exec a2 ping -c 1 a1
    expect: ["1 packets received"]
  - host2: ip -br addr show docker_gwbridge
    expect: ["172.18.0.1/16"]
  - host1: docker network rm n1
    exit: 1
    expect: ["is in use by task"]
  - host2: docker rm -f a2
  - host1: docker rm -f a1
  - wait: 1s
  - host1: docker network rm n1
`,
      SWARM,
    );
  });
});

const NODES = `
  - manager: docker swarm init
  - manager: docker swarm join-token -q worker
    as: token
  - worker-?: docker swarm join --token $token 192.168.77.11:2377
  - manager: docker network create -d overlay my-net
  - manager: docker service create --name web --replicas 3 --network my-net --publish 80:80 traefik/whoami
  - manager: docker service create --name each --mode global --network my-net alpine sleep 10d
`;
const ALL_THREE = `for i in 1 2 3 4 5 6; do curl -s -m 1 http://localhost/ | grep Hostname; done | sort | uniq -c | grep -c ' 2 '`;

async function runSwarm(steps: string) {
  const run = await runLab(labOf(`hosts: { manager: {}, worker-1: {}, worker-2: {} }\nsteps:${NODES}${steps}`));
  expect(run.failures).toEqual([]);
  return run;
}

/** Virtual time at which a command of the lab ended, ns. */
const SEC = 1e9;

describe("a worker that crashes", () => {
  it("is DOWN 13.5 to 16.5 s after its last heartbeat, its tasks start elsewhere 5 s later, and nothing returns to it", async () => {
    await runSwarm(`
  - manager: docker node inspect -f '{{.ID}}' worker-2
    as: id
  - worker-2: docker ps -q --filter name=web
    as: lost
  - fault: { host: worker-2, crash: true }
  - manager: date +%s > crash; until docker node ls | grep -q Down; do sleep 0.1; done; date +%s > down; echo $(($(cat down) - $(cat crash)))
    expect: ["/^(7|8|9|1[0-7])$/m"]
  # Until then its task counts as one of the three: 4/3 as soon as the new one runs.
  - manager: until docker service ls | grep -q 4/3; do sleep 0.1; done; echo $(($(date +%s) - $(cat down)))
    expect: ["/^[56]$/m"]
  - manager: docker service ps --format '{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}}' web
    expect: ["/worker-2 Shutdown Running/"]
  - manager: docker service ps each --filter desired-state=running -q | wc -l
    expect: ["/^2$/m"]
  - manager: ${ALL_THREE}
    expect: ["3"]
  - worker-1: ${ALL_THREE}
    expect: ["3"]
  - fault: { host: worker-2, restart: true }
  - wait: 10s
  - manager: docker node inspect -f '{{.ID}} {{.Status.State}} {{.Status.Addr}}' worker-2
    expect: ["$id ready 192.168.77.13"]
  - manager: docker service ps --format '{{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}' web
    expect: ["/^worker-2 Shutdown Failed 1\\\\d seconds ago \\"task: non-zero exit \\\\(255\\\\)\\"$/m"]
    reject: ["worker-2 Running"]
  - manager: docker service ps --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' each
    expect: ["/^worker-2 Running/m"]
  - manager: docker service ls
    expect: ["/web +replicated +3\\\\/3/", "/each +global +3\\\\/3/"]
  # The container stays for as long as its task is kept.
  - worker-2: docker ps -a --format '{{.ID}} {{.Status}}'
    expect: ["$lost Exited (255)"]
  - "*": ${ALL_THREE}
    expect: ["3"]
  - manager: docker network inspect -v -f '{{range .Peers}}{{.IP}} {{end}}' my-net
    expect: ["/^(192\\\\.168\\\\.77\\\\.1[123] ){3}$/m"]
  - worker-2: docker network inspect -v -f '{{range .Peers}}{{.IP}} {{end}}{{range .Services.web.Tasks}}{{.EndpointIP}} {{end}}' my-net
    expect: ["/^(192\\\\.168\\\\.77\\\\.1[123] ){3}(10\\\\.0\\\\.1\\\\.\\\\d+ ){3}$/m"]
  - manager: docker service rm web each
  - wait: 15s
  - worker-2: docker ps -aq
    reject: ["/[0-9a-f]/"]
`);
  });

  it("that is back before it is missed keeps its place; its tasks failed and are restarted", async () => {
    await runSwarm(`
  - fault: { host: worker-2, crash: true }
  - wait: 1s
  - fault: { host: worker-2, restart: true }
  - wait: 15s
  - manager: docker service ls
    expect: ["/web +replicated +3\\\\/3/", "/each +global +3\\\\/3/"]
  - manager: docker service ps --filter desired-state=shutdown --format '{{.Node}} {{.CurrentState}} {{.Error}}' web
    expect: ["/^worker-2 Failed .* \\"task: non-zero exit \\\\(255\\\\)\\"$/m"]
  - "*": ${ALL_THREE}
    expect: ["3"]
`);
  });

  it("whose service was removed meanwhile drops its containers when it is back", async () => {
    await runSwarm(`
  - fault: { host: worker-2, crash: true }
  - wait: 30s
  - manager: docker service rm web
  - wait: 5s
  - fault: { host: worker-2, restart: true }
  - wait: 15s
  - worker-2: docker ps -a --format '{{.Names}}'
    reject: ["web."]
    expect: ["each."]
`);
  });
});

describe("a manager that crashes", () => {
  it("is the same when it is back: the store, the token, the tasks; services run on at the workers meanwhile", async () => {
    const run = await runSwarm(`
  - manager: docker service scale each=1
    exit: 1
  - manager: docker service inspect -f '{{.ID}} {{.CreatedAt}} {{json .Endpoint.VirtualIPs}}' web
    as: web
  - worker-?: docker ps --format '{{.ID}}' --filter name=web
    as: theirs
  - fault: { host: manager, crash: true }
  - wait: 60s
  - worker-1: for i in 1 2 3 4; do curl -s -m 1 http://localhost/ | grep Hostname; done | sort | uniq -c
    expect: ["/^ +2 Hostname: .*\\\\n +2 Hostname: .*\\\\n$/"]
  - worker-?: docker ps --format '{{.Names}}'
    expect: ["/^web\\\\./m", "/^each\\\\./m"]
  - fault: { host: manager, restart: true }
  - manager: docker node ls
    exit: 1
    expect: ["Error response from daemon: This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster."]
  - wait: 30s
  - manager: docker node ls
    expect: ["/\\\\* +manager +Ready +Active +Leader/", "/worker-1 +Ready/", "/worker-2 +Ready/"]
  - manager: docker swarm join-token -q worker
    expect: ["$token"]
  - manager: docker service inspect -f '{{.ID}} {{.CreatedAt}} {{json .Endpoint.VirtualIPs}}' web
    expect: ["$web"]
  - manager: docker service ls
    expect: ["/web +replicated +3\\\\/3/", "/each +global +3\\\\/3/"]
  - manager: docker service ps --format '{{.Node}} {{.CurrentState}}' web
    expect: ["/^manager Running \\\\d+ seconds ago$/m", "/^manager Failed/m", "/^worker-1 Running/m"]
    reject: ["worker-1 Failed", "worker-2 Failed"]
  - "*": ${ALL_THREE}
    expect: ["3"]
  - manager: docker service scale web=6
    expect: ["verify: Service converged"]
  - manager: docker network create -d overlay another
  - manager: docker service create --name more --network another --replicas 3 nginx
    expect: ["verify: Service converged"]
`);
    expect(run.result.end).toBeGreaterThan(100 * SEC);
  });

  it("has what was decided while nobody but it knew", async () => {
    await runSwarm(`
  - manager: docker service create -d --name late --replicas 3 nginx
  - fault: { host: manager, crash: true }
  - wait: 5s
  - fault: { host: manager, restart: true }
  - wait: 40s
  - manager: docker service ls
    expect: ["/late +replicated +3\\\\/3/", "/web +replicated +3\\\\/3/"]
`);
  });
});
