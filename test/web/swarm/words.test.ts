import { describe, expect, it } from "vitest";
import { describeFlight, withoutDigest } from "../../../web/page/swarm/describe.ts";
import { SwarmModel } from "../../../web/page/swarm/model.ts";
import { packetWords } from "../../../web/page/swarm/packet-words.ts";

describe("words of the drawing", () => {
  it("say a packet's protocol once, and what is innermost", () => {
    const summary = "VXLAN 4097 192.168.77.11 → 192.168.77.12 | ICMP echo request, id 1";
    expect(packetWords({ protocol: "ICMP", summary }, "net")).toBe("net: ICMP echo request, id 1");
    expect(packetWords({ protocol: "gossip", summary: "7946 → 7946 UDP, length 47" })).toBe(
      "gossip 7946 → 7946 UDP, length 47",
    );
  });

  it("say where a packet on a wire is from and to", () => {
    const wires = [
      { point: "host/eth0", device: "eth0", segment: "underlay", address: "", latency: 50_000, bandwidth: 1e10 },
    ];
    const hosts = ["a", "b"].map((name) => ({ name, leaf: 0, wires }));
    const model = new SwarmModel({ hosts, fabric: undefined });
    const flight = {
      packet: 6,
      from: { host: 0, wire: 0 },
      to: [{ host: 1, wire: 0, spine: 2 }],
      start: 1000,
      end: 51_000,
    };
    const rest = { arrived: false, length: 98, protocol: "ICMP", summary: "ICMP echo request", vni: undefined };
    expect(describeFlight(model, { ...flight, ...rest })).toEqual({
      title: "Packet 7",
      lines: ["ICMP echo request", "a → b", "over spine3", "98 bytes, 50 µs on the wire at least"],
    });
  });

  it("have images without digests", () => {
    expect(withoutDigest("nginx:latest@sha256:0123")).toBe("nginx:latest");
    expect(withoutDigest("alpine")).toBe("alpine");
  });
});
