import { describe, expect, it } from "vitest";
import type { Host } from "../../src/kernel/host.ts";
import { cidr, ip, kernelBuilt, lan, pass } from "../support/kernel.ts";
import {
  B,
  encrypt,
  hex,
  imbalance,
  inject,
  ipPacket,
  MAC_B,
  openEsp,
  pair,
  policy,
  sa,
  unhex,
  withTtl,
} from "./esp-net.ts";

/** facts: one VXLAN packet, in the clear and encrypted; 192.168.10.11 → .12. */
const CLEAR = unhex(`450000560a0b00004011db24c0a80a0bc0a80a0cb26e12b500427b45 0800000000100100
02420a00000302420a0000020800 4500002400004000400126d50a0000020a000003 08005435123400016162636465666768`);
const PLAIN_ESP = `450000700a0b00004032dae9c0a80a0bc0a80a0c c1a2b3d4 00000001 1122334455667789
473b271ce24bc7db16ccb9d18c22d49aff91624c327a30436487d4e7e8b62dacba4144e6843ddbe62c9e112aad363d51e5265cfa9486bd6187ed384e3dcf6052baff36f2
9fdd8f65417eced5`;
const ESN_ESP = `450000700a0b00004032dae9c0a80a0bc0a80a0c c1a2b3d4 00000005 112233455566778d
79b6a364f84c7b272acbcb71287aa39169b4210800d792016b2555801e34f359627e9507e00df07948227814f7ce79b74d053044e15f65aef5682e13aef5fdcc96fcf08e
fc8ce2fd336b35f4`;
const MASK = unhex("1122334455667788");
const SPI = 0xc1a2b3d4;
const SRC = "192.168.10.11";
const DST = "192.168.10.12";

/** A host that forwards between the two addresses, so that a packet with its own id and flags is encrypted. */
async function router() {
  const { kernel, hosts } = await lan(2);
  const [host] = hosts as [Host, Host];
  const { root } = host;
  root.sysctlSet("net.ipv4.ip_forward", 1);
  for (const dev of ["all", "eth0"]) root.sysctlSet(`net.ipv4.conf.${dev}.send_redirects`, 0);
  root.addr.add("eth0", cidr("192.168.10.1/24"));
  root.neigh.add("eth0", ip(DST), MAC_B, { state: "PERMANENT" });
  kernel.setCapture(root, root.link.get("eth0")!.index, 1, 65535);
  const sent = (): string[] =>
    [...kernel.captured()].filter((frame) => frame.direction === 2).map((frame) => hex(frame.data.slice(14)));
  return { kernel, host, sent };
}

/** A host with the receiver's address. */
async function receiver() {
  const { kernel, hosts } = await lan(1);
  const [host] = hosts as [Host];
  host.root.addr.add("eth0", cidr(`${DST}/24`));
  return { kernel, host, raw: host.root.socket.raw(17) };
}

const esn = (oseq: number, hi: number, seq = 0) => ({
  replayExt: { window: 32, esn: true },
  replayStart: { oseq, oseqHi: hi, seq, seqHi: hi },
});

describe.skipIf(!kernelBuilt)("ESP", () => {
  it("encrypts the worked packet byte for byte, with and without ESN", async () => {
    const { kernel, host, sent } = await router();
    const { xfrm } = host.root;
    xfrm.policyAdd(policy("out", `${SRC}/32`, `${DST}/32`, { spi: SPI }));
    xfrm.stateAdd(sa(SRC, DST, SPI), MASK);
    inject(kernel, host, withTtl(CLEAR, 65));
    pass(kernel);
    expect(sent()).toEqual([PLAIN_ESP.replace(/\s/g, "")]);
    xfrm.stateFlush();
    xfrm.stateAdd(sa(SRC, DST, SPI, esn(4, 1)), MASK);
    inject(kernel, host, withTtl(CLEAR, 65));
    pass(kernel);
    expect(sent()).toEqual([ESN_ESP.replace(/\s/g, "")]);
    expect(xfrm.stateList()[0]).toMatchObject({ oseq: 5, oseqHi: 1, bytes: 66, packets: 1 });
    expect(imbalance(host)).toBe(0);
  });

  it("decrypts the worked packet byte for byte, with and without ESN", async () => {
    const { kernel, host, raw } = await receiver();
    const { xfrm } = host.root;
    xfrm.stateAdd(sa(SRC, DST, SPI));
    inject(kernel, host, unhex(PLAIN_ESP));
    pass(kernel);
    expect(hex(raw.tryRecv()!.data)).toBe(hex(CLEAR));
    xfrm.stateFlush();
    xfrm.stateAdd(sa(SRC, DST, SPI, esn(0, 1, 4)));
    inject(kernel, host, unhex(ESN_ESP));
    pass(kernel);
    expect(hex(raw.tryRecv()!.data)).toBe(hex(CLEAR));
    expect(xfrm.stateList()[0]).toMatchObject({ seq: 5, seqHi: 1, bytes: 66, packets: 1 });
    expect(imbalance(host)).toBe(0);
  });

  it("does the overlay's vector both ways", async () => {
    const plain = unhex(
      `c35012b500320000080000000010010002420a00010302420a00010508004500001400004000400124e20a0001050a000103`,
    );
    const esp = `e800f58500000001000000000000000139c164d497c3adf11ec426aaa31ad801c72a57ebf9b6f171976937981a0fd56c362adefb99baf9cc433675ad3bc7d5d96c9ef0f82fc71051c864ec51`;
    const { kernel, host, sent } = await router();
    const { xfrm, socket } = host.root;
    const from = "192.168.56.11";
    const to = "192.168.56.12";
    host.root.route.add({ dst: cidr("192.168.56.0/24"), via: ip(DST) });
    xfrm.policyAdd(policy("out", `${from}/32`, `${to}/32`));
    xfrm.stateAdd(sa(from, to, 0xe800f585), new Uint8Array(8));
    inject(kernel, host, ipPacket(ip(from), ip(to), 17, plain, 65));
    pass(kernel);
    const [packet] = sent();
    expect(packet?.slice(40)).toBe(esp);
    // The other way: the router has the address now.
    host.root.addr.add("eth0", cidr(`${to}/24`));
    const raw = socket.raw(17);
    inject(kernel, host, unhex(packet!));
    pass(kernel);
    expect(hex(raw.tryRecv()!.data.slice(20))).toBe(hex(plain));
  });

  it("carries pings of all lengths over a wire, with every ICV and key length", async () => {
    for (const [keyBytes, icv] of [
      [16, 8],
      [24, 12],
      [32, 16],
    ] as const) {
      const net = await pair();
      const { kernel, a, b } = net;
      const key = Uint8Array.from({ length: keyBytes + 4 }, (_, i) => 7 * i);
      encrypt(net, { aead: { name: "rfc4106(gcm(aes))", key, icvBits: 8 * icv } });
      const ping = a.root.socket.icmp();
      const lengths = [...Array.from({ length: 20 }, (_, i) => i), 56, 100, 1000, 1400, 1474 - 28, 3000, 20000];
      for (const [seq, length] of lengths.entries()) {
        const data = Uint8Array.from({ length }, (_, i) => i * 5);
        ping.sendEcho(ip(B), seq, data);
        pass(kernel);
        expect(ping.tryRecv()?.data).toEqual(data);
      }
      const packets = net.wire();
      expect(packets.every((packet) => packet[9] === 50)).toBe(true);
      // Padded to 4, and as another implementation sees it.
      const whole = packets.filter((packet) => ((packet[6]! & 0x3f) | packet[7]!) === 0);
      expect(whole.length).toBeGreaterThan(40);
      for (const packet of whole) {
        expect((packet.length - 20 - icv) % 4).toBe(0);
        const clear = openEsp({ key: key.slice(0, keyBytes), salt: key.slice(keyBytes), icv }, packet.slice(20));
        const padLength = clear.at(-2)!;
        expect(clear.at(-1)).toBe(1);
        expect([...clear.slice(-2 - padLength, -2)]).toEqual([1, 2, 3].slice(0, padLength));
      }
      for (const host of [a, b]) {
        expect(imbalance(host)).toBe(0);
        expect(host.packets().live).toBe(0);
        expect(host.root.xfrm.stateList().map((state) => state.packets)).toEqual([lengths.length, lengths.length]);
        expect(Object.values(host.root.xfrm.stat()).every((count) => count === 0)).toBe(true);
      }
    }
  });

  it("counts on from 1 and masks the IV with a number drawn per state", async () => {
    const net = await pair();
    encrypt(net);
    const ping = net.a.root.socket.icmp();
    for (let i = 0; i < 3; i++) ping.sendEcho(ip(B), i, new Uint8Array(8));
    pass(net.kernel);
    const view = (packet: Uint8Array) => new DataView(packet.buffer, packet.byteOffset + 20);
    const sent = net.wire().filter((packet) => view(packet).getUint32(0) === 0x1001);
    expect(sent.map((packet) => view(packet).getUint32(4))).toEqual([1, 2, 3]);
    const masks = new Set(sent.map((packet) => view(packet).getBigUint64(8) ^ BigInt(view(packet).getUint32(4))));
    expect(masks.size).toBe(1);
    expect([...masks][0]).not.toBe(0n);
  });
});
