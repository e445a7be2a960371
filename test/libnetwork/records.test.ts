import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { macFromIp } from "../../src/base/addr.ts";
import {
  decodeEndpointRecord,
  decodePeerRecord,
  encodeEndpointRecord,
  encodePeerRecord,
  NIL_IP,
  type PortProtocol,
} from "../../src/libnetwork/records.ts";
import { ip } from "../support/fake-swarm.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

/** Values out of decrypted gossip of golden A and B. */
const LB_PEER = "0a0b31302e302e312e352f3234121130323a34323a30613a30303a30313a30351a0d3139322e3136382e37372e3132";
const ALPINE1 = "0a07616c70696e653122053c6e696c3e2a0831302e302e312e32420c613262623966653534373062";
const INGRESS = "0a10696e67726573732d656e64706f696e7422053c6e696c3e2a0831302e302e302e34";

const PLAIN = {
  serviceName: "",
  serviceId: "",
  virtualIp: NIL_IP,
  ingressPorts: [],
  aliases: [],
  taskAliases: [],
  serviceDisabled: false,
};

describe("records", () => {
  it("are golden's bytes", () => {
    const peer = {
      endpointIp: { ip: ip("10.0.1.5"), prefix: 24 },
      endpointMac: macFromIp(ip("10.0.1.5")),
      tunnelEndpointIp: ip("192.168.77.12"),
    };
    expect(hex(encodePeerRecord(peer))).toBe(LB_PEER);
    expect(decodePeerRecord(bytes(LB_PEER))).toEqual(peer);
    const alpine1 = { ...PLAIN, name: "alpine1", endpointIp: "10.0.1.2", taskAliases: ["a2bb9fe5470b"] };
    expect(hex(encodeEndpointRecord(alpine1))).toBe(ALPINE1);
    expect(decodeEndpointRecord(bytes(ALPINE1))).toEqual(alpine1);
    expect(hex(encodeEndpointRecord({ ...PLAIN, name: "ingress-endpoint", endpointIp: "10.0.0.4" }))).toBe(INGRESS);
  });

  it("survive the way there and back", () => {
    const port = fc.record({
      name: fc.string(),
      protocol: fc.constantFrom<PortProtocol>("tcp", "udp", "sctp"),
      targetPort: fc.integer({ min: 0, max: 65535 }),
      publishedPort: fc.integer({ min: 0, max: 65535 }),
    });
    const record = fc.record({
      name: fc.string(),
      serviceName: fc.string(),
      serviceId: fc.string(),
      virtualIp: fc.string(),
      endpointIp: fc.string(),
      ingressPorts: fc.array(port, { maxLength: 3 }),
      aliases: fc.array(fc.string(), { maxLength: 3 }),
      taskAliases: fc.array(fc.string(), { maxLength: 3 }),
      serviceDisabled: fc.boolean(),
    });
    fc.assert(
      fc.property(record, (r) => {
        expect(decodeEndpointRecord(encodeEndpointRecord(r))).toEqual(r);
      }),
    );
  });

  it("refuse anything else without a crash", () => {
    const isRecord = (value: unknown): boolean => value === undefined || typeof value === "object";
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        (data) => isRecord(decodePeerRecord(data)) && isRecord(decodeEndpointRecord(data)),
      ),
    );
    expect(decodePeerRecord(bytes(LB_PEER).subarray(0, 20))).toBeUndefined();
    expect(
      decodePeerRecord(
        encodePeerRecord({ endpointIp: { ip: 1, prefix: 24 }, endpointMac: 2, tunnelEndpointIp: 3 }).subarray(2),
      ),
    ).toBeUndefined();
  });
});
