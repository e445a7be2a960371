/** Hosts with several network cards: where they are, what faults of one network do, and what can't be. */
import { describe, expect, it } from "vitest";
import { parseLab } from "../../src/lab/parse.ts";
import { labOf, runLab } from "../support/lab.ts";

const NETWORKS = `
hosts: { host1: {}, host2: {}, host3: { networks: [] } }
networks: { data: { subnet: 10.55.0.0/24, mtu: 9000 }, backup: { subnet: 10.56.0.0/24 } }
`;

describe("further networks", () => {
  it("give each host a card with its number, or those that it wants", () => {
    const { hosts } = parseLab("a.yaml", NETWORKS);
    expect(
      hosts.map(({ cards }) => cards.map(({ device, network, address }) => [device, network, address.ip & 255])),
    ).toEqual([
      [
        ["eth1", "data", 11],
        ["eth2", "backup", 11],
      ],
      [
        ["eth1", "data", 12],
        ["eth2", "backup", 12],
      ],
      [],
    ]);
    expect(hosts[0]?.cards[0]?.mtu).toBe(9000);
  });

  it("are wires of their own: cut and mended one by one", async () => {
    const { failures } = await runLab(
      labOf(`${NETWORKS}
steps:
  - host1: ip -br addr show
    expect: ["/eth1 +UP +10\\\\.55\\\\.0\\\\.11\\\\/24/", "/eth2 +UP +10\\\\.56\\\\.0\\\\.11\\\\/24/"]
  - host3: ip -br addr show
    reject: ["eth1"]
  - host1: ping -c 1 10.55.0.12
  - fault: { host: host1, network: data, link: down }
  - host1: ping -c 1 -W 1 10.55.0.12
    exit: 1
  - host1: ping -c 1 -W 1 10.56.0.12
  - host1: ping -c 1 -W 1 192.168.77.12
  - fault: { heal: true }
  - host1: ping -c 1 -W 1 10.55.0.12
`),
    );
    expect(failures).toEqual([]);
  });

  it.each([
    ["hosts: { a: { networks: [x] } }", "no network of that name"],
    ["hosts: { a: {} }\nnetworks: { d: { subnet: 10.1.0.0/30 } }", "expected a prefix of /29 at most"],
    ["hosts: { a: {} }\nnetworks: { d: { subnet: 10.1.0.0/29 } }", "has no room for host number 11"],
    ["hosts: { a: {}, b: {} }\nnetworks: { d: { subnet: 192.168.77.0/24 } }", "overlaps another network"],
    ["hosts: { a: { nat: true } }\nnetworks: { d: { subnet: 10.1.0.0/24 } }", "behind NAT"],
    ["hosts: { a: {} }\nsteps:\n  - fault: { host: a, network: d, link: down }", "no network is called d"],
  ])("%j is refused", (text, message) => {
    expect(() => parseLab("a.yaml", text)).toThrow(message);
  });
});
