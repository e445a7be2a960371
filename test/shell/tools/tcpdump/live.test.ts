/** tcpdump on the real kernel: live, beside a trace of the same device, to a file and back. */
import { describe, expect, it } from "vitest";
import { kernelBuilt } from "../../../support/kernel.ts";
import { labOf, runLab } from "../../../support/lab.ts";

const LAB = String.raw`
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --driver=overlay --attachable test-net
  - host1: docker run -dit --name alpine1 --network test-net alpine
  - host2: docker run -dit --name alpine2 --network test-net alpine
  - host1: (sleep 1; docker exec alpine1 ping -c 2 alpine2 > /dev/null) & tcpdump -ni eth0 -c 4 udp port 4789
    expect:
      - "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\nlistening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n"
      - "/^\\d\\d:\\d\\d:\\d\\d\\.\\d{6} IP 192\\.168\\.77\\.11\\.\\d+ > 192\\.168\\.77\\.12\\.4789: VXLAN, flags \\[I\\] \\(0x08\\), vni 4097\\nIP 10\\.0\\.1\\.2 > 10\\.0\\.1\\.4: ICMP echo request, id \\d+, seq 0, length 64$/m"
      - "IP 10.0.1.4 > 10.0.1.2: ICMP echo reply, id"
      - "4 packets captured\n4 packets received by filter\n0 packets dropped by kernel\n"
  - host2: docker exec -d alpine2 tcpdump -ni eth0 -w /tmp/c.pcap
  - host1: docker exec alpine1 ping -c 1 alpine2
  - host1: docker exec alpine1 nc -w 1 alpine2 81
    exit: 1
  - host2: docker exec alpine2 sh -c 'kill -INT $(pidof tcpdump); sleep 1; tcpdump -tnr /tmp/c.pcap "tcp or icmp"'
    expect:
      - "/^IP 10\\.0\\.1\\.2 > 10\\.0\\.1\\.4: ICMP echo request, id \\d+, seq 0, length 64\\nIP 10\\.0\\.1\\.4 > 10\\.0\\.1\\.2: ICMP echo reply/m"
      - "/^IP 10\\.0\\.1\\.2\\.\\d+ > 10\\.0\\.1\\.4\\.81: Flags \\[S\\], seq \\d+, win 64860, options \\[mss 1410,sackOK,TS val \\d+ ecr 0,nop,wscale 7\\], length 0$/m"
      - "/^IP 10\\.0\\.1\\.4\\.81 > 10\\.0\\.1\\.2\\.\\d+: Flags \\[R\\.\\], seq 0, ack \\d+, win 0, length 0$/m"
  - host1: (sleep 1; docker exec alpine1 ping -c 1 alpine2 > /dev/null) & timeout -s INT 4 tcpdump -i any -nt udp port 4789
    exit: 130
    expect:
      - "tcpdump: data link type LINUX_SLL2\n"
      - "/^eth0  Out IP 192\\.168\\.77\\.11\\.\\d+ > 192\\.168\\.77\\.12\\.4789: VXLAN.*\\nIP 10\\.0\\.1\\.2 > 10\\.0\\.1\\.4: ICMP echo request/m"
      - "/^eth0  In  IP 192\\.168\\.77\\.12\\.\\d+ > /m"
  - host1: tcpdump -i lo -c 1 & sleep 1; kill $!; wait $!
    exit: 0
    expect: ["listening on lo, link-type EN10MB (Ethernet)", "\n0 packets captured\n0 packets received by filter\n"]
  - host1: tcpdump -i nosuch
    exit: 1
    expect: ["tcpdump: nosuch: No such device exists\n(No such device exists)\n"]
  - host1: tcpdump -n 'foo bar baz'
    exit: 1
    expect: ["tcpdump: can't parse filter expression: syntax error\n"]
`;

describe.skipIf(!kernelBuilt)("tcpdump over the real kernel (needs build/kernel.wasm)", () => {
  it("prints what passes, and a trace of the same wire is what it is without", { timeout: 60_000 }, async () => {
    const plan = labOf(LAB);
    const run = await runLab(plan, { capture: ["*"] });
    expect(run.failures).toEqual([]);
    const again = await runLab(plan, { capture: ["*"] });
    expect(again.transcript).toBe(run.transcript);
    const without = labOf(LAB.replaceAll(/tcpdump -ni eth0 -c 4 udp port 4789/g, "sleep 1"));
    expect((await runLab(without, { capture: ["*"] })).trace.length).toBeGreaterThan(0);
  });
});
