/** Wireshark's library as the page uses it: rows, filters, trees, keys that come later. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TreeNode } from "../../../web/dissectors/protocol.ts";
import type { Wiregasm } from "../../../web/dissectors/wiregasm.ts";
import { Wireshark } from "../../../web/dissectors/wireshark.ts";
import { contrast, rowColors } from "../../../web/page/packets/colors.ts";
import { galleryLab, type LabRun, runLab } from "../../support/lab.ts";
import { load } from "../../support/wireshark.ts";

let run: LabRun;
let wireshark: Wireshark;
let instances = 0;
beforeAll(async () => {
  run = await runLab(galleryLab("encrypted"), { capture: ["*/host/eth0"] });
  wireshark = await Wireshark.start(() => {
    instances++;
    return load(() => {}) as Promise<unknown> as Promise<Wiregasm>;
  });
});
afterAll(() => wireshark?.close());

const open = (keys: string, names = false): Promise<number> => wireshark.load({ trace: run.trace, keys, names });
const all = (text: string): number[] => [...wireshark.filter(text, 0, 0).frames];
const labels = (nodes: readonly TreeNode[]): string[] =>
  nodes.flatMap(({ label, children }) => [label, ...labels(children)]);

describe("wireshark", () => {
  it("says which it is, and its colours can be read in light and dark", () => {
    expect(wireshark.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(wireshark.rules.map(({ name }) => name)).toEqual(expect.arrayContaining(["Bad TCP", "ARP", "ICMP", "UDP"]));
    expect(wireshark.rules.length).toBeGreaterThan(15);
    for (const { name, background, foreground } of wireshark.rules)
      for (const dark of [false, true]) {
        const colors = rowColors(background, foreground, dark);
        expect(contrast(colors.background, colors.color), `${name}, ${dark}`).toBeGreaterThanOrEqual(4.5);
      }
  });

  it("takes no filter before a capture is loaded, nor what is no capture", async () => {
    expect(() => wireshark.filter("tcp", 0, 1)).toThrow("no capture is loaded");
    await expect(wireshark.load({ trace: new Uint8Array([1, 2, 3]), keys: "", names: false })).rejects.toThrow(
      /can't read/,
    );
  });

  it("finds pings inside ESP once it has the keys, in a new instance", async () => {
    const frames = await open("");
    expect(frames).toBeGreaterThan(1000);
    const sealed = all("esp");
    expect(sealed.length).toBeGreaterThan(40);
    expect(all("icmp")).toEqual([]);
    // No rule of colouring is for ESP.
    expect(new Set(wireshark.rows(Uint32Array.from(sealed)).map(({ background }) => background))).toEqual(
      new Set([undefined]),
    );
    const before = instances;
    await open(run.espSa);
    expect(instances).toBe(before + 1);
    const pings = all("icmp");
    expect(pings.length).toBeGreaterThan(40);
    expect(pings.every((frame) => sealed.includes(frame))).toBe(true);
    expect(wireshark.rows(Uint32Array.from(pings.slice(0, 1)))[0]).toMatchObject({
      source: "10.0.1.2",
      destination: "10.0.1.4",
      protocol: "ICMP",
      info: expect.stringMatching(/^Echo \(ping\) request/),
      background: 0xfce0ff,
      foreground: 0x12272e,
    });
    // The same keys: the instance stays.
    await open(run.espSa);
    expect(instances).toBe(before + 1);
  });

  it("shows the frame and what was decrypted of it, and where each field stands", () => {
    const [ping = -1] = all("icmp.resp_in");
    const { tree, sources } = wireshark.details(ping);
    expect(sources.map(({ name }) => name)).toEqual(["Frame (174 bytes)", "Decrypted Data (116 bytes)"]);
    expect(sources.map(({ data }) => data.length)).toEqual([174, 116]);
    const icmp = tree.find(({ filter }) => filter === "icmp");
    expect(icmp).toMatchObject({ source: 1, start: 50, length: 64 });
    expect(icmp?.children[0]).toMatchObject({ filter: "icmp.type == 8", start: 50, length: 1, frame: undefined });
    expect(sources[1]?.data[50]).toBe(8);
    expect(labels(tree).filter((label) => /\[(incorrect|should be)/.test(label))).toEqual([]);
    // The reply is a link to follow.
    const links = (nodes: readonly TreeNode[]): number[] =>
      nodes.flatMap(({ frame, children }) => [...(frame === undefined ? [] : [frame]), ...links(children)]);
    const [answer = -1] = links(tree);
    expect(wireshark.rows(Uint32Array.of(answer))[0]?.info).toMatch(/^Echo \(ping\) reply/);
  });

  it("hands over rows of any frames, and a part of what a filter selects", () => {
    const tcp = all("tcp");
    const scattered = Uint32Array.of(tcp[3] as number, tcp[4] as number, 0, tcp[0] as number);
    expect(wireshark.rows(scattered).map(({ protocol }) => protocol)).toEqual(["TCP", "TCP", "ARP", "TCP"]);
    expect(wireshark.filter("tcp", 2, 3)).toEqual({ matched: tcp.length, frames: Uint32Array.from(tcp.slice(2, 5)) });
    expect(() => wireshark.rows(Uint32Array.of(1_000_000))).toThrow(RangeError);
    expect(() => wireshark.details(-1)).toThrow(RangeError);
  });

  it("doesn't take a frame's second capture, at the other end of the wire, for one sent again", () => {
    expect(all("tcp").length).toBeGreaterThan(400);
    expect(all("tcp.analysis.retransmission")).toEqual([]);
    expect(all("esp").length).toBeGreaterThan(40);
    expect(all("esp.sequence-analysis.wrong-sequence-number")).toEqual([]);
  });

  it("shows names on demand", async () => {
    await open(run.espSa, true);
    expect(wireshark.rows(Uint32Array.from(all("tcp").slice(0, 1)))[0]?.source).toBe("host2");
    await open(run.espSa, false);
    expect(wireshark.rows(Uint32Array.from(all("tcp").slice(0, 1)))[0]?.source).toBe("192.168.77.12");
  });

  it("checks filters in Wireshark's words, and completes names in order", () => {
    expect(wireshark.check("ip.addr == 10.0.0.0/8 && tcp")).toEqual({ ok: true, error: "" });
    expect(wireshark.check("ip.foo == 3")).toEqual({
      ok: false,
      error: '"ip.foo" is not a valid protocol or protocol field.',
    });
    expect(() => wireshark.filter("tcp and", 0, 1)).toThrow("Unexpected end of filter expression.");
    const found = wireshark.complete("vxlan.vn");
    expect(found).toEqual([{ field: "vxlan.vni", name: "VXLAN Network Identifier (VNI)" }]);
    const fields = wireshark.complete("ip.").map(({ field }) => field);
    expect(fields).toEqual([...new Set(fields)].sort());
    expect(fields).toContain("ip.addr");
  });
});
