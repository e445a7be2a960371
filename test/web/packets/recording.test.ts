/** A part of what was captured, as a file. */
import { beforeAll, expect, it } from "vitest";
import { readPcapng } from "../../../src/pcap-writer/index.ts";
import { Recording } from "../../../web/session/packets/recording.ts";
import { galleryLab } from "../../support/lab.ts";

const plan = galleryLab("encrypted");
const recording = new Recording();
beforeAll(() => {
  const point = { hostIndex: 0, host: "host1", namespace: "host", mac: 0x525400000001, mtu: 1500, speed: 0, since: 0 };
  for (const id of [1, 2]) recording.point({ ...point, id, device: `eth${id}` });
  recording.association({
    time: 5,
    hostIndex: 0,
    seq: 0,
    source: 0x0a000001,
    destination: 0x0a000002,
    spi: 7,
    key: new Uint8Array(20),
    icvBytes: 8,
  });
  for (let index = 0; index < 10; index++) {
    if (index === 2 || index === 6) recording.skipped(index * 1000, index * 1000 + 500, 40 + index);
    const data = Uint8Array.from({ length: 60 }, () => index);
    const [point, time] = [index < 5 ? 1 : 2, index * 1000 + 600];
    recording.frame({ point, hostIndex: 0, seq: index, time, length: 60, direction: 1, data, journey: index + 1 });
  }
});

function part(from: number, to: number) {
  const { trace, keys } = recording.files(plan, "1", new Map(), 20_000, { from, to });
  const records = [...readPcapng(trace)];
  const packets = records.filter((record) => record.kind === "packet");
  return {
    keys,
    interfaces: records.flatMap((record) => (record.kind === "interface" ? [record.name] : [])),
    frames: packets.map(({ data }) => data[0]),
    comments: packets.flatMap(({ comments }, at) =>
      comments.map((comment) => `${at} ${comment.match(/about (\d+)/)?.[1]}`),
    ),
  };
}

it("holds the frames asked for, the interfaces they came by, what was skipped among them, and all keys", () => {
  const all = part(0, 10);
  expect(all.frames).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(all.comments).toEqual(["2 42", "6 46"]);
  const later = part(5, 8);
  expect(later.frames).toEqual([5, 6, 7]);
  expect(later.interfaces).toEqual(["host1/host/eth2"]);
  expect(later.comments).toEqual(["1 46"]);
  expect(part(6, 7).comments).toEqual(["0 46"]);
  expect(part(7, 10).comments).toEqual([]);
  for (const { keys } of [all, later]) expect(keys).toMatch(/0x00000007/);
});

it("is what the whole trace is where nothing is said", () => {
  const whole = recording.files(plan, "1", new Map(), 20_000);
  expect(recording.files(plan, "1", new Map(), 20_000, { from: 0, to: 10 })).toEqual(whole);
});
