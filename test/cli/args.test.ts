/** Flags of swarmwire's commands. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { formatFlags, parseArgs, wholeNumber } from "../../src/cli/args.ts";

const FLAGS = {
  pcap: { value: "FILE", help: "a file" },
  capture: { value: "PATTERN", repeat: true, help: "points" },
  json: { help: "a switch" },
  help: { help: "this text" },
};

describe("parseArgs", () => {
  it("takes values after a blank or =, switches, repetitions, and what stands behind --", () => {
    const args = parseArgs(
      "run",
      ["lab", "--pcap", "x", "--capture=a", "-capture", "b", "--json", "--", "--pcap"],
      FLAGS,
    );
    expect(args.positional).toEqual(["lab", "--pcap"]);
    expect([args.get("pcap"), args.all("capture"), args.has("json"), args.has("help")]).toEqual([
      "x",
      ["a", "b"],
      true,
      false,
    ]);
  });

  it("-h is help", () => {
    expect(parseArgs("run", ["-h"], FLAGS).has("help")).toBe(true);
  });

  it.each([
    [["--frob"], "swarmwire run: unknown flag --frob; see swarmwire run --help"],
    [["--pcap"], "swarmwire run: --pcap needs FILE"],
    [["--json=1"], "swarmwire run: --json takes no value"],
    [["--pcap", "a", "--pcap", "b"], "swarmwire run: --pcap was given twice"],
    [["-x"], "swarmwire run: unknown flag -x; see swarmwire run --help"],
  ])("%j is refused", (argv, message) => {
    expect(() => parseArgs("run", argv, FLAGS)).toThrow(new UserError(message));
  });

  it.each(["0", "65", "x", "", "1.5"])("--n %j is no number from 1 to 64", (text) => {
    const args = parseArgs("run", ["--n", text], { n: { value: "N", help: "" } });
    expect(() => wholeNumber("run", args, "n", 1, 64)).toThrow(
      `swarmwire run: --n ${text}: expected a number from 1 to 64`,
    );
  });

  it("lists flags in columns", () => {
    expect(formatFlags({ a: { help: "x" }, longer: { value: "N", help: "y" } })).toBe(
      "  --a         x\n  --longer N  y\n",
    );
  });
});
