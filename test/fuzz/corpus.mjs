/** Valid frames to begin from: what two hosts say to each other, captured at every device. */
import { abi, ip } from "../bench/kernel.mjs";

/** Frames in the capture buffer, with their capture point and direction. */
export function drain(kernel) {
  const { x } = kernel;
  const view = kernel.view();
  const frames = [];
  let at = x.captureBuffer();
  const end = at + x.captureUsed();
  while (at < end) {
    const length = view.getUint32(at + abi.CAP_CAPLEN, true);
    const bytes = kernel.u8().slice(at + abi.CAP_HEADER, at + abi.CAP_HEADER + length);
    frames.push({
      bytes,
      point: view.getUint32(at + abi.CAP_POINT, true),
      dir: view.getUint32(at + abi.CAP_DIR, true),
    });
    at += (abi.CAP_HEADER + length + 7) & ~7;
  }
  x.captureClear();
  return frames;
}

/** Makes traffic of all kinds and keeps one frame of each size and kind, with the device that received it (-1: it was sent). */
export function collect(kernel, sides, connect) {
  const { x } = kernel;
  const points = sides.flatMap((side) => [
    side.nic,
    side.vxlan,
    side.veth,
    side.eth0,
    side.eth1,
    side.gwPort,
    side.second,
  ]);
  for (const [i, dev] of points.entries()) x.linkSetCapture(dev, i + 1, 65535);
  const [a, b] = sides;
  connect(a, b, 80);
  connect(b, a, 80);
  connect(a, b, 81); // refused
  const send = (ns, to, port, length) => {
    const sk = x.udpOpen(ns);
    x.udpSendTo(sk, ip(to), port, length);
    return sk;
  };
  const sockets = [
    send(a.container, "10.0.1.4", 53, 30),
    send(b.container, "10.0.1.2", 53, 1400),
    send(a.container, "10.0.1.4", 99, 30), // port unreachable
    send(b.container, "10.0.1.2", 53, 5000), // fragments
    send(a.container, "10.0.1.9", 53, 10), // nobody
    send(a.container, "192.168.77.12", 7946, 100), // masqueraded
    send(a.container, "8.8.8.8", 53, 30), // no route
    send(a.container, "127.0.0.11", 53, 30), // the resolver
    send(a.ns, "192.168.77.12", 7946, 300),
    send(a.ns, "10.5.0.2", 53, 300), // over the flooding tunnel
    send(a.ns, "10.5.0.255", 53, 30),
  ];
  const ping = x.icmpOpen(a.container, 0);
  for (let seq = 1; seq < 4; seq++) x.icmpSendEcho(ping, ip("10.0.1.4"), seq, 56 * seq * seq);
  x.icmpSendEcho(ping, ip("192.168.77.12"), 9, 56);
  const raw = x.rawOpen(a.container, 47);
  x.rawSendTo(raw, ip("10.0.1.4"), 40); // protocol unreachable
  for (let round = 0; round < 40; round++) {
    kernel.run(x.time() + 5e7);
    for (const side of sides) {
      for (const listener of side.listeners)
        for (let sk = x.tcpAccept(listener); sk > 0; sk = x.tcpAccept(listener)) side.streams.push(sk);
      for (const sk of side.streams) {
        if (round < 6) x.tcpSend(sk, kernel.scratch, 700 * (round + 1));
        while (x.tcpRecv(sk, kernel.scratch, 65536) > 0);
      }
    }
    if (round === 30) for (const side of sides) for (const sk of side.streams.splice(0)) x.tcpClose(sk);
  }
  for (const sk of [...sockets, ping, raw]) x.dgramClose(sk);
  for (const dev of points) x.linkSetCapture(dev, 0, 0);
  const kinds = new Map();
  for (const { bytes, point, dir } of drain(kernel)) {
    const device = dir === 1 ? points[point - 1] : -1;
    const key = `${device} ${bytes.length} ${bytes.subarray(12, 14)} ${bytes[23]} ${bytes[34]} ${bytes[47]} ${bytes[35]}`;
    if (!kinds.has(key)) kinds.set(key, { bytes, device });
  }
  return [...kinds.values()].slice(0, 1000);
}
