/** The tools over the real kernel: two hosts and a container on each, run as a lab. */
import { beforeAll, describe, expect, it } from "vitest";
import { kernelBuilt } from "../../support/kernel.ts";
import { type LabRun, labOf, runLab } from "../../support/lab.ts";

const LAB = String.raw`
name: tools
hosts:
  host1: {}
  host2: {}
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --driver=overlay --attachable test-net
  - host1: docker run -dit --name alpine1 --network test-net alpine
  - host2: docker run -dit --name alpine2 --network test-net alpine
  - host1: ping -c 2 192.168.77.12
    expect: ["64 bytes from 192.168.77.12: icmp_seq=1 ttl=64", "2 packets transmitted, 2 received, 0% packet loss, time 1000ms"]
  - host1: ping -c 2 192.168.77.99
    exit: 1
    expect: ["From 192.168.77.11 icmp_seq=1 Destination Host Unreachable", "+2 errors, 100% packet loss", "pipe 2"]
  - host1: ping -c 1 8.8.8.8
    exit: 2
    expect: ["ping: connect: Network is unreachable"]
  - host2: docker exec -d alpine2 httpd -f -p 80 -h /etc
  - host2: docker exec -d alpine2 sh -c "nc -l -p 9000 > /tmp/got"
  - host1: docker exec alpine1 wget -q -O - http://alpine2/hosts
    expect: ["127.0.0.1\tlocalhost"]
  - host1: docker exec alpine1 wget -q -O - http://alpine2/nothing
    exit: 1
    expect: ["wget: server returned error: HTTP/1.1 404 Not Found"]
  - host1: docker exec alpine1 sh -c "echo hello | nc -w 1 alpine2 9000"
  - host2: docker exec alpine2 cat /tmp/got
    expect: ["hello"]
  - host2: docker exec -d alpine2 nc -lk -p 9001 -e sh
  - host1: docker exec alpine1 sh -c "echo 'echo \$((6*7)) \$(hostname -i | cut -d. -f1-3); exit' | nc alpine2 9001"
    expect: ["42 10.0.1\n"]
  - host1: docker exec alpine1 sh -c "echo exit | nc alpine2 9001; nc -e"
    exit: 1
    expect: ["nc: option requires an argument -- 'e'", "Usage: nc [OPTIONS] HOST PORT"]
  - host1: docker exec alpine1 hostname other
    exit: 1
    expect: ["hostname: sethostname: Operation not permitted"]
  - host1: hostname other; hostname; hostname host1; hostname
    expect: ["other\nhost1\n"]
  - host1: docker exec alpine1 wget
    exit: 1
    expect: ["Usage: wget [-cqS]"]
  - host1: ip -d link show docker0 | grep -o 'vlan_default_pvid .'
    expect: ["vlan_default_pvid 1"]
  - host1: nsenter --net=/run/docker/netns/$(ls /run/docker/netns | grep ^1- | head -1) ip -d link show br0 | grep -o 'vlan_default_pvid .'
    expect: ["vlan_default_pvid 0"]
  - host1: docker exec alpine1 nc -w 2 alpine2 4444
    exit: 1
    expect: ["nc: can't connect to remote host (10.0.1.4): Connection refused"]
  - host1: docker exec alpine1 traceroute -n -m 3 -q 1 -w 2 10.0.1.4
    expect: ["traceroute to 10.0.1.4 (10.0.1.4), 3 hops max, 46 byte packets", "/^ 1  10\\.0\\.1\\.4  \\d+\\.\\d{3} ms$/m"]
  - host1: docker exec alpine1 ip neigh
    expect: ["10.0.1.4 dev eth0 lladdr 02:42:0a:00:01:04"]
  - host1: iptables -A INPUT -p icmp -j DROP
  - host2: ping -c 1 -W 1 192.168.77.11
    exit: 1
    expect: ["1 packets transmitted, 0 received, 100% packet loss"]
  - host1: iptables-save -c
    expect: ["[1:84] -A INPUT -p icmp -j DROP"]
  - host1: iptables -D INPUT -p icmp -j DROP
  - host2: ping -c 1 192.168.77.11
  - host1: conntrack -L -p icmp
    expect: ["/^icmp +1 \\d+ src=192\\.168\\.77\\.12 dst=192\\.168\\.77\\.11 type=8 code=0 id=\\d+ src=192\\.168\\.77\\.11 dst=192\\.168\\.77\\.12 type=0 code=0/m"]
  - host1: conntrack -D -p icmp -s 192.168.77.12
    expect: ["/^icmp +1 \\d+ src=192\\.168\\.77\\.12 /m", "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted."]
  - host1: conntrack -D -p icmp -s 192.168.77.12
    exit: 1
    expect: ["conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted."]
  - host1: iptables -A INPUT -p icmp
  - host2: ping -c 1 192.168.77.11
  - host1: iptables -Z INPUT
  - host1: iptables-save -c
    expect: ["[0:0] -A INPUT -p icmp"]
  - host1: iptables -Z NOPE
    exit: 1
    expect: ["iptables: No chain/target/match by that name."]
  - host1: ss -lnt
    expect: ["/^LISTEN +0 +\\d+ +0\\.0\\.0\\.0:2377 +0\\.0\\.0\\.0:\\*/m"]
  - host1: sysctl net.ipv4.ip_forward
    expect: ["net.ipv4.ip_forward = 1"]
`;

describe.skipIf(!kernelBuilt)("tools over the real kernel (needs build/kernel.wasm)", () => {
  let run: LabRun;

  beforeAll(async () => {
    run = await runLab(labOf(LAB));
  }, 60_000);

  it("do and print what they do on Linux", () => {
    expect(run.failures).toEqual([]);
    expect(run.transcript).toContain("host1$ sysctl net.ipv4.ip_forward");
  });
});
