/**
 * Go's text/template over JSON values, as far as `--format` is used: fields, pipelines, variables, if, range,
 * with, and the functions of docker/cli (templates/templates.go) and of text/template.
 */
import { callFunction, FUNCTIONS, isTrue, printValue, type Value } from "./template-functions.ts";
import { type Action, type Node, type Operand, type Pipeline, parseTemplate } from "./template-parser.ts";

export { TemplateError } from "./template-parser.ts";

import type { Json } from "./json.ts";
import { TemplateError } from "./template-parser.ts";

/** What a row has beside its fields: `{{.Label "com.example"}}`. */
export type Methods = Readonly<Record<string, (argument: string) => string>>;

interface Scope {
  readonly methods: Methods;
  readonly dot: Value;
  readonly variables: Map<string, Value>;
}

/** A parsed template. */
export class Template {
  readonly #nodes: readonly Node[];

  /** @throws TemplateError for bad syntax or an unknown function */
  constructor(source: string) {
    this.#nodes = parseTemplate(source, new Set(FUNCTIONS.keys()));
  }

  /** The text for a value. @throws TemplateError for a missing key or a bad argument */
  execute(data: Json, methods: Methods = {}): string {
    return runNodes(this.#nodes, { methods, dot: data, variables: new Map<string, Value>([["$", data]]) });
  }
}

function runNodes(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => (node.kind === "text" ? node.text : runAction(node, scope))).join("");
}

function runAction(node: Action, scope: Scope): string {
  switch (node.kind) {
    case "print": {
      const value = evaluate(node.pipeline, scope);
      return node.pipeline.assign.length > 0 ? "" : printValue(value);
    }
    case "if": {
      const inner = nested(scope, scope.dot);
      return runNodes(isTrue(evaluate(node.pipeline, inner)) ? node.body : node.otherwise, inner);
    }
    case "with": {
      const inner = nested(scope, scope.dot);
      const value = evaluate(node.pipeline, inner);
      return isTrue(value) ? runNodes(node.body, nested(inner, value)) : runNodes(node.otherwise, inner);
    }
    case "range":
      return runRange(node, scope);
  }
}

function nested(scope: Scope, dot: Value): Scope {
  return { methods: scope.methods, dot, variables: new Map(scope.variables) };
}

function runRange(node: Action, scope: Scope): string {
  const bare: Pipeline = { ...node.pipeline, assign: [] };
  const value = evaluate(bare, scope);
  let entries: [Value, Value][] = [];
  if (Array.isArray(value)) entries = value.map((item: Value, index) => [index, item]);
  else if (value !== null && typeof value === "object") {
    entries = Object.entries(value as Record<string, Value>).sort(([a], [b]) => (a < b ? -1 : 1));
  } else if (value !== null && value !== undefined) {
    throw new TemplateError(
      `template: :1: executing "" at <${bare.source}>: range can't iterate over ${printValue(value)}`,
    );
  }
  if (entries.length === 0) return runNodes(node.otherwise, nested(scope, scope.dot));
  const [first, second] = node.pipeline.assign;
  return entries
    .map(([key, item]) => {
      const inner = nested(scope, item);
      if (second !== undefined) inner.variables.set(first as string, key).set(second, item);
      else if (first !== undefined) inner.variables.set(first, item);
      return runNodes(node.body, inner);
    })
    .join("");
}

/** Runs a pipeline: each command's result is the last argument of the next. */
function evaluate(pipeline: Pipeline, scope: Scope): Value {
  let result: Value;
  let isFirst = true;
  for (const command of pipeline.commands) {
    const [head, ...rest] = command;
    if (head === undefined) throw new TemplateError(`template: :1: missing value for command`);
    if (head.kind === "function") {
      const args = rest.map((operand) => evaluateOperand(operand, scope));
      result = callFunction(head.name, isFirst ? args : [...args, result]);
    } else if (head.kind === "field" && Object.hasOwn(scope.methods, head.path.join("."))) {
      const given = rest.map((operand) => evaluateOperand(operand, scope));
      result = callMethod(head, isFirst ? given : [...given, result], scope.methods);
    } else {
      if (!isFirst || rest.length > 0) {
        throw new TemplateError(
          `template: :1: executing "" at <${pipeline.source}>: can't give argument to non-function ${head.source}`,
        );
      }
      result = evaluateOperand(head, scope);
    }
    isFirst = false;
  }
  for (const name of pipeline.assign) scope.variables.set(name, result);
  return result;
}

/** Methods of rows take one text (text/template exec.go evalCall). */
function callMethod(head: Operand & { kind: "field" }, args: readonly Value[], methods: Methods): string {
  const [name, argument] = [head.path.join("."), args[0]];
  const where = `template: :1:2: executing "" at <${head.source}>: `;
  if (args.length !== 1) throw new TemplateError(`${where}wrong number of args for ${name}: want 1 got ${args.length}`);
  if (typeof argument !== "string") throw new TemplateError(`${where}expected string; found ${printValue(argument)}`);
  return (methods[name] as Methods[string])(argument);
}

function evaluateOperand(operand: Operand, scope: Scope): Value {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "function":
      return callFunction(operand.name, []);
    case "field":
      return follow(scope.dot, operand.path, operand.source);
    case "variable":
      return follow(scope.variables.get(operand.name), operand.path, operand.source);
    case "nested":
      return follow(evaluate(operand.pipeline, scope), operand.path, operand.source);
  }
}

function follow(start: Value, path: readonly string[], source: string): Value {
  let value = start;
  for (const key of path) {
    const where = `template: :1:2: executing "" at <${source}>: `;
    if (value === null || value === undefined)
      throw new TemplateError(`${where}nil pointer evaluating interface {}.${key}`);
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new TemplateError(`${where}can't evaluate field ${key} in type interface {}`);
    }
    const object = value as Record<string, Value>;
    if (!Object.hasOwn(object, key)) throw new TemplateError(`${where}map has no entry for key "${key}"`);
    value = object[key];
  }
  return value;
}
