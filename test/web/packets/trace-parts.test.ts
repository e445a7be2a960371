import { expect, it } from "vitest";
import { parseLab } from "../../../src/lab/parse.ts";
import { formatSize } from "../../../web/page/size.ts";
import { Recording } from "../../../web/session/packets/recording.ts";

it("a trace comes in parts as it does in one, and is about as large as it says", () => {
  const plan = parseLab("x.yaml", "hosts: { a: {} }");
  const recording = new Recording();
  const point = { id: 1, host: "a", namespace: "host", device: "eth0", mac: 0x02420a000002, speed: 1e10, mtu: 1500 };
  recording.point(point as never);
  for (let i = 0; i < 3000; i++) {
    if (i === 1500) recording.skipped(15e8, 16e8, 12);
    const data = new Uint8Array(60 + (i % 1400)).fill(i);
    recording.frame({ time: i * 1e6, point: 1, length: data.length, direction: 1 + (i % 2), data } as never);
  }
  const names = new Map([["10.0.0.2", ["c1"]]]);
  const whole = recording.files(plan, "1", names, 3e9).trace;
  const parts = [...recording.parts(plan, "1", names, 3e9)];
  expect(parts.length).toBeGreaterThan(1);
  expect(Buffer.concat(parts).equals(whole)).toBe(true);
  expect(Math.abs(recording.traceBytes - whole.length) / whole.length).toBeLessThan(0.02);
});

it("sizes are read as people read them", () => {
  expect([0, 999, 1000, 1234567, 123456789, 999600].map(formatSize)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "1.2 MB",
    "123 MB",
    "1.0 MB",
  ]);
});
