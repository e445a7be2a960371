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

  it("every image can start, and has an ID and a tag of its own", () => {
    const images = store.list();
    expect(new Set(images.map((image) => image.id)).size).toBe(images.length);
    expect(new Set(images.map((image) => image.tag)).size).toBe(images.length);
    for (const image of images) {
      expect(image.id).toMatch(/^sha256:[0-9a-f]{64}$/);
      const [first] = [...image.entrypoint, ...image.cmd];
      const name = image.programs.has(first as string) ? first : first?.replace(/.*\//, "");
      expect(image.programs.has(name as string), `${image.tag} ${first}`).toBe(true);
    }
  });

  it("tags of one repository are told apart where there are several", () => {
    expect(store.find("nginx")?.tag).toBe("nginx:latest");
    expect(store.find("nginx:alpine")?.tag).toBe("nginx:alpine");
    expect(store.find("nginx:1.25")?.tag).toBe("nginx:latest");
    expect(store.find("docker.io/library/redis:alpine")?.tag).toBe("redis:alpine");
  });

  it("alpine and busybox have the tools that they promise", () => {
    for (const tag of ["alpine", "busybox"])
      for (const name of ["sh", "ping", "ip", "nslookup"]) expect(store.find(tag)?.programs.has(name), name).toBe(true);
    expect(store.find("nginx")?.programs.has("ping")).toBe(false);
  });
});
