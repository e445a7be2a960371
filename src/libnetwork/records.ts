/**
 * The values libnetwork keeps in NetworkDB's tables, as protobuf 3 (moby libnetwork/agent.proto EndpointRecord,
 * drivers/overlay/overlay.proto PeerRecord). Fields are written in order of their numbers, zero values left out,
 * as gogo/protobuf does.
 */
import { type Cidr, formatCidr, formatIpv4, formatMac, type Ipv4, type Mac, parseCidr, parseIpv4, parseMac } from "../base/addr.ts";

/** A remote endpoint of an overlay network: what `overlay_peer_table` holds under the endpoint's ID. */
export interface PeerRecord {
  readonly endpointIp: Cidr;
  readonly endpointMac: Mac;
  /** The VTEP: data path address of the node that runs the endpoint. */
  readonly tunnelEndpointIp: Ipv4;
}

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

const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder();

function pushVarint(out: number[], value: number): void {
  let rest = value;
  while (rest > 127) {
    out.push((rest & 127) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

function pushBytes(out: number[], field: number, bytes: Uint8Array | readonly number[]): void {
  pushVarint(out, field * 8 + 2);
  pushVarint(out, bytes.length);
  out.push(...bytes);
}

function pushText(out: number[], field: number, text: string): void {
  if (text !== "") pushBytes(out, field, utf8.encode(text));
}

function pushNumber(out: number[], field: number, value: number): void {
  if (value === 0) return;
  pushVarint(out, field * 8);
  pushVarint(out, value);
}

interface Field {
  readonly number: number;
  /** A varint field's value; 0 for length-delimited ones. */
  readonly value: number;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/** All fields of a message, or undefined when it is cut short or of a wire type these records don't use. */
function readFields(data: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number | undefined => {
    let value = 0;
    for (let scale = 1; at < data.length && scale < 2 ** 53; scale *= 128) {
      const byte = data[at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return undefined;
  };
  while (at < data.length) {
    const tag = varint();
    const value = varint();
    if (tag === undefined || value === undefined || tag < 8) return undefined;
    if (tag % 8 === 0) {
      fields.push({ number: Math.floor(tag / 8), value, bytes: NO_BYTES });
    } else if (tag % 8 === 2 && at + value <= data.length) {
      fields.push({ number: Math.floor(tag / 8), value: 0, bytes: data.subarray(at, at + value) });
      at += value;
    } else {
      return undefined;
    }
  }
  return fields;
}

export function encodePeerRecord(record: PeerRecord): Uint8Array {
  const out: number[] = [];
  pushText(out, 1, formatCidr(record.endpointIp));
  pushText(out, 2, formatMac(record.endpointMac));
  pushText(out, 3, formatIpv4(record.tunnelEndpointIp));
  return Uint8Array.from(out);
}

/** Undefined when the bytes are no PeerRecord with three valid addresses. */
export function decodePeerRecord(data: Uint8Array): PeerRecord | undefined {
  const texts = ["", "", "", ""];
  for (const field of readFields(data) ?? []) if (field.number <= 3) texts[field.number] = utf8Decoder.decode(field.bytes);
  const endpointIp = (texts[1] as string).includes("/") ? parseCidr(texts[1] as string) : undefined;
  const endpointMac = parseMac(texts[2] as string);
  const tunnelEndpointIp = parseIpv4(texts[3] as string);
  if (endpointIp === undefined || endpointMac === undefined || tunnelEndpointIp === undefined) return undefined;
  return { endpointIp, endpointMac, tunnelEndpointIp };
}

function encodePort(port: PortConfig): number[] {
  const out: number[] = [];
  pushText(out, 1, port.name);
  pushNumber(out, 2, PROTOCOLS.indexOf(port.protocol));
  pushNumber(out, 3, port.targetPort);
  pushNumber(out, 4, port.publishedPort);
  return out;
}

function decodePort(data: Uint8Array): PortConfig | undefined {
  const port = { name: "", protocol: "tcp" as PortProtocol, targetPort: 0, publishedPort: 0 };
  const fields = readFields(data);
  if (fields === undefined) return undefined;
  for (const field of fields) {
    if (field.number === 1) port.name = utf8Decoder.decode(field.bytes);
    else if (field.number === 3) port.targetPort = field.value;
    else if (field.number === 4) port.publishedPort = field.value;
    else if (field.number === 2) {
      const protocol = PROTOCOLS[field.value];
      if (protocol === undefined) return undefined;
      port.protocol = protocol;
    }
  }
  return port;
}

export function encodeEndpointRecord(record: EndpointRecord): Uint8Array {
  const out: number[] = [];
  pushText(out, 1, record.name);
  pushText(out, 2, record.serviceName);
  pushText(out, 3, record.serviceId);
  pushText(out, 4, record.virtualIp);
  pushText(out, 5, record.endpointIp);
  for (const port of record.ingressPorts) pushBytes(out, 6, encodePort(port));
  for (const alias of record.aliases) pushBytes(out, 7, utf8.encode(alias));
  for (const alias of record.taskAliases) pushBytes(out, 8, utf8.encode(alias));
  pushNumber(out, 9, record.serviceDisabled ? 1 : 0);
  return Uint8Array.from(out);
}

/** Undefined when the bytes are no EndpointRecord. */
export function decodeEndpointRecord(data: Uint8Array): EndpointRecord | undefined {
  const fields = readFields(data);
  if (fields === undefined) return undefined;
  const texts = ["", "", "", "", "", ""];
  const ingressPorts: PortConfig[] = [];
  const aliases: string[] = [];
  const taskAliases: string[] = [];
  let serviceDisabled = false;
  for (const field of fields) {
    if (field.number <= 5) texts[field.number] = utf8Decoder.decode(field.bytes);
    else if (field.number === 7) aliases.push(utf8Decoder.decode(field.bytes));
    else if (field.number === 8) taskAliases.push(utf8Decoder.decode(field.bytes));
    else if (field.number === 9) serviceDisabled = field.value !== 0;
    else if (field.number === 6) {
      const port = decodePort(field.bytes);
      if (port === undefined) return undefined;
      ingressPorts.push(port);
    }
  }
  const [, name, serviceName, serviceId, virtualIp, endpointIp] = texts as [string, string, string, string, string, string];
  return { name, serviceName, serviceId, virtualIp, endpointIp, ingressPorts, aliases, taskAliases, serviceDisabled };
}
