/** Journeys and marks of the kernel: one number for a packet and all its copies; nothing without somebody who watches. */
import { describe, expect, it } from "vitest";
import * as abi from "../../assembly/abi.ts";
import { RecordCursor } from "../../src/kernel/capture-records.ts";
import type { PacketMark } from "../../src/kernel/marks.ts";
import { SEC } from "../inet/net.ts";
import { LinkNet, mac, plain } from "./frames.ts";

const A = mac(0xa);
const B = mac(0xb);

/** What stands in the capture buffer. */
function records(net: LinkNet): { frames: { journey: number; point: number }[]; marks: PacketMark[] } {
  const chunk = net.k.get(net.x["captureBuffer"]() as number, net.x["captureUsed"]() as number);
  net.x["captureClear"]();
  const cursor = new RecordCursor([chunk]);
  const frames: { journey: number; point: number }[] = [];
  const marks: PacketMark[] = [];
  while (cursor.next()) {
    if (cursor.isMark) marks.push(cursor.mark());
    else frames.push(cursor.frame());
  }
  return { frames, marks };
}

function bridged() {
  const net = new LinkNet();
  const host = net.host();
  const ns = net.root(host);
  const far = net.x["netnsNew"](host) as number;
  const bridge = net.bridge(ns, "br0");
  const ports = [1, 2, 3, 4].map((index) => net.port(bridge, ns, far, index));
  records(net);
  const inject = (at: number, frame: Uint8Array): void => net.inject(ports[at]?.port as number, frame);
  return { net, ports, inject };
}

describe("journeys", () => {
  it("are kept by all copies of a flood, and are another one for each packet", () => {
    const { net, inject } = bridged();
    inject(1, plain(B, A));
    const first = records(net).frames;
    expect(first.length).toBeGreaterThanOrEqual(3);
    expect(new Set(first.map(({ journey }) => journey)).size).toBe(1);
    inject(1, plain(B, A));
    const second = records(net).frames;
    expect(second[0]?.journey).not.toBe(first[0]?.journey);
    expect(second[0]?.journey).toBeGreaterThan(0);
  });
});

describe("marks", () => {
  it("are written only while somebody asks for them", () => {
    const { net, inject } = bridged();
    inject(1, plain(B, A));
    expect(records(net).marks).toEqual([]);
    net.x["marksSet"](1);
    inject(1, plain(B, A));
    expect(records(net).marks.length).toBeGreaterThan(0);
    net.x["marksSet"](0);
    inject(1, plain(B, A));
    expect(records(net).marks).toEqual([]);
  });

  it("say what a bridge chose, and where and why a packet ended, with its first bytes", () => {
    const { net, inject } = bridged();
    net.x["marksSet"](1);
    inject(1, plain(B, A, 200));
    const { marks, frames } = records(net);
    const [choice] = marks.filter(({ kind }) => kind === "bridge");
    expect(choice).toMatchObject({ kind: "bridge", choice: "flood", ports: 3, device: "br0", namespace: 0 });
    const drops = marks.filter((mark) => mark.kind === "drop");
    expect(drops.map(({ reason }) => reason)).toEqual(["UNHANDLED_PROTO", "UNHANDLED_PROTO", "UNHANDLED_PROTO"]);
    for (const drop of drops) expect(drop.journey).toBe(frames[0]?.journey);
    expect(drops[0]?.packet.bytes.length).toBe(abi.MARK_PACKET);
    // A frame back is known now.
    inject(0, plain(A, B));
    expect(records(net).marks[0]).toMatchObject({ kind: "bridge", choice: "port", ports: 1 });
  });

  it("name the packet because of which another one was sent", () => {
    const net = new LinkNet();
    const host = net.host();
    const [one, two] = [net.root(host), net.x["netnsNew"](host) as number];
    const [a, b] = net.veth(one, two, ["eth0", "eth0"], [1, 2]);
    net.addr(a, "10.0.0.1", 24);
    net.addr(b, "10.0.0.2", 24);
    for (const dev of [a, b]) {
      net.up(dev);
      net.capture(dev);
    }
    net.run(SEC);
    records(net);
    net.x["marksSet"](1);
    const sk = net.x["udpOpen"](one) as number;
    net.sendTo(sk, "10.0.0.2", 9, 10);
    while (net.x["run"](net.now + SEC, 1000) !== abi.RUN_DONE) net.x["clearWakes"]();
    const { marks } = records(net);
    const sent = marks.find(({ kind }) => kind === "output")?.journey;
    const causes = marks.filter((mark) => mark.kind === "cause");
    // The ARP request because of the datagram, the answer because of the request; the port unreachable because of the datagram.
    const [request, answer, error] = causes;
    expect(causes.length).toBe(3);
    expect(request?.parent).toBe(sent);
    expect(answer?.parent).toBe(request?.journey);
    expect(error?.parent).toBe(sent);
    expect(marks.find(({ kind }) => kind === "drop")).toMatchObject({ reason: "UDP_NO_SOCKET", journey: sent });
  });
});
