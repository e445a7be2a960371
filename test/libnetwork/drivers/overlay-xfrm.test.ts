import { describe, expect, it } from "vitest";
import { formatIpv4, macFromIp, parseCidr } from "../../../src/base/addr.ts";
import type { XfrmEvent } from "../../../src/kernel/xfrm-types.ts";
import { NetworkController } from "../../../src/libnetwork/controller.ts";
import { spiOf } from "../../../src/libnetwork/drivers/overlay-spi.ts";
import { XfrmEncryption } from "../../../src/libnetwork/drivers/overlay-xfrm.ts";
import { type EncryptionKey, SUBSYS_GOSSIP, SUBSYS_IPSEC } from "../../../src/libnetwork/keys.ts";
import { OPTION_ENCRYPTED, OPTION_VXLAN_IDS, PEER_TABLE } from "../../../src/libnetwork/labels.ts";
import type { NetworkSpec } from "../../../src/libnetwork/network.ts";
import { encodePeerRecord } from "../../../src/libnetwork/records.ts";
import { saveRule } from "../../../src/shell/lib/iptables-text.ts";
import { type FakeNode, FakeSwarm, ip, testNetSpec } from "../../support/fake-swarm.ts";

const NET = "k6jjce19a4utx9gp5at5qi97l";
const ME = ip("192.168.77.11");
const PEER = ip("192.168.77.12");
const OTHER = ip("192.168.77.13");
const KEY_NAMES: Readonly<Record<number, string>> = { 4: "04040", 5: "05050" };

function ring(gossip: readonly number[], ipsec: readonly number[]): EncryptionKey[] {
  const key = (subsystem: string) => (tag: number) => ({
    subsystem,
    key: new Uint8Array(16).fill(tag),
    lamportTime: tag,
  });
  return [...gossip.map(key(SUBSYS_GOSSIP)), ...ipsec.map(key(SUBSYS_IPSEC))];
}
/** The manager's sets: at first, and after one, two … rotations. */
const SETS = [
  ring([1, 2, 3], [4, 5, 6]),
  ring([2, 3, 7], [5, 6, 8]),
  ring([3, 7, 9], [6, 8, 10]),
  ring([7, 9, 12], [8, 10, 11]),
  ring([9, 12, 13], [10, 11, 14]),
];

class Lab {
  readonly swarm = new FakeSwarm();

  /** A node of a swarm with libnetwork's encryption. */
  node(options: { keys?: readonly EncryptionKey[]; port?: number } = {}): FakeNode {
    const base = this.swarm.addNode();
    const log = (level: FakeNode["log"][0]["level"], message: string): void => void base.log.push({ level, message });
    const controller = new NetworkController({
      os: base.os,
      log,
      networkDb: this.swarm.cluster.create,
      encryption: new XfrmEncryption(base.kernel.root, log),
    });
    const node = { ...base, controller };
    controller.setKeys(options.keys ?? (SETS[0] as EncryptionKey[]));
    const advertiseAddress = ME + base.kernel.index;
    this.swarm.run(
      node,
      controller.agentStart({
        advertiseAddress,
        remoteAddresses: [],
        ...(options.port === undefined ? {} : { dataPathPort: options.port }),
      }),
    );
    return node;
  }

  network(node: FakeNode, vni = 4098, more: Partial<NetworkSpec> = {}): void {
    const options = { [OPTION_VXLAN_IDS]: String(vni), [OPTION_ENCRYPTED]: "" };
    this.swarm.newNetwork(node, testNetSpec("10.0.1.3", { options, ...more }));
  }
}

function peer(node: FakeNode, type: "create" | "delete", key: string, address: string, vtep: number): void {
  const endpointIp = parseCidr(address) as NonNullable<ReturnType<typeof parseCidr>>;
  const value = encodePeerRecord({ endpointIp, endpointMac: macFromIp(endpointIp.ip), tunnelEndpointIp: vtep });
  node.controller.overlay.eventNotify({ type, table: PEER_TABLE, networkId: NET, key, value, owner: "x" });
}

/** `+rSA 4` and the like: which key's association, by its SPI. */
function describeEvents(events: readonly XfrmEvent[], me = ME): string[] {
  return events.map((event) => {
    const [what, src, dst, spi] =
      "state" in event
        ? [event.kind === "delsa" ? "-" : "+", event.state.src, event.state.dst, event.state.spi]
        : [
            { newpolicy: "+SP", updpolicy: "=SP", delpolicy: "-SP" }[event.kind],
            event.policy.templates[0]?.src ?? 0,
            event.policy.templates[0]?.dst ?? 0,
            event.policy.templates[0]?.spi ?? 0,
          ];
    const tag = Array.from({ length: 20 }, (_, i) => i).find((candidate) => spiOf(src, dst, candidate) === spi);
    const other = src === me ? dst : src;
    const kind = "state" in event ? (src === me ? "fSA" : "rSA") : "";
    return `${what}${kind} ${tag} ${formatIpv4(other)}`;
  });
}

const events = (node: FakeNode): XfrmEvent[] => node.kernel.root.xfrm.events.splice(0);
const debug = (node: FakeNode): string[] =>
  node.log.splice(0).flatMap(({ level, message }) => (level === "error" ? [`error ${message}`] : [message]));

/** One node with a peer that it knows, and its events and log so far taken away. */
function steady(): { lab: Lab; node: FakeNode } {
  const lab = new Lab();
  const node = lab.node();
  lab.network(node);
  peer(node, "create", "a", "10.0.1.9/24", PEER);
  events(node);
  debug(node);
  return { lab, node };
}

describe("associations", () => {
  it("come with the first remote endpoint: an inbound one per key, one outbound with its policy", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.network(node);
    expect(events(node)).toEqual([]);
    debug(node);
    peer(node, "create", "a", "10.0.1.9/24", PEER);
    expect(describeEvents(events(node))).toEqual([
      "+rSA 5 192.168.77.12",
      "+fSA 5 192.168.77.12",
      "+SP 5 192.168.77.12",
      "+rSA 4 192.168.77.12",
      "+rSA 6 192.168.77.12",
    ]);
    peer(node, "create", "b", "10.0.1.10/24", PEER);
    expect(events(node)).toEqual([]);
    const { xfrm } = node.kernel.root;
    expect(xfrm.stateList()).toHaveLength(4);
    expect(xfrm.policyList()).toMatchObject([
      {
        selector: { src: { ip: ME, prefix: 32 }, dst: { ip: PEER, prefix: 32 }, protocol: 17, sport: 0, dport: 4789 },
        dir: "out",
        mark: { value: 0xd0c4e3, mask: 0xffffffff },
        priority: 0,
        action: "allow",
        templates: [{ src: ME, dst: PEER, spi: spiOf(ME, PEER, 5), reqid: 0xd0c4e3 }],
      },
    ]);
    const [inbound] = xfrm.stateList();
    expect(inbound).toMatchObject({ src: PEER, dst: ME, reqid: 0xd0c4e3, replayWindow: 0, aead: { icvBits: 64 } });
    expect(inbound?.mark).toBeUndefined();
  });

  it("come with the first local endpoint for peers that were known before", () => {
    const lab = new Lab();
    const node = lab.node();
    peer(node, "create", "a", "10.0.1.9/24", OTHER);
    peer(node, "create", "b", "10.0.1.10/24", PEER);
    peer(node, "create", "c", "10.0.1.11/24", OTHER);
    expect(events(node)).toEqual([]);
    lab.network(node);
    expect(describeEvents(events(node)).filter((text) => text.startsWith("+SP"))).toEqual([
      "+SP 5 192.168.77.13",
      "+SP 5 192.168.77.12",
    ]);
  });

  it("stay when the peer goes, and when the network goes", () => {
    const { node } = steady();
    peer(node, "delete", "a", "10.0.1.9/24", PEER);
    node.controller.network(NET)?.delete({ removeLoadBalancer: true, force: true });
    expect(events(node)).toEqual([]);
    expect(node.kernel.root.xfrm.stateList()).toHaveLength(4);
    expect(node.kernel.root.xfrm.policyList()).toHaveLength(1);
  });

  it("none for a plain network", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.network(node, 4097, { options: { [OPTION_VXLAN_IDS]: "4097" } });
    peer(node, "create", "a", "10.0.1.9/24", PEER);
    expect(events(node)).toEqual([]);
    expect(node.kernel.root.iptables.list("mangle")).toBeUndefined();
  });

  it("what an earlier life of the daemon left is removed with the first keys: policies first, then associations", () => {
    const { lab, node } = steady();
    const again = new XfrmEncryption(node.kernel.root, (level, message) => node.log.push({ level, message }));
    again.attach({
      advertiseAddress: ME,
      bindAddress: ME,
      dataPathPort: 4789,
      peerVteps: () => [],
      hasLocalEndpoints: () => true,
    });
    const foreign = { ...node.kernel.root.xfrm.stateList()[0], spi: 1, reqid: 7 };
    node.kernel.root.xfrm.stateAdd(foreign as never);
    events(node);
    again.setKeys((SETS[0] as EncryptionKey[]).slice(3));
    expect(describeEvents(events(node))).toEqual([
      "-SP 5 192.168.77.12",
      "-rSA 6 192.168.77.12",
      "-rSA 4 192.168.77.12",
      "-fSA 5 192.168.77.12",
      "-rSA 5 192.168.77.12",
    ]);
    expect(node.kernel.root.xfrm.stateList().map(({ reqid }) => reqid)).toEqual([7]);
    expect(lab.swarm.nodes).toHaveLength(1);
  });

  it("a node without keys refuses the join", () => {
    const lab = new Lab();
    const node = lab.node({ keys: [] });
    expect(() => lab.network(node)).toThrow("cannot join secure network: encryption keys not present");
  });
});

describe("firewall", () => {
  const saved = (node: FakeNode): string[] =>
    (["mangle", "filter"] as const).flatMap((table) =>
      (node.kernel.root.iptables.list(table) ?? []).flatMap(({ name, rules }) =>
        rules.filter(({ match }) => match.u32 !== undefined).map((rule) => saveRule(name, rule)),
      ),
    );
  const u32 = (vni: string): string => `-m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x${vni}00"`;

  it("marks what goes out, drops what comes in clear, accepts the rest: newest drop first, oldest accept first", () => {
    const lab = new Lab();
    const node = lab.node();
    lab.network(node, 4098);
    const ipam = [{ subnet: { ip: ip("10.0.7.0"), prefix: 24 }, gateway: ip("10.0.7.1") }];
    lab.network(node, 4096, { id: `x${NET.slice(1)}`, name: "second", ipam, loadBalancerIp: ip("10.0.7.3") });
    const input = (pol: string): string => `-A INPUT -p udp -m policy --dir in --pol ${pol} -m udp --dport 4789`;
    expect(saved(node)).toEqual([
      `-A OUTPUT -p udp -m udp --dport 4789 ${u32("1002")} -j MARK --set-xmark 0xd0c4e3/0xffffffff`,
      `-A OUTPUT -p udp -m udp --dport 4789 ${u32("1000")} -j MARK --set-xmark 0xd0c4e3/0xffffffff`,
      `${input("none")} ${u32("1000")} -j DROP`,
      `${input("none")} ${u32("1002")} -j DROP`,
      `${input("ipsec")} ${u32("1002")} -j ACCEPT`,
      `${input("ipsec")} ${u32("1000")} -j ACCEPT`,
    ]);
  });

  it("stays when the network goes, until a plain network with the same VNI and port comes up", () => {
    const { lab, node } = steady();
    node.controller.network(NET)?.delete({ removeLoadBalancer: true, force: true });
    expect(saved(node)).toHaveLength(3);
    lab.network(node, 4098, { options: { [OPTION_VXLAN_IDS]: "4098" } });
    expect(saved(node)).toEqual([]);
  });

  it("has the data path's port; the policy has 4789 all the same", () => {
    const lab = new Lab();
    const node = lab.node({ port: 7789 });
    lab.network(node);
    peer(node, "create", "a", "10.0.1.9/24", PEER);
    expect(saved(node).every((rule) => rule.includes("--dport 7789"))).toBe(true);
    expect(node.kernel.root.xfrm.policyList()[0]?.selector.dport).toBe(4789);
  });
});

describe("rotation", () => {
  it("goes step by step, for one node after the other", () => {
    const { lab, node } = steady();
    peer(node, "create", "c", "10.0.1.11/24", OTHER);
    events(node);
    debug(node);
    node.controller.setKeys(SETS[1] as EncryptionKey[]);
    const steps = (host: string): string[] => [
      `-rSA 4 ${host}`,
      `+rSA 8 ${host}`,
      `+fSA 6 ${host}`,
      `=SP 6 ${host}`,
      `-fSA 5 ${host}`,
    ];
    expect(describeEvents(events(node))).toEqual([...steps("192.168.77.12"), ...steps("192.168.77.13")]);
    const log = debug(node);
    expect(log[0]).toBe(
      "Updating Keys. New: (key: 08080, tag: 0x8), Primary: (key: 06060, tag: 0x6), Pruned: (key: 04040, tag: 0x4)",
    );
    expect(log[1]).toBe("Current: [(key: 05050, tag: 0x5) (key: 04040, tag: 0x4) (key: 06060, tag: 0x6)]");
    expect(log[2]).toBe("Updating keys for node: 192.168.77.12 (3,2,1)");
    expect(log.at(-1)).toBe("Updated: [(key: 06060, tag: 0x6) (key: 05050, tag: 0x5) (key: 08080, tag: 0x8)]");
    expect(lab.swarm.cluster.nodes[0]?.ring.map((key) => key[0])).toEqual([3, 2, 7]);
    node.controller.setKeys(SETS[2] as EncryptionKey[]);
    expect(describeEvents(events(node)).slice(0, 5)).toEqual([
      "-rSA 5 192.168.77.12",
      "+rSA 10 192.168.77.12",
      "+fSA 8 192.168.77.12",
      "=SP 8 192.168.77.12",
      "-fSA 6 192.168.77.12",
    ]);
    expect(debug(node).filter((line) => line.startsWith("warning"))).toEqual([]);
  });

  it("tells the first keys twice, as the release does", () => {
    const lab = new Lab();
    const line = `Initial encryption keys: [(key: ${KEY_NAMES[5]}, tag: 0x5) (key: ${KEY_NAMES[4]}, tag: 0x4) (key: 06060, tag: 0x6)]`;
    expect(debug(lab.node()).filter((text) => text.startsWith("Initial"))).toEqual([line, line]);
  });
});

describe("calls that the agent doesn't make, and moby's driver takes all the same", () => {
  function alone(hasLocalEndpoints: boolean): { node: FakeNode; encryption: XfrmEncryption } {
    const node = new FakeSwarm().addNode();
    const encryption = new XfrmEncryption(node.kernel.root, (level, message) => node.log.push({ level, message }));
    encryption.attach({
      advertiseAddress: ME,
      bindAddress: ME,
      dataPathPort: 4789,
      peerVteps: () => [PEER, ME],
      hasLocalEndpoints: () => hasLocalEndpoints,
    });
    encryption.setKeys(
      (SETS[0] as EncryptionKey[])
        .slice(3)
        .sort((x, y) => [5, 4, 6].indexOf(x.lamportTime) - [5, 4, 6].indexOf(y.lamportTime)),
    );
    return { node, encryption };
  }
  const key = (tag: number): EncryptionKey => ring([], [tag])[0] as EncryptionKey;

  it("the primary is pruned: another takes its place first", () => {
    const { node, encryption } = alone(true);
    encryption.checkEncryption(NET, undefined, true, true);
    events(node);
    encryption.updateKeys({ key: key(7), primary: key(6), prune: key(5) });
    expect(describeEvents(events(node))).toEqual([
      "-rSA 5 192.168.77.12",
      "+rSA 7 192.168.77.12",
      "+fSA 6 192.168.77.12",
      "=SP 6 192.168.77.12",
      "-fSA 5 192.168.77.12",
    ]);
    expect(node.log.at(-1)?.message).toBe(
      "Updated: [(key: 06060, tag: 0x6) (key: 04040, tag: 0x4) (key: 07070, tag: 0x7)]",
    );
    encryption.updateKeys({ primary: key(4) });
    expect(describeEvents(events(node))).toEqual([
      "+fSA 4 192.168.77.12",
      "=SP 4 192.168.77.12",
      "-fSA 6 192.168.77.12",
    ]);
    expect(() => encryption.updateKeys({ primary: key(4), prune: key(4) })).toThrow(
      "attempting to both make a key (index 0) primary and delete it",
    );
    expect(() => encryption.updateKeys({ key: key(9), primary: key(8), prune: key(6) })).toThrow(
      /\(newIdx,priIdx,delIdx\):\(3, -1, \d\)/,
    );
  });

  it("a remote peer comes while there is no local endpoint: nothing; goes: what there is towards it is removed", () => {
    const { node, encryption } = alone(false);
    encryption.checkEncryption(NET, PEER, false, true);
    expect(events(node)).toEqual([]);
    encryption.checkEncryption(NET, undefined, true, true);
    expect(describeEvents(events(node))).toHaveLength(5);
    encryption.checkEncryption(NET, PEER, false, false);
    expect(describeEvents(events(node))).toEqual([
      "-rSA 5 192.168.77.12",
      "-fSA 5 192.168.77.12",
      "-SP 5 192.168.77.12",
      "-rSA 4 192.168.77.12",
      "-rSA 6 192.168.77.12",
    ]);
  });
});

describe("nodes that missed rotations", () => {
  /** Two nodes that know each other; the first gets every set, the second all but `missed` before the last. */
  function pair(): { a: FakeNode; b: FakeNode } {
    const lab = new Lab();
    const [a, b] = [lab.node(), lab.node()];
    for (const node of [a, b]) lab.network(node);
    peer(a, "create", "x", "10.0.1.9/24", ME + 1);
    peer(b, "create", "y", "10.0.1.8/24", ME);
    return { a, b };
  }
  /** What one sends the other can decrypt: the policy's association is there at both ends, under the same key. */
  function carries(from: FakeNode, to: FakeNode): boolean {
    const template = from.kernel.root.xfrm.policyList()[0]?.templates[0];
    if (template === undefined) return false;
    const at = (node: FakeNode) =>
      node.kernel.root.xfrm.stateList().find(({ dst, spi }) => dst === template.dst && spi === template.spi);
    const [sender, receiver] = [at(from), at(to)];
    return (
      sender !== undefined && receiver !== undefined && sender.aead.key.every((v, i) => v === receiver.aead.key[i])
    );
  }

  it("one: both directions work, before and after it catches up", () => {
    const { a, b } = pair();
    expect([carries(a, b), carries(b, a)]).toEqual([true, true]);
    a.controller.setKeys(SETS[1] as EncryptionKey[]);
    expect([carries(a, b), carries(b, a)]).toEqual([true, true]);
    b.controller.setKeys(SETS[1] as EncryptionKey[]);
    expect([carries(a, b), carries(b, a)]).toEqual([true, true]);
  });

  it("two: neither does", () => {
    const { a, b } = pair();
    for (const set of [1, 2]) a.controller.setKeys(SETS[set] as EncryptionKey[]);
    expect([carries(a, b), carries(b, a)]).toEqual([false, false]);
  });

  // The deletion loop left key 5 in the node's list, which makes key 6 its primary: good enough for the others, who have it.
  it("two, and then told of it: it is heard, and hears nothing of what everybody sends with key 8", () => {
    const { a, b } = pair();
    for (const set of [1, 2]) a.controller.setKeys(SETS[set] as EncryptionKey[]);
    b.controller.setKeys(SETS[2] as EncryptionKey[]);
    expect([carries(a, b), carries(b, a)]).toEqual([false, true]);
  });

  it("an update that names a key which the driver hasn't wipes everything, and known peers are not set up again", () => {
    const { a, b } = pair();
    for (const set of [1, 2, 3]) a.controller.setKeys(SETS[set] as EncryptionKey[]);
    // Of three keys that came at once the driver was told of the last one; the next rotation prunes one that it never had.
    b.controller.setKeys(SETS[3] as EncryptionKey[]);
    debug(b);
    events(b);
    b.controller.setKeys(SETS[4] as EncryptionKey[]);
    const log = debug(b);
    const failure = log.findIndex((line) => line.startsWith("Failed to update datapath keys in driver overlay: "));
    expect(log[failure]).toMatch(
      /cannot find proper key indices while processing key update:\(newIdx,priIdx,delIdx\):\(/,
    );
    expect(log[failure + 1]).toBe("Reconfiguring datapath keys for  overlay");
    expect(log.some((line) => line.startsWith("Initial encryption keys: "))).toBe(true);
    expect(b.kernel.root.xfrm.stateList()).toEqual([]);
    expect(b.kernel.root.xfrm.policyList()).toEqual([]);
    // The next peer brings it back.
    peer(b, "create", "z", "10.0.1.7/24", ME);
    expect(b.kernel.root.xfrm.policyList()).toHaveLength(1);
    expect(a.kernel.root.xfrm.policyList()).toHaveLength(1);
  });
});
