/** Which image a reference means. */
import { describe, expect, it } from "vitest";
import { alpine } from "../../src/images/alpine.ts";
import { imageStore, normalizeReference, windowsImageStore } from "../../src/images/store.ts";

describe("image store", () => {
  const store = imageStore();

  it.each([
    "alpine",
    "alpine:latest",
    "alpine:3.18",
    "library/alpine",
    "docker.io/library/alpine:latest",
    alpine.id,
    alpine.id.slice(7, 19),
  ])("%s is alpine", (reference) => {
    expect(store.find(reference)).toBe(alpine);
  });

  it.each(["", "nosuch", "nosuch:latest", "alpin", "sha256:", "example.com/alpine"])("%j is none", (reference) => {
    expect(store.find(reference)).toBeUndefined();
  });

  it("images of the other system are known, but not to be had", () => {
    const windows = windowsImageStore();
    for (const reference of [
      "mcr.microsoft.com/windows/nanoserver:ltsc2022",
      "mcr.microsoft.com/windows/servercore:1809",
    ]) {
      expect(store.find(reference)).toBeUndefined();
      expect(store.isForeign?.(reference)).toBe(true);
      expect(windows.find(reference)?.programs.has("cmd.exe")).toBe(true);
      expect(windows.isForeign?.(reference)).toBe(false);
    }
    expect(windows.find("alpine")).toBeUndefined();
    expect(windows.isForeign?.("alpine:3.18")).toBe(true);
    expect(windows.isForeign?.("nosuch")).toBe(false);
  });

  it("normalizes", () => {
    expect(normalizeReference("docker.io/library/alpine")).toBe("alpine:latest");
    expect(normalizeReference("localhost:5000/a")).toBe("localhost:5000/a:latest");
  });

  it("every image has a shell, the tools it promises, and an ID of its own", () => {
    const ids = new Set(store.list().map((image) => image.id));
    expect(ids.size).toBe(store.list().length);
    for (const image of store.list()) {
      expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
      for (const name of ["sh", "ping", "ip", "nslookup"])
        expect(image.programs.has(name), `${image.tag} ${name}`).toBe(true);
    }
  });
});
