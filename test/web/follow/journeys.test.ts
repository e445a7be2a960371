/** Lives of packets in labs that really run: what each hop was, what it changed, where it ended and what was behind it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseIpv4 } from "../../../src/base/addr.ts";
import type { PacketMark } from "../../../src/kernel/marks.ts";
import type { EntryText } from "../../../src/lab/inspect/entry-ref.ts";
import type { Journey, Stage } from "../../../web/session/follow/protocol.ts";
import { StageMaker } from "../../../web/session/follow/stages.ts";
import { roadTree } from "../../../web/session/follow/tree.ts";
import { type FollowedRun, followLab, storyOf } from "../../support/follow.ts";
import { galleryLab, labOf } from "../../support/lab.ts";

const SWARM = `
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create --driver=overlay --attachable -o com.docker.network.driver.mtu=9000 net
  - host1: docker run -dit --name c1 --network net alpine
  - host2: docker run -dit --name c2 --network net alpine
`;

function marked(fits: (mark: PacketMark) => boolean): Parameters<FollowedRun["find"]>[0] {
  return ({ mark }) => mark !== undefined && fits(mark);
}

function dropped(reason: string): Parameters<FollowedRun["find"]>[0] {
  return marked((mark) => mark.kind === "drop" && mark.reason === reason);
}

function last({ stages }: Journey): Stage {
  return stages.at(-1) as Stage;
}

/** The entry behind a stage, as its host's tool prints it now. */
async function entryOf(run: FollowedRun, stage: Stage | undefined): Promise<EntryText> {
  if (stage?.entry === undefined) throw new Error("no entry stands behind the stage");
  const [entry] = await run.session.inspect([stage.host], { kind: "entry", entry: stage.entry });
  if (entry === undefined) throw new Error("the namespace is gone");
  return entry;
}

describe("a ping over an overlay", () => {
  let run: FollowedRun;
  beforeAll(async () => {
    run = await followLab(galleryLab("standalone"));
  });
  afterAll(() => run.session.close());

  it("goes through veth, bridge, VXLAN and the wire, and back", () => {
    const journey = run.find(marked((mark) => mark.kind === "deliver" && mark.to === "ICMP"));
    expect(journey).toMatchObject({ end: "delivered", everyHop: true });
    expect(journey.summary).toMatch(/^10\.0\.1\.2 → 10\.0\.1\.4 {2}ICMP echo request, id 1, seq 0/);
    expect(storyOf(journey)).toEqual([
      "host1/alpine1: output | 10.0.1.4 on link, dev eth0",
      "host1/alpine1: waits for ARP | who has 10.0.1.4? (INCOMPLETE)",
      "host1/alpine1: neighbour | 10.0.1.4 is at 02:42:0a:00:01:04 (REACHABLE)",
      "host1/alpine1: eth0 out {+Ethernet}",
      "host1/test-net: veth1 in",
      "host1/test-net: bridge FDB | 02:42:0a:00:01:04 → port vxlan0",
      "host1/test-net: vxlan0 out",
      "host1/test-net: VXLAN encap | VNI 4097, to VTEP 192.168.77.12 (FDB: 02:42:0a:00:01:04, permanent)",
      "host1/host: output | 192.168.77.12 on link, dev eth0 {+IPv4; +UDP; +VXLAN}",
      "host1/host: neighbour | 192.168.77.12 is at 52:54:00:0f:d5:90 (REACHABLE)",
      "host1/host: eth0 out {+Ethernet}",
      "host2/host: eth0 in",
      "host2/host: route | 192.168.77.12 local",
      "host2/test-net: VXLAN decap | VNI 4097, from VTEP 192.168.77.11 to 192.168.77.12 {-Ethernet; -IPv4; -UDP; -VXLAN}",
      "host2/test-net: vxlan0 in",
      "host2/test-net: flooded to 2 ports | no entry for 02:42:0a:00:01:04",
      "  [dropped: OTHERHOST, host2/lb_0qgxegpeu]",
      "    host2/test-net: veth0 out",
      "    host2/lb_0qgxegpeu: eth0 in",
      "    host2/lb_0qgxegpeu: dropped: OTHERHOST | its destination MAC address is somebody else's",
      "host2/test-net: veth1 out",
      "host2/alpine2: eth0 in",
      "host2/alpine2: route | 10.0.1.4 local",
      "host2/alpine2: delivered: ICMP | echo request, to the kernel",
    ]);
    const relations = journey.links.map(({ relation, text }) => `${relation}: ${text}`);
    expect(relations).toEqual([
      expect.stringMatching(/^caused: ARP .*who-has 10\.0\.1\.4 tell 10\.0\.1\.2/i),
      expect.stringMatching(/^caused: .*ICMP echo reply, id 1, seq 0/),
    ]);
    const reply = run.journey(journey.links[1]?.journey ?? 0);
    expect(reply.endText).toBe("delivered: raw socket, host1/alpine1");
    expect(reply.links[0]).toMatchObject({ relation: "sent because of", journey: journey.id });
  });

  it("asks the VXLAN device, which answers in place: one packet ends, another begins", () => {
    const request = run.find(marked((mark) => mark.kind === "deliver" && mark.to === "ARP proxy"));
    expect(request.endText).toBe("answered by the VXLAN device, host1/test-net");
    const [answer] = request.links.filter(({ relation }) => relation === "caused");
    expect(run.journey(answer?.journey ?? 0).endText).toBe("delivered: ARP, host1/alpine1");
  });

  it("names a question and its answer by the ends of their sockets", () => {
    // The container's resolver, behind its NAT rule.
    const resolver = parseIpv4("127.0.0.11");
    const question = run.find(
      marked((mark) => mark.kind === "deliver" && mark.to === "UDP" && mark.local.ip === resolver),
    );
    const answer = question.links.find(({ relation }) => relation === "answered by");
    expect(answer).toBeDefined();
    const back = run.journey(answer?.journey ?? 0).links.find(({ relation }) => relation === "answer to");
    expect(back?.journey).toBe(question.id);
  });
});

describe("a request through the routing mesh", () => {
  let run: FollowedRun;
  beforeAll(async () => {
    run = await followLab(galleryLab("docs/000-ingress"));
  });
  afterAll(() => run.session.close());

  it("is translated by rules, balanced by IPVS and translated again; and so is what comes back", async () => {
    const journey = run.find(marked((mark) => mark.kind === "ipvs" && mark.scheduled));
    const story = storyOf(journey).filter((line) => /DNAT|SNAT|MARK|IPVS|delivered/.test(line));
    expect(story).toEqual([
      "worker-1/host: DNAT | destination 192.168.77.12:80 → 172.18.0.2:80 (DNAT, rule 1 of nat DOCKER-INGRESS) {IPv4 destination 192.168.77.12 → 172.18.0.2}",
      "worker-1/host: SNAT | source 192.168.77.12:36448 → 172.18.0.1:36448 (MASQUERADE, rule 1 of nat POSTROUTING) {IPv4 source 192.168.77.12 → 172.18.0.1}",
      "worker-1/ingress_sbox: MARK | MARK, rule 1 of mangle PREROUTING",
      "worker-1/ingress_sbox: IPVS | FWM 257 → 10.0.0.5:80 (masquerade; chosen by the scheduler) {IPv4 destination 172.18.0.2 → 10.0.0.5}",
      "worker-1/ingress_sbox: SNAT | source 172.18.0.1:36448 → 10.0.0.3:36448 (SNAT, rule 2 of nat POSTROUTING) {IPv4 source 172.18.0.1 → 10.0.0.3}",
      expect.stringMatching(
        /^manager\/wordpress\.1\.\w+: delivered: TCP listener \| 10\.0\.0\.5:80 from 10\.0\.0\.3:36448$/,
      ),
    ]);
    const hop = journey.stages.find(({ namespace, title }) => namespace === "ingress_sbox" && title === "eth0 out");
    expect(hop?.changes).toContainEqual({ layer: "IPv4", field: "TTL", from: "64", to: "63" });
    const [back] = journey.links.filter(({ text }) => text.includes("Flags [S.]"));
    const answer = storyOf(run.journey(back?.journey ?? 0)).filter((line) => /NAT|IPVS/.test(line));
    expect(answer.map((line) => line.replace(/ \{.*/, ""))).toEqual([
      "worker-1/ingress_sbox: DNAT | destination 10.0.0.3:36448 → 172.18.0.1:36448 (tracked connection)",
      "worker-1/ingress_sbox: IPVS reply | FWM 257: source 10.0.0.5:80 → 172.18.0.2:80, to 172.18.0.1:36448",
      "worker-1/host: DNAT | destination 172.18.0.1:36448 → 192.168.77.12:36448 (tracked connection)",
      "worker-1/host: SNAT | source 172.18.0.2:80 → 192.168.77.12:80 (tracked connection)",
    ]);
  });
});

describe("the entries behind a request through the routing mesh", () => {
  it("are printed as the tools print them now", async () => {
    const run = await followLab(galleryLab("docs/000-ingress"));
    // The lab makes the ingress network anew: the service behind its second mark is there at the end.
    const request = run.find(marked((mark) => mark.kind === "ipvs" && mark.fwmark === 258 && mark.scheduled));
    const behind = async (title: string) =>
      await entryOf(
        run,
        request.stages.find((stage) => stage.title === title),
      );
    expect((await behind("IPVS")).text).toMatch(/^FWM {2}258 rr\n {2}-> 10\.0\.2\.5:0 +Masq +1 +\d+ +\d+ *$/m);
    expect((await behind("delivered: TCP listener")).text).toMatch(/^tcp {2}LISTEN.*0\.0\.0\.0:80/m);
    expect((await behind("DNAT")).text).toMatch(
      /^-A DOCKER-INGRESS -p tcp .*--dport 80 -j DNAT --to-destination 172\.18\.0\.2:80\n$/,
    );
    expect((await behind("route")).text).toMatch(/ dev docker_gwbridge proto kernel scope link src 172\.18\.0\.1 \n$/);
    const [back] = request.links.filter(({ text }) => text.includes("Flags [S.]"));
    const tracked = run
      .journey(back?.journey ?? 0)
      .stages.find(({ detail }) => detail.endsWith("(tracked connection)"));
    const { command, text } = await entryOf(run, tracked);
    expect(command).toBe("conntrack -L");
    expect(text).toMatch(/^tcp +6 \d+ TIME_WAIT src=.* dport=80 .*\n$/);
    await run.session.close();
  });
});

describe("all packets of a lab", () => {
  /** Roads on which something comes behind a packet's end, or a receiver behind nobody who sent. */
  function oddities(stages: readonly Stage[]): string[] {
    const odd = stages.slice(0, -1).filter(({ kind }) => kind === "drop");
    const branches = stages.flatMap(({ branches: all }) => all);
    return [
      ...odd.map(({ title, host, namespace }) => `${title} at ${host}/${namespace}`),
      ...branches.flatMap((one) => oddities(one.stages)),
    ];
  }

  it("nothing comes behind a drop, and hardly one is still under way at the end", async () => {
    const run = await followLab(galleryLab("docs/000-ingress"));
    await run.session.close();
    const roads = [...run.log.journeys()].map(([, hops]) => new StageMaker(run.context).road(roadTree(hops)));
    expect(roads.flatMap(oddities)).toEqual([]);
    const open = roads.filter((stages) => !["drop", "deliver"].includes(stages.at(-1)?.kind ?? ""));
    expect(open.length).toBeLessThan(roads.length / 50);
  });
});

describe("an encrypted network behind a firewall that blocks ESP", () => {
  let run: FollowedRun;
  beforeAll(async () => {
    run = await followLab(galleryLab("esp-blocked"));
  });
  afterAll(() => run.session.close());

  it("is sealed under the rule's mark, and opened", async () => {
    const journey = run.find(marked((mark) => mark.kind === "esp-in"));
    const story = storyOf(journey);
    expect(story).toContain("host1/host: MARK | MARK, rule 1 of mangle OUTPUT");
    expect(story.filter((line) => /ESP (seal|open)/.test(line)).length).toBe(2);
    expect(story).toContainEqual(
      expect.stringMatching(/^host1\/host: output .*-VXLAN; .*\+ESP; IPv4 protocol 17 → 50/),
    );
    const seal = journey.stages.find(({ title }) => title === "ESP seal");
    const { text, command, table } = await entryOf(run, seal);
    expect({ command, table }).toEqual({
      command: expect.stringMatching(/^ip xfrm state list dst 192\.168\.77\.12 spi 0x/),
      table: "xfrm-states",
    });
    expect(text).toMatch(/^src 192\.168\.77\.11 dst 192\.168\.77\.12\n\tproto esp spi 0x/);
    const rule = await entryOf(
      run,
      journey.stages.find(({ title }) => title === "MARK"),
    );
    expect(rule.text).toMatch(/^-A OUTPUT -p udp -m udp --dport 4789 .* -j MARK --set-xmark/);
  });

  it("ends on the way, at a rule, or without a state, and says at which", async () => {
    expect(last(run.find(dropped("WIRE_FILTER")))).toMatchObject({
      host: "host1",
      title: "dropped: WIRE_FILTER",
      detail: "a firewall on the way blocks it",
      reason: "WIRE_FILTER",
    });
    const ruled = last(run.find(dropped("NETFILTER_DROP")));
    expect(ruled.detail).toBe("a netfilter rule, or NAT, drops it: DROP, rule 1 of filter INPUT");
    const unknown = last(run.find(dropped("XFRM_IN_NO_STATES")));
    const { text, command } = await entryOf(run, unknown);
    // Whoever asks now is told that there still is none.
    expect({ text, spi: /spi (0x\w+)$/.test(command) }).toEqual({ text: "", spi: true });
  });
});

describe("packets that don't fit, or whose way is wrong", () => {
  let run: FollowedRun;
  const inNetwork = `nsenter --net=/run/docker/netns/1-$(docker network inspect -f '{{.Id}}' net | cut -c1-10)`;
  beforeAll(async () => {
    const text = `name: lost
${SWARM}
  - host1: nsenter -t $(docker inspect -f '{{.State.Pid}}' c1) -n ping -c 1 -W 1 -s 2000 -M do 10.0.1.4
    exit: 1
  - host1: ${inNetwork} bridge fdb replace 02:42:0a:00:01:04 dev vxlan0 dst 192.168.77.99 self permanent
  - host1: docker exec c1 ping -c 1 -W 4 10.0.1.4
    exit: 1
  - wait: 5s
  - host1: ${inNetwork} bridge fdb del 02:42:0a:00:01:04 dev vxlan0 dst 192.168.77.99 self
  - host1: docker exec c1 ping -c 1 -W 1 10.0.1.4
    exit: 1
  - host1: docker exec c1 ping -c 1 -W 1 8.8.8.8
    exit: 1
`;
    run = await followLab(labOf(text));
  });
  afterAll(() => run.session.close());

  it("the tunnel tells the sender that a fragment is needed", async () => {
    expect(run.failures).toEqual([]);
    const journey = run.find(dropped("PKT_TOO_BIG"));
    expect(last(journey)).toMatchObject({ namespace: "net", device: "vxlan0" });
    expect(await entryOf(run, last(journey))).toMatchObject({ command: "ip link show dev vxlan0", table: "links" });
    const told = journey.links.find(({ text }) => text.includes("unreachable"));
    expect(run.journey(told?.journey ?? 0).endText).toBe("delivered: raw socket, host1/c1");
  });

  it("a stale FDB entry sends it to a VTEP that nobody is", async () => {
    const ip = parseIpv4("192.168.77.99");
    const journey = run.find(marked((mark) => mark.kind === "vxlan-out" && mark.remote === ip));
    expect(last(journey)).toMatchObject({ title: "dropped: NEIGH_FAILED", namespace: "host" });
    const encap = journey.stages.find(({ title }) => title === "VXLAN encap");
    expect(encap?.detail).toBe("VNI 4097, to VTEP 192.168.77.99 (FDB: 02:42:0a:00:01:04, permanent)");
    const neighbour = await entryOf(run, last(journey));
    expect(neighbour.command).toBe("ip neigh show 192.168.77.99 dev eth0");
    expect(neighbour.text).toMatch(/^(192\.168\.77\.99 dev eth0 {2}FAILED \n)?$/);
  });

  it("without an entry it ends at the device, which names the address", async () => {
    const journey = run.find(dropped("VXLAN_L2MISS"));
    const { text, command } = await entryOf(run, last(journey));
    expect(command).toBe("bridge fdb show dev vxlan0 | grep 02:42:0a:00:01:04");
    expect(text).not.toContain("dst");
  });
});

describe("a datagram that is cut in pieces", () => {
  it("is one journey, whose pieces meet again", async () => {
    const run = await followLab(galleryLab("mtu"));
    await run.session.close();
    const journey = run.find(marked((mark) => mark.kind === "fragment"));
    const story = storyOf(journey);
    expect(story).toContain("host1/alpine1: fragmented | 1451 bytes into pieces of at most 1450");
    expect(story).toContain("  [last seen on host2/alpine2/eth0]");
    expect(story.at(-3)).toBe("host2/alpine2: reassembled | 1451 bytes");
    expect(journey.end).toBe("delivered");
  });
});
