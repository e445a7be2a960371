import { describe, expect, it } from "vitest";
import { KeptLabs, type TextStorage } from "../../../web/page/labs/kept.ts";

function storage(first?: string, room = Number.POSITIVE_INFINITY): TextStorage & { value: string | null } {
  return {
    value: first ?? null,
    getItem() {
      return this.value;
    },
    setItem(_key, value) {
      if (value.length > room) throw new DOMException("full", "QuotaExceededError");
      this.value = value;
    },
  };
}

describe("labs that are kept", () => {
  it("are there again after a reload, by name", () => {
    const place = storage();
    const labs = new KeptLabs(place);
    expect(labs.put("b", "hosts: {}")).toBe(true);
    expect(labs.put("a", "1")).toBe(true);
    expect(labs.put("a", "2")).toBe(true);
    expect(new KeptLabs(place).list()).toEqual([
      { name: "a", text: "2" },
      { name: "b", text: "hosts: {}" },
    ]);
    labs.remove("a");
    expect(new KeptLabs(place).text("a")).toBeUndefined();
  });

  it("never get a name that another one has", () => {
    const labs = new KeptLabs(storage());
    labs.put("x", "1");
    labs.put("x-2", "1");
    expect([labs.freeName("x"), labs.freeName("y")]).toEqual(["x-3", "y"]);
  });

  it("says when there is no room, and keeps what it has", () => {
    const full = new KeptLabs(storage(undefined, 60));
    expect(full.put("a", "1")).toBe(true);
    expect(full.put("b", "x".repeat(100))).toBe(false);
    expect(full.list()).toEqual([{ name: "a", text: "1" }]);
    const labs = new KeptLabs(storage());
    for (let i = 0; i < 32; i++) expect(labs.put(`lab${i}`, "x")).toBe(true);
    expect(labs.put("one more", "x")).toBe(false);
    expect(labs.put("lab0", "y")).toBe(true);
    expect(labs.put("lab0", "y".repeat(2 ** 20))).toBe(false);
    expect(new KeptLabs(undefined).put("a", "1")).toBe(false);
  });

  it.each(["{", "null", '[{"name":1}]', '[{"name":"a","text":"1"},2]'])("reads %s without harm", (text) => {
    expect(new KeptLabs(storage(text)).list().every((lab) => typeof lab.text === "string")).toBe(true);
  });
});
