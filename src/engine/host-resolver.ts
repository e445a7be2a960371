/**
 * Names as dockerd itself resolves them: Go's own resolver (net/dnsclient_unix.go goLookupIPCNAMEOrder, Go 1.19), which
 * reads /etc/hosts, then asks the servers of /etc/resolv.conf one after the other.
 */
import { formatIpv4, type Ipv4, parseIpv4 } from "../base/addr.ts";
import { ERRNO_TEXT, KernelError } from "../base/errors.ts";
import { SEC } from "../base/time.ts";
import type { UdpSocket } from "../kernel/socket-types.ts";
import { DNS_RCODE, DNS_TYPE, encodeName, parseResponse } from "../libnetwork/dns.ts";
import type { HostOs } from "../scheduler/os.ts";
import type { Proc, Waitable } from "../scheduler/process.ts";

const DNS_PORT = 53;
/** Where the C library and Go ask when no server is named. */
const DEFAULT_SERVERS: readonly Ipv4[] = [0x7f00_0001];
/** Defaults of resolv.conf(5). */
const TIMEOUT = 5 * SEC;
const ATTEMPTS = 2;
/** RD. */
const RECURSION = 0x0100;

/** What the resolver reads. */
export interface ResolverFiles {
  /** Text of /etc/hosts. */
  readonly hosts: string;
  /** Text of /etc/resolv.conf. */
  readonly resolvConf: string;
}

/** The first IPv4 address of a name, or why there is none, as Go says it: `lookup NAME on …: no such host`. */
export function* lookupHost(os: HostOs, files: ResolverFiles, name: string): Proc<Ipv4 | string> {
  const known = parseIpv4(name) ?? inHosts(files.hosts, name);
  if (known !== undefined) return known;
  const servers = [...files.resolvConf.matchAll(/^nameserver\s+(\S+)/gm)]
    .map((match) => parseIpv4(match[1] as string))
    .filter((ip) => ip !== undefined);
  const random = os.random.fork(`lookup ${name} ${os.now()}`);
  let reason = "no such host";
  let last: Ipv4 = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (const server of servers.length > 0 ? servers : DEFAULT_SERVERS) {
      const answer = yield* ask(os, server, name, random.below(0x10000));
      if (typeof answer === "number") return answer;
      last = server;
      reason = answer;
      if (answer === "no such host") return failure(name, last, reason);
    }
  }
  return failure(name, last, reason);
}

function failure(name: string, server: Ipv4, reason: string): string {
  return `lookup ${name} on ${formatIpv4(server)}:${DNS_PORT}: ${reason}`;
}

function inHosts(text: string, name: string): Ipv4 | undefined {
  const wanted = name.toLowerCase().replace(/\.$/, "");
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/);
    if (names.includes(wanted)) return parseIpv4(address);
  }
  return undefined;
}

/** Asks one server once. @returns an address, or what went wrong */
function* ask(os: HostOs, server: Ipv4, name: string, id: number): Proc<Ipv4 | string> {
  const wire = encodeName(name);
  if (wire === undefined) return "no such host";
  const socket = os.kernel.root.socket.udp();
  socket.setOwner("dockerd");
  const remote = `${formatIpv4(server)}:${DNS_PORT}`;
  try {
    socket.connect(server, DNS_PORT);
    socket.send(query(id, wire));
    return yield* answerOf(os, socket, id, remote);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return `dial udp ${remote}: connect: ${goError(error)}`;
  } finally {
    socket.close();
  }
}

/** A query for A records of the Internet's class. */
function query(id: number, name: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + name.length + 4);
  const view = new DataView(out.buffer);
  view.setUint16(0, id);
  view.setUint16(2, RECURSION);
  view.setUint16(4, 1);
  out.set(name, 12);
  view.setUint16(12 + name.length, DNS_TYPE.A);
  view.setUint16(14 + name.length, 1);
  return out;
}

function* answerOf(os: HostOs, socket: UdpSocket, id: number, remote: string): Proc<Ipv4 | string> {
  const { ip, port } = socket.localAddress();
  const reading = `read udp ${formatIpv4(ip)}:${port}->${remote}`;
  const until = os.now() + TIMEOUT;
  while (os.now() < until) {
    const error = socket.takeError();
    if (error !== undefined) return `${reading}: read: ${ERRNO_TEXT[error].toLowerCase()}`;
    const datagram = socket.tryRecv();
    if (datagram === undefined) {
      yield { on: [socket as unknown as Waitable], until };
      continue;
    }
    const response = parseResponse(datagram.data);
    if (response === undefined || response.id !== id) continue;
    if (response.rcode !== DNS_RCODE.NOERROR && response.rcode !== DNS_RCODE.NXDOMAIN) return "server misbehaving";
    const found = response.answers.find((answer) => answer.type === DNS_TYPE.A);
    return parseIpv4(found?.text ?? "") ?? "no such host";
  }
  return `${reading}: i/o timeout`;
}

/** Text of an errno in Go (syscall/zerrors_linux_amd64.go). */
export function goError(error: KernelError): string {
  if (error.code === "ENETUNREACH") return "network is unreachable";
  return error.code === "EHOSTUNREACH" ? "no route to host" : ERRNO_TEXT[error.code].toLowerCase();
}
