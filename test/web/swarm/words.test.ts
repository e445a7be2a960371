import { describe, expect, it } from "vitest";
import { withoutDigest } from "../../../web/page/swarm/describe.ts";
import { packetWords } from "../../../web/page/swarm/packet-words.ts";

describe("words of the drawing", () => {
  it("say a packet's protocol once, and what is innermost", () => {
    const summary = "VXLAN 4097 192.168.77.11 → 192.168.77.12 | ICMP echo request, id 1";
    expect(packetWords({ protocol: "ICMP", summary }, "net")).toBe("net: ICMP echo request, id 1");
    expect(packetWords({ protocol: "gossip", summary: "7946 → 7946 UDP, length 47" })).toBe(
      "gossip 7946 → 7946 UDP, length 47",
    );
  });

  it("have images without digests", () => {
    expect(withoutDigest("nginx:latest@sha256:0123")).toBe("nginx:latest");
    expect(withoutDigest("alpine")).toBe("alpine");
  });
});
