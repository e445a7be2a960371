/** What a connection may have standing in its own host's NIC: small queues, and what happens when the NIC goes. */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { ip, MS, pattern, SEC, TcpNet } from "./tcp-net.ts";

const ADDRESSES = ["192.168.77.11", "192.168.77.12"] as const;
/** As libnetwork makes it: learning proxy l2miss l3miss udpcsum. */
const DOCKER = 31;

/** Two hosts whose NICs send at `rate`, with a container each on an overlay network between them. */
class Overlay extends TcpNet {
  readonly hostIds = [this.host(), this.host()];
  readonly roots = this.hostIds.map((host) => this.root(host));
  readonly nics = this.hostIds.map((host, i) => this.nic(host, ADDRESSES[i] as string));
  readonly containers: number[];

  constructor(rate: number) {
    super();
    for (const port of [0, 1]) this.x["portSet"](port, 0, 5 * MS, rate, 0, 1_538_000, 0);
    this.containers = this.hostIds.map((host, i) => this.#container(host, i));
  }

  #container(host: number, i: number): number {
    const sandbox = this.x["netnsNew"](host) as number;
    const container = this.x["netnsNew"](host) as number;
    const vxlan = this.x["linkNewVxlan"](this.roots[i], 4097, 4789, DOCKER, 0, 0, 300e9) as number;
    this.named(vxlan, "vxlan0");
    this.x["linkSetNs"](vxlan, sandbox);
    const bridge = this.x["linkNewBridge"](sandbox, -1) as number;
    this.named(bridge, "br0");
    const [port, eth] = this.veth(sandbox, container, ["veth0", "eth0"], [0x100 + i, 0x200 + i]);
    for (const dev of [vxlan, port, eth]) this.x["linkSetMtu"](dev, 1450);
    for (const dev of [vxlan, port]) this.x["linkSetMaster"](dev, bridge);
    for (const dev of [vxlan, bridge, port, eth]) this.up(dev);
    this.addr(eth, `10.0.1.${2 + i}`, 24);
    this.x["neighAdd"](vxlan, ip(`10.0.1.${3 - i}`), 0x0242, 0x201 - i, abi.NUD_PERMANENT, 1);
    this.x["fdbAdd"](vxlan, 0x0242, 0x201 - i, ip(ADDRESSES[1 - i] as string), 0, 0);
    return container;
  }

  /** Writes as much as the socket takes, for a while; returns how many bytes arrived. */
  bulk(client: number, server: number, ns: number): number {
    let written = 0;
    let received = 0;
    for (const end = this.now + ns; this.now < end; ) {
      while (this.write(client, pattern(16_384, written)) > 0) written += 16_384;
      this.run(5 * MS);
      for (let got = this.read(server); typeof got !== "number"; got = this.read(server)) received += got.length;
    }
    return received;
  }
}

describe("a connection", () => {
  it.each([
    ["of the host", 1448 / 1538],
    ["of a container on an overlay network", 1398 / 1538],
  ])("%s does not fill the queue of its own NIC, and keeps the wire busy", (where, share) => {
    const net = new Overlay(1e7);
    const [from, to] = where === "of the host" ? net.roots : net.containers;
    const address = where === "of the host" ? ADDRESSES[1] : "10.0.1.3";
    const { client, server } = net.pair(from as number, to as number, address);
    const received = net.bulk(client, server, 20 * SEC);
    expect(net.drops(net.hostIds[0] as number, abi.DROP_FULL_RING)).toBe(0);
    expect(net.info(client)).toMatchObject({ totalRetrans: 0 });
    expect(received).toBeGreaterThan(0.98 * 20 * (1e7 / 8) * share);
  });

  it.each(["left", "gone"])(
    "is freed when the last of its frames has left, or the NIC in which they stand is gone: %s",
    (how) => {
      /** Blocks held at the end of a connection that was aborted with `length` bytes under way. */
      const after = (length: number): number => {
        const net = new Overlay(1e6);
        const { client, server, listener } = net.pair(net.roots[0] as number, net.roots[1] as number, ADDRESSES[1], 80);
        if (length !== 0) expect(net.write(client, pattern(length))).toBe(length);
        net.x["tcpAbort"](client);
        if (how === "gone") net.x["linkDel"](net.nics[0]);
        net.run(SEC);
        net.x["tcpAbort"](server);
        net.x["tcpClose"](listener);
        net.run(120 * SEC);
        if (how === "left") net.x["linkDel"](net.nics[0]);
        for (const host of net.hostIds) {
          expect(net.live(host)).toBe(0);
          expect(net.imbalance(host)).toBe(0n);
        }
        return net.x["blocksHeld"]() as number;
      };
      expect(after(14_480)).toBe(after(0));
    },
  );
});
