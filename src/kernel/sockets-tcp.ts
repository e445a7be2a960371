/** TCP sockets (net/ipv4/tcp.c as programs see it). */
import * as abi from "../../assembly/abi.ts";
import type { Ipv4 } from "../base/addr.ts";
import { assert } from "../base/errors.ts";
import type { Time } from "../base/time.ts";
import { readDump } from "./addresses.ts";
import { check } from "./memory.ts";
import type { Namespace } from "./netns.ts";
import { SocketBase } from "./socket.ts";
import type { SocketInfo, TcpSocket, TcpState } from "./types.ts";

const STATES: Record<number, TcpState> = {
  [abi.TCP_ESTABLISHED]: "ESTABLISHED",
  [abi.TCP_SYN_SENT]: "SYN_SENT",
  [abi.TCP_SYN_RECV]: "SYN_RECV",
  [abi.TCP_FIN_WAIT1]: "FIN_WAIT1",
  [abi.TCP_FIN_WAIT2]: "FIN_WAIT2",
  [abi.TCP_TIME_WAIT]: "TIME_WAIT",
  [abi.TCP_CLOSE]: "CLOSED",
  [abi.TCP_CLOSE_WAIT]: "CLOSE_WAIT",
  [abi.TCP_LAST_ACK]: "LAST_ACK",
  [abi.TCP_LISTEN]: "LISTEN",
  [abi.TCP_CLOSING]: "CLOSING",
};

export class TcpSocketImpl {
  static open(ns: Namespace): TcpSocket {
    throw new Error("not yet");
  }
}
export function listTcpSockets(ns: Namespace): SocketInfo[] {
  return [];
}
