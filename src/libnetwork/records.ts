/**
 * The values libnetwork keeps in NetworkDB's tables, as protobuf 3 (moby libnetwork/agent.proto EndpointRecord,
 * drivers/overlay/overlay.proto PeerRecord). Fields are written in order of their numbers, zero values left out,
 * as gogo/protobuf does.
 */
import {
  type Cidr,
  formatCidr,
  formatIpv4,
  formatMac,
  type Ipv4,
  type Mac,
  parseCidr,
  parseIpv4,
  parseMac,
} from "../base/addr.ts";
import { MalformedError } from "../base/errors.ts";
import { ProtoWriter, parseProto } from "../base/protobuf.ts";

/** A remote endpoint of an overlay network: what `overlay_peer_table` holds under the endpoint's ID. */
export interface PeerRecord {
  readonly endpointIp: Cidr;
  readonly endpointMac: Mac;
  /** The VTEP: data path address of the node that runs the endpoint. */
  readonly tunnelEndpointIp: Ipv4;
}

/** Protocols of published ports. */
export type PortProtocol = "tcp" | "udp" | "sctp";
const PROTOCOLS: readonly PortProtocol[] = ["tcp", "udp", "sctp"];

/** A port published through the routing mesh. */
export interface PortConfig {
  readonly name: string;
  readonly protocol: PortProtocol;
  readonly targetPort: number;
  readonly publishedPort: number;
}

/** A name of an endpoint: what `endpoint_table` holds under the endpoint's ID. */
export interface EndpointRecord {
  readonly name: string;
  readonly serviceName: string;
  readonly serviceId: string;
  /** Dotted decimal, or Go's `<nil>` for endpoints without a VIP. */
  readonly virtualIp: string;
  readonly endpointIp: string;
  readonly ingressPorts: readonly PortConfig[];
  readonly aliases: readonly string[];
  readonly taskAliases: readonly string[];
  readonly serviceDisabled: boolean;
}

/** Go's fmt of a nil net.IP. */
export const NIL_IP = "<nil>";

/** The fields of a record that arrived by gossip; undefined when it is malformed. */
function tryParse<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** A peer record in protobuf (drivers/overlay/overlay.proto). */
export function encodePeerRecord(record: PeerRecord): Uint8Array {
  return new ProtoWriter()
    .string(1, formatCidr(record.endpointIp))
    .string(2, formatMac(record.endpointMac))
    .string(3, formatIpv4(record.tunnelEndpointIp))
    .finish();
}

/** Undefined when the bytes are no PeerRecord with three valid addresses. */
export function decodePeerRecord(data: Uint8Array): PeerRecord | undefined {
  const texts = tryParse(() => {
    const out = ["", "", "", ""];
    for (const field of parseProto(data)) if (field.number <= 3) out[field.number] = field.string();
    return out as [string, string, string, string];
  });
  if (texts === undefined) return undefined;
  const endpointIp = texts[1].includes("/") ? parseCidr(texts[1]) : undefined;
  const endpointMac = parseMac(texts[2]);
  const tunnelEndpointIp = parseIpv4(texts[3]);
  if (endpointIp === undefined || endpointMac === undefined || tunnelEndpointIp === undefined) return undefined;
  return { endpointIp, endpointMac, tunnelEndpointIp };
}

function writePort(writer: ProtoWriter, port: PortConfig): void {
  writer
    .string(1, port.name)
    .uint(2, PROTOCOLS.indexOf(port.protocol))
    .uint(3, port.targetPort)
    .uint(4, port.publishedPort);
}

function readPort(data: Uint8Array): PortConfig {
  const port = { name: "", protocol: "tcp" as PortProtocol, targetPort: 0, publishedPort: 0 };
  for (const field of parseProto(data)) {
    if (field.number === 1) port.name = field.string();
    else if (field.number === 3) port.targetPort = field.uint();
    else if (field.number === 4) port.publishedPort = field.uint();
    else if (field.number === 2) {
      const protocol = PROTOCOLS[field.uint()];
      if (protocol === undefined) throw new MalformedError("port protocol");
      port.protocol = protocol;
    }
  }
  return port;
}

/** An endpoint record in protobuf (libnetwork/agent.proto). */
export function encodeEndpointRecord(record: EndpointRecord): Uint8Array {
  const writer = new ProtoWriter()
    .string(1, record.name)
    .string(2, record.serviceName)
    .string(3, record.serviceId)
    .string(4, record.virtualIp)
    .string(5, record.endpointIp);
  for (const port of record.ingressPorts) writer.message(6, (inner) => writePort(inner, port));
  for (const alias of record.aliases) writer.stringAlways(7, alias);
  for (const alias of record.taskAliases) writer.stringAlways(8, alias);
  return writer.bool(9, record.serviceDisabled).finish();
}

/** Undefined when the bytes are no EndpointRecord. */
export function decodeEndpointRecord(data: Uint8Array): EndpointRecord | undefined {
  return tryParse(() => {
    const texts = ["", "", "", "", "", ""];
    const ingressPorts: PortConfig[] = [];
    const aliases: string[] = [];
    const taskAliases: string[] = [];
    let serviceDisabled = false;
    for (const field of parseProto(data)) {
      if (field.number <= 5) texts[field.number] = field.string();
      else if (field.number === 6) ingressPorts.push(readPort(field.bytes()));
      else if (field.number === 7) aliases.push(field.string());
      else if (field.number === 8) taskAliases.push(field.string());
      else if (field.number === 9) serviceDisabled = field.bool();
    }
    const [, name, serviceName, serviceId, virtualIp, endpointIp] = texts as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    return { name, serviceName, serviceId, virtualIp, endpointIp, ingressPorts, aliases, taskAliases, serviceDisabled };
  });
}
