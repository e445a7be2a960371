/** The mesh by Docker's commands: docker_gwbridge and ingress made to measure, changed ports, a daemon's restart, host mode, dnsrr. */
import { describe, expect, it } from "vitest";
import { kernelBuilt } from "../support/kernel.ts";
import { labOf, runLab } from "../support/lab.ts";

const CODE = 'curl -s -o /dev/null -w "%{http_code}"';
const INGRESS = "nsenter --net=/run/docker/netns/ingress_sbox";
const HOSTS = "hosts: { manager: {}, worker: {} }\nsteps:";
const JOIN = `
  - manager: docker swarm init
  - manager: docker swarm join-token -q worker
    as: token
  - worker: docker swarm join --token $token 192.168.77.11:2377`;

async function failuresOf(steps: string): Promise<readonly string[]> {
  return (await runLab(labOf(`${HOSTS}${steps}\n`))).failures;
}

describe.skipIf(!kernelBuilt)("networks made to measure (needs build/kernel.wasm)", () => {
  it("docker_gwbridge made again while Docker was stopped, and an ingress network of one's own", async () => {
    const steps = `
  - manager: docker swarm init
  - manager: docker swarm leave --force
  - manager: systemctl stop docker
  - manager: ip link set docker_gwbridge down
  - manager: ip link del dev docker_gwbridge
  - manager: systemctl start docker
  - manager: ip -br addr show docker0
    expect: ["172.17.0.1/16"]
  - manager: docker network rm docker_gwbridge
  - manager: docker network create --subnet 10.11.0.0/16 --opt com.docker.network.bridge.name=docker_gwbridge --opt com.docker.network.bridge.enable_icc=false --opt com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge${JOIN}
  - manager: docker network rm ingress
    stdin: "y\\n"
  - wait: 5s
  - manager: docker network create --driver overlay --ingress --subnet=10.21.0.0/16 --gateway=10.21.0.2 --opt com.docker.network.driver.mtu=1200 my-ingress
  - manager: docker service create --detach --name web --publish published=8080,target=80 --replicas 3 nginx
  - wait: 20s
  - manager: ${INGRESS} ip addr
    expect: ["mtu 1150", "/inet 10\\\\.21\\\\.0\\\\.\\\\d+/16/", "inet 10.11.0.2/16"]
  - manager: iptables-save -t nat
    expect: ["-A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.11.0.2:8080"]
  - manager: ${CODE} http://192.168.77.12:8080/
    expect: ["200"]
  - worker: ${CODE} http://192.168.77.11:8080/
    expect: ["200"]
  - manager: systemctl restart docker
  - wait: 30s
  - manager: ${CODE} http://127.0.0.1:8080/
    expect: ["200"]
  - manager: docker swarm leave --force
  - manager: ss -tln
    expect: ["/^State(?![^]*8080)/"]`;
    expect(await failuresOf(steps)).toEqual([]);
  }, 60_000);
});

describe.skipIf(!kernelBuilt)("services on a node (needs build/kernel.wasm)", () => {
  it("follow scaling, new ports and removal; host mode and dnsrr stay out of the mesh", async () => {
    const steps = `${JOIN}
  - manager: docker network create -d overlay net
  - manager: docker service create --detach --name web --publish 8080:80 --replicas 4 --network net nginx
  - manager: docker service create --detach --name rr --endpoint-mode dnsrr --replicas 2 --network net alpine sleep 1d
  - manager: docker service create --detach --name agent --mode global --publish mode=host,target=80,published=8088 nginx
  - wait: 20s
  - manager: ${INGRESS} ipvsadm -Ln
    expect: ["/FWM {2}256 rr([^]*?-> 10\\\\.0\\\\.0\\\\.){4}/"]
  - manager: docker service ps agent
    expect: ["*:8088->80/tcp,*:8088->80/tcp"]
  - worker: ${CODE} http://192.168.77.11:8088/
    expect: ["200"]
  - worker: docker exec $(docker ps -q --filter name=rr) nslookup rr
    expect: ["/(Address: 10\\\\.0\\\\.1\\\\.\\\\d+[^]*){2}/"]
  - worker: docker exec $(docker ps -q --filter name=rr) wget -q -O - http://web/
    expect: ["Welcome to nginx!"]
  - manager: docker service scale --detach web=2
  - wait: 30s
  - manager: docker service update --detach --publish-add published=8090,target=80 web
  - wait: 40s
  - manager: ${CODE} http://127.0.0.1:8090/
    expect: ["200"]
  - worker: ${CODE} http://127.0.0.1:8080/
    expect: ["200"]
  - manager: docker service rm web rr agent
  - wait: 30s
  - manager: ${INGRESS} ipvsadm -Ln
    expect: ["/^(?![^]*FWM)/"]
  - manager: iptables-save -t nat
    expect: ["/-A DOCKER-INGRESS -j RETURN\\\\nCOMMIT/"]
  - worker: docker network ls
    expect: ["/^(?![^]* net )/"]`;
    const run = await runLab(labOf(`${HOSTS}${steps}\n`));
    expect(run.failures).toEqual([]);
    for (const { live } of run.result.counters.hosts) expect(live).toBe(0);
  }, 60_000);
});
