/** Labs, between the page and the session's worker. */
import type { OnEvents } from "../protocol.ts";

/** Where a lab comes from. */
export type LabSource =
  /** It comes with swarmwire. */
  | { readonly kind: "gallery"; readonly name: string }
  /** A text of the user's; `name` is that of its file without `.yaml`. */
  | { readonly kind: "text"; readonly name: string; readonly text: string };

/** A lab that is to be opened. */
export interface LabRequest {
  readonly source: LabSource;
  /** Parameters and fields, as `swarmwire run --set` takes them. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Instead of the lab's own. */
  readonly seed?: string;
}

/** A value of a lab's parameter. */
export type ParamValue = string | number | boolean;

/** A lab as its file says it is. */
export interface LabOutline {
  /** Its own name. */
  readonly title: string;
  readonly description: string;
  /** The lab's own. */
  readonly seed: string;
  /** Parameters with the values that stand in the file. */
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly hosts: readonly string[];
  /** Each step in one line. */
  readonly steps: readonly string[];
  /** The line of the file on which each step begins, from 1. */
  readonly stepLines: readonly number[];
}

/** A lab that is open. */
export interface OpenLab {
  /** What files of it are called: the gallery's name, or that of the text. */
  readonly name: string;
  readonly description: string;
  /** That it runs with. */
  readonly seed: string;
  readonly hosts: readonly string[];
  /** Each step in one line. */
  readonly steps: readonly string[];
  /** What was asked for. */
  readonly request: LabRequest;
  /** The file's text. */
  readonly text: string;
  readonly outline: LabOutline;
}

/** What a look at a text came to. */
export type LabCheck =
  | { readonly outline: LabOutline; readonly error?: undefined }
  | {
      readonly outline?: undefined;
      readonly error: {
        /** As the command line prints it. */
        readonly message: string;
        /** From 1; undefined where it isn't about a place of the file. */
        readonly line?: number;
        readonly column?: number;
        /** Without the place. */
        readonly problem: string;
      };
    };

/** What the page asks about labs. */
export interface LabsApi {
  /** What the command line would say to a text. */
  check(name: string, text: string, settings: Readonly<Record<string, string>>): LabCheck;
  /** The run so far as a lab of its own, and what no lab can say of it. */
  savedRun(): { readonly text: string; readonly left: readonly string[] };
  /** Opens a lab in place of the one that is open. */
  open(request: LabRequest, tell: OnEvents): Promise<OpenLab>;
}
