/** Completing display filters. */
import { describe, expect, it } from "vitest";
import { complete, join, nameBefore, remember } from "../../../web/page/packets/completion.ts";

describe("nameBefore", () => {
  it.each([
    ["ip.ad|", "ip.ad"],
    ["tcp and ip.s|", "ip.s"],
    ["!(vx|lan", "vx"],
    ["! ar|", "ar"],
    ["not ar|", "ar"],
    ["tcp.port == 80 && ud|", "ud"],
    ["_ws.ex|", "_ws.ex"],
  ])("%s", (text, expected) => {
    const cursor = text.indexOf("|");
    expect(nameBefore(text.replace("|", ""), cursor)?.text).toBe(expected);
  });

  it.each([
    "tcp.port == |",
    "ip.addr == hos|",
    "ip.addr eq hos|",
    "tcp and|",
    'http contains "tc|',
    "ip.src != a|",
    "tcp.port in {ht|",
    "10|",
    "|",
  ])("nothing: %s", (text) => {
    expect(nameBefore(text.slice(0, -1), text.length - 1)).toBeUndefined();
  });

  it("takes all of the name away, behind the cursor too", () => {
    const begun = nameBefore("tcp && ip.addr == 1", 10);
    expect(begun).toEqual({ text: "ip.", start: 7, end: 14 });
    if (begun !== undefined)
      expect(complete("tcp && ip.addr == 1", begun, "ip.src")).toEqual({ text: "tcp && ip.src == 1", cursor: 13 });
  });
});

describe("join", () => {
  it("joins as Wireshark does", () => {
    expect(join("tcp", "replace", "ip")).toBe("ip");
    expect(join("tcp", "not", "ip")).toBe("!(ip)");
    expect(join("tcp", "and", "ip.ttl == 64")).toBe("(tcp) && (ip.ttl == 64)");
    expect(join("tcp", "or", "ip")).toBe("(tcp) || (ip)");
    expect(join("tcp", "and not", "ip")).toBe("(tcp) && !(ip)");
    expect(join("tcp", "or not", "ip")).toBe("(tcp) || !(ip)");
    expect(join(" ", "and", "ip")).toBe("ip");
    expect(join("", "and not", "ip")).toBe("!(ip)");
  });
});

it("remembers each filter once, the last one first", () => {
  expect(remember(["b", "a"], "a")).toEqual(["a", "b"]);
  const many = Array.from({ length: 30 }, (_, i) => `tcp.port == ${i}`).reduce<string[]>(remember, []);
  expect([many.length, many[0]]).toEqual([20, "tcp.port == 29"]);
});
