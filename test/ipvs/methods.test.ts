/** Ways to a destination, and what may stand in them (kernel.md §1.6 … §1.9), between a client and servers on two links. */
import { describe, expect, it } from "vitest";
import { formatIpv4, formatMac } from "../../src/base/addr.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { cidr, ip, kernelBuilt, pass } from "../support/kernel.ts";
import { farm, LB, serve, server, service, VIP } from "./net.ts";
import { ACK, bareUdp, checksumsRight, FIN, RST, SYN, sendRaw, tcp, watch } from "./packets.ts";

const SEC = 1e9;
const CLIENT = ip("10.2.0.1");
const TCP = 6;
const UDP = 17;
const IPIP = 4;

/** A UDP socket that answers nothing, on each of the servers' addresses. */
function sink(ns: NetNs, port = 80): () => number {
  const socket = ns.socket.udp();
  socket.bind(0, port);
  return () => {
    let count = 0;
    while (socket.tryRecv() !== undefined) count++;
    return count;
  };
}

/** Servers that answer nothing, not even with RST. */
function silence(ns: NetNs): void {
  ns.iptables.append("filter", "INPUT", { match: {}, target: { kind: "DROP" } });
}

function segment(ns: NetNs, flags: number, port = 40000): void {
  sendRaw(ns, TCP, tcp(CLIENT, port, ip(VIP), 80, flags), ip(VIP));
}

describe.skipIf(!kernelBuilt)("masquerading without conntrack", () => {
  it("the packet leaves its tracked connection; addresses and ports are changed both ways, checksums hold", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    director.iptables.append("filter", "FORWARD", { match: { ctstate: { value: ["INVALID"], not: false } } });
    director.ipvs.addService({ id: service("tcp"), scheduler: "rr" });
    director.ipvs.addDestination(service("tcp"), { address: server(2), port: 8080, forwarding: "masq", weight: 1 });
    const listener = servers.socket.tcp();
    listener.bind(0, 8080);
    listener.listen(4);
    const atServer = watch(kernel, servers);
    const atClient = watch(kernel, client);
    const socket = client.socket.tcp();
    socket.connect(ip(VIP), 80);
    pass(kernel);
    expect(socket.state).toBe("ESTABLISHED");
    expect(director.conntrack.count()).toBe(0);
    expect(listener.tryAccept()?.remoteAddress().ip).toBe(CLIENT);
    const inbound = atServer().filter(({ outgoing }) => !outgoing);
    expect(inbound.map(({ src, dst, dport, ttl }) => `${src} ${dst}:${dport} ${ttl}`)).toEqual(
      Array(2).fill("10.2.0.1 10.1.1.2:8080 63"),
    );
    const back = atClient().filter(({ outgoing }) => !outgoing);
    expect(back.map(({ src, sport, ttl }) => `${src}:${sport} ${ttl}`)).toEqual([`${VIP}:80 63`]);
    for (const { bytes } of [...inbound, ...back]) expect(checksumsRight(bytes)).toBe(true);
    expect(conserved()).toBe(true);
  });

  it("UDP without a checksum gets one", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("udp"), [1]);
    const received = sink(servers);
    const atServer = watch(kernel, servers);
    sendRaw(client, UDP, bareUdp(40000, 80, Uint8Array.of(1, 2, 3)), ip(VIP));
    pass(kernel);
    expect(received()).toBe(1);
    const [packet] = atServer();
    expect(packet?.bytes.slice(26, 28)).not.toEqual(Uint8Array.of(0, 0));
    expect(checksumsRight(packet?.bytes ?? new Uint8Array(40))).toBe(true);
  });

  it("fragments are gathered before, and on the way back", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    serve(director, service("udp"), [1]);
    const echo = servers.socket.udp();
    echo.bind(0, 80);
    const socket = client.socket.udp();
    socket.bind(0, 40000);
    socket.setPmtuDiscovery("dont");
    echo.setPmtuDiscovery("dont");
    const data = Uint8Array.from({ length: 4000 }, (_, i) => i & 255);
    socket.sendTo(data, ip(VIP), 80);
    pass(kernel);
    const got = echo.tryRecv();
    expect(got?.data).toEqual(data);
    echo.sendTo(got?.data ?? data, got?.src ?? 0, got?.srcPort ?? 0);
    pass(kernel);
    expect(socket.tryRecv()).toMatchObject({ src: ip(VIP), srcPort: 80, data });
    expect(conserved()).toBe(true);
  });

  it("a hop too few: time exceeded from the VIP; too long with DF: the MTU towards the server", async () => {
    const { kernel, client, director, conserved, server: servers } = await farm();
    serve(director, service("udp"), [1]);
    director.link.set("out", { mtu: 1200 });
    const atClient = watch(kernel, client);
    const atServer = watch(kernel, servers);
    const socket = client.socket.udp();
    socket.bind(0, 40000);
    socket.setTtl(1);
    socket.sendTo(new Uint8Array(10), ip(VIP), 80);
    pass(kernel);
    socket.setTtl(64);
    socket.setPmtuDiscovery("do");
    socket.sendTo(new Uint8Array(1300), ip(VIP), 80);
    pass(kernel);
    const errors = atClient().filter(({ outgoing, protocol }) => !outgoing && protocol === 1);
    expect(
      errors.map(({ src, bytes }) => `${src} ${bytes[20]}/${bytes[21]} ${(bytes[26] ?? 0) * 256 + (bytes[27] ?? 0)}`),
    ).toEqual([`${VIP} 11/0 0`, `${VIP} 3/4 1200`]);
    expect(atServer()).toEqual([]);
    expect(conserved()).toBe(true);
  });

  it("an ICMP error of the client goes to the server that it is about", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    serve(director, service("udp"), [1]);
    const echo = servers.socket.udp();
    echo.bind(server(1), 80);
    const socket = client.socket.udp();
    socket.bind(CLIENT, 40000);
    socket.sendTo(new Uint8Array(10), ip(VIP), 80);
    pass(kernel);
    socket.close();
    echo.connect(CLIENT, 40000);
    const atServer = watch(kernel, servers);
    echo.send(new Uint8Array(7));
    pass(kernel);
    expect(echo.takeError()).toBe("ECONNREFUSED");
    const [error] = atServer().filter(({ outgoing }) => !outgoing);
    const view = new DataView((error?.bytes ?? new Uint8Array(64)).buffer);
    expect(error).toMatchObject({ src: "10.2.0.1", dst: "10.1.1.1", protocol: 1 });
    expect(formatIpv4(view.getUint32(28 + 12))).toBe("10.1.1.1");
    expect(view.getUint16(28 + 20)).toBe(80);
    expect(checksumsRight(error?.bytes ?? new Uint8Array(64))).toBe(true);
    expect(conserved()).toBe(true);
  });

  it("a server on the director itself, and a client there", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("udp"), [1]);
    director.ipvs.addDestination(service("udp"), { address: ip(LB), port: 80, forwarding: "masq", weight: 1 });
    const local = director.socket.udp();
    local.bind(ip(LB), 80);
    const atServers = sink(servers);
    for (const ns of [client, director]) {
      for (const port of [40000, 40001]) {
        const socket = ns.socket.udp();
        socket.bind(0, port);
        socket.sendTo(new Uint8Array(3), ip(VIP), 80);
        pass(kernel);
        const got = local.tryRecv();
        if (got === undefined) {
          expect(atServers()).toBe(1);
          continue;
        }
        local.sendTo(got.data, got.src, got.srcPort);
        pass(kernel);
        expect(socket.tryRecv()).toMatchObject({ src: ip(VIP), srcPort: 80 });
      }
    }
    expect(director.ipvs.service(service("udp"))?.destinations.map((one) => one.stats.connections)).toEqual([2, 2]);
  });
});

describe.skipIf(!kernelBuilt)("direct routing", () => {
  it("the packet goes to the server's MAC as it is, and the server answers by itself", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    serve(director, service("tcp"), [1], {}, { forwarding: "direct" });
    servers.addr.add("lo", cidr(`${VIP}/32`));
    const listener = servers.socket.tcp();
    listener.bind(ip(VIP), 80);
    listener.listen(4);
    // The answer comes by another way than through the director's IPVS: routed, from the VIP, which is local there too.
    director.sysctlSet("net.ipv4.conf.all.accept_local", 1);
    const atServer = watch(kernel, servers);
    const socket = client.socket.tcp();
    socket.connect(ip(VIP), 80);
    pass(kernel);
    expect(socket.state).toBe("ESTABLISHED");
    const first = atServer()[0];
    expect(first).toMatchObject({
      src: "10.2.0.1",
      dst: VIP,
      ttl: 63,
      dstMac: formatMac(servers.link.get("eth0").mac),
    });
    expect(checksumsRight(first?.bytes ?? new Uint8Array(40))).toBe(true);
    // The client's ACK alone makes it established: replies were seen too, as the way back leads through here.
    expect(director.ipvs.connections()[0]?.state).toBe("ESTABLISHED");
    expect(conserved()).toBe(true);
  });

  it("the client's packets alone move the state: FIN gives FIN_WAIT, which an ACK keeps", async () => {
    const { kernel, client, director } = await farm();
    serve(director, service("tcp"), [1], {}, { forwarding: "direct" });
    const states = [SYN, ACK, FIN | ACK, ACK].map((flags) => {
      segment(client, flags);
      pass(kernel, 1e6);
      const [one] = director.ipvs.connections();
      return `${one?.state} ${Math.ceil((one?.expires ?? 0) / SEC)}`;
    });
    expect(states).toEqual(["SYN_RECV 60", "ESTABLISHED 900", "FIN_WAIT 120", "FIN_WAIT 120"]);
  });
});

describe.skipIf(!kernelBuilt)("IPIP tunnels", () => {
  it("the packet goes inside another: TTL and TOS copied, DF as the client's, source the director's", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    serve(director, service("udp"), [1], {}, { forwarding: "tunnel" });
    const atServer = watch(kernel, servers);
    const socket = client.socket.udp();
    socket.bind(CLIENT, 40000);
    socket.setPmtuDiscovery("do");
    socket.sendTo(new Uint8Array(100), ip(VIP), 80);
    pass(kernel);
    const [outer] = atServer().filter(({ protocol }) => protocol === IPIP);
    expect(outer).toMatchObject({ src: LB, dst: "10.1.1.1", ttl: 63 });
    const bytes = outer?.bytes ?? new Uint8Array(60);
    const view = new DataView(bytes.buffer);
    expect(view.getUint16(6)).toBe(0x4000);
    expect(view.getUint16(2)).toBe(20 + 128);
    const inner = bytes.slice(20);
    expect(checksumsRight(inner)).toBe(true);
    expect(inner[8]).toBe(63);
    expect(formatIpv4(new DataView(inner.buffer).getUint32(16))).toBe(VIP);
    expect(conserved()).toBe(true);
  });

  it("too long for the tunnel: the client is told 20 bytes less than the link takes", async () => {
    const { kernel, client, director } = await farm();
    serve(director, service("udp"), [1], {}, { forwarding: "tunnel" });
    const atClient = watch(kernel, client);
    const socket = client.socket.udp();
    socket.bind(CLIENT, 40000);
    socket.setPmtuDiscovery("do");
    socket.sendTo(new Uint8Array(1460), ip(VIP), 80);
    pass(kernel);
    const [error] = atClient().filter(({ outgoing, protocol }) => !outgoing && protocol === 1);
    expect([
      error?.bytes[20],
      error?.bytes[21],
      new DataView((error?.bytes ?? new Uint8Array(64)).buffer).getUint16(26),
    ]).toEqual([3, 4, 1480]);
  });
});

describe.skipIf(!kernelBuilt)("persistence", () => {
  it("a client stays with its server over connections, until the template runs out", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("udp"), [1, 1, 1], { persistent: { timeoutSec: 360, netmask: 0xffffffff } });
    sink(servers);
    const from = (address: string, port: number): void => {
      const socket = client.socket.udp();
      socket.bind(ip(address), port);
      socket.sendTo(new Uint8Array(1), ip(VIP), 80);
      pass(kernel);
      socket.close();
    };
    for (const port of [40000, 40001, 40002]) from("10.2.0.1", port);
    from("10.2.0.2", 40000);
    const lines = (): string[] =>
      director.ipvs
        .connections()
        .map((one) => `${formatIpv4(one.client.ip)}:${one.client.port} ${one.state} ${formatIpv4(one.destination.ip)}`)
        .sort();
    expect(lines()).toEqual([
      "10.2.0.1:0 NONE 10.1.1.3",
      "10.2.0.1:40000 UDP 10.1.1.3",
      "10.2.0.1:40001 UDP 10.1.1.3",
      "10.2.0.1:40002 UDP 10.1.1.3",
      "10.2.0.2:0 NONE 10.1.1.2",
      "10.2.0.2:40000 UDP 10.1.1.2",
    ]);
    expect(director.ipvs.service(service("udp"))?.destinations.map((one) => one.persistentConnections)).toEqual([
      1, 1, 0,
    ]);
    // Connections hold their template: it outlives its 360 s by the minute after which it is asked again.
    pass(kernel, 421 * SEC);
    expect(lines()).toEqual([]);
    from("10.2.0.1", 40000);
    expect(lines()).toContain("10.2.0.1:40000 UDP 10.1.1.1");
  });

  it("by network, and by mark under protocol IP; a server of weight 0 keeps its clients unless told otherwise", async () => {
    const { kernel, client, director, server: servers } = await farm();
    director.iptables.append("mangle", "PREROUTING", { match: {}, target: { kind: "MARK", value: 9 } });
    const id = { fwmark: 9 };
    serve(director, id, [1, 1], { persistent: { timeoutSec: 360, netmask: ip("255.255.255.0") } });
    sink(servers, 81);
    let port = 40000;
    const chosen = (): string => {
      const socket = client.socket.udp();
      socket.bind(ip(`10.2.0.${1 + (port % 5)}`), port++);
      socket.sendTo(new Uint8Array(1), ip(VIP), 81);
      pass(kernel);
      socket.close();
      const one = director.ipvs.connections().find((other) => other.client.port === port - 1);
      return formatIpv4(one?.destination.ip ?? 0);
    };
    expect([chosen(), chosen()]).toEqual(["10.1.1.2", "10.1.1.2"]);
    expect(director.ipvs.connections().find((one) => one.protocol === "ip")).toMatchObject({
      client: { ip: ip("10.2.0.0"), port: 0 },
      virtual: { ip: 9, port: 0 },
      destination: { ip: server(2), port: 0 },
      fwmark: 9,
    });
    director.ipvs.updateDestination(id, { address: server(2), port: 0, forwarding: "masq", weight: 0 });
    expect(chosen()).toBe("10.1.1.2");
    director.sysctlSet("net.ipv4.vs.expire_quiescent_template", 1);
    expect([chosen(), chosen()]).toEqual(["10.1.1.1", "10.1.1.1"]);
  });
});

describe.skipIf(!kernelBuilt)("services and connections", () => {
  it("one packet: each datagram is scheduled for itself, and none is remembered", async () => {
    const { kernel, client, director, server: servers, conserved } = await farm();
    serve(director, service("udp"), [1, 1], { onePacket: true });
    const received = sink(servers);
    const socket = client.socket.udp();
    socket.bind(CLIENT, 40000);
    for (let i = 0; i < 6; i++) socket.sendTo(new Uint8Array(1), ip(VIP), 80);
    pass(kernel);
    expect(received()).toBe(6);
    const info = director.ipvs.service(service("udp"));
    expect(info?.destinations.map((one) => [one.stats.connections, one.inactiveConnections])).toEqual([
      [3, 0],
      [3, 0],
    ]);
    expect(director.ipvs.connections()).toEqual([]);
    expect(conserved()).toBe(true);
  });

  it("thresholds: at the upper one no more, below the lower one again", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("udp"), [1], {}, { upper: 4 });
    director.ipvs.setTimeouts({ tcp: 0, tcpFin: 0, udp: 10 });
    const received = sink(servers);
    const burst = (first: number, count: number): number => {
      for (let i = 0; i < count; i++) {
        const socket = client.socket.udp();
        socket.bind(CLIENT, first + i);
        socket.sendTo(new Uint8Array(1), ip(VIP), 80);
        pass(kernel, 1e6);
        socket.close();
      }
      return received();
    };
    expect(burst(40000, 6)).toBe(4);
    pass(kernel, 5 * SEC);
    burst(40002, 2); // these two go on
    pass(kernel, 6 * SEC);
    // Two of four are left, and three quarters of the upper threshold is where it opens again.
    expect(director.ipvs.connections()).toHaveLength(2);
    expect(burst(41000, 3)).toBe(2);
  });

  it("a SYN begins a connection, other segments do so with sloppy_tcp only; the rest meets the director's own RST", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("tcp"), [1]);
    const atServer = watch(kernel, servers);
    segment(client, ACK);
    segment(client, RST);
    segment(client, FIN | ACK);
    pass(kernel);
    expect(director.ipvs.connections()).toEqual([]);
    expect(atServer()).toEqual([]);
    expect(director.snmp()["TcpOutRsts"]).toBe(2);
    director.sysctlSet("net.ipv4.vs.sloppy_tcp", 1);
    silence(servers);
    segment(client, RST);
    segment(client, ACK);
    pass(kernel, 1e5);
    expect(director.ipvs.connections().map(({ state }) => state)).toEqual(["ESTABLISHED"]);
  });

  it("half-open connections count as active; conn_reuse_mode decides on a SYN over a dead one", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("tcp"), [1, 1]);
    silence(servers);
    segment(client, SYN);
    pass(kernel, 1e5);
    expect(director.ipvs.service(service("tcp"))?.destinations[0]).toMatchObject({
      activeConnections: 1,
      inactiveConnections: 0,
    });
    segment(client, RST);
    pass(kernel, 1e6);
    const states = (): string[] =>
      director.ipvs.connections().map((one) => `${one.state} ${formatIpv4(one.destination.ip)}`);
    // An RST in SYN_RECV says nothing; one in ESTABLISHED closes.
    expect(states()).toEqual(["SYN_RECV 10.1.1.2"]);
    segment(client, ACK);
    segment(client, RST);
    pass(kernel, 1e6);
    expect(states()).toEqual(["CLOSE 10.1.1.2"]);
    director.sysctlSet("net.ipv4.vs.conn_reuse_mode", 0);
    segment(client, SYN);
    pass(kernel, 1e6);
    expect(states()).toEqual(["SYN_RECV 10.1.1.2"]);
    segment(client, ACK);
    segment(client, RST);
    director.sysctlSet("net.ipv4.vs.conn_reuse_mode", 1);
    segment(client, SYN);
    pass(kernel, 1e6);
    expect(states()).toEqual(["SYN_RECV 10.1.1.1"]);
  });

  it("a destination without packets for it goes to the trash and comes back with its counters", async () => {
    const { kernel, client, director, server: servers } = await farm();
    serve(director, service("udp"), [1]);
    sink(servers);
    const socket = client.socket.udp();
    socket.bind(CLIENT, 40000);
    socket.sendTo(new Uint8Array(1), ip(VIP), 80);
    pass(kernel);
    const count = (): number | undefined => director.ipvs.service(service("udp"))?.destinations[0]?.stats.connections;
    const again = (): void =>
      director.ipvs.addDestination(service("udp"), { address: server(1), port: 80, forwarding: "masq", weight: 1 });
    director.ipvs.removeDestination(service("udp"), server(1), 80);
    again();
    expect(count()).toBe(1);
    director.ipvs.removeDestination(service("udp"), server(1), 80);
    // Its connection ends after 300 s, and the trash is emptied 120 s later, looked through every 60 s.
    pass(kernel, 600 * SEC);
    again();
    expect(count()).toBe(0);
  });

  it("what isn't there, is there already, or cannot be", async () => {
    const { director } = await farm();
    const code = (code: string): unknown => expect.objectContaining({ code });
    const id = service("tcp");
    const one = { address: server(1), port: 80, forwarding: "masq", weight: 1 } as const;
    const { ipvs } = director;
    expect(() => ipvs.removeService(id)).toThrow(code("ESRCH"));
    expect(() => ipvs.addDestination(id, one)).toThrow(code("ESRCH"));
    ipvs.addService({ id, scheduler: "rr" });
    expect(() => ipvs.addService({ id, scheduler: "wrr" })).toThrow(code("EEXIST"));
    expect(() => ipvs.updateDestination(id, one)).toThrow(code("ENOENT"));
    expect(() => ipvs.removeDestination(id, server(1), 80)).toThrow(code("ENOENT"));
    ipvs.addDestination(id, one);
    expect(() => ipvs.addDestination(id, one)).toThrow(code("EEXIST"));
    expect(() => ipvs.updateDestination(id, { ...one, weight: -1 })).toThrow(code("ERANGE"));
    expect(() => ipvs.addDestination(id, { ...one, address: server(2), upper: 1, lower: 2 })).toThrow(code("ERANGE"));
    expect(() => ipvs.addDestination(id, { ...one, address: ip("224.0.0.1") })).toThrow(code("EINVAL"));
    expect(() => ipvs.addService({ id: { fwmark: 0 }, scheduler: "rr" })).toThrow(code("EINVAL"));
    ipvs.updateService({ id, scheduler: "mh", schedulerFlags: ["port"] });
    expect(ipvs.service(id)).toMatchObject({ scheduler: "mh", schedulerFlags: ["port"] });
    ipvs.flush();
    expect(ipvs.services()).toEqual([]);
    director.destroy();
    expect(() => ipvs.services()).toThrow(code("ENOENT"));
  });
});
