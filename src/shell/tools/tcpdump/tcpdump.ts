/** tcpdump(8) 4.99.3: captures on devices of its namespace and prints frames, or writes and reads capture files. */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../../base/addr.ts";
import { KernelError } from "../../../base/errors.ts";
import { MS, type Time } from "../../../base/time.ts";
import { EPOCH_SECONDS } from "../../../base/wall-clock.ts";
import type { Program, ProgramContext } from "../../../engine/program.ts";
import type { LinkInfo, PacketTap, TappedFrame } from "../../../kernel/types.ts";
import { CaptureFormatError, MemorySink, PcapWriter, readPackets } from "../../../pcap-writer/index.ts";
import type { Proc } from "../../../scheduler/process.ts";
import { getopt, type Options, UsageError } from "../../lib/options.ts";
import { absolutePath, decodeBytes, die, encode, tool } from "../../lib/program.ts";
import { lookup, lookupAddress } from "../../lib/resolve.ts";
import { asciiDump, hexDump } from "./bytes.ts";
import { type Filter, hostsOf, parseFilter, SERVICES } from "./filter.ts";
import { matchesFilter } from "./filter-match.ts";
import { type Names, Printer } from "./print.ts";

/** How often it looks for frames: they come in blocks. */
const POLL = 10 * MS;
const DEFAULT_SNAPLEN = 262144;
const ETHERNET_HEADER = 14;
const SECOND = 1_000_000_000n;
/** Virtual time 0 in nanoseconds since 1970. */
const EPOCH = BigInt(EPOCH_SECONDS) * SECOND;

const HELP = `tcpdump version 4.99.3
libpcap version 1.10.3 (with TPACKET_V3)
Usage: tcpdump [-AbdDefhHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]
		[ -C file_size ] [ -E algo:secret ] [ -F file ] [ -G seconds ]
		[ -i interface ] [ --immediate-mode ] [ -j tstamptype ]
		[ -M secret ] [ --number ] [ --print ] [ -Q in|out|inout ]
		[ -r file ] [ -s snaplen ] [ -T type ] [ --version ]
		[ -V file ] [ -w file ] [ -W filecount ] [ -y datalinktype ]
		[ --time-stamp-precision precision ] [ --micro ] [ --nano ]
		[ -z postrotate-command ] [ -Z user ] [ expression ]
`;

/** A frame and where it was taken. */
interface Taken {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly data: Uint8Array;
  readonly length: number;
  readonly outgoing: boolean;
  /** With `-i any`: the device. */
  readonly device: string | undefined;
}

/** One run. */
class Capture {
  readonly #context: ProgramContext;
  readonly #options: Options;
  readonly #printer: Printer;
  readonly #hosts = new Map<Ipv4, string | undefined>();
  readonly #numeric: boolean;
  readonly #file: { readonly sink: MemorySink; readonly writer: PcapWriter; readonly path: string } | undefined;
  #first: bigint | undefined;
  #before: bigint | undefined;
  /** Frames printed or written. */
  count = 0;

  constructor(context: ProgramContext, options: Options) {
    this.#context = context;
    this.#options = options;
    this.#numeric = options.has("n");
    const verbose = options.list("v").length;
    const quick = options.has("q");
    this.#printer = new Printer(
      { verbose, linkLevel: options.has("e"), quick, absolute: options.has("S") },
      this.#names((ip) => this.#hosts.get(ip)),
    );
    const path = options.text("w");
    if (path === undefined) return;
    const sink = new MemorySink();
    this.#file = { sink, path, writer: new PcapWriter(sink, { resolution: "us", epochSeconds: EPOCH_SECONDS }) };
    this.save();
  }

  #names(host: (ip: Ipv4) => string | undefined): Names {
    const numeric = this.#numeric;
    const services = new Map(Object.entries(SERVICES).map(([name, port]) => [port, name]));
    return {
      numeric,
      host: (ip) => (numeric ? undefined : host(ip)),
      port: (port) => (numeric ? undefined : services.get(port)),
    };
  }

  *take(frame: Taken): Proc<void> {
    this.count++;
    if (this.#file !== undefined) {
      const { data, length } = frame;
      this.#file.writer.packet(Number(frame.time - EPOCH), data, 0, data.length, length);
      return;
    }
    if (!this.#numeric) yield* this.#learnNames(frame);
    const dumped = this.#options.list("x").length + this.#options.list("X").length;
    const ascii = this.#options.has("X");
    // Once without the link's header, twice with it.
    const data = dumped > 1 ? frame.data : frame.data.subarray(ETHERNET_HEADER);
    let text = this.#header(frame) + this.#body(frame, this.#printer);
    if (dumped > 0) text += hexDump(data, ascii);
    else if (this.#options.has("A")) text += asciiDump(frame.data.subarray(ETHERNET_HEADER));
    this.#context.stdout.write(`${text}\n`);
  }

  /** Puts what was written so far into the file; with `-w -`, nothing before the end. */
  save(): void {
    if (this.#file === undefined || this.#file.path === "-") return;
    this.#file.writer.flush();
    this.#context.files.write(absolutePath(this.#context, this.#file.path), decodeBytes(this.#file.sink.bytes()));
  }

  /** The end: with `-w -` the file goes to standard output. */
  finish(): void {
    if (this.#file?.path !== "-") return;
    this.#file.writer.flush();
    this.#context.stdout.write(decodeBytes(this.#file.sink.bytes()));
  }

  #body({ data, length, device, outgoing }: Taken, printer: Printer): string {
    if (device === undefined) return printer.frame(data, length);
    const broadcast = data.subarray(0, 6).every((byte) => byte === 255);
    const way = outgoing ? "Out" : broadcast ? "B" : ((data[0] ?? 0) & 1) !== 0 ? "M" : "In";
    const type = ((data[12] ?? 0) << 8) | (data[13] ?? 0);
    const body = printer.packet(type, data.subarray(ETHERNET_HEADER), length - ETHERNET_HEADER);
    return `${device.padEnd(5)} ${way.padEnd(3)} ${body}`;
  }

  /** Asks for the names of the addresses that the line will show. */
  *#learnNames(frame: Taken): Proc<void> {
    const asked = new Set<Ipv4>();
    const rehearsal = this.#names((ip) => {
      if (!this.#hosts.has(ip)) asked.add(ip);
      return undefined;
    });
    this.#body(frame, this.#printer.rehearsal(rehearsal));
    for (const ip of asked) {
      const name = yield* lookupAddress(
        this.#context,
        formatIpv4(ip),
        this.#context.programs.includes("ss") ? "glibc" : "musl",
      );
      this.#hosts.set(ip, name);
    }
  }

  /** The time, as `-t` wants it, and the number. */
  #header({ time }: Taken): string {
    const number = this.#options.has("#") ? `${String(this.count).padStart(5)}  ` : "";
    this.#first ??= time;
    const before = this.#before ?? time;
    this.#before = time;
    switch (this.#options.list("t").length) {
      case 0:
        return `${number}${clock(time)} `;
      case 1:
        return number;
      case 2:
        return `${number}${time / SECOND}.${micros(time)} `;
      case 3:
        return `${number} ${clock(time - before)} `;
      case 4:
        return `${number}${new Date(Number(time / 1_000_000n)).toISOString().slice(0, 10)} ${clock(time)} `;
      default:
        return `${number} ${clock(time - this.#first)} `;
    }
  }
}

function micros(time: bigint): string {
  return String((time % SECOND) / 1000n).padStart(6, "0");
}

/** `12:34:56.789012` of a time or a span. */
function clock(time: bigint): string {
  const seconds = Number((time / SECOND) % 86400n);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${micros(time)}`;
}

function* resolveHosts(context: ProgramContext, filter: Filter | undefined): Proc<void> {
  for (const host of hostsOf(filter)) {
    const libc = context.programs.includes("ss") ? "glibc" : "musl";
    const found = parseIpv4(host.name) === undefined ? yield* lookup(context, host.name, libc) : undefined;
    if (found?.ok !== true) throw new UsageError(`unknown host '${host.name}'`);
    host.ips = found.addresses;
  }
}

function* main(context: ProgramContext): Proc<number> {
  const options = getopt(context.argv, "#AbDefhHIJKlLnNOpqStuUvxXc:i:s:w:r:Q:Z:y:j:B:", {
    number: "#",
    version: "version",
    help: "h",
    interface: "i",
    count: "count",
    "immediate-mode": "immediate",
    print: "print",
  });
  if (options.has("h") || options.has("version")) {
    context.stdout.write(options.has("h") ? HELP : HELP.split("\n").slice(0, 2).join("\n").concat("\n"));
    return 0;
  }
  if (options.has("D")) return listDevices(context);
  const most = options.text("c");
  if (most !== undefined && !(/^\d+$/.test(most) && Number(most) > 0))
    throw new UsageError(`invalid packet count ${most}`);
  const count = most === undefined ? Number.POSITIVE_INFINITY : Number(most);
  const file = options.text("r");
  return file === undefined ? yield* live(context, options, count) : yield* replay(context, options, file, count);
}

function listDevices(context: ProgramContext): number {
  const links = context.ns.link.list();
  links.forEach((link, at) => {
    const flags = [
      link.up ? "Up" : "",
      link.carrier ? "Running" : "",
      link.kind === "loopback" ? "Loopback" : link.carrier ? "Connected" : "Disconnected",
    ];
    context.stdout.write(`${at + 1}.${link.name} [${flags.filter((flag) => flag !== "").join(", ")}]\n`);
  });
  context.stdout.write(`${links.length + 1}.any (Pseudo-device that captures on all interfaces) [Up, Running]\n`);
  return 0;
}

function* replay(context: ProgramContext, options: Options, name: string, count: number): Proc<number> {
  const text = name === "-" ? yield* context.stdin.readAll() : context.files.read(absolutePath(context, name));
  if (text === undefined) die(`${name}: No such file or directory`);
  let packets: ReturnType<typeof readPackets>;
  try {
    packets = readPackets(encode(text));
  } catch (error) {
    if (!(error instanceof CaptureFormatError)) throw error;
    die("unknown file format");
  }
  context.stderr.write(`reading from file ${name}, link-type EN10MB (Ethernet), snapshot length ${DEFAULT_SNAPLEN}\n`);
  const filter = parseFilter(options.args.join(" "));
  yield* resolveHosts(context, filter);
  const capture = new Capture(context, options);
  for (const packet of packets) {
    if (capture.count >= count) break;
    const frame = { data: packet.data, length: packet.originalLength, outgoing: false };
    if (matchesFilter(filter, frame))
      yield* capture.take({
        ...frame,
        time: BigInt(packet.seconds) * SECOND + BigInt(packet.nanos),
        device: undefined,
      });
  }
  capture.save();
  capture.finish();
  return 0;
}

/** The devices that `-i` means: the first that is up and no loopback, when it says nothing. */
function devices(context: ProgramContext, name: string | undefined): LinkInfo[] {
  const links = context.ns.link.list();
  if (name === "any") return links;
  const wanted =
    name === undefined
      ? (links.find((link) => link.up && link.kind !== "loopback") ?? links.find((link) => link.up))
      : (links.find((link) => link.name === name) ?? links[Number(name) - 1]);
  if (wanted === undefined) {
    if (name === undefined) die("no suitable device found");
    die(`${name}: No such device exists\n(No such device exists)`);
  }
  if (!wanted.up) die(`${wanted.name}: That device is not up`);
  return [wanted];
}

function* live(context: ProgramContext, options: Options, count: number): Proc<number> {
  const { ns, stderr, signals, os } = context;
  const wanted = options.text("i");
  const links = devices(context, wanted);
  const any = wanted === "any";
  const snaplen = options.number("s") || DEFAULT_SNAPLEN;
  const filter = parseFilter(options.args.join(" "));
  yield* resolveHosts(context, filter);
  if (any) stderr.write("tcpdump: data link type LINUX_SLL2\n");
  if (!options.has("v") && !options.has("w"))
    stderr.write("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n");
  const type = any ? "LINUX_SLL2 (Linux cooked v2)" : "EN10MB (Ethernet)";
  stderr.write(
    `${options.has("w") ? "tcpdump: " : ""}listening on ${any ? "any" : links[0]?.name}, link-type ${type}, snapshot length ${snaplen} bytes\n`,
  );
  const capture = new Capture(context, options);
  const way = options.text("Q");
  const taps = links.map((link) => ({ link, tap: ns.link.tap(link.index, snaplen) }));
  let matched = 0;
  let down = false;
  try {
    while (capture.count < count && !down) {
      if (signals.tryPop() !== undefined) {
        // A line may not have been finished.
        context.stdout.write("\n");
        break;
      }
      yield { on: [signals], until: os.now() + POLL };
      for (const { device, frame } of collect(taps)) {
        if (!matchesFilter(filter, frame) || (way === "in" && frame.outgoing) || (way === "out" && !frame.outgoing))
          continue;
        matched++;
        if (capture.count >= count) continue;
        yield* capture.take({ ...frame, time: wallClock(frame.time), device: any ? device : undefined });
      }
      down = taps.every(({ tap }) => tap.gone);
    }
    if (down) stderr.write(`tcpdump: pcap_loop: The interface disappeared\n`);
  } finally {
    for (const { tap } of taps) tap.close();
    capture.save();
  }
  capture.finish();
  const dropped = taps.reduce((sum, { tap }) => sum + tap.dropped, 0);
  const packets = (number: number, what: string) => `${number} packet${number === 1 ? "" : "s"} ${what}\n`;
  stderr.write(
    `${packets(capture.count, "captured")}` +
      `${packets(matched, "received by filter")}${packets(dropped, "dropped by kernel")}`,
  );
  return down ? 1 : 0;
}

/** What has come on all devices, in the order in which it came. */
function collect(
  taps: readonly { readonly link: LinkInfo; readonly tap: PacketTap }[],
): { device: string; frame: TappedFrame }[] {
  const frames: { device: string; frame: TappedFrame }[] = [];
  for (const { link, tap } of taps)
    for (let frame = tap.tryRecv(); frame !== undefined; frame = tap.tryRecv())
      frames.push({ device: link.name, frame });
  return frames.sort((a, b) => a.frame.time - b.frame.time || a.frame.seq - b.frame.seq);
}

function wallClock(time: Time): bigint {
  return EPOCH + BigInt(time);
}

function* guarded(context: ProgramContext): Proc<number> {
  try {
    return yield* main(context);
  } catch (error) {
    if (error instanceof KernelError && error.code === "ENODEV") die("No such device exists");
    throw error;
  }
}

/** tcpdump(8). */
export const tcpdump: Program = tool(guarded);
