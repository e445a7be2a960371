/** What the shell's parser makes of a script (POSIX.1-2017 Shell Command Language §2.10). */
import { UserError } from "../../base/errors.ts";

/** What is done with a parameter in `${name…}` (§2.6.2); operators with `:` treat an empty value as unset. */
export type ParameterOperator =
  | "-"
  | ":-"
  | "="
  | ":="
  | "?"
  | ":?"
  | "+"
  | ":+"
  | "#"
  | "##"
  | "%"
  | "%%"
  /** `${#name}` */
  | "length"
  /** `${name/pattern/text}`, `${name//pattern/text}` and `${name:offset:length}` of ash and bash. */
  | "/"
  | "//"
  | ":";

/** A piece of a word. */
export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly quoted: boolean;
      readonly operator?: ParameterOperator;
      /** The operator's word. */
      readonly word?: Word;
      /** What replaces what `/` and `//` find; the length of `:`. */
      readonly second?: Word;
    }
  | { readonly kind: "command"; readonly list: List; readonly quoted: boolean }
  | { readonly kind: "arithmetic"; readonly expression: Word; readonly quoted: boolean };

/** A word before expansion. */
export type Word = readonly WordPart[];

/** `>`, `<`, `>>`, `2>&1`, `<<`. */
export interface Redirection {
  readonly fd: number;
  /** `<<` is a here-document, whose target is its text; `<<<` bash's here-string. */
  readonly op: "<" | ">" | ">>" | ">|" | ">&" | "<&" | "<<" | "<<<" | "<>";
  readonly target: Word;
}

/** Assignments, words and redirections. */
export interface SimpleCommand {
  readonly kind: "simple";
  readonly line: number;
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  readonly words: readonly Word[];
  readonly redirections: readonly Redirection[];
}

/** A branch of `case`. */
export interface CaseBranch {
  readonly patterns: readonly Word[];
  readonly body: List;
}

/** A compound command with its redirections. */
export type CompoundCommand = {
  readonly redirections: readonly Redirection[];
} /** Without `items` over the positional parameters. */ & (
  | { readonly kind: "for"; readonly name: string; readonly items: readonly Word[] | undefined; readonly body: List }
  | { readonly kind: "loop"; readonly until: boolean; readonly condition: List; readonly body: List }
  | {
      readonly kind: "if";
      readonly branches: readonly { readonly condition: List; readonly body: List }[];
      readonly otherwise: List;
    }
  | { readonly kind: "case"; readonly subject: Word; readonly branches: readonly CaseBranch[] }
  | { readonly kind: "group"; readonly body: List; readonly subshell: boolean }
  | { readonly kind: "function"; readonly name: string; readonly body: Command }
);

/** A command of any kind. */
export type Command = SimpleCommand | CompoundCommand;

/** Commands joined by `|`, perhaps inverted by `!`. */
export interface Pipeline {
  readonly commands: readonly Command[];
  readonly negated: boolean;
}

/** Pipelines joined by `;`, `&&`, `||` or `&`; the operator stands before its pipeline. */
export type List = readonly {
  readonly op: ";" | "&&" | "||";
  readonly pipeline: Pipeline;
  /** `&` ends the and-or list that this is the last pipeline of. */
  readonly background: boolean;
  /** Its text, for `jobs`. */
  readonly text: string;
}[];

/** The text ends in the middle of something: an interactive shell asks for more. */
export class IncompleteError extends UserError {
  override name = "IncompleteError";
}

/** A parameter's name. */
export const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** A parameter without braces: a name, a digit, or a special one (§2.5.2). */
export const PARAMETER = /^(?:[A-Za-z_][A-Za-z0-9_]*|[?$#0-9@*!-])/;
