/** A packet's tree without its looks: where lines stand, which one a byte belongs to, what is remembered of them. */
import type { TreeNode } from "../../dissectors/protocol.ts";

/** A line of the tree, with the lines above it. */
export interface TreeLine {
  readonly node: TreeNode;
  readonly parent: TreeLine | undefined;
  /** From 1. */
  readonly level: number;
  /** What it is, whatever its value: the same field of another packet has the same. */
  readonly key: string;
}

/** The name that a display filter gives a line; empty where it has none. */
export function fieldName(node: TreeNode): string {
  const [name = ""] = node.filter.split(" ");
  return name === "text" ? "" : name;
}

function keyOf(node: TreeNode, parent: TreeLine | undefined, taken: ReadonlySet<string>): string {
  const name = fieldName(node) || node.label.replace(/[:[(=].*$/, "").replace(/\d+/g, "");
  const key = `${parent?.key ?? ""}/${name}`;
  // The second Ethernet header is not the first.
  let distinct = key;
  for (let number = 2; taken.has(distinct); number++) distinct = `${key}#${number}`;
  return distinct;
}

/** The lines below one, or the topmost ones. */
export function linesBelow(nodes: readonly TreeNode[], parent?: TreeLine): TreeLine[] {
  const taken = new Set<string>();
  return nodes.map((node) => {
    const key = keyOf(node, parent, taken);
    taken.add(key);
    return { node, parent, level: (parent?.level ?? 0) + 1, key };
  });
}

/** The lines that are to be seen, from top to bottom. @param expanded keys of lines that show what is below them */
export function visibleLines(nodes: readonly TreeNode[], expanded: ReadonlySet<string>, parent?: TreeLine): TreeLine[] {
  return linesBelow(nodes, parent).flatMap((line) => {
    const { children } = line.node;
    return children.length > 0 && expanded.has(line.key) ? [line, ...visibleLines(children, expanded, line)] : [line];
  });
}

/** All lines, from top to bottom. */
export function allLines(nodes: readonly TreeNode[], parent?: TreeLine): TreeLine[] {
  return linesBelow(nodes, parent).flatMap((line) => [line, ...allLines(line.node.children, line)]);
}

/** The line that a byte belongs to most closely: the shortest that holds it, of several the innermost. */
export function lineAt(nodes: readonly TreeNode[], source: number, at: number): TreeLine | undefined {
  let best: TreeLine | undefined;
  for (const line of allLines(nodes)) {
    const { node } = line;
    if (node.source !== source || at < node.start || at >= node.start + node.length) continue;
    const shorter = best === undefined || node.length < best.node.length;
    if (shorter || (node.length === best?.node.length && line.level > best.level)) best = line;
  }
  return best;
}

/** Has every line above this one show what is below it. */
export function reveal(line: TreeLine, expanded: Set<string>): void {
  for (let above = line.parent; above !== undefined; above = above.parent) expanded.add(above.key);
}
