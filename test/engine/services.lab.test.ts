/** Services as a user of docker sees them: created, found, updated, failing, published; stacks; the ingress network made anew. */
import { describe, expect, it } from "vitest";
import { runSteps, SWARM } from "./labs.ts";

describe("services", () => {
  it("the overlay documentation's nginx: created, reached over the mesh, moved to another network, removed", async () => {
    const { transcript } = await runSteps(
      `
  - host1: docker network create -d overlay nginx-net
  - host1: docker service create --name my-nginx --publish target=80,published=8080 --replicas=3 --network nginx-net nginx
    as: created
    expect: ["overall progress: 3 out of 3 tasks", "1/3: running   [===", "verify: Service converged"]
  - host1: docker service ls
    expect: ["/[0-9a-z]{12} +my-nginx +replicated +3\\\\/3 +nginx:latest +\\\\*:8080->80\\\\/tcp/"]
  - host1: docker service ps my-nginx
    expect: ["/my-nginx\\\\.1 +nginx:latest +host1 +Running +Running \\\\d+ seconds ago/", "/my-nginx\\\\.2 .* host2 /"]
  - host1: docker ps
    expect: ["/[0-9a-f]{12} +nginx:latest .* Up \\\\d+ seconds +80\\\\/tcp +my-nginx\\\\.\\\\d\\\\.[0-9a-z]{25}/"]
  - host2: docker inspect -f "{{json .NetworkSettings.Networks}}" $(docker ps -q | head -n 1)
    expect: ['"ingress":{"IPAMConfig":{"IPv4Address":"10.0.0.', '"nginx-net":{']
  - host1: curl -s http://192.168.77.12:8080
    expect: ["Welcome to nginx!"]
  - host1: docker inspect -f "{{.Spec.Name}} {{len .Endpoint.VirtualIPs}}" my-nginx
    expect: ["my-nginx 2"]
  - host1: docker service logs my-nginx
    expect: ["/my-nginx\\\\.\\\\d\\\\.[0-9a-z]{12}@host\\\\d +\\\\| .*GET \\\\/ HTTP/"]
  - host2: docker service ls
    exit: 1
    expect: ["This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state."]
  - host1: docker network create -d overlay nginx-net-2
  - host1: docker service update --network-add nginx-net-2 --network-rm nginx-net my-nginx
    expect: ["overall progress: 3 out of 3 tasks"]
  - host1: docker service ps my-nginx
    expect: ["/ \\\\\\\\_ my-nginx\\\\.1 .* Shutdown +Shutdown /"]
  - host1: docker network inspect nginx-net
    reject: ["my-nginx"]
  - host1: docker network inspect nginx-net-2
    expect: ['"Name": "my-nginx.']
  - host1: docker service scale my-nginx=1
    expect: ["my-nginx scaled to 1", "overall progress: 1 out of 1 tasks"]
  - host1: docker service rollback my-nginx
    expect: ["overall progress: rolling back update: 3 out of 3 tasks"]
  - host1: docker network rm nginx-net-2
    exit: 1
    expect: ["is in use by service"]
  - host1: docker service rm my-nginx
  - host1: docker network rm nginx-net nginx-net-2
  - wait: 20s
  - host1: docker ps -q | wc -l
    expect: ["/^0$/m"]
`,
      SWARM,
    );
    expect(transcript).not.toContain("undefined");
  });

  it("events of the swarm on its manager, and only there; whoever waits for more ends by a signal", async () => {
    await runSteps(
      `
  - host1: docker service create --name web --network n1 nginx:alpine
  - host1: docker service update --image nginx:latest web
  - host1: docker service scale web=2
  - host1: docker node update --availability drain host2
  - host1: docker service rm web
  - host1: docker events --since 1h --until 0s --filter scope=swarm
    expect:
      - "/^2026-01-01T00:\\\\d\\\\d:\\\\d\\\\d\\\\.\\\\d{9}Z node create [0-9a-z]{25} \\\\(name=\\\\)$/m"
      - "/ node update [0-9a-z]{25} \\\\(name=host2, state.new=ready, state.old=unknown\\\\)$/m"
      - "/ network create [0-9a-z]{25} \\\\(name=n1\\\\)$/m"
      - "/ service create [0-9a-z]{25} \\\\(name=web\\\\)$/m"
      - "/ service update .* \\\\(image.new=nginx:latest@sha256:[0-9a-f]{64}, image.old=nginx:alpine@sha256:[0-9a-f]{64}, name=web\\\\)$/m"
      - "/ service update .* \\\\(name=web, updatestate.new=completed, updatestate.old=updating\\\\)$/m"
      - "/ service update .* \\\\(name=web, replicas.new=2, replicas.old=1\\\\)$/m"
      - "/ node update .* \\\\(availability.new=drain, availability.old=active, name=host2\\\\)$/m"
      - "/ service remove .* \\\\(name=web\\\\)$/m"
    reject: [" container "]
  - host1: docker events --since 1h --until 0s --filter node=host2 --filter event=update --format '{{json .Actor.Attributes}}'
    expect: ['{"availability.new":"drain","availability.old":"active","name":"host2"}']
  - host2: docker events --since 1h --until 0s
    reject: [" node ", " service "]
  - host1: docker service create -d --name talker alpine sh -c 'while true; do echo on; sleep 1; done'
  - wait: 4s
  - host1: docker logs -t $(docker ps -q --filter ancestor=alpine) | head -n 1
    expect: ["/^2026-01-01T00:\\\\d\\\\d:\\\\d\\\\d\\\\.\\\\d{9}Z on$/m"]
  - host1: docker service logs -t --tail 1 talker
    expect: ["/^2026-01-01T00:\\\\d\\\\d:\\\\d\\\\d\\\\.\\\\d{9}Z talker.1.[0-9a-z]{12}@host1    . on$/m"]
  - host1: timeout 2 docker service logs -f talker
    exit: 143
  - host1: timeout 2 docker logs -f $(docker ps -q)
    exit: 143
  - host1: timeout 2 docker events
    exit: 143
  - host1: timeout 2 docker service create --constraint node.labels.a==b nginx
    exit: 143
  - host1: timeout 2 docker exec $(docker ps -q) sleep 1000
    exit: 143
`,
      SWARM,
    );
  });

  it("an image that isn't there, a command that fails, a container that gets ill", async () => {
    await runSteps(
      `
  - host1: docker service create -d --name bad nosuch
    expect: ["image nosuch:latest could not be accessed on a registry to record"]
  - host1: docker service create -d --name failing --restart-condition none alpine false
  - host1: docker service create --name well --health-cmd true --health-interval 2s --constraint node.role==manager alpine sleep 1000
  - host1: docker ps --filter name=well
    expect: ["/Up \\\\d+ seconds \\\\(healthy\\\\)/"]
  - host1: docker service create -d --name ill --health-cmd false --health-interval 1s --health-retries 2 alpine sleep 1000
  - wait: 25s
  - host1: docker service ps --no-trunc bad
    expect: ['Rejected', '"No such image: nosuch:latest"']
  - host1: docker service ps --no-trunc failing
    expect: ["/Shutdown +Failed .* \\"task: non-zero exit \\\\(1\\\\)\\"/"]
  - host1: docker service ps ill
    expect: ['"task: non-zero exit (137): do…"']
  - host1: docker service ps --no-trunc ill
    expect: ['"task: non-zero exit (137): dockerexec: unhealthy container"']
`,
      SWARM,
    );
  });

  it("global, with ports of the hosts", async () => {
    await runSteps(
      `
  - host1: docker service create --name hp --mode global --publish published=8088,target=80,mode=host nginx
    expect: ["overall progress: 2 out of 2 tasks"]
  - host1: docker service ls
    expect: ["/hp +global +2\\\\/2 +nginx:latest +\\\\n/"]
  - host1: docker service ps hp
    expect: ["*:8088->80/tcp,*:8088->80/tcp"]
  - host2: docker ps --format "{{.Ports}}"
    expect: ["0.0.0.0:8088->80/tcp, :::8088->80/tcp"]
  - host1: curl -s http://192.168.77.12:8088
    expect: ["Welcome to nginx!"]
  - host1: docker service scale hp=2
    exit: 1
    expect: ["hp: scale can only be used with replicated or replicated-job mode"]
  - host1: docker node update --availability drain host2
  - wait: 15s
  - host1: docker node ps host2
    expect: ["/hp\\\\.[0-9a-z]{25} .* Shutdown +Shutdown /"]
  - host2: docker ps -q | wc -l
    expect: ["/^0$/m"]
`,
      SWARM,
    );
  });
});

describe("stacks", () => {
  it("deploy, ls, services, ps, deploy again, rm", async () => {
    await runSteps(
      `
  - host1: |
      cat > stack.yml <<EOF
      version: "3.8"
      services:
        web:
          image: nginx
          ports: ["8080:80"]
          deploy: { replicas: 2 }
        client:
          image: alpine
          command: sleep 1000
          deploy: { placement: { constraints: [node.role==manager] } }
      EOF
  - host1: docker stack deploy -c stack.yml st
    expect: ["Creating network st_default\\nCreating service st_client\\nCreating service st_web\\n"]
  - wait: 5s
  - host1: docker stack ls
    expect: ["/^st +2 +Swarm$/m"]
  - host1: docker stack services st
    expect: ["/st_web +replicated +2\\\\/2 +nginx:latest +\\\\*:8080->80\\\\/tcp/"]
  - host1: docker stack ps st
    expect: ["/st_client\\\\.1 +alpine:latest +host1 +Running +Running/"]
  - host1: docker exec $(docker ps -q --filter name=st_client) wget -q -O - http://web
    expect: ["Welcome to nginx!"]
  - host1: docker stack deploy -c stack.yml st
    expect: ["/Updating service st_client \\\\(id: [0-9a-z]{25}\\\\)/"]
  - wait: 5s
  - host1: docker stack ps st
    reject: ["Shutdown"]
  - host1: docker stack rm st
    expect: ["Removing service st_client\\nRemoving service st_web\\nRemoving network st_default\\n"]
  - wait: 15s
  - host1: docker stack rm st
    expect: ["Nothing found in stack: st"]
`,
      SWARM,
    );
  });
});

describe("the swarm's own settings", () => {
  it("address pools, and an ingress network made to measure", async () => {
    await runSteps(`
  - host1: docker swarm init --default-addr-pool 10.20.0.0/16 --default-addr-pool-mask-length 26 --task-history-limit 2
  - host1: docker info
    expect: ["Default Address Pool: 10.20.0.0/16", "SubnetSize: 26", "Task History Retention Limit: 2"]
  - host1: docker network inspect -f "{{(index .IPAM.Config 0).Subnet}}" ingress
    expect: ["10.20.0.0/26"]
  - host1: docker network rm ingress
    stdin: "n\\n"
    expect: ["WARNING! Before removing the routing-mesh network", "Are you sure you want to continue? [y/N] "]
  - host1: docker network rm ingress
    stdin: "y\\n"
    expect: ["ingress"]
  - host1: docker service create --name w --publish 80:80 nginx
    exit: 1
    expect: ["service needs ingress network, but no ingress network is present"]
  - host1: |
      docker network create \\
        --driver overlay \\
        --ingress \\
        --subnet=10.11.0.0/16 \\
        --gateway=10.11.0.2 \\
        --opt com.docker.network.driver.mtu=1200 \\
        my-ingress
  - wait: 2s
  - host1: docker service create --name w --publish 80:80 nginx
    expect: ["verify: Service converged"]
  - host1: curl -s http://192.168.77.11
    expect: ["Welcome to nginx!"]
  - host1: docker network inspect my-ingress
    expect: ['"Subnet": "10.11.0.0/16"', '"Gateway": "10.11.0.2"', '"my-ingress-sbox"']
  - host1: docker swarm ca
    expect: ["-----BEGIN CERTIFICATE-----"]
  - host1: docker swarm update --autolock=true
    exit: 1
    expect: ["autolock is not emulated"]
  - host1: docker swarm leave
    exit: 1
    expect: ["Removing the last manager erases all current state of the swarm."]
  - host1: docker swarm leave --force
  - host1: docker ps -aq | wc -l
    expect: ["/^0$/m"]
`);
  });
});
