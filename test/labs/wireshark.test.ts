/** What Wireshark shows of a ping between containers of two hosts: ICMP in Ethernet in VXLAN in UDP. */
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";
import { field, fields, openTrace } from "../support/wireshark.ts";

const LAB = `
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --driver=overlay --attachable test-net
  - host1: docker run -dit --name alpine1 --network test-net alpine
  - host2: docker run -dit --name alpine2 --network test-net alpine
  - wait: 5s
  - host1: docker exec alpine1 ping -c 2 alpine2
    expect: ["2 packets transmitted, 2 packets received, 0% packet loss"]
`;

/** The dissection's layers from the outside in. */
const LAYERS = [
  /^Frame \d+/,
  /^Ethernet II/,
  /^Internet Protocol Version 4, .*192\.168\.77\.11.*192\.168\.77\.12/,
  /^User Datagram Protocol, Src Port: \d+, Dst Port: 4789/,
  /^Virtual eXtensible Local Area Network/,
  /^Ethernet II, .*02:42:0a:00:01:02.*02:42:0a:00:01:04/,
  /^Internet Protocol Version 4, .*10\.0\.1\.2.*10\.0\.1\.4/,
  /^Internet Control Message Protocol/,
];

describe("a ping in Wireshark", () => {
  it("is ICMP in Ethernet in VXLAN (VNI 4097) in UDP 4789", async () => {
    const run = await runLab(labOf(LAB), { capture: ["host1/host/eth0"] });
    expect(run.failures).toEqual([]);
    const trace = await openTrace(run.trace);
    try {
      const echoes = trace.filter("vxlan.vni == 4097 && udp.dstport == 4789 && icmp.type in {0, 8}");
      expect(echoes).toHaveLength(4);
      const request = trace.frame(echoes[0] ?? 0);
      expect(request.children).toHaveLength(LAYERS.length);
      for (const [at, layer] of LAYERS.entries()) expect(request.children[at]?.label).toMatch(layer);
      expect(fields(request, "ip.ttl")).toEqual(["64", "64"]);
      expect(field(request, "vxlan.flags")).toBe("0x0800");
      expect(field(request, "icmp.type")).toBe("8");
      // Names of hosts and containers come from the file.
      expect(trace.columns(echoes[0] ?? 0)[2]).toBe("alpine1");
      expect(trace.columns(echoes[0] ?? 0)[3]).toBe("alpine2");
      expect(trace.columns(echoes[0] ?? 0)[4]).toBe("ICMP");
      // Each request has its answer: Wireshark pairs them.
      expect(trace.filter("icmp.resp_in")).toEqual([echoes[0], echoes[2]]);
      expect(trace.filter("icmp.resp_to")).toEqual([echoes[1], echoes[3]]);
      // And no ARP of the containers' goes through the tunnel.
      expect(trace.filter("vxlan && arp")).toEqual([]);
    } finally {
      trace.close();
    }
  });
});
