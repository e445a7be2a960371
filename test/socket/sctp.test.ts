/** SCTP sockets on two hosts of the bare kernel: what is on the wire, and what programs get. Times are virtual and exact. */
import { describe, expect, test } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { type Message, MS, pattern, type SctpNet, SEC, Two } from "./sctp-net.ts";

/** Everything that can be read now, message by message. */
function readAll(net: SctpNet, sk: number): Message[] {
  const out: Message[] = [];
  for (;;) {
    const message = net.read(sk);
    if (typeof message === "number") return out;
    out.push(message);
  }
}

describe("an association", () => {
  test("four-way handshake, a message each way, graceful shutdown", () => {
    const two = new Two();
    const { client, server } = two.pair();
    expect(two.seen()).toEqual(["> INIT", "< INIT-ACK", "> COOKIE-ECHO", "< COOKIE-ACK"]);
    expect(two.net.state(client)).toBe(abi.SCTP_ESTABLISHED);
    expect(two.net.info(client)).toMatchObject({ out: 10, in: 10, cwnd: 4380, rto: 3000, frag: 1452 });
    expect(two.net.write(client, pattern(5), 3, 77)).toBe(5);
    two.net.run(10 * MS);
    expect(readAll(two.net, server)).toMatchObject([
      { data: pattern(5), stream: 3, ssn: 0, ppid: 77, end: true, unordered: false },
    ]);
    two.net.write(server, pattern(7, 5));
    two.net.run(SEC);
    expect(readAll(two.net, client)).toMatchObject([{ data: pattern(7, 5), stream: 0, ssn: 0 }]);
    expect(two.net.read(client)).toBe(-abi.EAGAIN);
    // The first packet of an association is acknowledged at once, in each direction.
    expect(two.seen()).toEqual(["> DATA", "< SACK", "< DATA", "> SACK"]);
    two.net.x["sctpShutdown"](client);
    two.net.run(10 * MS);
    expect(two.seen()).toEqual(["> SHUTDOWN", "< SHUTDOWN-ACK", "> SHUTDOWN-COMPLETE"]);
    expect([two.net.state(client), two.net.state(server)]).toEqual([abi.SCTP_CLOSED, abi.SCTP_CLOSED]);
    expect([two.net.read(client), two.net.read(server)]).toEqual([0, 0]);
    expect(two.net.write(server, pattern(1))).toBe(-abi.EPIPE);
  });

  test("INIT as Linux sends it: windows, streams, supported addresses; the cookie comes back", () => {
    const two = new Two();
    two.pair();
    const [init, ack, echo] = two.net.packets(two.point);
    expect(init).toMatchObject({ tag: 0, df: true, ipLength: 20 + 12 + 28, checksumOk: true });
    const view = init!.chunks[0]!.view;
    expect([view.getUint32(4), view.getUint16(8), view.getUint16(10)]).toEqual([106_496, 10, 65_535]);
    expect([...init!.chunks[0]!.body.slice(16)]).toEqual([0, 12, 0, 6, 0, 5]);
    expect(ack!.tag).toBe(view.getUint32(0));
    expect(echo!.tag).toBe(ack!.chunks[0]!.view.getUint32(0));
    // The cookie comes back as it was given.
    expect(echo!.chunks[0]!.body).toEqual(ack!.chunks[0]!.body.slice(20));
  });

  test("INIT again at 3, 9, 21, 45, 93, 153, 213, 273 s; ETIMEDOUT at 333 s", () => {
    const two = new Two();
    two.net.down(two.devs[1] as number);
    two.net.x["neighAdd"](two.devs[0], 0xc0a84d0c, 0x5254, 0x00774d0c, abi.NUD_PERMANENT, 1);
    const sk = two.net.connect(two.ns[0] as number, "192.168.77.12", 9999);
    two.net.run(332.9 * SEC);
    const seen = two.net.packets(two.point);
    expect(seen.map((packet) => Math.round(packet.time / SEC))).toEqual([0, 3, 9, 21, 45, 93, 153, 213, 273]);
    expect(two.net.state(sk)).toBe(abi.SCTP_COOKIE_WAIT);
    two.net.run(0.2 * SEC);
    expect(two.net.state(sk)).toBe(abi.SCTP_CLOSED);
    expect(two.net.error(sk)).toBe(abi.ETIMEDOUT);
  });

  test("nobody listens: ABORT with the tag of the INIT; ECONNREFUSED", () => {
    const two = new Two();
    two.net.x["sctpClose"](two.net.x["sctpOpen"](two.ns[1])); // loads the module
    const sk = two.net.connect(two.ns[0] as number, "192.168.77.12", 9999);
    two.net.run(10 * MS);
    const [init, abort] = two.net.packets(two.point);
    expect(abort).toMatchObject({ text: "ABORT", tag: init!.chunks[0]!.view.getUint32(0) });
    expect(abort!.chunks[0]!.flags).toBe(0);
    expect(two.net.state(sk)).toBe(abi.SCTP_CLOSED);
    expect(two.net.error(sk)).toBe(abi.ECONNREFUSED);
  });

  test("a host without the module: protocol unreachable, ENOPROTOOPT", () => {
    const two = new Two();
    const sk = two.net.connect(two.ns[0] as number, "192.168.77.12", 9999);
    two.net.run(10 * MS);
    expect(two.net.state(sk)).toBe(abi.SCTP_CLOSED);
    expect(two.net.error(sk)).toBe(92);
    expect(two.net.drops(two.hosts[1] as number, abi.DROP_IP_NOPROTO)).toBe(1);
  });

  test("closing with unread data aborts; the peer learns ECONNRESET", () => {
    const two = new Two();
    const { client, server } = two.pair();
    two.net.write(client, pattern(10));
    two.net.run(10 * MS);
    two.seen();
    two.net.x["sctpClose"](server);
    two.net.run(10 * MS);
    expect(two.seen()).toEqual(["< ABORT"]);
    expect(two.net.read(client)).toBe(-abi.ECONNRESET);
    expect(two.net.read(client)).toBe(0);
  });

  test("both shut down at once", () => {
    const two = new Two();
    const { client, server } = two.pair();
    two.seen();
    two.net.x["sctpShutdown"](client);
    two.net.x["sctpShutdown"](server);
    two.net.run(SEC);
    expect([two.net.state(client), two.net.state(server)]).toEqual([abi.SCTP_CLOSED, abi.SCTP_CLOSED]);
    expect(two.seen().filter((line) => line.includes("SHUTDOWN-ACK")).length).toBe(2);
  });

  test("what is queued at close arrives before the end", () => {
    const two = new Two();
    const { client, server } = two.pair();
    two.net.write(client, pattern(100_000));
    two.net.x["sctpClose"](client);
    const got: number[] = [];
    for (let i = 0; i < 200; i++) {
      two.net.run(10 * MS);
      for (const message of readAll(two.net, server)) got.push(...message.data);
    }
    expect(Uint8Array.from(got)).toEqual(pattern(100_000));
    expect(two.net.read(server)).toBe(0);
    two.net.x["sctpClose"](server);
  });

  test("a listener's backlog: one too many is refused", () => {
    const two = new Two();
    const listener = two.net.listen(two.ns[1] as number, 7, 1);
    const clients = [0, 1, 2].map(() => two.net.connect(two.ns[0] as number, "192.168.77.12", 7));
    two.net.run(SEC);
    expect(clients.map((sk) => two.net.state(sk))).toEqual([
      abi.SCTP_ESTABLISHED,
      abi.SCTP_ESTABLISHED,
      abi.SCTP_CLOSED,
    ]);
    expect(two.net.error(clients[2] as number)).toBe(abi.ECONNREFUSED);
    two.net.x["sctpClose"](listener);
    two.net.run(SEC);
    expect(clients.map((sk) => two.net.state(sk))).toEqual([abi.SCTP_CLOSED, abi.SCTP_CLOSED, abi.SCTP_CLOSED]);
  });
});

describe("messages", () => {
  test("keep their bounds, are cut by the path's MTU, put together in order of each stream", () => {
    const two = new Two();
    const { client, server } = two.pair();
    two.seen();
    const sizes = [1, 1452, 1453, 4000, 20_000, 3];
    const got: Message[] = [];
    for (const [i, size] of sizes.entries()) {
      expect(two.net.write(client, pattern(size, i), i % 2, i)).toBe(size);
      two.net.run(SEC);
      got.push(...readAll(two.net, server));
    }
    expect(got.map((message) => [message.data.length, message.stream, message.ssn, message.ppid])).toEqual(
      sizes.map((size, i) => [size, i % 2, i >> 1, i]),
    );
    for (const [i, message] of got.entries()) expect(message.data).toEqual(pattern(sizes[i] as number, i));
    const packets = two.net.packets(two.point);
    expect(Math.max(...packets.map((packet) => packet.ipLength))).toBe(1500);
    expect(packets.every((packet) => packet.checksumOk && packet.df)).toBe(true);
  });

  test("bundled chunks fill a packet and no more", () => {
    const two = new Two();
    const { client, server } = two.pair();
    for (let i = 0; i < 60; i++) two.net.write(client, pattern(101, i));
    two.net.run(SEC);
    expect(readAll(two.net, server).length).toBe(60);
    const frames = two.net.takeIp(two.point).filter((frame) => frame.protocol === 132 && frame.dir === 2);
    expect(frames.every((frame) => frame.df && !frame.mf && frame.offset === 0)).toBe(true);
    // Twelve chunks of 120 bytes.
    expect(Math.max(...frames.map((frame) => frame.length))).toBe(20 + 12 + 12 * 120);
  });

  test("a reader with a small buffer gets a message in pieces", () => {
    const two = new Two();
    const { client, server } = two.pair();
    two.net.write(client, pattern(10));
    two.net.write(client, pattern(3));
    two.net.run(SEC);
    expect(two.net.read(server, 6)).toMatchObject({ data: pattern(6), end: false });
    expect(two.net.read(server, 6)).toMatchObject({ data: pattern(4, 6), end: true });
    expect(two.net.read(server, 6)).toMatchObject({ data: pattern(3), end: true });
  });

  test("refusals: no bytes, no such stream, larger than the buffer, full", () => {
    const two = new Two();
    const { client } = two.pair();
    expect(two.net.write(client, new Uint8Array(0))).toBe(-abi.EINVAL);
    expect(two.net.write(client, pattern(1), 10)).toBe(-abi.EINVAL);
    expect(two.net.write(client, new Uint8Array(212_993))).toBe(-abi.EMSGSIZE);
    expect(two.net.write(client, new Uint8Array(212_992))).toBe(212_992);
    expect(two.net.write(client, pattern(1))).toBe(-abi.EAGAIN);
  });

  test("a message larger than the window is delivered piece by piece", () => {
    const two = new Two();
    const { client, server } = two.pair();
    const data = pattern(200_000);
    two.net.write(client, data);
    const got: number[] = [];
    let last: Message | undefined;
    for (let i = 0; i < 400; i++) {
      two.net.run(50 * MS);
      for (const message of readAll(two.net, server)) {
        got.push(...message.data);
        last = message;
      }
    }
    expect(got.length).toBe(data.length);
    expect(Uint8Array.from(got)).toEqual(data);
    expect(last?.end).toBe(true);
  });

  test("small ones wait for an acknowledgement unless told not to (Nagle)", () => {
    const two = new Two();
    const { client } = two.pair();
    two.seen();
    for (let i = 0; i < 3; i++) two.net.write(client, pattern(5));
    two.net.run(10 * MS);
    expect(two.seen()).toEqual(["> DATA", "< SACK", "> DATA+DATA"]);
    two.net.run(SEC);
    two.seen();
    two.net.x["sctpSetNoDelay"](client, 1);
    for (let i = 0; i < 3; i++) two.net.write(client, pattern(5));
    two.net.run(10 * MS);
    expect(two.seen().filter((line) => line === "> DATA").length).toBe(3);
  });

  test("SACK for every second packet, or after 200 ms", () => {
    const two = new Two();
    const { client } = two.pair();
    two.net.write(client, pattern(5));
    two.net.run(10 * MS);
    two.seen();
    two.net.write(client, pattern(5));
    const start = two.net.now;
    two.net.run(SEC);
    const sack = two.net.packets(two.point).find((packet) => packet.text === "SACK");
    expect(Math.round(((sack?.time ?? 0) - start) / MS)).toBe(200);
    two.net.x["sctpSetNoDelay"](client, 1);
    two.net.write(client, pattern(5));
    two.net.write(client, pattern(5));
    two.net.run(50 * MS);
    expect(two.seen()).toEqual(["> DATA", "> DATA", "< SACK"]);
  });
});

describe("loss", () => {
  for (const loss of [0.01, 0.05, 0.2])
    test(`everything arrives in order at ${loss * 100} % loss`, () => {
      const two = new Two();
      const { client, server } = two.pair();
      for (const port of [0, 1]) two.net.x["portSet"](port, 0, 50_000, 1e9, loss * 2 ** 32, 1e9, 0);
      const got: Message[] = [];
      let sent = 0;
      for (let i = 0; i < 40_000 && got.length < 300; i++) {
        if (sent < 300 && two.net.write(client, pattern(50 + ((sent * 97) % 3000), sent), sent % 4, sent, 0) > 0)
          sent++;
        two.net.run(20 * MS);
        got.push(...readAll(two.net, server));
      }
      expect(got.length).toBe(300);
      for (const stream of [0, 1, 2, 3]) {
        const own = got.filter((message) => message.stream === stream);
        expect(own.map((message) => message.ssn)).toEqual(own.map((_, i) => i));
      }
      for (const message of got) expect(message.data).toEqual(pattern(50 + ((message.ppid * 97) % 3000), message.ppid));
      expect(two.net.info(client).retrans).toBeGreaterThan(0);
    });

  test("T3 doubles from 1 s; after ten timeouts ABORT and ETIMEDOUT", () => {
    const two = new Two();
    const { client } = two.pair();
    two.net.write(client, pattern(5));
    two.net.run(SEC);
    expect(two.net.info(client).rto).toBe(1000);
    two.net.down(two.devs[1] as number);
    two.net.x["neighAdd"](two.devs[0], 0xc0a84d0c, 0x5254, 0x00774d0c, abi.NUD_PERMANENT, 1);
    two.seen();
    const start = two.net.now;
    two.net.write(client, pattern(5));
    two.net.run(2000 * SEC);
    const data = two.net.packets(two.point).filter((packet) => packet.text === "DATA");
    expect(data.map((packet) => Math.round((packet.time - start) / SEC))).toEqual([
      0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303,
    ]);
    expect(two.net.state(client)).toBe(abi.SCTP_CLOSED);
    expect(two.net.error(client)).toBe(abi.ETIMEDOUT);
  });

  test("a heartbeat after 30 s of rest and half an RTO, within an RTO", () => {
    const two = new Two();
    two.pair();
    const start = two.net.now;
    two.seen();
    two.net.run(40 * SEC);
    const [beat, answer] = two.net.packets(two.point);
    expect(beat?.text).toBe("HEARTBEAT");
    expect(answer?.text).toBe("HEARTBEAT-ACK");
    expect(answer?.chunks[0]?.body).toEqual(beat?.chunks[0]?.body);
    const after = ((beat?.time ?? 0) - start) / SEC;
    expect(after).toBeGreaterThan(31);
    expect(after).toBeLessThan(35);
  });
});

describe("memory", () => {
  test("nothing is left of associations that are over, or of a namespace in the middle of some", () => {
    const two = new Two();
    const round = () => {
      const { client, server, listener } = two.pair();
      for (let i = 0; i < 20; i++) two.net.write(client, pattern(3000), i % 10);
      two.net.write(server, pattern(5));
      two.net.run(SEC);
      for (const sk of [client, server, listener]) two.net.x["sctpClose"](sk);
      two.net.run(10 * SEC);
    };
    round();
    const held = two.net.x["blocksHeld"]() as number;
    for (let i = 0; i < 5; i++) round();
    expect(two.net.x["blocksHeld"]()).toBe(held);
    const third = two.net.x["netnsNew"](two.hosts[0]) as number;
    const fresh = two.net.x["blocksHeld"]() as number;
    two.net.lo(third);
    const listener = two.net.listen(third, 5);
    two.net.connect(third, "127.0.0.1", 5);
    two.net.run(SEC);
    const server = two.net.x["sctpAccept"](listener) as number;
    expect(server).toBeGreaterThan(0);
    two.net.write(server, pattern(9000));
    two.net.run(SEC);
    two.net.connect(third, "127.0.0.1", 5);
    two.net.run(SEC);
    two.net.x["netnsDel"](third);
    two.net.run(SEC);
    expect(two.net.x["blocksHeld"]()).toBeLessThanOrEqual(fresh);
  });
});
