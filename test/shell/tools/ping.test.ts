import { describe, expect, it } from "vitest";
import { KernelError } from "../../../src/base/errors.ts";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import type { IcmpReply, IcmpSocket } from "../../../src/kernel/socket-types.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { Signal } from "../../../src/scheduler/process.ts";
import { busyboxPing } from "../../../src/shell/tools/ping-busybox.ts";
import { iputilsPing } from "../../../src/shell/tools/ping-iputils.ts";
import { goldenAvailable, goldenTitle } from "../../support/golden.ts";
import { goldenCommands, ProgramHost } from "../harness.ts";

const TRAFFIC = "B-standalone-attachable/manager/traffic-alpine1.txt";

/** What the network does with the n-th request: a round trip in µs, silence, or a refusal. */
type Fate = number | undefined | "EMSGSIZE" | "ENETUNREACH";

/** A namespace whose ICMP socket meets these fates; the host 10.0.1.4 is alpine2. */
function scripted(host: ProgramHost, fates: readonly Fate[], ttl = 64): NetNs {
  const base = host.os.kernel.root;
  const open = (): IcmpSocket => {
    const signal = new Signal();
    const arrived: IcmpReply[] = [];
    let sent = 0;
    return Object.assign(signal, {
      id: 7,
      closed: false,
      takeError: () => undefined,
      setOwner: () => {},
      close: () => {},
      localAddress: () => ({ ip: 0, port: 7 }),
      setTtl: () => {},
      setPmtuDiscovery: () => {},
      pathMtu: () => 1450,
      tryRecv: () => arrived.shift(),
      sendEcho: (src: number, seq: number, data: Uint8Array) => {
        const fate = fates[sent++];
        if (typeof fate === "string") throw new KernelError(fate, "sendto");
        if (fate === undefined) return;
        host.network.after(fate * 1000, () => {
          arrived.push({ type: 0, code: 0, id: 7, seq, src, ttl, time: host.os.now(), data, info: 0 });
          signal.notify();
        });
      },
    });
  };
  const route = { lookup: () => ({ dev: 2, via: undefined, src: 0, type: "unicast", mtu: 1450 }) };
  const [link, addr] = [{ list: () => [{ name: "eth0" }] }, { list: () => [{ addr: { ip: 0x0a000102 } }] }];
  return Object.create(base, {
    socket: { value: { icmp: open } },
    route: { value: route },
    link: { value: link },
    addr: { value: addr },
  }) as NetNs;
}

const files = () => new LayeredFiles(new Map([["/etc/hosts", "10.0.1.4 alpine2\n"]]), new Map());

/** Round trips as a golden output tells them, in µs; undefined for none. */
function fatesOf(output: string, count: number): Fate[] {
  const times = [...output.matchAll(/time=([\d.]+) ms/g)].map((match) => Math.round(Number(match[1]) * 1000));
  const local = output.includes("local error");
  return Array.from({ length: count }, (_, i) => (local ? "EMSGSIZE" : times[i]));
}

const captured = goldenAvailable ? goldenCommands(TRAFFIC) : [];
const busybox = captured.filter((one) => / exec alpine1 ping .*\d$/.test(one.command));
const iputils = captured.filter((one) => / -n ping .*\d$/.test(one.command));

describe.skipIf(!goldenAvailable)(goldenTitle("ping, as captured"), () => {
  it.each(busybox.map((one) => [one.command, one] as const))("busybox: %s", (_, { argv, output, status }) => {
    const host = new ProgramHost();
    const words = argv.slice(argv.indexOf("ping"));
    const count = Number(words[words.indexOf("-c") + 1]);
    const result = host.run(busyboxPing, words, {
      ns: scripted(host, fatesOf(output, count), Number(/ttl=(\d+)/.exec(output)?.[1] ?? 64)),
      files: files(),
    });
    expect(result).toEqual({ out: output, err: "", status });
  });

  it.each(iputils.map((one) => [one.command, one] as const))("iputils: %s", (_, { argv, output, status }) => {
    const host = new ProgramHost();
    const words = argv.slice(argv.indexOf("ping"));
    // The captured times are cut to three digits; the statistics give the exact ones.
    const fates: Fate[] = output.includes("local error") ? fatesOf(output, 3) : [4947, 4346, 7021];
    const result = host.run(iputilsPing, words, { ns: scripted(host, fates), files: files() });
    const lines = output.split("\n");
    const errors = lines.filter((line) => line.startsWith("ping: "));
    const told = (text: string): string => text.replace(/time \d+ms/, "time _ms");
    expect(told(result.out)).toBe(told(lines.filter((line) => !line.startsWith("ping: ")).join("\n")));
    expect(result.err).toBe(errors.map((line) => `${line}\n`).join(""));
    expect(result.status).toBe(status);
  });

  it("has both kinds to compare with", () => {
    expect(busybox.length).toBeGreaterThan(6);
    expect(iputils.length).toBe(3);
  });
});

describe("ping", () => {
  it("of busybox dies where there is no route, and for a bad name", () => {
    const host = new ProgramHost();
    const unreachable = host.run(busyboxPing, ["ping", "10.0.1.4"], {
      ns: scripted(host, ["ENETUNREACH"]),
      files: files(),
    });
    expect(unreachable).toEqual({
      out: "PING 10.0.1.4 (10.0.1.4): 56 data bytes\n",
      err: "ping: sendto: Network unreachable\n",
      status: 1,
    });
    const bad = host.run(busyboxPing, ["ping", "x"], { files: files() });
    expect(bad).toEqual({ out: "", err: "ping: bad address 'x'\n", status: 1 });
  });

  it("waits the last answer's time: -W when nothing came, a second otherwise", () => {
    const host = new ProgramHost();
    const before = host.os.now();
    const times: number[] = [];
    for (const fates of [[undefined], [500, undefined]] as const) {
      const start = host.os.now();
      let ended = 0;
      const program = function* (context: Parameters<typeof busyboxPing>[0]) {
        const status = yield* busyboxPing(context);
        ended = context.os.now();
        return status;
      };
      host.run(program, ["ping", "-c", String(fates.length), "-W", "3", "10.0.1.4"], {
        ns: scripted(host, fates),
        files: files(),
      });
      times.push((ended - start) / 1e9);
    }
    expect(times).toEqual([3, 2]);
    expect(host.os.now()).toBeGreaterThan(before);
  });

  it.each([
    ["busybox", busyboxPing, "3 packets transmitted, 3 packets received, 0% packet loss"],
    ["iputils", iputilsPing, "3 packets transmitted, 3 received, 0% packet loss, time 2000ms"],
  ] as const)("of %s ends at Ctrl-C with its statistics", (_, ping, line) => {
    const host = new ProgramHost();
    const result = { out: "", err: "", status: undefined };
    const context = host.context(
      ["ping", "10.0.1.4"],
      { ns: scripted(host, [100, 100, 100, 100]), files: files() },
      result,
    );
    const process = host.os.spawn("ping", ping(context));
    host.network.runFor(2.5e9);
    context.signals.push("SIGINT");
    host.network.runFor(1e6);
    expect(process.result).toBe(0);
    expect(result.out).toContain(line);
  });

  it.each([
    [["-I", "nope", "10.0.1.4"], "SO_BINDTODEVICE nope: No such device", 2],
    [["-I", "9.9.9.9", "10.0.1.4"], "bind: Cannot assign requested address", 2],
    [["-c", "x", "10.0.1.4"], "invalid argument: 'x'", 1],
    [["-i", "x", "10.0.1.4"], "bad timing interval: 'x'", 1],
    [["-i", "-1", "10.0.1.4"], "bad timing interval: -1", 2],
  ] as const)("of iputils: %j", (words, message, status) => {
    const host = new ProgramHost();
    const result = host.run(iputilsPing, ["ping", ...words], { ns: scripted(host, [1]), files: files() });
    expect(result).toEqual({ out: "", err: `ping: ${message}\n`, status });
  });

  it.each([
    [["-I", "nope", "10.0.1.4"], "bad address 'nope'"],
    [["-I", "9.9.9.9", "10.0.1.4"], "bind: Address not available"],
    [["-c", "x", "10.0.1.4"], "invalid number 'x'"],
    [["-c", "9999999999", "10.0.1.4"], "number 9999999999 is not in 0..2147483647 range"],
    [["-i", "1q", "10.0.1.4"], "invalid number '1q'"],
  ])("of busybox: %j", (words, message) => {
    const host = new ProgramHost();
    const result = host.run(busyboxPing, ["ping", ...words], { ns: scripted(host, [1]), files: files() });
    expect(result).toEqual({ out: "", err: `ping: ${message}\n`, status: 1 });
  });

  it("of iputils pings a broadcast address with -b only", () => {
    const host = new ProgramHost();
    const ns = scripted(host, [100]);
    const broadcast = Object.create(ns, {
      route: { value: { lookup: () => ({ dev: 2, via: undefined, src: 0, type: "broadcast", mtu: 1450 }) } },
    }) as NetNs;
    const ping = (...words: string[]) => host.run(iputilsPing, ["ping", ...words], { ns: broadcast, files: files() });
    expect(ping("10.0.1.255")).toEqual({
      out: "",
      err: "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\n",
      status: 2,
    });
    expect(ping("-b", "-c1", "10.0.1.255")).toMatchObject({ err: "WARNING: pinging broadcast address\n", status: 0 });
  });

  it("of iputils without an interval takes time all the same: by the answers, or ten milliseconds", () => {
    const host = new ProgramHost();
    const words = ["ping", "-i", "0", "-c", "5", "10.0.1.4"];
    const ns = scripted(host, [0, 0, undefined, 300, 0]);
    const { out } = host.run(iputilsPing, words, { ns, files: files() });
    expect(out).toContain("5 packets transmitted, 4 received, 20% packet loss, time 10ms");
    expect(out).toMatch(/ ms, ipg\/ewma \d+\.\d{3}\/\d+\.\d{3} ms\n$/);
    const flood = host.run(iputilsPing, ["ping", "-f", "-c", "3", "10.0.1.4"], {
      ns: scripted(host, [0, 0, 0]),
      files: files(),
    });
    expect(flood.out).toContain("bytes of data.\n.\b \b.\b \b.\b \b\n--- 10.0.1.4 ping statistics ---\n3 packets");
  });

  it("of busybox without an interval makes no timer: one request", () => {
    const host = new ProgramHost();
    const result = { out: "", err: "", status: undefined };
    const context = host.context(
      ["ping", "-i", "0", "-c", "3", "10.0.1.4"],
      { ns: scripted(host, [0, 0, 0]), files: files() },
      result,
    );
    const process = host.os.spawn("ping", busyboxPing(context));
    host.network.runFor(60e9);
    expect(process.done).toBe(false);
    expect(result.out.match(/seq=/g)).toHaveLength(1);
  });
});
