/** The daemon stops and starts: what goes with it, and what comes back. */
import { describe, it } from "vitest";
import { runSteps, SWARM } from "./labs.ts";

describe("systemctl stop docker, start docker", () => {
  it("containers end; restart policies bring them back", async () => {
    await runSteps(`
  - host1: docker network create mynet
    as: mynet
  - host1: docker run -d --name once --network mynet alpine sleep 1000
    as: once
  - host1: docker run -d --name always --restart always --network mynet alpine sleep 1000
  - host1: docker run -d --name unless --restart unless-stopped alpine sleep 1000
  - host1: docker run -d --name stopped --restart unless-stopped alpine sleep 1000
  - host1: docker stop -t 0 stopped
  - host1: sudo systemctl stop docker
  - host1: systemctl is-active docker
    exit: 3
    expect: ["inactive"]
  - host1: docker ps
    exit: 1
    expect: ["/^Cannot connect to the Docker daemon at unix:\\\\/\\\\/\\\\/var\\\\/run\\\\/docker.sock. Is the docker daemon running\\\\?$/m"]
  - host1: docker run alpine true
    exit: 125
    expect: ["docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?.", "See 'docker run --help'."]
  - host1: ip link show docker0
    expect: ["docker0"]
  - host1: service docker start
  - wait: 2s
  - host1: docker ps --format "{{.Names}}"
    expect: ["/^unless$/m", "/^always$/m"]
    reject: ["once", "stopped"]
  - host1: docker network inspect -f "{{.Id}}" mynet
    expect: ["$mynet"]
  - host1: docker inspect -f "{{.Id}} {{.State.Status}} {{.State.ExitCode}}" once
    expect: ["$once exited 137"]
  - host1: docker start once
  - host1: docker exec once ping -c 1 always
    expect: ["1 packets received"]
`);
  });

  it("a docker_gwbridge made by hand, as the overlay documentation has it", async () => {
    await runSteps(`
  - host1: docker swarm init
  - host1: docker swarm leave --force
  - host1: sudo service docker stop
  - host1: brctl show docker_gwbridge
    expect: ["bridge name\\tbridge id\\t\\tSTP enabled\\tinterfaces", "docker_gwbridge\\t\\t8000.0242"]
  - host1: sudo brctl delbr docker_gwbridge
    exit: 1
    expect: ["bridge docker_gwbridge is still up; can't delete it"]
  - host1: sudo ip link set docker_gwbridge down
  - host1: sudo ip link del dev docker_gwbridge
  - host1: sudo service docker start
  - host1: docker network rm docker_gwbridge
  - host1: |
      docker network create \\
      --subnet 10.11.0.0/16 \\
      --opt com.docker.network.bridge.name=docker_gwbridge \\
      --opt com.docker.network.bridge.enable_icc=false \\
      --opt com.docker.network.bridge.enable_ip_masquerade=true \\
      docker_gwbridge
  - host1: docker swarm init
    expect: ["Swarm initialized"]
  - wait: 1s
  - host1: docker network inspect docker_gwbridge
    expect: ['"Subnet": "10.11.0.0/16"', '"IPv4Address": "10.11.0.2/16"']
`);
  });

  it("the node goes on in its swarm: a worker, then the manager", async () => {
    await runSteps(
      `
  - host1: docker run -d --name a1 --network n1 --restart always alpine sleep 1000
  - host2: docker run -d --name a2 --network n1 --restart always alpine sleep 1000
  - host1: docker exec a1 ping -c 1 a2
  - host2: systemctl stop docker
  - wait: 30s
  - host1: docker node ls
    expect: ["/host2 +Down/"]
  - host2: systemctl start docker
  - wait: 30s
  - host1: docker node ls
    expect: ["/host2 +Ready/"]
  - host1: docker exec a1 ping -c 1 a2
    expect: ["1 packets received"]
  - host1: systemctl restart docker
  - wait: 30s
  - host1: docker node ls
    expect: ["/\\\\* +host1 +Ready +Active +Leader/", "/host2 +Ready/"]
  - host1: docker network inspect -f "{{.Id}}" n1
    expect: ["$netid"]
  - host2: docker exec a2 ping -c 1 a1
    expect: ["1 packets received"]
`,
      SWARM,
    );
  });

  it("tasks end with their daemon, and are made anew", async () => {
    await runSteps(
      `
  - host1: docker service create --name web --replicas 2 -p 8080:80 nginx
  - host2: systemctl restart docker
  - wait: 20s
  - host1: docker service ps web
    expect: ['/web\\.2 .* host2 +Running +Running/', '/ \\\\_ web\\.2 .* host2 +Shutdown +Complete/']
  - host1: curl -s http://192.168.77.12:8080
    expect: ["Welcome to nginx!"]
  - host1: systemctl restart docker
  - wait: 30s
  - host1: docker service ls
    expect: ['/web +replicated +2\\/2 /']
  - host1: curl -s http://192.168.77.11:8080
    expect: ["Welcome to nginx!"]
  - host1: curl -s http://192.168.77.12:8080
    expect: ["Welcome to nginx!"]
  - host2: systemctl stop docker
  - wait: 30s
  - host1: docker service ps web
    expect: ['/web\\.2 .* host1 +Running +Running/', '/ \\\\_ web\\.2 .* host2 +Shutdown +Running/']
`,
      SWARM,
    );
  });
});
