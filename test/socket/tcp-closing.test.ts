/** What becomes of segments that come when one side has closed: how they are counted. */
import { expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { MS, pattern, SEC, TcpNet } from "./tcp-net.ts";

it("pure ACKs for a side that has got its FIN are delivered, not dropped", () => {
  const net = new TcpNet();
  const [h1, h2] = [net.host(), net.host()];
  net.nic(h1, "192.168.77.11");
  net.nic(h2, "192.168.77.12");
  const { client, server } = net.pair(net.root(h1), net.root(h2), "192.168.77.12");
  net.x["tcpShutdown"](client);
  net.run(100 * MS);
  expect(net.state(server)).toBe(abi.TCP_CLOSE_WAIT);
  let received = 0;
  for (let i = 0; i < 20; i++) {
    expect(net.write(server, pattern(1000, i * 1000))).toBe(1000);
    net.run(100 * MS);
    const got = net.read(client);
    if (typeof got !== "number") received += got.length;
  }
  expect(received).toBe(20_000);
  net.x["tcpClose"](server);
  net.run(SEC);
  net.x["tcpClose"](client);
  net.run(200 * SEC);
  for (const host of [h1, h2]) {
    for (let reason = 0; reason < abi.DROP_REASONS; reason++)
      expect([reason, net.drops(host, reason)]).toEqual([reason, 0]);
    expect(net.live(host)).toBe(0);
    expect(net.imbalance(host)).toBe(0n);
  }
});
