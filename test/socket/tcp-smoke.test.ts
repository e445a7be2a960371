import { expect, test } from "vitest";
import { TcpNet, pattern, MS, flagText, Peer, SYN } from "./tcp-net.ts";
test("smoke", () => {
  const net = new TcpNet();
  const a = net.host(), b = net.host();
  const da = net.nic(a, "192.168.77.11"); net.nic(b, "192.168.77.12");
  const p = net.capture(da);
  const { client, server } = net.pair(net.root(a), net.root(b), "192.168.77.12");
  const data = pattern(200000);
  let at = 0; let got = 0;
  for (let i = 0; i < 2000 && got < data.length; i++) {
    if (at < data.length) { const n = net.write(client, data.subarray(at, at + 65536)); if (n > 0) at += n; }
    net.run(1 * MS);
    for (;;) { const r = net.read(server); if (typeof r === "number") break; got += r.length; }
  }
  for (const s of net.segments(p).slice(0, 400)) console.log((s.time/1e6).toFixed(3), s.dir, flagText(s.flags), s.seq, s.ack, s.window, s.data.length, Buffer.from(s.options).toString("hex"));
  console.log(at, got, net.now/1e6, net.info(client));
});
