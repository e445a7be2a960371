/**
 * The underlay: Ethernet segments and the NICs on them. A segment is one ideal switch whose MAC table is
 * known; each NIC's port has a rate, a delay, a queue limit, a loss probability, filters and a cut.
 *
 * A frame's way: the sender's queue serialises it (start = max(now, busy), tail drop when the backlog
 * exceeds the limit), then it travels for the larger of the two ports' delays. The switch cuts through: the
 * receiver's port adds time only when another frame is being received (kernel facts 10, "equivalent clean
 * model"). Everything the sender decides needs only the ports' settings, which every worker knows; everything
 * at the receiver is done by the receiver's worker. So hosts can be in different workers, and the smallest
 * delay between them bounds how far a worker may run ahead.
 *
 * Ports and the MAC table are in port.ts, what leaves for other workers in outbox.ts, segments of several switches in
 * fabric.ts.
 */
import { DROP_FULL_RING, DROP_PKT_TOO_BIG, DROP_WIRE_DOWN, DROP_WIRE_FILTER, DROP_WIRE_LOSS, DROP_WIRE_NO_PORT, DROP_WIRE_PARTITION, DROP_DEV_DOWN } from "../abi";
import { SKB_CSUM_OK, Skb, arriveSkb, copySkb, departSkb, dropRoute, dropSkb, freeOnWire, orphanSkb, resetCt } from "../memory/skb";
import { EV_FRAME, ORDER_PACKET, nextTie, now, schedule } from "../sim/event";
import { Host, wireRand32 } from "../sim/host";
import { ETH_HLEN, ETH_P_IP, ethDst, ethType, isMulticast } from "../wire/ethernet";
import { SOCK_TCP, Sock } from "../socket/socket";
import { capture } from "./capture";
import { NetDev, forwardable, netifReceive } from "./netdev";
import { fabricFlood, fabricSend } from "./fabric";
import { outboxPut } from "./outbox";
import { PORT_DOWN, Port, PortFilter, Segment, macFind, ownWorker, portAt } from "./port";
import { TxCharges, chargeHold, chargesFree, chargesNew } from "./tx-charge";

/** Frame check sequence 4, preamble 8, inter-frame gap 12. */
const WIRE_EXTRA: u32 = 24;
const MIN_FRAME: u32 = 60;

/** A NIC is destroyed (its host crashed): the port stays, unplugged. */
export function nicDestroy(dev: NetDev): void {
  if (dev.priv == 0) return;
  const port = changetype<Port>(dev.priv);
  if (port.charges != 0) chargesFree(changetype<TxCharges>(port.charges));
  port.charges = 0;
  port.nic = 0;
  dev.priv = 0;
}

/** Bytes that a frame takes on the wire. */
@inline
export function wireSize(len: u32): u32 {
  return (len < MIN_FRAME ? MIN_FRAME : len) + WIRE_EXTRA;
}

/** A NIC sends a frame: queue, wire, and delivery at the far ports. */
export function nicXmit(dev: NetDev, skb: Skb): void {
  const port = changetype<Port>(dev.priv);
  if (dev.priv == 0) {
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  if (!forwardable(dev, skb.len)) {
    dev.txDropped++;
    dropSkb(skb, DROP_PKT_TOO_BIG);
    return;
  }
  const start = port.txBusy > now ? port.txBusy : now;
  const size = wireSize(skb.len);
  // Backlog in bytes: what the port still has to send at its rate.
  if (start > now) {
    const waiting = <f64>(start - now) * <f64>port.rate / 8e9;
    if (waiting + <f64>size > <f64>port.queue) {
      dev.txDropped++;
      dropSkb(skb, DROP_FULL_RING);
      return;
    }
  }
  if (dev.capId != 0) capture(dev, skb, 2);
  dev.txPackets++;
  dev.txBytes += skb.len;
  const departure = serialise(port, start, size);
  port.sent++;
  if (skb.sk != 0) uncharge(port, skb);
  if (skb.ct != 0) resetCt(skb);
  dropRoute(skb);
  skb.mark = 0;
  skb.priority = 0;
  skb.fragMax = 0;
  skb.flags &= SKB_CSUM_OK;
  if (port.flags & PORT_DOWN) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  const dst = ethDst(skb.data);
  const found: usize = isMulticast(dst) ? <usize>0 : macFind(port.segment, dst);
  if (found == 0) flood(port, skb, departure);
  else if (found == changetype<usize>(port)) dropSkb(skb, DROP_WIRE_NO_PORT);
  else send(port, changetype<Port>(found), skb, departure);
}

/** Whom the frame was charged to: a connection until it has left, other sockets no longer. */
function uncharge(port: Port, skb: Skb): void {
  if (changetype<Sock>(skb.sk).type != SOCK_TCP || port.txBusy <= now) {
    orphanSkb(skb);
    return;
  }
  if (port.charges == 0) port.charges = changetype<usize>(chargesNew(changetype<Host>(port.host)));
  chargeHold(changetype<TxCharges>(port.charges), skb, port.txBusy);
}

/** The port sends `size` bytes from `start` on: returns the ns in which the last bit leaves. */
@inline
function serialise(port: Port, start: i64, size: u32): i64 {
  const rate = port.rate;
  const bits = <u64>size * 8_000_000_000 + (port.txBusy == start ? port.txRest : 0);
  const whole = bits / rate;
  const rest = bits - whole * rate;
  port.txBusy = start + <i64>whole;
  port.txRest = rest;
  return port.txBusy + <i64>(rest != 0);
}

/** To all other ports of the segment: broadcasts, multicasts, and MAC addresses that no port was made with (a NIC's can be changed). */
function flood(from: Port, skb: Skb, departure: i64): void {
  if (from.leaf != 0) {
    fabricFlood(from, skb, departure);
    return;
  }
  let last: usize = 0;
  for (let p = changetype<Segment>(from.segmentAt).first; p != 0; p = changetype<Port>(p).segmentNext) {
    if (p == changetype<usize>(from)) continue;
    if (last != 0) {
      const copy = copySkb(skb);
      send(from, changetype<Port>(last), copy, departure);
    }
    last = p;
  }
  if (last != 0) send(from, changetype<Port>(last), skb, departure);
  else dropSkb(skb, DROP_WIRE_NO_PORT);
}

/** Whether chance takes a frame between two ports: the larger of their losses counts. */
@inline
export function wireLoses(from: Port, to: Port, host: Host): bool {
  const loss = from.loss > to.loss ? from.loss : to.loss;
  return loss != 0 && wireRand32(host) < loss;
}

/** Puts a frame on its way to one port: faults, delay, order, and the other worker's outbox where needed. */
export function send(from: Port, to: Port, skb: Skb, departure: i64): void {
  const host = changetype<Host>(skb.host);
  if (from.group != to.group) {
    dropSkb(skb, DROP_WIRE_PARTITION);
    return;
  }
  if ((from.filters != 0 && filtered(from, skb)) || (to.filters != 0 && filtered(to, skb))) {
    dropSkb(skb, DROP_WIRE_FILTER);
    return;
  }
  if (wireLoses(from, to, host)) {
    dropSkb(skb, DROP_WIRE_LOSS);
    return;
  }
  const tie = nextTie(host, ORDER_PACKET);
  if (from.leaf != to.leaf) {
    fabricSend(from, to, skb, departure, tie, 0);
    return;
  }
  const arrival = departure + (from.delay > to.delay ? from.delay : to.delay);
  // On the wire it belongs to no device: the sender's may be gone before it arrives.
  skb.dev = 0;
  skb.inPort = 0;
  if (to.worker == ownWorker) {
    skb.cb0 = to.id;
    skb.cb1 = 0;
    skb.evKind = EV_FRAME;
    departSkb(skb);
    schedule(changetype<usize>(skb), arrival, tie);
  } else outboxPut(to, skb, arrival, tie, 0);
}

/** True when a fault filter of the port drops the frame. */
export function filtered(port: Port, skb: Skb): bool {
  const type = ethType(skb.data);
  const isIp = type == ETH_P_IP && skb.len >= ETH_HLEN + 20;
  const ip = skb.data + ETH_HLEN;
  for (let p = port.filters; p != 0; p = changetype<PortFilter>(p).next) {
    const filter = changetype<PortFilter>(p);
    if (filter.ethertype != 0 && filter.ethertype != type) continue;
    if (filter.protocol != 0 || filter.port != 0 || filter.ip != 0) {
      if (!isIp) continue;
      const protocol = <u32>load<u8>(ip, 9);
      if (filter.protocol != 0 && filter.protocol != protocol) continue;
      if (filter.ip != 0 && filter.ip != bswap<u32>(load<u32>(ip, 12)) && filter.ip != bswap<u32>(load<u32>(ip, 16))) continue;
      if (filter.port != 0 && !hasPort(ip, skb.len - ETH_HLEN, protocol, filter.port)) continue;
    }
    return true;
  }
  return false;
}

function hasPort(ip: usize, len: u32, protocol: u32, port: u32): bool {
  if (protocol != 6 && protocol != 17) return false;
  if (bswap<u16>(load<u16>(ip, 6)) & 0x1fff) return false; // later fragments carry no ports
  const header = <u32>(load<u8>(ip) & 15) << 2;
  if (header < 20 || len < header + 4) return false;
  return <u32>bswap<u16>(load<u16>(ip + header)) == port || <u32>bswap<u16>(load<u16>(ip + header, 2)) == port;
}

/** A frame has arrived at its port (EV_FRAME): queues behind what is being received, then goes up. */
export function frameArrived(skb: Skb): void {
  const port = portAt(skb.cb0);
  const nic = port.nic;
  if (port.host == 0) {
    freeOnWire(skb); // nobody has plugged in there yet: it is lost
    return;
  }
  skb.dev = nic;
  if (skb.host == 0) arriveSkb(skb, changetype<Host>(port.host));
  if (skb.cb1 == 0 && received(port, skb)) return;
  if (port.flags & PORT_DOWN) {
    dropSkb(skb, DROP_WIRE_DOWN);
    return;
  }
  if (nic == 0) {
    dropSkb(skb, DROP_DEV_DOWN);
    return;
  }
  const dev = changetype<NetDev>(nic);
  port.received++;
  netifReceive(dev, skb);
}

/**
 * A frame's last bit is here: it began one serialisation ago, or when the one before it ended. True when it
 * must wait for the latter (or found no room). Arrivals are rounded up to ns, so less than one ns is not late.
 */
@inline
function received(port: Port, skb: Skb): bool {
  const rate = port.rate;
  const bits = <u64>wireSize(skb.len) * 8_000_000_000 + port.rxRest;
  const whole = bits / rate;
  const end = port.rxBusy + <i64>whole;
  if (end < now) {
    port.rxBusy = now;
    port.rxRest = 0;
    return false;
  }
  if (end > now) {
    const waiting = <f64>(end - now) * <f64>rate / 8e9;
    if (waiting > <f64>port.queue) {
      dropSkb(skb, DROP_FULL_RING);
      return true;
    }
  }
  port.rxBusy = end;
  port.rxRest = bits - whole * rate;
  if (end == now) return false;
  skb.cb1 = 1;
  schedule(changetype<usize>(skb), end + <i64>(port.rxRest != 0), nextTie(changetype<Host>(port.host), ORDER_PACKET));
  return true;
}
