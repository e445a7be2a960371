/** A packet's road through a load balancer's sandbox, as it was seen on a real one (libnetwork.md §3.3, golden/D-service-vip). */
import { describe, expect, it } from "vitest";
import { formatIpv4 } from "../../src/base/addr.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { TcpSocket } from "../../src/kernel/socket-types.ts";
import type { NetNs } from "../../src/kernel/types.ts";
import { procIpVsConn } from "../../src/shell/lib/ipvs-text.ts";
import { flowLine } from "../../src/shell/tools/conntrack.ts";
import { ip, kernelBuilt, pass } from "../support/kernel.ts";
import { MARK, overlay, task } from "./net.ts";

const VIP = "10.0.3.2";
const SEC = 1e9;

/** A server on each namespace's port 80 that says its address. */
function listen(ns: NetNs, port = 80): TcpSocket {
  const socket = ns.socket.tcp();
  socket.bind(0, port);
  socket.listen(16);
  return socket;
}

function connect(ns: NetNs, kernel: Kernel, port = 80, from = 0): TcpSocket {
  const socket = ns.socket.tcp();
  if (from !== 0) socket.bind(0, from);
  socket.connect(ip(VIP), port);
  pass(kernel);
  return socket;
}

/** Frames that a namespace's eth0 received from now on: TTL, source, destination of IP packets of a protocol. */
function watch(
  kernel: Kernel,
  ns: NetNs,
  protocol: number,
): () => { ttl: number; src: string; dst: string; sport: number; bytes: Uint8Array }[] {
  const tap = ns.link.tap("eth0", 1600);
  return () => {
    kernel.takeCapture();
    const seen = [];
    for (let frame = tap.tryRecv(); frame !== undefined; frame = tap.tryRecv()) {
      const bytes = frame.data.slice(14);
      if (frame.outgoing || frame.data[12] !== 8 || frame.data[13] !== 0 || bytes[9] !== protocol) continue;
      const view = new DataView(bytes.buffer);
      seen.push({
        ttl: view.getUint8(8),
        src: formatIpv4(view.getUint32(12)),
        dst: formatIpv4(view.getUint32(16)),
        sport: view.getUint16(20),
        bytes,
      });
    }
    return seen;
  };
}

describe.skipIf(!kernelBuilt)("a service's VIP in a load balancer's sandbox", () => {
  it("TCP: source becomes the sandbox's address, the port stays, TTL 63 both ways; the tables are those of a real one", async () => {
    const { kernel, client, lb, tasks, conserved } = await overlay();
    const listeners = tasks.map((ns) => listen(ns));
    const last = tasks[4] as NetNs; // 10.0.3.7 was added last, so it is first
    const atTask = watch(kernel, last, 6);
    const atClient = watch(kernel, client, 6);
    const errors = watch(kernel, last, 1);
    const socket = connect(client, kernel, 80, 56954);
    expect(socket.state).toBe("ESTABLISHED");
    const accepted = listeners[4]?.tryAccept();
    expect(accepted?.remoteAddress()).toEqual({ ip: ip("10.0.3.9"), port: 56954 });
    socket.trySend(new TextEncoder().encode("hello"));
    pass(kernel);
    expect(new TextDecoder().decode(accepted?.tryRecv(100))).toBe("hello");
    accepted?.trySend(new Uint8Array(5000));
    pass(kernel);
    expect(socket.tryRecv(10_000)?.length).toBe(5000);
    expect([...new Set(atTask().map(({ ttl, src, dst, sport }) => `${ttl} ${src}:${sport} ${dst}`))]).toEqual([
      "63 10.0.3.9:56954 10.0.3.7",
    ]);
    expect([...new Set(atClient().map(({ ttl, src, dst, sport }) => `${ttl} ${src}:${sport} ${dst}`))]).toEqual([
      "63 10.0.3.2:80 10.0.3.20",
    ]);
    // Redirects ("the client is on your own link") are made for the replies, and dropped by NAT, as on the real one.
    expect(errors()).toEqual([]);
    expect(lb.snmp()["IcmpOutRedirects"]).toBeGreaterThan(0);
    expect(lb.conntrack.list().map(flowLine)).toEqual([
      "tcp      6 431999 ESTABLISHED src=10.0.3.20 dst=10.0.3.2 sport=56954 dport=80 src=10.0.3.7 dst=10.0.3.9 sport=80 dport=56954 [ASSURED] mark=0 use=1",
    ]);
    expect(procIpVsConn(lb.ipvs).split("\n")[1]).toBe(
      "TCP 0A000314 DE7A 0A000302 0050 0A000307 0050 ESTABLISHED     899",
    );
    // Client's FIN, server's FIN: TIME_WAIT, 120 s.
    socket.shutdown();
    pass(kernel);
    expect(lb.ipvs.connections()[0]?.state).toBe("CLOSE_WAIT");
    accepted?.close();
    socket.close();
    pass(kernel);
    expect(lb.ipvs.connections()[0]?.state).toBe("TIME_WAIT");
    const service = lb.ipvs.service({ fwmark: MARK });
    expect(service?.destinations[0]).toMatchObject({ activeConnections: 0, inactiveConnections: 1, weight: 1 });
    expect(service?.stats.connections).toBe(1);
    pass(kernel, 121 * SEC);
    expect(lb.ipvs.connections()).toEqual([]);
    // Its tracked connection went with it.
    expect(lb.conntrack.list()).toEqual([]);
    expect(conserved()).toBe(true);
  });

  it("connections go from the last added task to the first, and around", async () => {
    const { kernel, client, tasks } = await overlay();
    const listeners = tasks.map((ns) => listen(ns));
    const order: number[] = [];
    for (let i = 0; i < 7; i++) {
      connect(client, kernel);
      order.push(3 + listeners.findIndex((listener) => listener.tryAccept() !== undefined));
    }
    expect(order).toEqual([7, 6, 5, 4, 3, 7, 6]);
  });

  it("a task that is a client of its own VIP is served, also by itself", async () => {
    const { kernel, tasks } = await overlay();
    const own = tasks[4] as NetNs;
    const listener = listen(own);
    const socket = connect(own, kernel);
    expect(socket.state).toBe("ESTABLISHED");
    expect(listener.tryAccept()?.remoteAddress().ip).toBe(ip("10.0.3.9"));
  });

  it("a closed port gives the task's RST; the VIP itself answers ping", async () => {
    const { kernel, client, lb } = await overlay();
    const socket = connect(client, kernel, 81);
    expect(socket.takeError()).toBe("ECONNREFUSED");
    expect(lb.ipvs.connections()[0]?.state).toBe("CLOSE");
    const ping = client.socket.icmp();
    ping.sendEcho(ip(VIP), 1, new Uint8Array(56));
    pass(kernel);
    expect(ping.tryRecv()).toMatchObject({ type: 0, src: ip(VIP), ttl: 64 });
  });

  it("UDP: a client's port keeps its task for 300 s from the last packet on", async () => {
    const { kernel, client, lb, tasks, conserved } = await overlay();
    const servers = tasks.map((ns) => {
      const socket = ns.socket.udp();
      socket.bind(0, 53);
      return socket;
    });
    const socket = client.socket.udp();
    socket.bind(0, 40000);
    const heard = (): number[] =>
      servers.flatMap((server, i) => {
        const got: number[] = [];
        for (let one = server.tryRecv(); one !== undefined; one = server.tryRecv()) {
          got.push(3 + i);
          server.sendTo(one.data, one.src, one.srcPort);
        }
        return got;
      });
    const send = (): number[] => {
      socket.sendTo(new Uint8Array(10), ip(VIP), 53);
      pass(kernel);
      const who = heard();
      pass(kernel);
      expect(socket.tryRecv()).toMatchObject({ src: ip(VIP), srcPort: 53 });
      return who;
    };
    expect(send()).toEqual([7]);
    pass(kernel, 200 * SEC);
    expect(send()).toEqual([7]);
    pass(kernel, 299 * SEC);
    expect(send()).toEqual([7]);
    pass(kernel, 301 * SEC);
    expect(lb.ipvs.connections()).toEqual([]);
    expect(send()).toEqual([6]);
    expect(conserved()).toBe(true);
  });

  it("an idle TCP connection is forgotten after 900 s; then the client's data is answered with RST", async () => {
    const { kernel, client, lb, tasks } = await overlay();
    const listeners = tasks.map((ns) => listen(ns));
    const socket = connect(client, kernel);
    listeners[4]?.tryAccept();
    pass(kernel, 899 * SEC);
    expect(lb.ipvs.connections()).toHaveLength(1);
    pass(kernel, 2 * SEC);
    expect(lb.ipvs.connections()).toEqual([]);
    expect(lb.conntrack.count()).toBe(0);
    socket.trySend(new Uint8Array(1));
    pass(kernel);
    expect(socket.takeError()).toBe("ECONNRESET");
  });

  it("… and keepalive saves it", async () => {
    const { kernel, client, lb, tasks } = await overlay();
    const listeners = tasks.map((ns) => listen(ns));
    const socket = connect(client, kernel);
    socket.setKeepalive(true, 600 * SEC);
    const accepted = listeners[4]?.tryAccept();
    pass(kernel, 4000 * SEC);
    expect(lb.ipvs.connections()).toHaveLength(1);
    socket.trySend(new Uint8Array(3));
    pass(kernel);
    expect(accepted?.tryRecv(10)?.length).toBe(3);
  });

  it("weight 0: no new connections, the old ones go on; a SYN from an old port is dropped once, then goes elsewhere", async () => {
    const { kernel, client, lb, tasks } = await overlay();
    const listeners = tasks.map((ns) => listen(ns));
    const socket = connect(client, kernel, 80, 40001);
    const accepted = listeners[4]?.tryAccept();
    lb.ipvs.updateDestination({ fwmark: MARK }, task(7, 0));
    for (let i = 0; i < 5; i++) connect(client, kernel);
    expect(listeners.map((listener) => listener.tryAccept() !== undefined)).toEqual([true, true, true, true, false]);
    socket.trySend(new Uint8Array(3));
    pass(kernel);
    expect(accepted?.tryRecv(10)?.length).toBe(3);
    // The client forgets the connection without a word to the server, and opens one from the same port again.
    client.link.set("eth0", { up: false });
    socket.abort();
    pass(kernel);
    client.link.set("eth0", { up: true });
    const again = client.socket.tcp();
    again.bind(0, 40001);
    again.connect(ip(VIP), 80);
    pass(kernel, 0.5 * SEC);
    expect(again.state).toBe("SYN_SENT");
    pass(kernel, 0.7 * SEC);
    expect(again.state).toBe("ESTABLISHED");
  });

  it("with expire_nodest_conn a deleted task's connections die, and nothing else", async () => {
    const { kernel, client, lb, tasks, conserved } = await overlay();
    tasks.map((ns) => listen(ns));
    const doomed = connect(client, kernel);
    const other = connect(client, kernel);
    lb.ipvs.removeDestination({ fwmark: MARK }, ip("10.0.3.7"), 0);
    pass(kernel, 0.01 * SEC);
    expect(lb.ipvs.connections().map(({ destination }) => formatIpv4(destination.ip))).toEqual(["10.0.3.6"]);
    doomed.trySend(new Uint8Array(1));
    other.trySend(new Uint8Array(1));
    pass(kernel, SEC);
    expect(doomed.takeError()).toBe("ECONNRESET");
    expect(other.unacked).toBe(0);
    expect(conserved()).toBe(true);
  });

  it("without it they wait, and a task that is added again gets them back", async () => {
    const { kernel, client, lb, tasks } = await overlay();
    lb.sysctlSet("net.ipv4.vs.expire_nodest_conn", 0);
    const listeners = tasks.map((ns) => listen(ns));
    const socket = connect(client, kernel);
    const accepted = listeners[4]?.tryAccept();
    lb.ipvs.removeDestination({ fwmark: MARK }, ip("10.0.3.7"), 0);
    socket.trySend(new Uint8Array(2));
    pass(kernel);
    expect(accepted?.tryRecv(10)).toBeUndefined();
    lb.ipvs.addDestination({ fwmark: MARK }, task(7));
    expect(lb.ipvs.service({ fwmark: MARK })?.destinations[0]).toMatchObject({ activeConnections: 1 });
    pass(kernel, 2 * SEC);
    expect(accepted?.tryRecv(10)?.length).toBe(2);
  });

  it("no task left: ICMP port unreachable, so a client's connect fails at once", async () => {
    const { kernel, client, lb } = await overlay();
    for (const address of [3, 4, 5, 6, 7]) lb.ipvs.removeDestination({ fwmark: MARK }, ip(`10.0.3.${address}`), 0);
    const atClient = watch(kernel, client, 1);
    const socket = connect(client, kernel);
    expect(socket.takeError()).toBe("ECONNREFUSED");
    expect(atClient().map(({ bytes, src }) => `${src} ${bytes[20]}/${bytes[21]}`)).toEqual(["10.0.3.2 3/3"]);
    lb.ipvs.removeService({ fwmark: MARK });
    const refused = connect(client, kernel);
    expect(refused.takeError()).toBe("ECONNREFUSED"); // the sandbox's own RST
    expect(atClient()).toEqual([]);
  });

  it("an ICMP error of the task's side reaches the client from the VIP", async () => {
    const { kernel, client, tasks, conserved } = await overlay();
    const atClient = watch(kernel, client, 1);
    const socket = client.socket.udp();
    socket.bind(0, 40005);
    socket.connect(ip(VIP), 9999);
    socket.send(new Uint8Array(20));
    pass(kernel);
    expect(socket.takeError()).toBe("ECONNREFUSED");
    const [error] = atClient();
    const view = new DataView((error?.bytes ?? new Uint8Array(64)).buffer);
    expect(error?.src).toBe(VIP);
    // What it quotes is what the client sent: to the VIP, from its own address and port.
    expect(formatIpv4(view.getUint32(28 + 12))).toBe("10.0.3.20");
    expect(formatIpv4(view.getUint32(28 + 16))).toBe(VIP);
    expect(view.getUint16(28 + 20)).toBe(40005);
    expect(view.getUint16(28 + 22)).toBe(9999);
    expect(tasks).toHaveLength(5);
    expect(conserved()).toBe(true);
  });
});
