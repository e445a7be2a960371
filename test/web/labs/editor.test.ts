import { describe, expect, it } from "vitest";
import { galleryNames, readLab } from "../../../src/cli/labs.ts";
import { indentAfter } from "../../../web/page/labs/editor/new-line.ts";
import { runStateOf } from "../../../web/page/labs/editor/run-state.ts";
import { parseSettings } from "../../../web/page/labs/editor/settings.ts";
import { FIRST_LAB, galleryGroups, matches } from "../../../web/page/labs/groups.ts";
import { checkLab } from "../../../web/session/labs/check.ts";
import { labEntries } from "../../../web/session/labs/entry.ts";

describe("the check of a text", () => {
  const text = "hosts:\n  host1: {}\nsteps:\n  - host1: ls\n  - fault: { host: host1, los: 1% }\n";

  it("is the command line's: line, column, field", () => {
    const { error } = checkLab("mine", text, {});
    expect(error).toMatchObject({ line: 5, column: 27 });
    expect(error?.message).toMatch(/^mine\.yaml:5:27: steps\[1\]\.fault\.los: unknown key; expected one of host, /);
    expect(error?.problem).toMatch(/^steps\[1\]\.fault\.los: unknown key/);
  });

  it("tells where the steps stand, and the parameters", () => {
    const { outline } = checkLab("mine", `params: { n: 2 }\n${text.replace("los:", "loss:")}`, { n: "3" });
    expect(outline).toMatchObject({
      stepLines: [5, 6],
      steps: ["host1: ls", "fault host1: loss 1%"],
      params: { n: 2 },
      hosts: ["host1"],
      seed: "1",
    });
    expect(checkLab("mine", text.replace("los:", "loss:"), { nix: "1" }).error).toMatchObject({
      message: expect.stringContaining("there is no nix to set"),
    });
  });
});

/** As the build lists it. */
const GALLERY = labEntries(galleryNames().map((name) => [name, readLab(name).text]));

describe("the gallery", () => {
  it("lists every lab once, in its folder's group, the first one first", () => {
    const groups = galleryGroups(GALLERY);
    expect(groups.map(({ title }) => title)).toEqual([
      "Overlay networks",
      "Services and faults",
      "Docker's documentation",
    ]);
    expect(groups[0]?.labs[0]?.name).toBe(FIRST_LAB);
    expect(groups.flatMap(({ labs }) => labs)).toHaveLength(GALLERY.length);
    expect(galleryGroups(labEntries([["new/x", "hosts: { a: {} }"]]))[0]?.title).toBe("new");
  });

  it("has a whole sentence for each", () => {
    for (const { name, description } of GALLERY) {
      expect(description, name).toMatch(/^\S.{20,120}\.$/);
    }
  });

  it("is narrowed down by words", () => {
    const found = (words: string) => GALLERY.filter((lab) => matches(lab, words)).map(({ name }) => name);
    expect(found("")).toHaveLength(GALLERY.length);
    expect(found("SCTP")).toContain("published-sctp");
    expect(found("blocked 7946")).toEqual(["firewall-7946", "services/drop-7946"]);
    expect(found("nosuchword")).toEqual([]);
  });
});

describe("the editor", () => {
  it("begins lines where YAML wants them", () => {
    expect(indentAfter("steps:")).toBe("  ");
    expect(indentAfter("  - host1: |")).toBe("      ");
    expect(indentAfter("  - host1: ls")).toBe("    ");
    expect(indentAfter("  host1: {}")).toBe("  ");
    expect(indentAfter("# a comment:")).toBe("");
  });

  it("knows the step that runs", () => {
    expect(runStateOf({ phase: "ready", step: 0 }, 2)).toEqual({ step: 0, state: "next" });
    expect(runStateOf({ phase: "running", step: 1 }, 2)).toEqual({ step: 0, state: "running" });
    expect(runStateOf({ phase: "paused", step: 2 }, 2)).toEqual({ step: 1, state: "running" });
    expect(runStateOf({ phase: "ready", step: 2 }, 2)).toEqual({ step: undefined, state: "next" });
    expect(runStateOf({ phase: "done", step: 2 }, 2)).toEqual({ step: undefined, state: "next" });
  });

  it("reads settings a line each", () => {
    expect(parseSettings("a=1\n\n network.loss = 1% \nb=c=d")).toEqual({
      settings: { a: "1", "network.loss": "1%", b: "c=d" },
      wrong: undefined,
    });
    expect(parseSettings("a=1\nnonsense").wrong).toBe("nonsense");
  });
});
