import { beforeEach, describe, expect, it } from "vitest";
import { KernelError } from "../../src/base/errors.ts";
import { MS } from "../../src/base/time.ts";
import type { Host } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Wakeable } from "../../src/kernel/socket-types.ts";
import { ip, kernelBuilt, lan, pass } from "../support/kernel.ts";

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "done";
}

const text = (data: Uint8Array | undefined): string | undefined => data && new TextDecoder().decode(data);
const bytes = (data: string): Uint8Array => new TextEncoder().encode(data);

describe.skipIf(!kernelBuilt)("sockets (needs build/kernel.wasm)", () => {
  let kernel: Kernel;
  let a: Host;
  let b: Host;

  beforeEach(async () => {
    const made = await lan(2);
    kernel = made.kernel;
    [a, b] = made.hosts as [Host, Host];
  });

  it("plays UDP ping-pong, and run() returns at the instant of the news", () => {
    const server = b.root.socket.udp();
    server.bind(0, 7946);
    const woken: Wakeable[] = [];
    server.addWaiter({ wake: (source) => woken.push(source) });
    const client = a.root.socket.udp();
    client.sendTo(bytes("ping"), ip("10.1.1.2"), 7946);
    expect(kernel.run(10 * MS)).toBe("wakes");
    expect(woken).toEqual([server]);
    expect(kernel.now).toBeGreaterThan(150_000); // ARP there and back, then the datagram: three times 50 µs
    expect(kernel.now).toBeLessThan(160_000);
    const got = server.tryRecv();
    expect(got).toMatchObject({
      src: ip("10.1.1.1"),
      srcPort: client.localAddress().port,
      dst: ip("10.1.1.2"),
      ttl: 64,
      time: kernel.now,
    });
    expect(text(got?.data)).toBe("ping");
    expect(server.tryRecv()).toBeUndefined();
    server.sendTo(bytes("pong"), got!.src, got!.srcPort);
    pass(kernel);
    expect(text(client.tryRecv()?.data)).toBe("pong");
    expect(a.root.snmp()).toMatchObject({ UdpOutDatagrams: 1, UdpInDatagrams: 1, UdpNoPorts: 0 });
  });

  it("puts a datagram where the receiver wants it, and one that doesn't fit elsewhere", () => {
    const server = b.root.socket.udp();
    server.bind(0, 7946);
    const client = a.root.socket.udp();
    for (const message of ["first", "a longer one", "last"]) client.sendTo(bytes(message), ip("10.1.1.2"), 7946);
    pass(kernel);
    const into = new Uint8Array(8);
    const first = server.tryRecv(into);
    expect(text(first?.data)).toBe("first");
    expect(first?.data.buffer).toBe(into.buffer);
    expect(text(into.subarray(0, 5))).toBe("first");
    const second = server.tryRecv(into);
    expect(text(second?.data)).toBe("a longer one");
    expect(second?.data.buffer).not.toBe(into.buffer);
    expect(text(server.tryRecv(into)?.data)).toBe("last");
    expect(server.tryRecv(into)).toBeUndefined();
  });

  it("gives a stream's bytes where the receiver wants them", () => {
    const listener = b.root.socket.tcp();
    listener.bind(0, 80);
    listener.listen(1);
    const client = a.root.socket.tcp();
    client.connect(ip("10.1.1.2"), 80);
    pass(kernel);
    const server = listener.tryAccept();
    client.trySend(bytes("some bytes"));
    pass(kernel);
    const into = new Uint8Array(6);
    const data = server?.tryRecv(6, into);
    expect(data?.buffer).toBe(into.buffer);
    expect([text(data), text(into)]).toEqual(["some b", "some b"]);
    expect(text(server?.tryRecv(6, into.subarray(2)))).toBe("ytes");
    expect(text(into)).toBe("soytes");
  });

  it("tells a connected socket of a closed port, not an unconnected one", () => {
    const client = a.root.socket.udp();
    client.connect(ip("10.1.1.2"), 99);
    client.send(bytes("x"));
    pass(kernel);
    expect(b.drops()["UDP_NO_SOCKET"]).toBe(1);
    expect(client.takeError()).toBe("ECONNREFUSED");
    const loose = a.root.socket.udp();
    loose.sendTo(bytes("x"), ip("10.1.1.2"), 99);
    pass(kernel);
    expect(loose.takeError()).toBeUndefined();
    expect(b.root.snmp()["UdpNoPorts"]).toBe(2);
  });

  it("refuses what Linux refuses", () => {
    const one = a.root.socket.udp();
    one.bind(0, 53);
    expect(code(() => one.bind(0, 54))).toBe("EINVAL");
    expect(code(() => a.root.socket.udp().bind(0, 53))).toBe("EADDRINUSE");
    expect(code(() => a.root.socket.udp().bind(ip("9.9.9.9"), 53))).toBe("EADDRNOTAVAIL");
    expect(code(() => one.sendTo(bytes("x"), ip("9.9.9.9"), 1))).toBe("ENETUNREACH");
    expect(code(() => one.send(bytes("x")))).toBe("EDESTADDRREQ");
    expect(code(() => one.sendTo(new Uint8Array(70_000), ip("10.1.1.2"), 1))).toBe("EMSGSIZE");
    expect(code(() => one.sendTo(bytes("x"), ip("10.1.1.255"), 1))).toBe("EACCES");
    one.close();
    expect(one.closed).toBe(true);
    expect(code(() => one.bind(0, 53))).toBe("EBADF");
    a.root.socket.udp().bind(0, 53);
  });

  it("pings, and hears that nobody is at home", () => {
    const ping = a.root.socket.icmp();
    ping.sendEcho(ip("10.1.1.2"), 7, bytes("payload"));
    pass(kernel);
    const reply = ping.tryRecv();
    expect(reply).toMatchObject({ type: 0, code: 0, id: ping.id, seq: 7, src: ip("10.1.1.2"), ttl: 64 });
    expect(text(reply?.data)).toBe("payload");
    expect(ping.tryRecv()).toBeUndefined();
    expect(ping.pathMtu(ip("10.1.1.2"))).toBe(1500);
    ping.setPmtuDiscovery("do");
    expect(code(() => ping.sendEcho(ip("10.1.1.2"), 8, new Uint8Array(1473)))).toBe("EMSGSIZE");
    ping.sendEcho(ip("10.1.1.2"), 9, new Uint8Array(1472));
    pass(kernel);
    expect(ping.tryRecv()?.data.length).toBe(1472);
  });

  it("fragments and puts together", () => {
    const server = b.root.socket.udp();
    server.bind(0, 9);
    const client = a.root.socket.udp();
    client.setPmtuDiscovery("dont");
    const data = Uint8Array.from({ length: 20_000 }, (_, i) => i * 7);
    client.sendTo(data, ip("10.1.1.2"), 9);
    pass(kernel);
    expect(server.tryRecv()?.data).toEqual(data);
    expect(b.root.snmp()).toMatchObject({ IpReasmOKs: 1 });
  });

  it("gives raw sockets whole packets of their protocol", () => {
    const raw = b.root.socket.raw(1);
    a.root.socket.icmp().sendEcho(ip("10.1.1.2"), 1, bytes("x"));
    pass(kernel);
    const packet = raw.tryRecv();
    expect(packet?.data[0]).toBe(0x45);
    expect(packet?.data[20]).toBe(8);
    expect(packet).toMatchObject({ src: ip("10.1.1.1"), dst: ip("10.1.1.2") });
  });

  it("lists sockets with their owners, and closes them with their namespace", () => {
    const ns = a.createNs("c");
    const socket = ns.socket.udp();
    socket.bind(0, 5353);
    socket.setOwner("dnsd");
    let woken = 0;
    socket.addWaiter({ wake: () => woken++ });
    expect(ns.socket.list()).toEqual([
      {
        protocol: "udp",
        state: "UNCONN",
        localIp: 0,
        localPort: 5353,
        remoteIp: 0,
        remotePort: 0,
        rxQueue: 0,
        txQueue: 0,
        owner: "dnsd",
      },
    ]);
    expect(a.root.socket.list()).toEqual([]);
    ns.destroy();
    expect(socket.closed).toBe(true);
    expect(woken).toBe(1);
    expect(code(() => socket.sendTo(bytes("x"), 1, 1))).toBe("EBADF");
    expect(code(() => ns.socket.udp())).toBe("ENOENT");
    expect(socket.takeError()).toBe("ENETDOWN");
    socket.close();
  });

  it("echoes over TCP, both ways, to the last byte", () => {
    const listener = b.root.socket.tcp();
    listener.bind(0, 2377);
    listener.listen(8);
    expect(listener.state).toBe("LISTEN");
    const client = a.root.socket.tcp();
    client.connect(ip("10.1.1.2"), 2377);
    expect(client.state).toBe("SYN_SENT");
    expect(listener.tryAccept()).toBeUndefined();
    pass(kernel);
    expect(client.state).toBe("ESTABLISHED");
    const server = listener.tryAccept()!;
    expect(server.remoteAddress()).toEqual(client.localAddress());
    expect(server.tryRecv(100)).toBeUndefined();
    const data = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) >>> 3);
    const back: Uint8Array[] = [];
    let [sent, echoed] = [0, 0];
    for (let round = 0; round < 500 && echoed < data.length; round++) {
      if (sent < data.length) sent += client.trySend(data.subarray(sent));
      pass(kernel, MS);
      for (let part = server.tryRecv(65_536); part !== undefined && part.length > 0; part = server.tryRecv(65_536)) {
        expect(server.trySend(part)).toBe(part.length);
      }
      for (let part = client.tryRecv(65_536); part !== undefined && part.length > 0; part = client.tryRecv(65_536)) {
        back.push(part);
        echoed += part.length;
      }
    }
    expect(Buffer.concat(back).equals(Buffer.from(data))).toBe(true);
    expect(client.info()).toMatchObject({ mss: 1448, retransmits: 0 });
    client.shutdown();
    pass(kernel);
    expect(server.tryRecv(10)).toEqual(new Uint8Array(0));
    expect(server.state).toBe("CLOSE_WAIT");
    server.close();
    pass(kernel);
    expect(client.tryRecv(10)).toEqual(new Uint8Array(0));
    client.close();
    expect(a.root.socket.list()).toMatchObject([{ protocol: "tcp", state: "TIME-WAIT", remotePort: 2377 }]);
    expect(a.root.snmp()).toMatchObject({ TcpActiveOpens: 1, TcpRetransSegs: 0 });
    expect(b.root.snmp()).toMatchObject({ TcpPassiveOpens: 1 });
  });

  it("refuses a TCP connection to a closed port, and resets an aborted one", () => {
    const client = a.root.socket.tcp();
    client.connect(ip("10.1.1.2"), 1);
    pass(kernel);
    expect(client.state).toBe("CLOSED");
    expect(client.takeError()).toBe("ECONNREFUSED");
    const listener = b.root.socket.tcp();
    listener.bind(0, 80);
    listener.listen(1);
    const second = a.root.socket.tcp();
    second.connect(ip("10.1.1.2"), 80);
    pass(kernel);
    listener.tryAccept()?.abort();
    pass(kernel);
    expect(code(() => second.tryRecv(1))).toBe("ECONNRESET");
    expect(code(() => second.trySend(bytes("x")))).toBe("EPIPE");
    expect(code(() => a.root.socket.tcp().connect(ip("9.9.9.9"), 1))).toBe("ENETUNREACH");
  });

  it("leaves no memory behind", () => {
    const round = (): void => {
      const server = b.root.socket.udp();
      server.bind(0, 9);
      const client = a.root.socket.udp();
      for (let i = 0; i < 20; i++) client.sendTo(new Uint8Array(100 * i), ip("10.1.1.2"), i % 2 === 0 ? 9 : 10);
      pass(kernel, 100 * MS);
      server.tryRecv();
      server.close();
      client.close();
      pass(kernel, 100 * MS);
    };
    round();
    round();
    const before = kernel.counters();
    round();
    expect(kernel.counters().blocks).toBe(before.blocks);
    for (const host of [a, b]) {
      const { made, arrived, delivered, dropped, sent, live } = host.packets();
      expect(live).toBe(0);
      expect(made + arrived).toBe(delivered + dropped + sent);
    }
  });
});
