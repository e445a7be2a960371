/**
 * A host of the benchmark of workers: a container on an overlay network, made through netlink as libnetwork makes it, in
 * clear or encrypted, that sends UDP datagrams at a constant rate to containers of other hosts. The same module serves
 * the calling thread and worker threads.
 */
const SEC = 1e9;
const VNI = 4097;
const PORT = 5000;
/** dockerd's mark and reqid of encrypted overlays. */
const MARK = 13681891;

export const underlayIp = (host) => 0xc0a80000 + 256 * Math.floor(host / 200) + 11 + (host % 200);
export const underlayMac = (host) => 0x525400000000 + host + 1;
const overlayIp = (host) => 0x0a000000 + 256 * Math.floor(host / 200) + 2 + (host % 200);
const overlayMac = (host) => 0x02420a000000 + host + 1;

export function createMachine(os, config, emit) {
  let sink;
  let flows = [];
  return {
    start() {
      const container = overlay(os.kernel, config);
      if (config.esp) encrypt(os.kernel.root, config);
      sink = container.socket.udp();
      sink.bind(0, PORT);
      sink.setSink(true);
      flows = config.to.map((to) => ({ to, socket: container.socket.udp() }));
      os.spawn("traffic", traffic(config, flows));
    },
    /** Any command asks for the counts. */
    command() {
      emit({ received: sink.received().packets, sent: flows.reduce((sum, flow) => sum + flow.run.counts().sent, 0) });
    },
  };
}

/** Hosts begin one after the other, so that their datagrams do not all leave at the same instants. */
function* traffic({ host, rate, size, duration, start }, flows) {
  const interval = Math.round(SEC / rate);
  for (const [i, flow] of flows.entries()) {
    yield { until: start + Math.floor(interval * (((host * flows.length + i) * 0.618034) % 1)) };
    flow.run = flow.socket.generate(overlayIp(flow.to), PORT, size, interval, Math.ceil(duration / interval));
  }
}

/** The host's part of the network; returns the container's namespace. */
function overlay(kernel, { host, to }) {
  const { root } = kernel;
  root.link.set("lo", { up: true });
  root.link.set("eth0", { up: true });
  root.addr.add("eth0", { ip: underlayIp(host), prefix: 16 });
  const network = kernel.createNs("overlay");
  const container = kernel.createNs("container");
  const docker = { learning: true, proxy: true, l2miss: true, l3miss: true, udpCsum: true };
  root.link.add({ kind: "vxlan", name: "vxlan0", vni: VNI, port: 4789, ...docker });
  root.link.set("vxlan0", { ns: network });
  network.link.add({ kind: "bridge", name: "br0" });
  network.addr.add("br0", { ip: 0x0a000001, prefix: 16 });
  const end = { name: "eth0", ns: container, mac: overlayMac(host), mtu: 1424 };
  network.link.add({ kind: "veth", name: "veth0", mtu: 1424, peer: end });
  const bridge = network.link.get("br0").index;
  for (const name of ["vxlan0", "veth0"]) network.link.set(name, { master: bridge, mtu: 1424, up: true });
  network.link.set("br0", { up: true });
  container.link.set("eth0", { up: true });
  container.addr.add("eth0", { ip: overlayIp(host), prefix: 16 });
  for (const peer of new Set(to)) {
    root.neigh.add("eth0", underlayIp(peer), underlayMac(peer), { state: "PERMANENT", replace: true });
    network.neigh.add("vxlan0", overlayIp(peer), overlayMac(peer), { state: "PERMANENT", replace: true });
    network.fdb.add("vxlan0", overlayMac(peer), { dst: underlayIp(peer) });
  }
  return container;
}

/** An association for each pair of hosts that talk, the mark and the policies, as the overlay driver sets them up. */
function encrypt(root, { host, to, from }) {
  const u32 = `0x0>>0x16&0x3C@0xC&0xFFFFFF00=0x${(VNI << 8).toString(16)}`;
  root.iptables.append("mangle", "OUTPUT", {
    match: { protocol: { value: "udp", not: false }, dport: { value: [4789, 4789], not: false }, u32 },
    target: { kind: "MARK", value: MARK },
  });
  const mark = { value: MARK, mask: 0xffffffff };
  for (const peer of new Set(to)) {
    const ends = { src: underlayIp(host), dst: underlayIp(peer) };
    root.xfrm.stateAdd({ ...association(host), ...ends });
    root.xfrm.policyAdd({
      selector: {
        src: { ip: ends.src, prefix: 32 },
        dst: { ip: ends.dst, prefix: 32 },
        protocol: 17,
        sport: 0,
        dport: 4789,
      },
      dir: "out",
      mark,
      priority: 0,
      action: "allow",
      templates: [{ ...ends, spi: association(host).spi, reqid: MARK }],
    });
  }
  for (const peer of new Set(from))
    root.xfrm.stateAdd({ ...association(peer), src: underlayIp(peer), dst: underlayIp(host) });
}

function association(sender) {
  const spi = 0x1000 + sender;
  const key = Uint8Array.from({ length: 20 }, (_, i) => (i < 16 ? 17 * i + sender : spi >> (8 * (19 - i))));
  return { spi, reqid: MARK, aead: { name: "rfc4106(gcm(aes))", key, icvBits: 64 } };
}
