/**
 * Programs inside of the kernel behind TCP sockets, as the kernel's own users of sockets are (net/rds, nfsd): generated traffic
 * that would otherwise wake a program for each step of each connection. Such a socket's news call its handler once the packet
 * that brought them is done with (softirq), at the same instant.
 */
import { EADDRNOTAVAIL, EAGAIN, ECONNRESET, TCP_CLOSE, TCP_ESTABLISHED, TCP_SYN_SENT } from "../abi";
import { NetNs } from "../link/netns";
import { kfree, kmalloc } from "../memory/arena";
import { now } from "../sim/event";
import { exponential } from "../sim/exponential";
import { Host } from "../sim/host";
import { Timer, timerDel, timerInit, timerMod } from "../sim/timer";
import { FlowSent, METER_MAGIC, Meter, meterDelay, meterConnection, meterFailure, meterPut, meterStamp, sentNew } from "./meter";
import { SOCK_APP, SOCK_SINK, forgetWake } from "./socket";
import { tcpNew } from "./tcp";
import { TF_NODELAY } from "./tcp-const";
import { TcpSock } from "./tcp-sock";
import { userAbort, userAccept, userBind, userClose, userConnect, userListen, userRecv, userSend } from "./tcp-user";
import { FLOW_PATTERN, flowPattern } from "./udp-flow";

/** What stands behind a socket. It is the socket's: it ends with it. */
@unmanaged
export class TcpApp {
  /** (tp: TcpSock, app: usize) => void: the socket has news. */
  ready: usize;
  /** Bytes of the record. */
  size: usize;
  meter: usize;
}

function attach(tp: TcpSock, app: TcpApp, size: usize, meter: Meter, ready: usize): void {
  app.ready = ready;
  app.size = size;
  app.meter = changetype<usize>(meter);
  meter.users++;
  tp.app = changetype<usize>(app);
  tp.flags |= SOCK_APP;
}

/** A socket that an app stands behind has news. */
export function appReady(tp: TcpSock): void {
  changetype<(tp: TcpSock, app: usize) => void>(changetype<TcpApp>(tp.app).ready)(tp, tp.app);
}

/** The socket goes, or goes on without its app. */
export function appDetach(tp: TcpSock): void {
  forgetWake(tp);
  const app = changetype<TcpApp>(tp.app);
  tp.app = 0;
  tp.flags &= ~SOCK_APP;
  if (app.ready == changetype<usize>(anchorReady)) timerDel(changetype<RequestFlow>(changetype<usize>(app)).timer());
  meterPut(changetype<Meter>(app.meter));
  kfree(changetype<usize>(app), app.size);
}

/** The app is done with its connection. */
function hangUp(tp: TcpSock): void {
  appDetach(tp);
  userClose(tp);
}

/** Queues bytes of a fixed pattern: how many were taken, or as userSend. */
export function sendPattern(tp: TcpSock, len: u32): i32 {
  const from = flowPattern();
  let sent: u32 = 0;
  while (sent < len) {
    const part = len - sent < FLOW_PATTERN ? len - sent : FLOW_PATTERN;
    const taken = userSend(tp, from, part);
    if (taken < 0) return sent != 0 ? <i32>sent : taken;
    sent += <u32>taken;
    if (<u32>taken < part) break;
  }
  return <i32>sent;
}

// ---------------------------------------------------------------------------------------------- server

/** Bytes of a request, which is a meter's header and padding. */
const REQUEST: u32 = 32;
const request: usize = memory.data(32, 8);

/** A server of requests: a listener. */
@unmanaged
class Server extends TcpApp {
  tag: u32;
  /** Bytes of a response. */
  response: u32;
}

/** One of its connections. */
@unmanaged
class Serving extends TcpApp {
  tag: u32;
  left: u32; // of the response
  asked: u32;
}

const BACKLOG: u32 = 4096;

/** Answers requests to a port of a namespace with `response` bytes each: 0 or -EADDRINUSE. */
export function appServe(meter: Meter, ns: NetNs, port: u32, tag: u32, response: u32): i32 {
  const tp = tcpNew(ns);
  let error = userBind(tp, 0, port);
  if (error == 0) error = userListen(tp, BACKLOG);
  if (error != 0) {
    userClose(tp);
    return error;
  }
  const server = changetype<Server>(kmalloc(offsetof<Server>()));
  server.tag = tag;
  server.response = response;
  attach(tp, server, offsetof<Server>(), meter, changetype<usize>(serverReady));
  return 0;
}

function serverReady(listener: TcpSock, at: usize): void {
  const server = changetype<Server>(at);
  for (let p = userAccept(listener); p > 0; p = userAccept(listener)) {
    const tp = changetype<TcpSock>(<usize>p);
    const serving = changetype<Serving>(kmalloc(offsetof<Serving>()));
    serving.tag = server.tag;
    serving.left = server.response;
    tp.tf |= TF_NODELAY;
    attach(tp, serving, offsetof<Serving>(), changetype<Meter>(server.meter), changetype<usize>(servingReady));
    servingReady(tp, changetype<usize>(serving));
  }
}

/** The request, then the response as the buffer takes it, then the client's FIN. */
function servingReady(tp: TcpSock, at: usize): void {
  const serving = changetype<Serving>(at);
  if (serving.asked == 0) {
    // A client writes it at once, and no MTU is too small for it, so it comes in one piece.
    const got = userRecv(tp, request, REQUEST);
    if (got == -EAGAIN) return;
    if (got != <i32>REQUEST || load<u32>(request) != METER_MAGIC) {
      appDetach(tp);
      userAbort(tp);
      return;
    }
    serving.asked = 1;
    meterConnection(changetype<Meter>(serving.meter), load<u32>(request, 4), serving.tag);
  }
  if (serving.left != 0) {
    const taken = sendPattern(tp, serving.left);
    if (taken >= 0) serving.left -= <u32>taken;
    else if (taken != -EAGAIN) {
      hangUp(tp);
      return;
    }
  }
  if (serving.left != 0) return;
  // What a client says beyond its request is of no interest.
  let got = userRecv(tp, request, REQUEST);
  while (got > 0) got = userRecv(tp, request, REQUEST);
  if (got != -EAGAIN) hangUp(tp);
}

// ---------------------------------------------------------------------------------------------- client

/** How many ports a request tries when connections before still hold them (TIME_WAIT). */
const PORT_TRIES: u32 = 4;

/** What appRequests makes. */
export class Requests {
  static flow: u32 = 0;
  static group: u32 = 0;
  static dst: u32 = 0;
  static dport: u32 = 0;
  /** Source ports: so many, beginning with the first, each `step` behind the one before; then from the first again. */
  static firstPort: u32 = 0;
  static portStep: u32 = 0;
  static ports: u32 = 0;
  static response: u32 = 0;
  static startIn: i64 = 0;
  static endIn: i64 = 0;
  /** Mean of a Poisson process, ns. */
  static interval: f64 = 0;
  static seed: u64 = 0;
}

/** A flow of requests. An unconnected socket holds it in its namespace; its Timer follows the record. */
@unmanaged
export class RequestFlow extends TcpApp {
  record: usize; // FlowSent
  ns: usize;
  flow: u32;
  group: u32;
  dst: u32;
  dport: u32;
  firstPort: u32;
  portStep: u32;
  ports: u32;
  nextPort: u32;
  response: u32;
  number: u32;
  seed: u64;
  mean: f64;
  end: i64;

  @inline
  timer(): Timer {
    return changetype<Timer>(changetype<usize>(this) + FLOW_SIZE);
  }
}

const FLOW_SIZE: usize = (offsetof<RequestFlow>() + 7) & ~7;

/** A request under way. The flow and the connection are in one namespace, so the flow stays as long as it is heard of. */
@unmanaged
class Requesting extends TcpApp {
  flow: usize;
  started: i64;
  asked: u32;
}

/** Starts the flow that Requests describes: an open loop, a connection for each request. */
export function appRequests(meter: Meter, ns: NetNs): void {
  const anchor = tcpNew(ns);
  const size = FLOW_SIZE + offsetof<Timer>();
  const flow = changetype<RequestFlow>(kmalloc(size));
  attach(anchor, flow, size, meter, changetype<usize>(anchorReady));
  flow.record = changetype<usize>(sentNew(meter, Requests.flow));
  flow.ns = changetype<usize>(ns);
  flow.flow = Requests.flow;
  flow.group = Requests.group;
  flow.dst = Requests.dst;
  flow.dport = Requests.dport;
  flow.firstPort = Requests.firstPort;
  flow.portStep = Requests.portStep;
  flow.ports = Requests.ports;
  flow.response = Requests.response;
  flow.seed = Requests.seed;
  flow.mean = Requests.interval;
  flow.end = now + Requests.endIn;
  timerInit(flow.timer(), changetype<Host>(ns.host), changetype<usize>(launch), changetype<usize>(flow));
  arm(flow, now + Requests.startIn);
}

/** An unconnected socket has no news. */
function anchorReady(tp: TcpSock, at: usize): void {}

/** Arms the timer for the next request, an exponentially distributed time behind `from`. */
@inline
function arm(flow: RequestFlow, from: i64): void {
  const time = from + <i64>(flow.mean * exponential(flow.seed, <u64>flow.number) + 0.5);
  flow.number++;
  if (time < flow.end) timerMod(flow.timer(), time);
}

/** One request: from its SYN on it is the connection's news. */
function launch(at: usize): void {
  const flow = changetype<RequestFlow>(at);
  const record = changetype<FlowSent>(flow.record);
  record.sent++;
  let error: i32 = -EADDRNOTAVAIL;
  for (let tries: u32 = 0; tries < PORT_TRIES && error == -EADDRNOTAVAIL; tries++) error = connect(flow);
  if (error != 0) fail(flow, <u32>-error);
  arm(flow, now);
}

function connect(flow: RequestFlow): i32 {
  const tp = tcpNew(changetype<NetNs>(flow.ns));
  const port = flow.firstPort + flow.portStep * flow.nextPort;
  flow.nextPort = flow.nextPort + 1 < flow.ports ? flow.nextPort + 1 : 0;
  let error = userBind(tp, 0, port);
  if (error == 0) error = userConnect(tp, flow.dst, flow.dport);
  if (error != 0) {
    userClose(tp);
    return error;
  }
  const requesting = changetype<Requesting>(kmalloc(offsetof<Requesting>()));
  requesting.flow = changetype<usize>(flow);
  requesting.started = now;
  attach(tp, requesting, offsetof<Requesting>(), changetype<Meter>(flow.meter), changetype<usize>(requestingReady));
  return 0;
}

function requestingReady(tp: TcpSock, at: usize): void {
  const requesting = changetype<Requesting>(at);
  const flow = changetype<RequestFlow>(requesting.flow);
  if (requesting.asked == 0 && tp.state == TCP_ESTABLISHED) {
    requesting.asked = 1;
    tp.flags |= SOCK_SINK;
    tp.sinkUntil = flow.response;
    memory.fill(request, 0, REQUEST);
    meterStamp(request, flow.flow, flow.number, flow.group);
    const sent = userSend(tp, request, REQUEST);
    if (sent < 0) {
      fail(flow, <u32>-sent);
      hangUp(tp);
    }
    return;
  }
  if (requesting.asked != 0 && tp.bytesReceived >= <u64>flow.response) {
    const record = changetype<FlowSent>(flow.record);
    record.received++;
    record.bytes += flow.response;
    meterDelay(changetype<Meter>(flow.meter), flow.group, <u64>(now - requesting.started));
    hangUp(tp);
    return;
  }
  if (tp.state == TCP_SYN_SENT || (tp.state == TCP_ESTABLISHED && tp.err == 0)) return;
  // Refused, timed out, reset, or closed before the response was whole.
  fail(flow, tp.err != 0 ? tp.err : ECONNRESET);
  hangUp(tp);
}

function fail(flow: RequestFlow, error: u32): void {
  changetype<FlowSent>(flow.record).failed++;
  meterFailure(changetype<Meter>(flow.meter), error);
}
