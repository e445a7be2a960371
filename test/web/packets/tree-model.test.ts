/** The packet's tree without its looks. */
import { expect, it } from "vitest";
import type { TreeNode } from "../../../web/dissectors/protocol.ts";
import { fieldName, lineAt, linesBelow, reveal, visibleLines } from "../../../web/page/packets/tree-model.ts";

const node = (filter: string, start: number, length: number, ...children: TreeNode[]): TreeNode => ({
  label: `${filter}: ${start}`,
  filter,
  start,
  length,
  source: 0,
  frame: undefined,
  children,
});
const OUTER = node("eth", 0, 14, node("eth.dst == 1", 0, 6, node("eth.lg == True", 0, 3)), node("eth.src == 2", 6, 6));
const INNER = node("eth", 50, 14, node("eth.dst == 3", 50, 6));
const NOTE = { ...node("text", 0, 0), label: "Timestamps: 12" };
const TREE = [node("frame", 0, 64), OUTER, INNER, NOTE];

it("names fields as filters do", () => {
  expect([...TREE, ...OUTER.children].map(fieldName)).toEqual(["frame", "eth", "eth", "", "eth.dst", "eth.src"]);
});

it("tells the inner header from the outer one, and knows both again in the next packet", () => {
  expect(linesBelow(TREE).map(({ key }) => key)).toEqual(["/frame", "/eth", "/eth#2", "/Timestamps"]);
});

it("shows what is open", () => {
  const shown = (keys: string[]) => visibleLines(TREE, new Set(keys)).map(({ key }) => key);
  expect(shown([])).toHaveLength(4);
  expect(shown(["/eth#2"])).toEqual(["/frame", "/eth", "/eth#2", "/eth#2/eth.dst", "/Timestamps"]);
  // What is open below a closed line waits.
  expect(shown(["/eth/eth.dst"])).toHaveLength(4);
});

it("finds the shortest field that holds a byte, the innermost of equals", () => {
  const at = (byte: number, source = 0) => lineAt(TREE, source, byte)?.key;
  expect(at(1)).toBe("/eth/eth.dst/eth.lg");
  expect(at(4)).toBe("/eth/eth.dst");
  expect(at(13)).toBe("/eth");
  expect(at(20)).toBe("/frame");
  expect(at(55)).toBe("/eth#2/eth.dst");
  expect([at(64), at(1, 1)]).toEqual([undefined, undefined]);
  const twin = node("a", 0, 2, node("b == 1", 0, 2));
  expect(lineAt([twin], 0, 1)?.key).toBe("/a/b");
});

it("opens what stands above a line", () => {
  const expanded = new Set<string>();
  const line = lineAt(TREE, 0, 1);
  expect(line).toBeDefined();
  if (line !== undefined) reveal(line, expanded);
  expect([...expanded]).toEqual(["/eth/eth.dst", "/eth"]);
});
