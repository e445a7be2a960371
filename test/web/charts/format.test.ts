/** Numbers of charts in words and as files. */
import { describe, expect, it } from "vitest";
import { csv, timeText, valueRows, valueText } from "../../../web/page/charts/format.ts";
import type { Chart, Charts } from "../../../web/session/charts/protocol.ts";

const CHART: Chart = {
  id: "throughput",
  title: "Throughput",
  about: "",
  unit: "bit/s",
  series: [
    { name: "all", values: [1500, null, 0, 2e6] },
    { name: 'my "net", too', values: [null, null, 1, null] },
  ],
};
const CHARTS: Charts = { width: 10e6, buckets: 4, now: 4e7, charts: [CHART], marks: [], marksLost: 0, skipped: [] };

describe("values", () => {
  it("have three digits and a prefix", () => {
    expect(valueText(1500, "bit/s")).toBe("1.5 kbit/s");
    expect(valueText(999_900, "packets/s")).toBe("1 Mpackets/s");
    expect(valueText(50_123, "ns")).toBe("50.1 µs");
    expect(valueText(61e9, "ns")).toBe("61 s");
    expect(valueText(0, "ns")).toBe("0 ns");
    expect(valueText(16 * 2 ** 20, "bytes")).toBe("16 MiB");
    expect(valueText(99.97, "%")).toBe("100 %");
    expect(valueText(0.125, "×")).toBe("0.125 ×");
    expect(valueText(null, "%")).toBe("–");
  });

  it("times are as fine as the buckets", () => {
    expect(timeText(1.23456, 10e6)).toBe("1.23 s");
    expect(timeText(1.23456, 160e6)).toBe("1.2 s");
    expect(timeText(91, 84e9)).toBe("91 s");
  });
});

describe("numbers", () => {
  it("of a range, without buckets in which nothing was seen", () => {
    expect(valueRows(CHART, CHARTS, 0, 10).map(({ time }) => time)).toEqual([0, 0.02, 0.03]);
    expect(valueRows(CHART, CHARTS, 0.025, 10).map(({ time }) => time)).toEqual([0.02, 0.03]);
  });

  it("as comma-separated values", () => {
    expect(csv(CHART, CHARTS)).toBe(
      'time (s),all (bit/s),"my ""net"", too (bit/s)"\r\n0,1500,\r\n0.02,0,1\r\n0.03,2000000,\r\n',
    );
  });
});
