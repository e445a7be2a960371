/** What the lab's runner asks of a host's machine, and what the machine tells it. Plain data: it crosses workers. */

import type { GossipCensus } from "../libnetwork/networkdb-types.ts";
import type { UdpLoad, UdpSent } from "../workload/udp-flow.ts";

/** A request of the runner, delivered as an event of the host. */
export type MachineRequest =
  /** Runs a command line on a new terminal of the host. Without `stdin`, the terminal's keyboard is at hand. */
  | {
      readonly kind: "run";
      readonly line: string;
      readonly stdin: string | undefined;
      readonly variables: Readonly<Record<string, string>>;
    }
  /** Types a line into the open terminal of a container. */
  | { readonly kind: "type"; readonly terminal: string; readonly line: string }
  /** Types text on the terminal of an earlier request. */
  | { readonly kind: "input"; readonly session: number; readonly text: string }
  /** Ctrl-D there. */
  | { readonly kind: "eof"; readonly session: number }
  /** Ctrl-C there. With `answer`, this request is told when the terminal is idle again; without, who typed last is. */
  | { readonly kind: "interrupt"; readonly session: number; readonly answer: boolean }
  /** Takes that terminal away: what runs on it ends. */
  | { readonly kind: "hangup"; readonly session: number }
  /** How far gossip has got here: what this host knows of its swarm and of a network. Answered at once with `gossip`. */
  | { readonly kind: "gossip"; readonly network: string }
  /** Counts what arrives on a UDP port; answered at once with `sink`. */
  | { readonly kind: "sink"; readonly container: string | undefined; readonly port: number }
  /** Ends the count of an earlier `sink` request; answered with `counted`. */
  | { readonly kind: "count"; readonly sink: number }
  /** Sends datagrams; answered with `sent` when the last one is under way. */
  | {
      readonly kind: "flow";
      readonly container: string | undefined;
      /** An address or a name. */
      readonly to: string;
      readonly port: number;
      readonly load: UdpLoad;
    };

/** What a host knows by gossip; all 0 while it is in no swarm. */
export interface GossipView extends GossipCensus {
  /** Entries of other hosts in the network's peer table. */
  readonly peers: number;
}

/** `id` is that of the request that the event belongs to: the last one that typed on the terminal. */
export type MachineEvent =
  | { readonly kind: "output"; readonly id: number; readonly stream: "stdout" | "stderr"; readonly text: string }
  /** What ran on the terminal has ended. */
  | { readonly kind: "exit"; readonly id: number; readonly status: number }
  /** It waits for input: its terminal stays open, under the container's name if it is one's. */
  | { readonly kind: "idle"; readonly id: number; readonly terminal: string | undefined }
  /** A container got an address. */
  | { readonly kind: "name"; readonly id: 0; readonly address: string; readonly name: string }
  | ({ readonly kind: "gossip"; readonly id: number } & GossipView)
  | { readonly kind: "sink"; readonly id: number }
  | { readonly kind: "counted"; readonly id: number; readonly packets: number }
  | ({ readonly kind: "sent"; readonly id: number; readonly address: string } & UdpSent)
  /** There is no such terminal, or what was asked for can't be done. */
  | { readonly kind: "refused"; readonly id: number; readonly message: string };
