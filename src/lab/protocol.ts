/** What the lab's runner asks of a host's machine, and what the machine tells it. Plain data: it crosses workers. */

export type MachineRequest =
  /** Runs a command line in a fresh shell session on the host. */
  | {
      readonly kind: "run";
      readonly line: string;
      readonly stdin: string | undefined;
      readonly variables: Readonly<Record<string, string>>;
    }
  /** Types a line into the open terminal of a container. */
  | { readonly kind: "type"; readonly terminal: string; readonly line: string }
  /** Ctrl-C in the session of an earlier request. */
  | { readonly kind: "interrupt"; readonly session: number }
  /** Types a line into the session of an earlier request. */
  | { readonly kind: "input"; readonly session: number; readonly text: string };

export type MachineEvent =
  | { readonly kind: "output"; readonly id: number; readonly stream: "stdout" | "stderr"; readonly text: string }
  /** The command has ended. */
  | { readonly kind: "exit"; readonly id: number; readonly status: number }
  /** It waits for input: its terminal stays open, under the container's name. */
  | { readonly kind: "idle"; readonly id: number; readonly terminal: string | undefined }
  /** A container got an address. */
  | { readonly kind: "name"; readonly id: 0; readonly address: string; readonly name: string }
  /** There is no such terminal. */
  | { readonly kind: "refused"; readonly id: number; readonly message: string };
