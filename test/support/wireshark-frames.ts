/** Hand-built frames with right checksums, so that tests of traces depend on no other part. */

/** The Internet checksum (RFC 1071) of the bytes, starting from `sum`. */
export function checksum(bytes: Uint8Array, sum = 0): number {
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Puts parts one behind the other. Numbers are single bytes. */
export function join(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Two bytes, the high one first. */
export function be16(value: number): number[] {
  return [value >>> 8, value & 255];
}

function ip(text: string): number[] {
  return text.split(".").map(Number);
}

function mac(text: string): number[] {
  return text.split(":").map((part) => Number.parseInt(part, 16));
}

/** An Ethernet frame with IPv4 inside. */
export function ethernet(source: string, destination: string, packet: Uint8Array): Uint8Array {
  return join(mac(destination), mac(source), be16(0x0800), packet);
}

/** An IPv4 packet without options. */
export function ipv4(source: string, destination: string, protocol: number, payload: Uint8Array, ttl = 64): Uint8Array {
  const header = join(
    [0x45, 0],
    be16(20 + payload.length),
    be16(0x1234),
    be16(0),
    [ttl, protocol, 0, 0],
    ip(source),
    ip(destination),
  );
  header.set(be16(checksum(header)), 10);
  return join(header, payload);
}

/** An ICMP echo request or reply. */
export function icmpEcho(request: boolean, id: number, sequence: number, payloadLength = 56): Uint8Array {
  const payload = Uint8Array.from({ length: payloadLength }, (_, i) => i);
  const message = join([request ? 8 : 0, 0, 0, 0], be16(id), be16(sequence), payload);
  message.set(be16(checksum(message)), 2);
  return message;
}

/** A UDP datagram; the addresses are for its checksum. */
export function udp(source: string, destination: string, ports: [number, number], payload: Uint8Array): Uint8Array {
  const length = 8 + payload.length;
  const datagram = join(be16(ports[0]), be16(ports[1]), be16(length), be16(0), payload);
  const pseudo = join(ip(source), ip(destination), [0, 17], be16(length));
  let sum = 0;
  for (let i = 0; i < pseudo.length; i += 2) sum += pseudo[i]! * 256 + pseudo[i + 1]!;
  datagram.set(be16(checksum(datagram, sum) || 0xffff), 6);
  return datagram;
}

/** A VXLAN header (RFC 7348 §5) and the frame in it. */
export function vxlan(vni: number, frame: Uint8Array): Uint8Array {
  return join([8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0], frame);
}

/** An echo between two containers as it crosses the wire between two hosts. */
export function vxlanPing(vni: number, sequence: number): Uint8Array {
  const inner = ethernet(
    "02:42:0a:00:01:02",
    "02:42:0a:00:01:04",
    ipv4("10.0.1.2", "10.0.1.4", 1, icmpEcho(true, 7, sequence), 63),
  );
  const outer = udp("192.168.77.11", "192.168.77.12", [40000, 4789], vxlan(vni, inner));
  return ethernet("52:54:00:77:00:11", "52:54:00:77:00:12", ipv4("192.168.77.11", "192.168.77.12", 17, outer));
}
