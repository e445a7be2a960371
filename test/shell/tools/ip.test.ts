import { describe, expect, it } from "vitest";
import { parseCidr, parseIpv4, parseMac } from "../../../src/base/addr.ts";
import { busyboxTools, hostTools } from "../../../src/shell/tools/registry.ts";
import { FakeHostKernel, type FakeNetNs } from "../../support/fake-netns.ts";
import { goldenAvailable, goldenTitle } from "../../support/golden.ts";
import { goldenCommands, ProgramHost, type RunResult } from "../harness.ts";

const TRAFFIC = "B-standalone-attachable/manager/traffic-alpine1.txt";
const host = new ProgramHost();

const cidr = (text: string) => parseCidr(text) as NonNullable<ReturnType<typeof parseCidr>>;
const ip = (text: string) => parseIpv4(text) as number;
const mac = (text: string) => parseMac(text) as number;

/** alpine1 of the capture: eth0 on the overlay (index 14), eth1 on the gateway bridge (16). */
function alpine1(): FakeNetNs {
  const kernel = new FakeHostKernel("manager", 0, cidr("192.168.77.11/24"));
  const ns = kernel.createNs("ctr-alpine1");
  const outer = kernel.createNs("1-k6jjce19a4");
  ns.link.set("lo", { up: true });
  for (const other of [ns, outer]) while (other.freeIndex() < 13) other.freeIndex();
  for (const [name, peer, address, hardware, mtu] of [
    ["eth0", "veth1", "10.0.1.2/24", "02:42:0a:00:01:02", 1450],
    ["eth1", "vethx", "172.18.0.3/16", "02:42:ac:12:00:03", 1500],
  ] as const) {
    outer.freeIndex(); // a peer's index is one higher
    ns.link.add({ kind: "veth", name, mac: mac(hardware), mtu, peer: { name: peer, ns: outer } });
    outer.link.set(peer, { up: true });
    ns.link.set(name, { up: true });
    const { ip: own, prefix } = cidr(address);
    ns.addr.add(
      name,
      { ip: own, prefix },
      { broadcast: ip(address.startsWith("10") ? "10.0.1.255" : "172.18.255.255") },
    );
    ns.freeIndex();
  }
  ns.route.add({ dst: cidr("0.0.0.0/0"), via: ip("172.18.0.1") });
  return ns;
}

function run(tools: typeof hostTools, ns: FakeNetNs, line: string): RunResult {
  const argv = line.split(" ");
  const program = tools.get(argv[0] as string);
  if (program === undefined) throw new Error(`no program ${argv[0]}`);
  return host.run(program, argv, { ns, limit: 1e9 });
}

function captured(command: string): string {
  const found = goldenCommands(TRAFFIC).find((one) => one.command === `docker exec alpine1 ${command}`);
  if (found === undefined) throw new Error(`not captured: ${command}`);
  return found.output;
}

describe.skipIf(!goldenAvailable)(goldenTitle("ip of busybox, from the captured state"), () => {
  it("ip addr", () => {
    // The fake gives peers other indexes than Docker does; the capture's are put in their place.
    const out = run(busyboxTools, alpine1(), "ip addr").out.replace(/^\d+: (eth\d)@if\d+/gm, (_, name: string) =>
      name === "eth0" ? "14: eth0@if15" : "16: eth1@if17",
    );
    expect(out).toBe(captured("ip addr"));
  });

  it("ip route", () => {
    expect(run(busyboxTools, alpine1(), "ip route").out).toBe(captured("ip route"));
  });

  it("ip neigh, in all the states of the capture", () => {
    const ns = alpine1();
    const last = goldenCommands(TRAFFIC).filter((one) => one.command === "docker exec alpine1 ip neigh");
    for (const { output } of last) {
      const lines = output.split("\n").filter((line) => line !== "");
      const entries = lines.map((line) => {
        const [address = "", , dev = "", ...rest] = line.split(/ +/);
        const at = rest.indexOf("lladdr");
        return {
          ip: ip(address),
          dev: ns.link.get(dev).index,
          mac: at < 0 ? undefined : mac(rest[at + 1] as string),
          state: rest.at(-1) as "STALE",
          probes: Number(rest[rest.indexOf("probes") + 1]),
          used: 0,
          confirmed: 0,
          updated: 0,
        };
      });
      const shown = Object.create(ns, { neigh: { value: { list: () => entries } } }) as FakeNetNs;
      expect(run(busyboxTools, shown, "ip neigh").out).toBe(output);
    }
    expect(last.length).toBe(5);
  });
});

describe("ip of iproute2", () => {
  const fresh = (): FakeNetNs => new FakeHostKernel("host1", 0, cidr("192.168.77.11/24")).root;

  it("makes a bridge with a veth port, and shows it", () => {
    const ns = fresh();
    for (const line of [
      "ip link add br0 type bridge",
      "ip link add v0 type veth peer name v1",
      "ip link set v0 master br0",
      "ip link set v0 up",
      "ip link set dev v1 up",
      "ip link set br0 up",
      "ip addr add 10.9.0.1/24 brd + dev br0",
    ]) {
      expect(run(hostTools, ns, line)).toEqual({ out: "", err: "", status: 0 });
    }
    expect(run(hostTools, ns, "ip -4 -br addr").out).toMatch(/^br0 +UP +10\.9\.0\.1\/24 $/m);
    expect(run(hostTools, ns, "ip route").out).toContain("10.9.0.0/24 dev br0 proto kernel scope link src 10.9.0.1 \n");
    expect(run(hostTools, ns, "bridge link").out).toMatch(
      /^\d+: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 2 $/m,
    );
    expect(run(hostTools, ns, "ip link del br0").status).toBe(0);
    expect(run(hostTools, ns, "ip link show br0")).toEqual({
      out: "",
      err: 'Device "br0" does not exist.\n',
      status: 1,
    });
  });

  it("words refusals as netlink's answers", () => {
    const ns = fresh();
    expect(run(hostTools, ns, "ip link set nosuch up")).toEqual({
      out: "",
      err: 'Cannot find device "nosuch"\n',
      status: 1,
    });
    run(hostTools, ns, "ip link add br0 type bridge");
    expect(run(hostTools, ns, "ip link add br0 type bridge")).toEqual({
      out: "",
      err: "RTNETLINK answers: File exists\n",
      status: 2,
    });
    expect(run(hostTools, ns, "ip frob").status).not.toBe(0);
  });

  it("keeps neighbours and forwarding entries", () => {
    const ns = fresh();
    run(hostTools, ns, "ip link add vx0 type vxlan id 4097 dstport 4789 proxy l2miss l3miss");
    run(hostTools, ns, "ip neigh add 10.0.1.4 lladdr 02:42:0a:00:01:04 dev vx0 nud permanent");
    run(hostTools, ns, "bridge fdb add 02:42:0a:00:01:04 dev vx0 dst 192.168.77.12 self permanent");
    expect(run(hostTools, ns, "ip neigh").out).toContain("10.0.1.4 dev vx0 lladdr 02:42:0a:00:01:04 PERMANENT \n");
    expect(run(hostTools, ns, "bridge fdb show dev vx0").out).toContain(
      "02:42:0a:00:01:04 dev vx0 dst 192.168.77.12 self permanent\n",
    );
    expect(run(hostTools, ns, "ip -d link show vx0").out).toContain(
      "vxlan id 4097 srcport 0 0 dstport 4789 proxy l2miss l3miss ttl auto ageing 300 udpcsum",
    );
  });
});

describe("listings", () => {
  const show = (line: string, tools = hostTools): RunResult => run(tools, alpine1(), line);

  it("of routes: the same destination, what is in it, what is around it", () => {
    const rows = (line: string) => show(line).out.match(/^\S+/gm) ?? [];
    expect(rows("ip route show default")).toEqual(["default"]);
    expect(rows("ip route show 10.0.1.0/24")).toEqual(["10.0.1.0/24"]);
    expect(rows("ip route show 10.0.0.0/8")).toEqual([]);
    expect(rows("ip route show root 10.0.0.0/8")).toEqual(["10.0.1.0/24"]);
    expect(rows("ip route show match 10.0.1.7")).toEqual(["default", "10.0.1.0/24"]);
  });

  it("of what IPv6 has: nothing", () => {
    for (const line of ["ip -6 addr", "ip -6 route", "ip -6 neigh", "ip -f inet6 route show default"])
      for (const tools of [hostTools, busyboxTools].slice(0, line.includes("-f") ? 1 : 2))
        expect(show(line, tools)).toEqual({ out: "", err: "", status: 0 });
    expect(show("ip -6 addr add ::1/128 dev lo")).toMatchObject({
      err: "RTNETLINK answers: Operation not supported\n",
      status: 2,
    });
  });

  it("in JSON", () => {
    const rows = (line: string) => JSON.parse(show(line).out) as unknown[];
    expect(rows("ip -j addr show eth0")).toEqual([
      {
        ifindex: expect.any(Number),
        link_index: expect.any(Number),
        ifname: "eth0",
        flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        mtu: 1450,
        qdisc: "noqueue",
        operstate: "UP",
        group: "default",
        link_type: "ether",
        address: "02:42:0a:00:01:02",
        broadcast: "ff:ff:ff:ff:ff:ff",
        link_netnsid: 0,
        addr_info: [
          {
            family: "inet",
            local: "10.0.1.2",
            prefixlen: 24,
            broadcast: "10.0.1.255",
            scope: "global",
            label: "eth0",
            valid_life_time: 4294967295,
            preferred_life_time: 4294967295,
          },
        ],
      },
    ]);
    expect(rows("ip -j -s link show lo")).toMatchObject([{ ifname: "lo", linkmode: "DEFAULT", stats64: { rx: {} } }]);
    expect(rows("ip -j route")).toEqual([
      { dst: "default", gateway: "172.18.0.1", dev: "eth1", flags: [] },
      { dst: "10.0.1.0/24", dev: "eth0", protocol: "kernel", scope: "link", prefsrc: "10.0.1.2", flags: [] },
      { dst: "172.18.0.0/16", dev: "eth1", protocol: "kernel", scope: "link", prefsrc: "172.18.0.3", flags: [] },
    ]);
    expect(rows("ip -json neigh")).toEqual([]);
    const pretty = show("ip -j -p route show default").out;
    expect(pretty).toBe(
      '[ {\n        "dst": "default",\n        "gateway": "172.18.0.1",\n        "dev": "eth1",\n        "flags": [ ]\n    } ]\n',
    );
  });

  it("say how they are asked for", () => {
    for (const line of ["ip", "ip help", "ip route help"])
      expect(show(line)).toMatchObject({
        out: "",
        err: expect.stringMatching(/^Usage: ip \[ OPTIONS \]/),
        status: 255,
      });
    const busybox = { out: "", err: expect.stringMatching(/^BusyBox .*\n\nUsage: ip \[OPTIONS\]/), status: 1 };
    for (const line of ["ip", "ip help", "ip -j addr"]) expect(show(line, busyboxTools)).toMatchObject(busybox);
    expect(show("ip route flush cache")).toEqual({ out: "", err: "", status: 0 });
    expect(show("ip route flush")).toMatchObject({ err: '"ip route flush" requires arguments.\n', status: 255 });
  });
});
