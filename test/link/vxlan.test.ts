/** The VXLAN device: what it puts on the wire, whom it believes, what it answers itself (kernel facts 3). */
import { beforeEach, describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, SEC } from "../inet/net.ts";
import { icmp, udp } from "../netfilter/harness.ts";
import { goldenAvailable, goldenExists, goldenPackets, goldenTitle, xzAvailable } from "../support/golden.ts";
import { hex, unhex } from "../support/wasm.ts";
import { BROADCAST, eth, LinkNet, mac } from "./frames.ts";

const LEARN = 1;
const PROXY = 2;
const L2MISS = 4;
const L3MISS = 8;
const CSUM = 16;
/** As libnetwork makes it: learning proxy l2miss l3miss udpcsum. */
const DOCKER = LEARN | PROXY | L2MISS | L3MISS | CSUM;
const NEAR = mac(0x0a000102);
const FAR = mac(0x0a000104);
const FAR_IP = "192.168.77.12";

interface Side {
  host: number;
  ns: number;
  nic: number;
  wire: number;
  overlay: number;
  bridge: number;
  vxlan: number;
  tunnel: number;
  port: number;
  far: number;
}

let net: LinkNet;
let a: Side;
let b: Side;

function side(address: string, flags: number, tos = 0): Side {
  const host = net.host();
  const ns = net.root(host);
  const nic = net.nic(host, address);
  const overlay = net.x["netnsNew"](host) as number;
  const vxlan = net.x["linkNewVxlan"](ns, 4097, 4789, flags, 0, tos, 300e9) as number;
  net.named(vxlan, "vxlan0");
  net.setMac(vxlan, mac(0x7f000000 + net.hosts.length));
  net.x["linkSetNs"](vxlan, overlay);
  net.x["linkSetMtu"](vxlan, 1450);
  const bridge = net.bridge(overlay, "br0");
  const container = net.x["netnsNew"](host) as number;
  const { port, far } = net.port(bridge, overlay, container, 1);
  net.x["linkSetCapture"](port, 0, 0);
  net.x["linkSetMtu"](port, 1450);
  net.x["linkSetMaster"](vxlan, bridge);
  net.up(vxlan);
  const wire = net.capture(nic);
  return { host, ns, nic, wire, overlay, bridge, vxlan, tunnel: net.capture(vxlan), port, far };
}

const fdb = (dev: number, address: string, vtep: string, mode = 0): number =>
  net.x["fdbAdd"](
    dev,
    Number.parseInt(address.slice(0, 4), 16),
    Number.parseInt(address.slice(4), 16),
    ip(vtep),
    mode,
    0,
  );

function known(dev: number, at: string, address: string): void {
  const high = Number.parseInt(address.slice(0, 4), 16);
  net.x["neighAdd"](dev, ip(at), high, Number.parseInt(address.slice(4), 16), abi.NUD_PERMANENT, 1);
}

beforeEach(() => {
  net = new LinkNet();
  a = side("192.168.77.11", DOCKER);
  b = side(FAR_IP, DOCKER);
  known(a.nic, FAR_IP, net.info(b.nic).mac);
  known(b.nic, "192.168.77.11", net.info(a.nic).mac);
});

/** A frame that has to be there. */
function there<T>(frame: T | undefined): T {
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

/** The frames that the tunnel of `from` put on the wire. */
function sent(from: Side): ReturnType<LinkNet["takeIp"]> {
  net.run(1e6);
  return net.takeIp(from.wire).filter((frame) => frame.dir === 2);
}

const ping = (dst = "10.0.1.4", tos = 0): Uint8Array => {
  const packet = icmp(ip("10.0.1.2"), ip(dst), 8, 0, 0x12340001);
  return withTos(packet, tos);
};

function withTos(packet: Uint8Array, tos: number): Uint8Array {
  packet[1] = tos;
  packet[10] = 0;
  packet[11] = 0;
  const check = ~sum(packet.subarray(0, 20)) & 0xffff;
  packet[10] = check >> 8;
  packet[11] = check & 255;
  return packet;
}

function sum(bytes: Uint8Array, from = 0): number {
  let total = from;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] as number) << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** True when the UDP checksum of a packet on the wire is there and right. */
function udpChecksumRight(frame: { src: number; dst: number; payload: Uint8Array }): boolean {
  const length = frame.payload.length;
  if (frame.payload[6] === 0 && frame.payload[7] === 0) return false;
  const halves = [frame.src >>> 16, frame.src & 0xffff, frame.dst >>> 16, frame.dst & 0xffff, 17, length];
  return (
    sum(
      frame.payload,
      halves.reduce((x, y) => x + y, 0),
    ) === 0xffff
  );
}

describe("encapsulation", () => {
  it("prepends the headers of the facts, checksum and all", () => {
    fdb(a.vxlan, FAR, FAR_IP);
    const inner = eth(FAR, NEAR, 0x0800, ping());
    net.inject(a.port, inner);
    const [frame, ...more] = sent(a);
    expect(more).toEqual([]);
    expect(frame).toMatchObject({
      ttl: 64,
      tos: 0,
      df: false,
      mf: false,
      protocol: 17,
      src: ip("192.168.77.11"),
      dst: ip(FAR_IP),
    });
    expect(frame?.bytes.length).toBe(inner.length + 50);
    const payload = there(frame).payload;
    const view = new DataView(payload.buffer, payload.byteOffset);
    const port = view.getUint16(0);
    expect(port >= 32768 && port <= 60998).toBe(true);
    expect(view.getUint16(2)).toBe(4789);
    expect(view.getUint16(4)).toBe(16 + inner.length);
    expect(hex(payload.subarray(8, 16))).toBe("0800000000100100");
    expect(hex(payload.subarray(16))).toBe(hex(inner));
    expect(udpChecksumRight(frame as NonNullable<typeof frame>)).toBe(true);
    expect(net.info(a.vxlan).tx).toMatchObject({ packets: 1, bytes: inner.length - 14 });
  });

  it("gives a flow one port, other flows others, within ip_local_port_range of its namespace", () => {
    fdb(a.vxlan, FAR, FAR_IP);
    const portOf = (sport: number): number => {
      net.inject(a.port, eth(FAR, NEAR, 0x0800, udp(ip("10.0.1.2"), sport, ip("10.0.1.4"), 53)));
      const payload = sent(a)[0]?.payload as Uint8Array;
      return ((payload[0] as number) << 8) | (payload[1] as number);
    };
    const ports = Array.from({ length: 40 }, (_, i) => portOf(40_000 + i));
    expect(new Set(ports).size).toBeGreaterThan(35);
    expect(portOf(40_000)).toBe(ports[0]);
    net.sysctl(a.overlay, abi.SYS_LOCAL_PORT_MIN, 50_000);
    net.sysctl(a.overlay, abi.SYS_LOCAL_PORT_MAX, 50_010);
    for (let i = 0; i < 20; i++) {
      const port = portOf(41_000 + i);
      expect(port >= 50_000 && port < 50_010).toBe(true);
    }
  });

  it("computes the checksum also where the inner one is wrong, and the receiver refuses the inner one only", () => {
    fdb(a.vxlan, FAR, FAR_IP);
    const container = net.x["netnsNew"](b.host) as number;
    const [port, far] = net.veth(b.overlay, container, ["p9", "eth0"], [0x0a000109, 0x0a000104]);
    net.x["linkSetMaster"](port, b.bridge);
    net.addr(far, "10.0.1.4", 24);
    net.up(port);
    net.up(far);
    known(far, "10.0.1.2", NEAR);
    const sk = net.x["udpOpen"](container) as number;
    net.x["udpBind"](sk, 0, 53);
    net.x["nfCtEnable"](b.ns, 1); // conntrack verifies the outer checksum there
    const right = udp(ip("10.0.1.2"), 1000, ip("10.0.1.4"), 53, new Uint8Array(20).fill(7));
    const wrong = right.slice();
    wrong[30] = 8;
    for (const packet of [right, wrong]) net.inject(a.port, eth(FAR, NEAR, 0x0800, packet));
    const frames = sent(a);
    expect(frames.map(udpChecksumRight)).toEqual([true, true]);
    expect(net.recv(sk)?.data.length).toBe(20);
    expect(net.recv(sk)).toBeUndefined();
    expect(net.drops(b.host, abi.DROP_UDP_CSUM)).toBe(1);
    // Wrong outer checksums are refused by the outer socket.
    const broken = (frames[0] as { bytes: Uint8Array }).bytes.slice();
    broken[60] = (broken[60] as number) ^ 1;
    net.inject(b.nic, broken);
    expect(net.drops(b.host, abi.DROP_UDP_CSUM)).toBe(2);
  });

  it("leaves the checksum out where udpcsum is off, takes a fixed or the inner TOS, and TTL", () => {
    for (const [tos, inner, outer] of [
      [0, 0x28, 0],
      [1, 0x28, 0x28],
      [0x10, 0x28, 0x10],
      [1, 0x2b, 0x2a],
    ] as const) {
      net = new LinkNet();
      a = side("192.168.77.11", DOCKER & ~CSUM, tos);
      b = side(FAR_IP, DOCKER);
      known(a.nic, FAR_IP, net.info(b.nic).mac);
      fdb(a.vxlan, FAR, FAR_IP);
      net.inject(a.port, eth(FAR, NEAR, 0x0800, ping("10.0.1.4", inner)));
      const [frame] = sent(a);
      expect(frame?.tos).toBe(outer);
      expect(hex(there(frame).payload.subarray(6, 8))).toBe("0000");
    }
  });

  it("goes straight to a device of this host, and is an error without a route", () => {
    const second = net.x["netnsNew"](a.host) as number;
    const local = net.x["linkNewVxlan"](a.ns, 4097, 4790, DOCKER, 0, 0, 300e9) as number;
    net.setMac(local, mac(0x7f00000f));
    net.x["linkSetNs"](local, second);
    net.up(local);
    fdb(local, FAR, "192.168.77.11");
    net.inject(a.port, eth(FAR, NEAR, 0x0800, ping())); // unknown: dropped
    known(local, "10.0.9.9", FAR);
    net.addr(local, "10.0.9.1", 24);
    const sk = net.x["udpOpen"](second) as number;
    net.sendTo(sk, "10.0.9.9", 9, 10);
    // No device of that VNI on its port but itself: it comes back in.
    expect(net.info(local).rx.packets).toBe(1);
    expect(sent(a)).toEqual([]);
    fdb(a.vxlan, FAR, "172.31.0.1");
    net.inject(a.port, eth(FAR, NEAR, 0x0800, ping()));
    expect(net.info(a.vxlan).tx.errors).toBe(1);
    expect(net.drops(a.host, abi.DROP_IP_OUTNOROUTES)).toBe(1);
  });

  it("goes straight to a device of this host whatever that has learned", () => {
    const source = net.info(a.port).mac;
    fdb(a.vxlan, FAR, "192.168.77.11");
    fdb(a.vxlan, source, "192.168.77.13"); // permanent: a frame from elsewhere would be dropped on receive
    net.inject(a.port, eth(FAR, source, 0x0800, ping()));
    expect(net.drops(a.host, abi.DROP_VXLAN_MAC_MOVED)).toBe(0);
    expect(net.info(a.vxlan).rx.packets).toBe(1);
  });
});

/**
 * golden/B, manager, state 2: br0's capture has 87 IP frames of 40360 bytes for vxlan0, whose TX stands at 87 packets,
 * 39142 bytes: 14 less for each. The bridge's RX: 193 frames, 272927 bytes seen, 270225 counted.
 */
describe("counters", () => {
  it("are of what was sent and unpacked, without the inner Ethernet header; ARP and drops are none", () => {
    fdb(a.vxlan, FAR, FAR_IP);
    const frame = eth(FAR, NEAR, 0x0800, ping());
    for (let i = 0; i < 3; i++) net.inject(a.port, frame);
    net.inject(a.port, eth(mac(9), NEAR, 0x0800, ping())); // nowhere
    net.run(1e6);
    const bytes = 3 * (frame.length - 14);
    expect(net.info(a.vxlan).tx).toEqual({ packets: 3, bytes, errors: 0, dropped: 1 });
    expect(net.info(b.vxlan).rx).toEqual({ packets: 3, bytes, errors: 0, dropped: 0 });
    // The bridge saw one frame for itself: its header is off when it counts.
    net.inject(a.port, eth(net.info(a.bridge).mac, NEAR, 0x0800, ping()));
    expect(net.info(a.bridge).rx).toMatchObject({ packets: 1, bytes: frame.length - 14 });
    known(a.vxlan, "10.0.1.4", FAR);
    const arp = unhex(`0001080006040001${NEAR}0a0001020000000000000a000104`);
    net.inject(a.port, eth(BROADCAST, NEAR, 0x0806, arp));
    expect(net.info(a.vxlan)).toMatchObject({ tx: { packets: 3, dropped: 1 }, rx: { packets: 0 } });
  });
});

describe("destinations", () => {
  it("are looked up by MAC; unknown ones are dropped and counted", () => {
    net.inject(a.port, eth(FAR, NEAR, 0x0800, ping()));
    net.inject(a.port, eth(BROADCAST, NEAR, 0x0800, ping()));
    expect(sent(a)).toEqual([]);
    expect(net.drops(a.host, abi.DROP_VXLAN_L2MISS)).toBe(2);
    expect(net.info(a.vxlan).tx.dropped).toBe(2);
  });

  it("may have a default: a copy to each, the first last", () => {
    expect(fdb(a.vxlan, "000000000000", "192.168.77.21")).toBe(0);
    expect(fdb(a.vxlan, "000000000000", "192.168.77.22", 2)).toBe(0);
    expect(fdb(a.vxlan, "000000000000", "192.168.77.23", 2)).toBe(0);
    expect(fdb(a.vxlan, "000000000000", "192.168.77.22", 2)).toBe(0); // a duplicate
    for (const last of [1, 2, 3]) known(a.nic, `192.168.77.2${last}`, mac(last));
    net.inject(a.port, eth(BROADCAST, NEAR, 0x0800, ping()));
    expect(sent(a).map((frame) => frame.dst & 255)).toEqual([22, 23, 21]);
    expect(net.imbalance(a.host)).toBe(0n);
  });

  it("follow netlink's rules for add, replace and append", () => {
    expect(fdb(a.vxlan, FAR, FAR_IP)).toBe(0);
    expect(fdb(a.vxlan, FAR, "192.168.77.13")).toBe(-abi.EEXIST);
    expect(fdb(a.vxlan, FAR, "192.168.77.13", 2)).toBe(-abi.EINVAL);
    expect(fdb(a.vxlan, FAR, "192.168.77.13", 1)).toBe(0);
    expect(net.fdb(a.vxlan).map((row) => row.vtep)).toEqual([ip("192.168.77.13")]);
    expect(net.x["fdbDel"](a.vxlan, 0x0242, 0x0a000104, ip(FAR_IP), 0)).toBe(-abi.ENOENT);
    expect(net.x["fdbDel"](a.vxlan, 0x0242, 0x0a000104, ip("192.168.77.13"), 0)).toBe(0);
    expect(net.fdb(a.vxlan)).toEqual([]);
  });

  it("lose one VTEP at a time when one is named", () => {
    fdb(a.vxlan, "000000000000", "192.168.77.21");
    fdb(a.vxlan, "000000000000", "192.168.77.22", 2);
    known(a.nic, "192.168.77.22", mac(2));
    expect(net.x["fdbDel"](a.vxlan, 0, 0, ip("192.168.77.21"), 0)).toBe(0);
    expect(net.x["fdbDel"](a.vxlan, 0, 0, ip("192.168.77.21"), 0)).toBe(-abi.ENOENT);
    net.inject(a.port, eth(BROADCAST, NEAR, 0x0800, ping()));
    expect(sent(a).map((frame) => frame.dst & 255)).toEqual([22]);
    expect(net.x["fdbDel"](a.vxlan, 0, 0, ip("192.168.77.22"), 0)).toBe(0);
    expect(net.fdb(a.vxlan)).toEqual([]);
  });

  it("0.0.0.0 drop the frame", () => {
    fdb(a.vxlan, FAR, "0.0.0.0");
    net.inject(a.port, eth(FAR, NEAR, 0x0800, ping()));
    expect(net.drops(a.host, abi.DROP_VXLAN_REMOTE_ZERO)).toBe(1);
    expect(net.info(a.vxlan).tx.dropped).toBe(1);
  });
});

/** A datagram for the tunnel of `b`, as it stands on the wire. */
function datagram(inner: Uint8Array, header = "0800000000100100", src = "192.168.77.11", tos = 0): Uint8Array {
  const packet = udp(ip(src), 40_000, ip(FAR_IP), 4789, new Uint8Array([...unhex(header), ...inner]));
  return eth(net.info(b.nic).mac, net.info(a.nic).mac, 0x0800, withTos(packet, tos));
}

describe("reception", () => {
  const inner = eth(FAR, NEAR, 0x0800, new Uint8Array(40));

  it("delivers the inner frame on the device", () => {
    net.inject(b.nic, datagram(inner));
    const [frame] = net.take(b.tunnel);
    expect(frame?.dir).toBe(1);
    expect(hex(frame?.bytes ?? new Uint8Array())).toBe(hex(inner));
  });

  it.each([
    ["0000000000100100", abi.DROP_VXLAN_HDR],
    ["0c00000000100100", abi.DROP_VXLAN_HDR],
    ["0800000100100100", abi.DROP_VXLAN_HDR],
    ["8800000000100100", abi.DROP_VXLAN_HDR],
    ["0800000000100101", abi.DROP_VXLAN_HDR],
    ["0800000000100200", abi.DROP_VXLAN_VNI],
  ])("drops header %s", (header, reason) => {
    net.inject(b.nic, datagram(inner, header));
    expect(net.drops(b.host, reason)).toBe(1);
    expect(net.take(b.tunnel)).toEqual([]);
    expect(net.info(b.vxlan).rx).toMatchObject({ packets: 0, errors: 0, dropped: 0 });
  });

  it("drops what claims the device's own MAC, and counts when the device is down", () => {
    net.inject(b.nic, datagram(eth(FAR, net.info(b.vxlan).mac, 0x0800, new Uint8Array(40))));
    expect(net.drops(b.host, abi.DROP_VXLAN_OWN_MAC)).toBe(1);
    net.down(b.vxlan);
    net.inject(b.nic, datagram(inner));
    expect(net.info(b.vxlan).rx.dropped).toBe(1);
  });

  it("drops short ones", () => {
    for (let length = 0; length < 14; length++) net.inject(b.nic, datagram(inner.subarray(0, length)));
    expect(net.drops(b.host, abi.DROP_PKT_TOO_SMALL)).toBe(14);
  });

  it("drops and counts what says IPv4 and holds no header", () => {
    net.inject(b.nic, datagram(inner.subarray(0, 33)));
    expect(net.drops(b.host, abi.DROP_PKT_TOO_SMALL)).toBe(1);
    expect(net.info(b.vxlan).rx).toMatchObject({ packets: 0, errors: 1 });
    net.inject(b.nic, datagram(inner.subarray(0, 34)));
    expect(net.info(b.vxlan).rx).toMatchObject({ packets: 1, errors: 1 });
  });

  it("answers port unreachable when there is no tunnel at all", () => {
    net.x["linkDel"](b.vxlan);
    net.inject(b.nic, datagram(inner));
    const [reply] = sent(b);
    expect(reply?.protocol).toBe(1);
    expect(hex(there(reply).payload.subarray(0, 2))).toBe("0303");
  });
});

describe("learning", () => {
  const inner = (source = NEAR): Uint8Array => eth(FAR, source, 0x0800, new Uint8Array(40));

  it("learns and follows dynamic entries, and drops a permanent one's frame from elsewhere", () => {
    net.inject(b.nic, datagram(inner()));
    expect(net.learned(b.vxlan)).toEqual([`${NEAR} ${ip("192.168.77.11")}`]);
    net.inject(b.nic, datagram(inner(), undefined, "192.168.77.13"));
    expect(net.learned(b.vxlan)).toEqual([`${NEAR} ${ip("192.168.77.13")}`]);
    fdb(b.vxlan, NEAR, "192.168.77.11", 1);
    net.take(b.tunnel);
    net.inject(b.nic, datagram(inner(), undefined, "192.168.77.13"));
    expect(net.drops(b.host, abi.DROP_VXLAN_MAC_MOVED)).toBe(1);
    expect(net.take(b.tunnel)).toEqual([]);
    net.inject(b.nic, datagram(inner()));
    expect(net.take(b.tunnel)).toHaveLength(1);
  });

  it("drops invalid sources", () => {
    net.inject(b.nic, datagram(inner("010000000001")));
    net.inject(b.nic, datagram(inner("000000000000")));
    expect(net.drops(b.host, abi.DROP_VXLAN_MAC_MOVED)).toBe(2);
    expect(net.learned(b.vxlan)).toEqual([]);
  });

  it("forgets after 300 s of no use; use in either direction counts", () => {
    net.inject(b.nic, datagram(inner()));
    net.run(200 * SEC);
    net.take(b.wire);
    net.inject(b.port, eth(NEAR, FAR, 0x0800, ping())); // a hit on transmit
    expect(sent(b)).toHaveLength(1);
    net.run(299 * SEC);
    net.inject(b.port, eth(NEAR, FAR, 0x0800, ping()));
    expect(sent(b)).toHaveLength(1);
    net.run(300 * SEC);
    net.inject(b.port, eth(NEAR, FAR, 0x0800, ping()));
    expect(sent(b)).toHaveLength(0);
    expect(net.learned(b.vxlan)).toEqual([]);
  });

  it("does not age without ageing", () => {
    const vxlan = net.x["linkNewVxlan"](b.ns, 5000, 4789, DOCKER, 0, 0, 0) as number;
    net.up(vxlan);
    net.inject(b.nic, datagram(eth(FAR, NEAR, 0x0800, new Uint8Array(40)), "0800000000138800"));
    net.run(1000 * SEC);
    expect(net.fdb(vxlan).map((row) => row.mac)).toEqual([NEAR]);
  });

  it("keeps permanent entries", () => {
    fdb(b.vxlan, NEAR, "192.168.77.11");
    net.run(3600 * SEC);
    net.inject(b.port, eth(NEAR, FAR, 0x0800, ping()));
    expect(sent(b)).toHaveLength(1);
  });
});

describe("ECN (RFC 6040)", () => {
  const NAMES = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];
  /** [inner][outer] → inner after decapsulation; -1 = dropped. Numbers are the field: 1 = ECT(1), 2 = ECT(0). */
  const TABLE = [
    [0, 0, 0, -1],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ];

  for (let inner = 0; inner < 4; inner++) {
    it(`outer of inner ${NAMES[inner]}`, () => {
      fdb(a.vxlan, FAR, FAR_IP);
      net.inject(a.port, eth(FAR, NEAR, 0x0800, ping("10.0.1.4", 0x28 | inner)));
      expect(sent(a)[0]?.tos).toBe(inner === 3 ? 2 : inner);
    });
    for (let outer = 0; outer < 4; outer++) {
      const want = TABLE[inner]?.[outer] as number;
      it(`inner ${NAMES[inner]} in outer ${NAMES[outer]}`, () => {
        net.inject(
          b.nic,
          datagram(eth(FAR, NEAR, 0x0800, ping("10.0.1.4", 0x28 | inner)), undefined, undefined, outer),
        );
        const [frame] = net.takeIp(b.tunnel);
        if (want < 0) {
          expect(frame).toBeUndefined();
          expect(net.drops(b.host, abi.DROP_VXLAN_ECN)).toBe(1);
          expect(net.info(b.vxlan).rx.errors).toBe(1);
          return;
        }
        expect(frame?.tos).toBe(0x28 | want);
        expect(sum(there(frame).bytes.subarray(14, 34))).toBe(0xffff);
      });
    }
  }

  it("does not look into other packets than IPv4", () => {
    net.inject(b.nic, datagram(eth(FAR, NEAR, 0x88b5, new Uint8Array(40)), undefined, undefined, 3));
    expect(net.take(b.tunnel)).toHaveLength(1);
  });
});

describe("ARP proxy", () => {
  const request = (target: string, dst = BROADCAST): Uint8Array =>
    eth(dst, NEAR, 0x0806, unhex(`0001080006040001${NEAR}0a000102000000000000${target}`));

  it("answers for connected neighbours, byte by byte, and the bridge learns the address", () => {
    known(a.vxlan, "10.0.1.4", FAR);
    net.inject(a.port, request("0a000104"));
    const frames = net.take(a.tunnel);
    expect(frames.map((frame) => frame.dir)).toEqual([2, 1]);
    expect(hex(frames[1]?.bytes as Uint8Array)).toBe(`${NEAR}${FAR}08060001080006040002${FAR}0a000104${NEAR}0a000102`);
    expect(net.learned(a.bridge)).toContain(`${FAR} ${net.info(a.vxlan).ifindex}`);
    expect(net.info(a.far).rx.packets).toBe(1);
    expect(sent(a)).toEqual([]);
    // A unicast probe of the neighbour is answered the same way.
    net.inject(a.port, request("0a000104", FAR));
    expect(net.info(a.far).rx.packets).toBe(2);
  });

  it("swallows everything else of ARP", () => {
    known(a.vxlan, "10.0.1.4", FAR);
    known(a.vxlan, "10.0.1.5", mac(5));
    fdb(a.vxlan, mac(5), "0.0.0.0");
    net.x["neighAdd"](a.vxlan, ip("10.0.1.6"), 0x0242, 6, abi.NUD_STALE, 1);
    // Nobody asks for these, whatever the table holds.
    known(a.vxlan, "127.0.0.1", FAR);
    known(a.vxlan, "224.0.0.1", FAR);
    const reply = request("0a000104");
    reply[21] = 2;
    const frames = [
      request("0a000105"),
      request("0a000106"),
      request("0a000107"),
      request("7f000001"),
      request("e0000001"),
      reply,
    ];
    const short = request("0a000104").subarray(0, 41);
    for (const frame of [...frames, short]) net.inject(a.port, frame);
    expect(net.info(a.far).rx.packets).toBe(0);
    expect(net.drops(a.host, abi.DROP_ARP_PROXY_CONSUMED)).toBe(7);
    expect(sent(a)).toEqual([]);
  });
});

describe("path MTU", () => {
  beforeEach(() => {
    fdb(a.vxlan, FAR, FAR_IP);
    net.x["linkSetMtu"](a.nic, 1400);
    net.x["inetLinkChanged"](a.nic);
  });
  const full = (df: boolean, length = 1450): Uint8Array => {
    const packet = udp(ip("10.0.1.2"), 1000, ip("10.0.1.4"), 53, new Uint8Array(length - 28).fill(1));
    if (df) packet[6] = 0x40;
    return eth(FAR, NEAR, 0x0800, withTos(packet, 0));
  };

  it("answers a packet with DF by frag-needed through the device", () => {
    const frame = full(true);
    net.inject(a.port, frame);
    expect(sent(a)).toEqual([]);
    net.inject(a.port, frame);
    const reply = net.takeIp(a.tunnel).find((each) => each.dir === 1);
    expect(reply).toMatchObject({ src: ip("10.0.1.4"), dst: ip("10.0.1.2"), id: 0, df: true, ttl: 64, protocol: 1 });
    expect(hex(there(reply).bytes.subarray(0, 14))).toBe(`${NEAR}${FAR}0800`);
    const message = there(reply).payload;
    expect(hex(message.subarray(0, 2))).toBe("0304");
    expect(hex(message.subarray(4, 8))).toBe("00000546"); // 1350
    expect(hex(message.subarray(8))).toBe(hex(frame.subarray(14, 14 + 548)));
    expect(sum(message)).toBe(0xffff);
    expect(sum(there(reply).bytes.subarray(14, 34))).toBe(0xffff);
    expect(net.info(a.far).rx.packets).toBe(2);
    expect(net.imbalance(a.host)).toBe(0n);
  });

  it("takes what just fits", () => {
    net.inject(a.port, full(true, 1350));
    expect(sent(a).map((frame) => frame.length)).toEqual([1400]);
    net.inject(a.port, full(true, 1351));
    expect(sent(a)).toEqual([]);
  });

  it("fragments the outer packet of one without DF: 1396 + 124, put together again at the far end", () => {
    const frame = full(false);
    net.inject(a.port, frame);
    const fragments = sent(a);
    expect(fragments.map((each) => each.length)).toEqual([1396, 124]);
    expect(fragments.map((each) => each.mf)).toEqual([true, false]);
    expect(fragments.every((each) => !each.df)).toBe(true);
    net.inject(a.port, frame);
    net.run(1e6);
    expect(net.info(b.vxlan).rx).toMatchObject({ packets: 2, bytes: 2 * (frame.length - 14) });
  });
});

const K = "K-vxlan-header/underlay-a.pcap";
describe.skipIf(!goldenAvailable || !goldenExists(K) || !xzAvailable)(goldenTitle("golden K", true), () => {
  it("its inner frames give its outer packets, but for the source port and the id", () => {
    const packets = goldenPackets(K).map((packet) => packet.data);
    const outers = packets.filter(
      (frame) =>
        frame.length > 64 &&
        frame[12] === 8 &&
        frame[23] === 17 &&
        frame[36] === 0x12 &&
        frame[37] === 0xb5 &&
        ((frame[20] as number) & 0x3f) === 0,
    );
    expect(outers.length).toBeGreaterThan(100);
    const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // Both directions: this end plays the sender of each packet.
    const senders = new Map<string, LinkNet>();
    let compared = 0;
    for (const outer of outers) {
      const inner = outer.subarray(50);
      const [src, dst] = [view(outer).getUint32(26), view(outer).getUint32(30)];
      const text = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
      if (!senders.has(text(src))) {
        net = new LinkNet();
        a = side(text(src), DOCKER);
        b = side(text(dst), DOCKER);
        known(a.nic, text(dst), net.info(b.nic).mac);
        senders.clear();
        senders.set(text(src), net);
      }
      const innerMac = hex(inner.subarray(0, 6));
      fdb(a.vxlan, innerMac, text(dst));
      net.take(a.wire);
      net.inject(a.port, inner);
      const [made] = sent(a);
      const blank = (bytes: Uint8Array): string => {
        const copy = bytes.slice(14);
        for (const at of [4, 5, 10, 11, 20, 21, 26, 27]) copy[at] = 0;
        return hex(copy);
      };
      if (made === undefined) expect.fail(`nothing sent for packet ${compared}`);
      expect(blank(made.bytes)).toBe(blank(outer));
      // The checksums differ by the ports and by nothing else.
      const rest = (bytes: Uint8Array): number => (view(bytes).getUint16(34) + view(bytes).getUint16(40)) % 0xffff;
      expect(rest(made.bytes)).toBe(rest(outer));
      expect(udpChecksumRight(made)).toBe(true);
      compared++;
    }
    expect(compared).toBe(outers.length);
  });
});
