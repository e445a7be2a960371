/**
 * The encrypted lab's trace: Wireshark decrypts every ESP frame with the table of keys written beside it, and trace and table are the same
 * for any number of workers.
 */
import { describe, expect, it } from "vitest";
import { galleryLab, type LabRun, labOf, runLab } from "../support/lab.ts";
import { fields, openTrace } from "../support/wireshark.ts";

describe("an encrypted network's trace", () => {
  it("is decrypted whole, with right integrity check values, and nothing malformed inside", async () => {
    const run = await runLab(galleryLab("encrypted"), { capture: ["*/host/eth0"] });
    expect(run.failures).toEqual([]);
    // Three inbound and one outbound association on each side, of which two are the same.
    expect(run.espSa.trimEnd().split("\n")).toHaveLength(6);
    const trace = await openTrace(run.trace, { espSa: run.espSa });
    try {
      const esp = trace.filter("esp");
      expect(esp.length).toBeGreaterThan(100);
      expect(trace.filter("esp && vxlan")).toEqual(esp);
      expect(trace.filter("esp.icv_good == 1")).toEqual(esp);
      expect(trace.filter("esp.icv_bad == 1")).toEqual([]);
      expect(trace.malformed()).toEqual([]);
      expect(trace.badChecksums()).toEqual([]);
      // Nothing of the network goes in clear.
      expect(trace.filter("vxlan.vni == 4097 && !esp")).toEqual([]);
      const [ping] = trace.filter("esp && icmp.type == 8 && frame.len == 174");
      expect(fields(trace.frame(ping ?? 0), "ip.proto")).toEqual(["50", "1"]);
      // Full packets are 1500 bytes outside; no outer packet is a fragment.
      expect(trace.filter("esp && ip.len == 1500").length).toBeGreaterThan(100);
      expect(trace.filter("ip.len > 1500")).toEqual([]);
      expect(trace.filter("ip.proto == 50 && (ip.flags.mf == 1 || ip.frag_offset > 0) && !vxlan")).toEqual([]);
    } finally {
      trace.close();
    }
    const closed = await openTrace(run.trace);
    try {
      expect(closed.filter("icmp")).toEqual([]);
    } finally {
      closed.close();
    }
  });

  it("is the same with 1, 2 and 4 workers, keys included", async () => {
    const plan = galleryLab("encrypted");
    const results: LabRun[] = [];
    for (const workers of [1, 2, 4]) results.push(await runLab(plan, { workers }));
    const [first, ...others] = results;
    for (const other of others) {
      expect(other.transcript).toBe(first?.transcript);
      expect(other.espSa).toBe(first?.espSa);
      expect(Buffer.compare(other.trace, first?.trace ?? new Uint8Array(0))).toBe(0);
    }
    const another = await runLab(plan, { seed: "another" });
    expect(another.failures).toEqual([]);
    expect(another.espSa).not.toBe(first?.espSa);
  });

  it("has no table of keys where nothing is encrypted", async () => {
    const run = await runLab(labOf("hosts: { host1: {} }\nsteps:\n  - host1: docker swarm init\n"));
    expect(run.espSa).toBe("");
  });

  it("with a data path of another port goes in clear, and is dropped: the policy's port is always 4789", async () => {
    const { failures } = await runLab(
      labOf(`
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init --data-path-port 7789
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --opt encrypted --driver overlay --attachable enc-net
  - host1: docker run -dit --name c1 --network enc-net alpine
  - host1: docker run -dit --name local --network enc-net alpine
  - host2: docker run -dit --name c2 --network enc-net alpine
  - host1: docker exec c1 ping -c 2 local
    expect: ["2 packets transmitted, 2 packets received, 0% packet loss"]
  - host1: docker exec c1 ping -c 2 c2
    exit: 1
    expect: ["2 packets transmitted, 0 packets received, 100% packet loss"]
  - host1: iptables-save -c -t mangle
    expect: ["[2:268] -A OUTPUT -p udp -m udp --dport 7789 -m u32"]
  - host2: iptables-save -c -t filter
    expect: ["[2:268] -A INPUT -p udp -m policy --dir in --pol none -m udp --dport 7789 -m u32"]
  - host2: cat /proc/net/xfrm_stat
    reject: ['/\\t[1-9]/']
`),
    );
    expect(failures).toEqual([]);
  });
});
