/**
 * Encryption of the data path against the captures: SPIs, associations, policies and firewall rules (C-encrypted), and the order of what
 * the kernel is told at a rotation (C2-key-rotation).
 *
 * What can't be equal: keys, and the SPIs and salts that come of their tags; they stand as the number of the key, in order of appearance.
 * Times and counters.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatCidr, formatIpv4, parseIpv4 } from "../../src/base/addr.ts";
import type { XfrmEvent } from "../../src/kernel/xfrm-types.ts";
import { spiOf } from "../../src/libnetwork/drivers/overlay-spi.ts";
import { XfrmEncryption } from "../../src/libnetwork/drivers/overlay-xfrm.ts";
import { type EncryptionKey, SUBSYS_IPSEC } from "../../src/libnetwork/keys.ts";
import { FakeHostKernel } from "../support/fake-netns.ts";
import { goldenAvailable, goldenText, goldenTitle, parseXfrmStates, xzAvailable } from "../support/golden.ts";
import type { Frame } from "./frames.ts";
import { type GoldenCommand, goldenCommand, goldenCommands, goldenFrames, type Ran, Scenario } from "./scenario.ts";
import { sections } from "./tables.ts";

const ip = (text: string): number => parseIpv4(text) as number;
const C = "C-encrypted";
const C2 = "C2-key-rotation";
const NODES = { manager: "192.168.77.11", "worker-1": "192.168.77.12" } as const;
const other = (host: keyof typeof NODES): string => NODES[host === "manager" ? "worker-1" : "manager"];

/** Tags by the first digits of their keys: what the manager's log tells, and the last one by trying. */
const TAGS: Readonly<Record<string, number>> = {
  "4d97f": 0xfdca,
  "105d8": 0xfdcb,
  c1c24: 0xfdcc,
  "27151": 0xfdce,
  "2cbad": 0xfdcf,
  "2d107": 0xfdd2,
  "446be": 0xfdd4,
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

interface Association {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  /** Without the salt. */
  readonly key: string;
}

/** Blocks of `ip xfrm monitor` and of xfrm-changes.txt: one line a state or a policy. */
function monitored(text: string): string[] {
  const lines: string[] = [];
  const pattern =
    /^(Deleted |Updated )?src (\S+) dst (\S+)\n\tproto esp spi 0x([0-9a-f]+) .*\n\treplay-window.*\n\taead rfc4106\(gcm\(aes\)\) 0x([0-9a-f]+) (\d+)\n|^(Deleted |Updated )?src (\S+) dst (\S+) proto udp dport (\d+) \n\tdir (\w+) priority (\d+) ptype main \n\tmark (\S+) \n\ttmpl src (\S+) dst (\S+)\n\t\tproto esp spi 0x([0-9a-f]+) /gm;
  for (const found of text.matchAll(pattern)) {
    const [, stateVerb, src, dst, spi, key, icv, policyVerb, ...policy] = found;
    if (src !== undefined) lines.push(`${stateVerb ?? ""}state ${src} ${dst} ${spi} ${key} ${icv}`);
    else lines.push(`${policyVerb ?? ""}policy ${policy.join(" ")}`);
  }
  return lines;
}

/** The same of the driver's calls. */
function told(events: readonly XfrmEvent[]): string[] {
  const verbs = {
    newsa: "",
    updsa: "Updated ",
    delsa: "Deleted ",
    newpolicy: "",
    updpolicy: "Updated ",
    delpolicy: "Deleted ",
  };
  return events.map((event) => {
    if ("state" in event) {
      const { src, dst, spi, aead } = event.state;
      return `${verbs[event.kind]}state ${formatIpv4(src)} ${formatIpv4(dst)} ${spi.toString(16)} ${hex(aead.key)} ${aead.icvBits}`;
    }
    const { selector, dir, priority, mark, templates } = event.policy;
    const [template] = templates;
    const masked = `0x${mark?.value.toString(16)}/0x${mark?.mask.toString(16)}`;
    const ends = `${formatCidr(selector.src)} ${formatCidr(selector.dst)} ${selector.dport} ${dir} ${priority} ${masked}`;
    const used = `${formatIpv4(template?.src ?? 0)} ${formatIpv4(template?.dst ?? 0)} ${template?.spi.toString(16)}`;
    return `${verbs[event.kind]}policy ${ends} ${used}`;
  });
}

/** All associations of the captures. */
function captured(): Association[] {
  const all = [
    ...(["manager", "worker-1"] as const).flatMap((host) =>
      parseXfrmStates(goldenText(`${C}/${host}/state-2-after-traffic/host.txt`)).map(
        ({ source, destination, spi, key }) => ({
          src: source,
          dst: destination,
          spi,
          key: hex(key.subarray(0, 16)),
        }),
      ),
    ),
    ...(["manager", "worker-1"] as const)
      .flatMap((host) => [
        ...monitored(goldenText(`${C2}/${host}/xfrm-monitor.txt`)),
        ...monitored(goldenText(`${C2}/${host}/xfrm-changes.txt`)),
      ])
      .filter((line) => /^(Deleted )?state/.test(line))
      .map((line) => {
        const [src = "", dst = "", spi = "", key = ""] = line.replace(/^(Deleted )?state /, "").split(" ");
        return { src, dst, spi: Number.parseInt(spi, 16), key: key.slice(0, 32) };
      }),
  ];
  return [...new Map(all.map((one) => [`${one.src} ${one.spi}`, one])).values()];
}

describe.skipIf(!goldenAvailable)(goldenTitle("associations of the captures"), () => {
  it("have the SPIs that the nodes' addresses and the keys' tags give", () => {
    const all = captured();
    expect(all.length).toBeGreaterThanOrEqual(13);
    for (const { src, dst, spi, key } of all) {
      const tag = TAGS[key.slice(0, 5)];
      expect([src, dst, key, spi]).toEqual([src, dst, key, spiOf(ip(src), ip(dst), tag ?? 0)]);
    }
  });
});

/** The driver on one of the captured nodes, with the captured keys and one peer. */
class Node {
  readonly kernel: FakeHostKernel;
  readonly log: string[] = [];
  readonly encryption: XfrmEncryption;
  readonly #keys: ReadonlyMap<number, EncryptionKey>;

  constructor(host: keyof typeof NODES) {
    const own = ip(NODES[host]);
    this.kernel = new FakeHostKernel(host, 0, { ip: own, prefix: 24 });
    this.encryption = new XfrmEncryption(this.kernel.root, (_level, message) => this.log.push(message));
    this.encryption.attach({
      advertiseAddress: own,
      bindAddress: own,
      dataPathPort: 4789,
      peerVteps: () => [ip(other(host))],
      hasLocalEndpoints: () => true,
    });
    this.#keys = new Map(
      captured().map(({ key }) => {
        const lamportTime = TAGS[key.slice(0, 5)] as number;
        return [lamportTime, { subsystem: SUBSYS_IPSEC, key: new Uint8Array(Buffer.from(key, "hex")), lamportTime }];
      }),
    );
  }

  key(tag: number): EncryptionKey {
    const key = this.#keys.get(tag);
    if (key === undefined) throw new Error(`no key ${tag}`);
    return key;
  }

  events(): string[] {
    return told(this.kernel.root.xfrm.events.splice(0));
  }
}

const RING = [0xfdca, 0xfdcb, 0xfdcc, 0xfdce, 0xfdcf, 0xfdd2, 0xfdd4];

describe.skipIf(!goldenAvailable)(goldenTitle("rotation"), () => {
  it.each(["manager", "worker-1"] as const)(
    "%s: the kernel is told the same, in the same order, as in the capture",
    (host) => {
      const golden = monitored(goldenText(`${C2}/${host}/xfrm-monitor.txt`));
      expect(golden).toHaveLength(15);
      const node = new Node(host);
      const [first = 0, second = 0, third = 0] = RING;
      node.encryption.setKeys([second, first, third].map((tag) => node.key(tag)));
      node.encryption.checkEncryption("2adgprkq7rz7bsmf7ttu87v1q", ip(other(host)), false, true);
      const rotations: string[][] = [];
      for (let i = 3; i < RING.length; i++) {
        node.events();
        const [prune, primary, added] = [RING[i - 3], RING[i - 1], RING[i]].map((tag) => node.key(tag as number));
        node.encryption.updateKeys({
          ...(added === undefined ? {} : { key: added }),
          ...(primary === undefined ? {} : { primary }),
          ...(prune === undefined ? {} : { prune }),
        });
        rotations.push(node.events());
      }
      // The monitor was started after the first rotation.
      expect(rotations.slice(1).flat()).toEqual(golden);
    },
  );

  it.skipIf(!xzAvailable)("the daemon's log says what it says in the capture", () => {
    const messages = goldenText(`${C2}/manager/dockerd-debug-before.log`)
      .split("\n")
      .flatMap((line) => /^time="[^"]*T10:3[56]:\S+" level=debug msg="(.*)"$/.exec(line)?.[1] ?? []);
    const node = new Node("manager");
    const keys = [0xfdcb, 0xfdca, 0xfdcc].map((tag) => node.key(tag));
    node.encryption.setKeys(keys);
    // Two remote endpoints came one after the other: the second time nothing was to be done.
    for (let i = 0; i < 2; i++)
      node.encryption.checkEncryption("2adgprkq7rz7bsmf7ttu87v1q", ip("192.168.77.12"), false, true);
    node.encryption.updateKeys({ key: node.key(0xfdce), primary: node.key(0xfdcc), prune: node.key(0xfdca) });
    const own =
      /^(checkEncryption\(2adgprk, 192|List of nodes: map\[192|Programming encryption|Adding: rSA|Adding f|Removing|Updat|Current: )/;
    const golden = messages.filter((message) => own.test(message));
    expect(node.log.slice(1)).toEqual(golden);
    expect(node.log[0]).toBe(
      "Initial encryption keys: [(key: 105d8, tag: 0xfdcb) (key: 4d97f, tag: 0xfdca) (key: c1c24, tag: 0xfdcc)]",
    );
  });
});

/** `ip -s xfrm …` with numbers for keys, in order of appearance, and without times and counters. */
function settledXfrm(lines: readonly string[]): string[] {
  const names = new Map<string, string>();
  const nameOf = (what: string, value: string): string => {
    const key = `${what} ${value}`;
    const known =
      names.get(key) ?? `${what}${[...names.keys()].filter((other) => other.startsWith(`${what} `)).length + 1}`;
    names.set(key, known);
    return known;
  };
  return lines.map((line) =>
    line
      .replace(/spi 0x([0-9a-f]{8})\(\d+\)/, (_whole, spi: string) => `spi ${nameOf("SPI", spi)}`)
      .replace(
        /0x([0-9a-f]{32})([0-9a-f]{8}) /,
        (_whole, key: string, salt: string) => `${nameOf("KEY", key)} salted by ${nameOf("SPI", salt)} `,
      )
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")
      .replace(/use -/, "use TIME"),
  );
}

/** A transcript's times, and the peer's address: failed attempts had used up the lower ones in the capture. */
function settledPing(text: string): string[] {
  const settled = text
    .replace(/10\.0\.2\.(12|4)\b/g, "PEER")
    .replace(/time=[\d.]+ ms/g, "time=T ms")
    .replace(/time \d+ms/g, "time Tms")
    .replace(/[\d.]+\/[\d.]+\/[\d.]+(\/[\d.]+)? ms/g, "T ms");
  // Errors stand apart from the rest here.
  return settled.split("\n").sort();
}

describe.skipIf(!goldenAvailable || !xzAvailable)(goldenTitle("two hosts with an encrypted network", true), () => {
  const TRAFFIC = `${C}/manager/traffic-ealpine1.txt`;
  let lab: Scenario;
  const ran = new Map<string, Ran>();
  let rules: Record<keyof typeof NODES, string[]>;
  let states: Record<keyof typeof NODES, [state: string[], policy: string[]]>;

  async function type(host: string, command: string, exit = 0): Promise<Ran> {
    const result = await lab.run(host, command, exit);
    ran.set(`${host} ${command}`, result);
    return result;
  }
  const linesOf = ({ stdout }: Ran): string[] => stdout.split("\n").filter((line) => line !== "");

  beforeAll(async () => {
    lab = await Scenario.start();
    await lab.swarm();
    // The captured swarm had had a network before.
    await lab.run("manager", "docker network create --driver=overlay --attachable test-net");
    await lab.run("manager", "docker network rm test-net");
    await type("manager", "docker network create --opt encrypted --driver overlay --attachable enc-net");
    await type("manager", "docker run -dit --name ealpine1 --network enc-net alpine");
    for (const command of ["docker network ls", "docker network inspect enc-net", "ip xfrm state", "ip xfrm policy"])
      await type("manager", command);
    await type("manager", "cat /proc/net/xfrm_stat");
    await type("worker-1", "docker run -dit --name ealpine2 --network enc-net alpine");
    await lab.wait(5);
    await type("worker-1", "docker network inspect enc-net");
    const [manager, worker] = ["manager", "worker-1"];
    const table = async (host: string): Promise<[string[], string[]]> => [
      linesOf(await lab.run(host, "ip -s xfrm state")),
      linesOf(await lab.run(host, "ip -s xfrm policy")),
    ];
    states = { manager: await table(manager), "worker-1": await table(worker) };
    const saved = async (host: string): Promise<string[]> =>
      linesOf(await lab.run(host, "iptables-save")).filter((line) => line.includes("-m u32"));
    rules = { manager: await saved(manager), "worker-1": await saved(worker) };
    const pid = await lab.pid("manager", "ealpine1");
    for (const { command, exit } of pings())
      await type(
        "manager",
        command.replace(/nsenter -t \d+/, `nsenter -t ${pid}`).replace("10.0.2.12", "10.0.2.4"),
        exit,
      );
  });
  afterAll(async () => await lab?.close());

  /** The capture's pings. */
  function pings(): GoldenCommand[] {
    return goldenCommands(TRAFFIC).filter(({ command }) => / ping /.test(command));
  }
  function ourPing({ command }: GoldenCommand): Ran {
    const at = pings().findIndex((one) => one.command === command);
    const found = [...ran.values()].filter((one) => / ping /.test(one.command))[at];
    if (found === undefined) throw new Error(`${command} was not run`);
    return found;
  }

  it("docker prints the same of it", () => {
    const settled = (text: string): string =>
      text
        .replace(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"TIME"')
        .replace(/\b[0-9a-f]{64}\b/g, "ID64")
        .replace(/\b[0-9a-z]{25}\b/g, "ID25")
        .replace(/^[0-9a-z]{12}(?= {3})/gm, "ID12")
        .replace(/("Name": )"[0-9a-f]{12}"/g, '$1"NODE"')
        .replace(/10\.0\.2\.(12|4)\//g, "PEER/")
        .replace(/10\.0\.2\.(13|5)\//g, "LB/")
        .replace(/02:42:0a:00:02:(0c|04|0d|05)/g, "MAC");
    const compare = (path: string, host: string, command: string): void => {
      const golden = goldenCommand(path, command);
      const ours = ran.get(`${host} ${command}`);
      expect(settled((ours?.stdout ?? "") + (ours?.stderr ?? ""))).toBe(settled(golden.output));
    };
    for (const command of [
      "docker network create --opt encrypted --driver overlay --attachable enc-net",
      "docker network ls",
      "docker network inspect enc-net",
      "ip xfrm state",
      "ip xfrm policy",
    ])
      compare(`${C}/manager/commands.txt`, "manager", command);
    const inspects = goldenCommands(`${C}/worker-1/commands.txt`).filter(({ command }) => command.includes("inspect"));
    expect(settled(ran.get("worker-1 docker network inspect enc-net")?.stdout ?? "")).toBe(
      settled(inspects.at(-1)?.output ?? ""),
    );
  });

  it.each(["manager", "worker-1"] as const)("%s: associations and policies", (host) => {
    const golden = sections(`${C}/${host}/state-1-before-traffic/host.txt`);
    for (const [at, heading] of (["ip -s xfrm state", "ip -s xfrm policy"] as const).entries()) {
      const lines = golden.get(heading) ?? [];
      expect(lines.length).toBeGreaterThan(10);
      expect(settledXfrm(states[host][at] ?? [])).toEqual(settledXfrm(lines));
    }
  });

  it("counters: all of them, none moved", () => {
    const golden = sections(`${C}/manager/state-1-before-traffic/host.txt`).get("cat /proc/net/xfrm_stat") ?? [];
    expect(golden.filter((line) => line !== "")).toHaveLength(28);
    expect(linesOf(ran.get("manager cat /proc/net/xfrm_stat") as Ran)).toEqual(golden.filter((line) => line !== ""));
  });

  it.each(["manager", "worker-1"] as const)("%s: firewall rules", (host) => {
    const golden = (sections(`${C}/${host}/state-1-before-traffic/host.txt`).get("iptables-save -c") ?? [])
      .map((line) => line.replace(/^\[\d+:\d+\] /, ""))
      .filter((line) => line.includes("-m u32"));
    expect(golden).toHaveLength(3);
    expect(rules[host]).toEqual(golden);
  });

  it("pings of all sizes say the same", () => {
    expect(pings().length).toBeGreaterThan(20);
    for (const golden of pings()) {
      const ours = ourPing(golden);
      expect(settledPing(ours.stdout + ours.stderr)).toEqual(settledPing(golden.output));
    }
  });

  it("and the same ESP packets are on the wire: order, lengths, TOS, TTL and flags", () => {
    const packets = (frames: readonly Frame[]): string[] =>
      frames.flatMap(({ ip: packet }) => {
        if (packet?.protocol !== 50) return [];
        const { src, dst, total, ttl, tos, df, mf, offset } = packet;
        return [`${src} ${dst} ${total} ttl ${ttl} tos ${tos} ${df ? "DF" : ""}${mf ? "MF" : ""} ${offset}`];
      });
    let compared = 0;
    for (const golden of pings()) {
      const expected = packets(goldenFrames(`${C}/manager/pcap/host__eth0.pcap`, golden));
      const ours = packets(lab.frames("manager/host/eth0", ourPing(golden)));
      expect([golden.command, ...ours]).toEqual([golden.command, ...expected]);
      compared += expected.length;
    }
    expect(compared).toBeGreaterThan(60);
  });
});
