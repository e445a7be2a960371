/** Published ports by Docker's commands: what users see of them. */
import { describe, expect, it } from "vitest";
import { kernelBuilt } from "../support/kernel.ts";
import { labOf, runLab } from "../support/lab.ts";

const LAB = `
name: ports
seed: 1
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker run -d --name web -p 8080:80 busybox httpd -f -p 80 -h /etc
  - host2: curl -s http://192.168.77.11:8080/hostname
    expect: ["/^[0-9a-f]{12}$/m"]
  - host1: curl -s http://127.0.0.1:8080/hostname
    expect: ["/^[0-9a-f]{12}$/m"]
  - host1: docker run --rm busybox wget -q -O - http://192.168.77.11:8080/hostname
    expect: ["/^[0-9a-f]{12}$/m"]
  - host1: docker exec web wget -q -O - http://192.168.77.11:8080/hostname
    expect: ["/^[0-9a-f]{12}$/m"]
  - host1: docker ps
    expect: ["0.0.0.0:8080->80/tcp"]
  - host1: ss -tlnp
    expect: ["docker-proxy"]
  - host1: docker run -d --name web2 -p 8080:80 busybox httpd -f -p 80
    exit: 125
    expect: ['/driver failed programming external connectivity on endpoint web2 \\([0-9a-f]{64}\\): Bind for 0\\.0\\.0\\.0:8080 failed: port is already allocated\\./']
  - host1: docker rm -f web web2
  - host2: curl -s http://192.168.77.11:8080/
    exit: 7
  - host1: docker network create --subnet 10.11.0.0/16 --opt com.docker.network.bridge.name=docker_gwbridge --opt com.docker.network.bridge.enable_icc=false --opt com.docker.network.bridge.enable_ip_masquerade=true docker_gwbridge
  - host1: docker swarm init
  - wait: 2s
  - host1: docker network inspect docker_gwbridge
    expect: ['"Subnet": "10.11.0.0/16"', '"Name": "gateway_ingress-sbox"', '"IPv4Address": "10.11.0.2/16"']
`;

describe.skipIf(!kernelBuilt)("published ports and docker_gwbridge by command (needs build/kernel.wasm)", () => {
  it("work and are refused as Docker does", async () => {
    expect((await runLab(labOf(LAB))).failures).toEqual([]);
  }, 60_000);
});
