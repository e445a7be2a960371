import { describe, expect, it } from "vitest";
import { Camera } from "../../../web/page/swarm/camera.ts";
import { actionOf, type KeyPress } from "../../../web/page/swarm/keys.ts";
import { bitRate, byteCount, loadWidth, packetRate } from "../../../web/page/swarm/units.ts";

function camera(): Camera {
  const made = new Camera();
  made.resize(600, 400);
  made.setBounds({ x: -100, y: 50, width: 3000, height: 1000 });
  made.fit();
  return made;
}

describe("the camera", () => {
  it("shows all at first", () => {
    const made = camera();
    const { left, top, right, bottom } = made.view();
    expect(left <= -100 && top <= 50 && right >= 2900 && bottom >= 1050).toBe(true);
    expect(made.pixelX(-100)).toBeGreaterThan(0);
    expect(made.pixelX(-100)).toBeLessThan(30);
  });

  it("keeps what the pointer is at in its place", () => {
    const made = camera();
    const [x, y] = [made.toX(150), made.toY(210)];
    for (const factor of [1.7, 3, 0.4]) {
      made.zoom(factor, 150, 210);
      expect(made.toX(150)).toBeCloseTo(x, 6);
      expect(made.toY(210)).toBeCloseTo(y, 6);
    }
  });

  it("goes from all of a thousand hosts to one port, and no further", () => {
    const made = camera();
    made.setBounds({ x: 0, y: 0, width: 40_000, height: 30_000 });
    made.fit();
    const far = made.scale;
    for (let i = 0; i < 100; i++) made.zoom(1.5);
    expect(6 * made.scale).toBeGreaterThan(200);
    for (let i = 0; i < 100; i++) made.zoom(0.5);
    expect(made.scale).toBeCloseTo(far / 2, 9);
  });

  it("doesn't lose the drawing", () => {
    const made = camera();
    made.pan(1e9, -1e9);
    expect(made.sees({ x: -100, y: 50, width: 3000, height: 1000 })).toBe(true);
  });

  it("goes to what isn't in sight, and stays for what is", () => {
    const made = camera();
    made.zoom(20);
    const { x, y } = made;
    made.reveal({ x: x - 1, y: y - 1, width: 2, height: 2 });
    expect([made.x, made.y]).toEqual([x, y]);
    made.reveal({ x: 0, y: 100, width: 10, height: 10 });
    expect(made.sees({ x: 0, y: 100, width: 10, height: 10 })).toBe(true);
    made.reveal({ x: 0, y: 100, width: 900, height: 900 });
    expect(made.scale).toBeLessThan(1);
  });
});

describe("keys of the drawing", () => {
  const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
    key,
    shiftKey: false,
    ctrlKey: false,
    altKey: false,
    metaKey: false,
    ...more,
  });

  it("move, zoom and select; Tab leaves where nothing is selected", () => {
    expect(actionOf(press("ArrowLeft"), false)).toEqual({ kind: "pan", dx: 60, dy: 0 });
    expect(actionOf(press("ArrowDown", { shiftKey: true }), false)).toEqual({ kind: "pan", dx: 0, dy: -300 });
    expect(actionOf(press("+"), false)).toMatchObject({ kind: "zoom" });
    expect(actionOf(press("0"), false)).toEqual({ kind: "fit" });
    expect(actionOf(press("Tab"), false)).toBeUndefined();
    expect(actionOf(press("Tab"), true)).toEqual({ kind: "next" });
    expect(actionOf(press("Tab", { shiftKey: true }), true)).toEqual({ kind: "previous" });
    expect(actionOf(press("Escape"), false)).toBeUndefined();
    expect(actionOf(press("F10"), true)).toBeUndefined();
    expect(actionOf(press("F10", { shiftKey: true }), true)).toEqual({ kind: "menu" });
  });

  it("are the browser's with Ctrl, Alt or Meta", () => {
    for (const more of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }])
      for (const key of ["+", "0", "Tab", "ArrowLeft"]) expect(actionOf(press(key, more), true)).toBeUndefined();
  });
});

describe("units", () => {
  it("are short", () => {
    expect([0, 0.2, 999, 1000, 28_640, 1.5e6, 99.96e9, 3e13].map(bitRate)).toEqual([
      "0 bit/s",
      "0 bit/s",
      "999 bit/s",
      "1.00 kbit/s",
      "28.6 kbit/s",
      "1.50 Mbit/s",
      "100 Gbit/s",
      "30.0 Tbit/s",
    ]);
    expect(packetRate(0)).toBe("0 packets/s");
    expect(packetRate(12_345)).toBe("12.3 k packets/s");
    expect(byteCount(1_234_567)).toBe("1.23 MB");
  });

  it("make lines thicker that carry more", () => {
    const widths = [0, 500, 1e4, 1e6, 1e9, 1e11, 1e15].map(loadWidth);
    expect([...widths].sort((a, b) => a - b)).toEqual(widths);
    expect(widths[0]).toBe(1);
    expect(widths.at(-1)).toBe(8);
  });
});
