/**
 * The lab file's JSON Schema (draft 2020-12 subset that editors understand). parse.ts checks every lab against it, after
 * parameters have been put in; `swarmwire schema` prints it as editors need it, who see the file as it is written.
 */

const duration = {
  type: ["string", "integer"],
  description: "A span of virtual time, e.g. 50us, 1.5s, 12h.",
  pattern: "^(\\s*(\\d+(\\.\\d+)?|\\.\\d+)(ns|us|µs|ms|s|m|h|d))+\\s*$|^\\s*0\\s*$",
  minimum: 0,
  maximum: 0,
} as const;

const rate = {
  type: "string",
  description: "A data rate, e.g. 10Gbit, 100mbit.",
  pattern: "^\\s*\\d+(\\.\\d+)?\\s*([kKmMgGtT]?[bB][iI][tT])\\s*$",
} as const;

const probability = {
  type: ["number", "string"],
  description: "A probability: 0.01 or 1%.",
  minimum: 0,
  maximum: 1,
  pattern: "^\\s*(100(\\.0+)?|\\d{1,2}(\\.\\d+)?)\\s*%\\s*$",
} as const;

const ipv4 = { type: "string", pattern: "^\\d{1,3}(\\.\\d{1,3}){3}$" } as const;

const link = {
  latency: { ...duration, description: "One-way delay of the host's link; between two hosts the larger one counts." },
  bandwidth: rate,
  loss: { ...probability, description: "Probability that a frame from or to the host is lost on the wire." },
  mtu: { type: "integer", minimum: 68, maximum: 65535, description: "MTU of eth0." },
} as const;

const fabric = {
  type: "object",
  additionalProperties: false,
  required: ["spines"],
  description:
    "Makes the network one of leaf switches, each linked to every spine switch, instead of one ideal switch.",
  properties: {
    leaves: { type: "integer", minimum: 1, maximum: 65536, description: "How many: hosts are put on them in order." },
    hostsPerLeaf: {
      type: "integer",
      minimum: 1,
      maximum: 65536,
      description: "Instead of leaves: so many hosts each.",
    },
    spines: { type: "integer", minimum: 1, maximum: 64, description: "How many, and so ways from leaf to leaf." },
    bandwidth: { ...rate, default: "40Gbit", description: "Of each link between a leaf and a spine, each direction." },
    latency: { ...duration, default: "5us", description: "One-way delay of such a link." },
    queue: {
      type: "integer",
      minimum: 1,
      maximum: 1_000_000,
      default: 1000,
      description: "Frames of full size that may wait for such a link, in each direction.",
    },
  },
} as const;

const flow = {
  type: "object",
  additionalProperties: false,
  required: ["from", "to"],
  properties: {
    from: { type: "string", description: "HOST or HOST/CONTAINER." },
    to: { type: "string", description: "HOST or HOST/CONTAINER: what arrives there is counted." },
    address: { ...ipv4, description: "Where to send; by default the sender looks the container's name up." },
    rate: { type: "integer", minimum: 1, maximum: 10_000_000, default: 1000, description: "Datagrams a second." },
    size: { type: "integer", minimum: 0, maximum: 65507, default: 64, description: "Bytes of UDP payload." },
    for: { ...duration, default: "1s", description: "For how long." },
  },
} as const;

const hostNames = { type: ["string", "array"], items: { type: "string" } } as const;

/** The schema, as plain data. */
export const LAB_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "swarmwire lab",
  description: "Hosts, the network between them, and what is done on them, in order.",
  type: "object",
  additionalProperties: false,
  required: ["hosts"],
  properties: {
    name: { type: "string", description: "What the lab is called; the file's name by default." },
    description: { type: "string", description: "A sentence for lists of labs." },
    seed: { type: ["integer", "string"], default: 1, description: "Everything random is drawn from it." },
    params: {
      type: "object",
      propertyNames: { pattern: "^[A-Za-z_][A-Za-z0-9_]*$" },
      description: "Parameters and their defaults: $name stands for one, in all values of the file.",
      additionalProperties: { type: ["string", "number", "boolean"] },
    },
    engine: { enum: ["20.10", 20.1], default: "20.10", description: "Which Docker's behaviour." },
    hosts: {
      type: "object",
      minProperties: 1,
      description: "Hosts with a Docker Engine, in this order; the first has .11 of the subnet.",
      propertyNames: { pattern: "^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$" },
      additionalProperties: {
        type: ["object", "null"],
        additionalProperties: false,
        properties: {
          ...link,
          address: { ...ipv4, description: "Address of eth0; by default the next one of the subnet, from .11 on." },
          count: { type: "integer", minimum: 1, maximum: 100000, description: "Makes name-1 … name-N." },
          os: {
            enum: ["linux", "windows"],
            default: "linux",
            description: "A Windows host runs Windows containers, and takes no part in the encryption of overlays.",
          },
          nat: {
            type: ["boolean", "string"],
            pattern: "^\\d{1,3}(\\.\\d{1,3}){3}/\\d{1,2}$",
            description: "Puts the host behind 1:1 NAT: true, or eth0's own address there, e.g. 10.77.0.2/24.",
          },
          networks: {
            type: "array",
            items: { type: "string" },
            description: "Which of the further networks it has a card on: eth1, eth2 …; all of them by default.",
          },
          leaf: {
            type: "integer",
            minimum: 1,
            description: "Number of its leaf switch, where the network has a fabric; by default in order.",
          },
          dns: { type: "array", items: ipv4, description: "Nameservers of the host's resolv.conf." },
        },
      },
    },
    network: {
      type: "object",
      additionalProperties: false,
      description: "The Ethernet segment that joins the hosts.",
      properties: {
        ...link,
        subnet: { type: "string", pattern: "^\\d{1,3}(\\.\\d{1,3}){3}/\\d{1,2}$", default: "192.168.77.0/24" },
        fabric,
      },
    },
    networks: {
      type: "object",
      description: "Further Ethernet segments; each host has a card on each, with the same number as on the first.",
      propertyNames: { pattern: "^[a-zA-Z0-9][a-zA-Z0-9-]*$" },
      additionalProperties: {
        type: "object",
        additionalProperties: false,
        required: ["subnet"],
        properties: { ...link, subnet: { type: "string", pattern: "^\\d{1,3}(\\.\\d{1,3}){3}/\\d{1,2}$" } },
      },
    },
    pause: { ...duration, default: "1s", description: "Virtual time between two steps: the person at the keyboard." },
    steps: {
      type: "array",
      items: {
        type: "object",
        minProperties: 1,
        properties: {
          wait: { ...duration, description: "Lets virtual time pass." },
          until: { ...duration, description: "Lets virtual time pass up to this point of the run." },
          workload: {
            oneOf: [flow, { type: "array", minItems: 1, items: flow }],
            description: "UDP traffic at a fixed rate, and how much of it arrived; several flows run at the same time.",
          },
          fault: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            description: "Breaks something, or mends it.",
            properties: {
              host: hostNames,
              at: {
                ...duration,
                description:
                  "Point of the run at which it happens, whatever runs then; at once if that is over. The next step begins now.",
              },
              network: { type: "string", description: "Only the hosts' cards on this one of the further networks." },
              leaf: {
                type: "integer",
                minimum: 1,
                description:
                  "Instead of hosts: the links of this leaf switch to the spines; link, latency, loss, heal.",
              },
              spine: { type: "integer", minimum: 1, description: "The same of this spine; with leaf, the one link." },
              drop: { type: "string", description: "A packet filter that the host's wire drops, e.g. udp port 4789." },
              link: { enum: ["up", "down"] },
              latency: duration,
              loss: probability,
              crash: { const: true, description: "The host loses power." },
              restart: { const: true, description: "The host boots again after a crash." },
              heal: {
                const: true,
                description:
                  "Mends the wire of the host: drops, cuts, loss, latency. Without host: of all, and partitions.",
              },
              partition: {
                type: "array",
                minItems: 2,
                items: { type: "array", items: { type: "string" }, minItems: 1 },
                description: "Groups of hosts that can't reach each other.",
              },
            },
          },
          show: { const: "fabric", description: "Prints what each switch link has carried since the last time." },
          as: {
            type: "string",
            pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
            description: "Keeps standard output, trimmed, as $name.",
          },
          expect: {
            type: ["string", "array"],
            items: { type: "string" },
            description: "Substrings of the output, or /regular expressions/.",
          },
          reject: {
            type: ["string", "array"],
            items: { type: "string" },
            description: "What the output must not contain.",
          },
          exit: { type: "integer", minimum: 0, maximum: 255, default: 0, description: "The expected exit status." },
          stdin: { type: "string", description: "Typed answers." },
          parallel: {
            type: "boolean",
            default: false,
            description:
              "Types the command on all hosts of a pattern at the same time; the step ends with the last one.",
          },
          timeout: { ...duration, default: "10m", description: "Virtual time after which the step has failed." },
        },
        additionalProperties: { type: "string", description: "HOST or HOST/CONTAINER or a pattern: the command line." },
      },
    },
  },
} as const;

/** How the schema is compiled; `verbose` gives errors the part of the schema that they are about. */
export const VALIDATOR_OPTIONS = {
  allErrors: false,
  verbose: true,
  allowUnionTypes: true,
  strict: false,
  useDefaults: false,
} as const;

/** What holds schemas of values, of which any may be written with a parameter. */
const HOLDERS = ["properties", "additionalProperties", "items", "oneOf"];

/** A schema for a file as it is written: wherever a value is expected, a text with a parameter's `$name` in it will do too. */
export function editorSchema(schema: unknown = LAB_SCHEMA): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.entries(schema).map(([key, value]: [string, unknown]) => {
    if (!HOLDERS.includes(key)) return [key, value];
    if (Array.isArray(value)) return [key, value.map(editorSchema)];
    const named = Object.entries((key === "properties" ? value : {}) as object);
    if (named.length > 0) return [key, Object.fromEntries(named.map(([name, own]) => [name, editorSchema(own)]))];
    return [key, editorSchema(value)];
  });
  const whole = Object.fromEntries(inner) as Record<string, unknown>;
  const { type, pattern, description, default: usual } = whole;
  const types = [type].flat();
  const value =
    type === undefined || types.some((one) => ["string", "integer", "number", "boolean"].includes(`${one}`));
  const picky = pattern !== undefined || whole["enum"] !== undefined || whole["const"] !== undefined;
  if (!value || whole["oneOf"] !== undefined || (types.includes("string") && !picky)) return whole;
  return {
    ...(description === undefined ? {} : { description }),
    ...(usual === undefined ? {} : { default: usual }),
    anyOf: [whole, { type: "string", pattern: "\\$\\{?[A-Za-z_]" }],
  };
}
