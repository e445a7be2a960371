import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Screen, screenText } from "../../src/lab/screen.ts";

describe("a screen", () => {
  it("shows redrawn lines once, as they were last", () => {
    const first = "id\n\n\x1b[1A\x1b[2K\ra: 0 of 2 \r\x1b[1B";
    const second = "\n\x1b[1A\x1b[2K\rb:   \r\x1b[1B\x1b[2A\x1b[2K\ra: 2 of 2 \r\x1b[2B";
    expect(screenText(`${first}${second}done\n`)).toBe("id\na: 2 of 2 \nb:   \ndone\n");
  });

  it("keeps nothing back until a line is redrawn", () => {
    const screen = new Screen();
    expect(screen.write("one\rtwo\n")).toBe("one\rtwo\n");
    expect(screen.write("\n\x1b[1A\x1b[2K\rx\r\x1b[1B")).toBe("");
    expect(screen.write("y\n")).toBe("");
    expect([screen.end(), screen.end()]).toEqual(["x\ny\n", ""]);
    expect(screen.write("z")).toBe("z");
  });

  it("overwrites from the start of a line, and leaves colours alone", () => {
    expect(screenText("\x1b[1mbold\x1b[0m\n")).toBe("\x1b[1mbold\x1b[0m\n");
    expect(screenText("abc\n\x1b[1Ax\x1b[1B")).toBe("xbc\n");
  });

  it("is the same however the text is cut", () => {
    const part = fc.constantFrom("a", "bc", "\n", "\r", "\x1b[1A", "\x1b[2B", "\x1b[2K");
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const screen = new Screen();
        const whole = screenText(`\x1b[1B${parts.join("")}`);
        const cut = screen.write("\x1b[1B") + parts.map((text) => screen.write(text)).join("") + screen.end();
        expect(cut).toBe(whole);
      }),
    );
  });
});
