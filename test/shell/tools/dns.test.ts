import { describe, expect, it } from "vitest";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import {
  addressAnswer,
  DNS_RCODE,
  DNS_TYPE,
  encodeName,
  makeResponse,
  parseQuery,
} from "../../../src/libnetwork/dns.ts";
import { recvFrom } from "../../../src/scheduler/io.ts";
import type { Proc } from "../../../src/scheduler/process.ts";
import { lookup } from "../../../src/shell/lib/resolve.ts";
import { dig } from "../../../src/shell/tools/dig.ts";
import { nslookup } from "../../../src/shell/tools/nslookup.ts";
import type { FakeHost } from "../../support/fake-host.ts";
import { goldenAvailable, goldenTitle } from "../../support/golden.ts";
import { goldenCommands, ProgramHost } from "../harness.ts";

const TRAFFIC = "B-standalone-attachable/manager/traffic-alpine1.txt";
const RESOLVER = 0x7f00000b;
const NAMES = new Map([
  ["alpine1.", 0x0a000102],
  ["alpine2.", 0x0a000104],
  ["example.test.", 0xc0000250],
]);

/** Answers as Docker's embedded server does: A of known names, nothing for their AAAA, NXDOMAIN else. */
function* server(host: FakeHost, asked: { type: number; time: number }[], silent: number): Proc<void> {
  const socket = host.os.kernel.root.socket.udp();
  socket.bind(0, 53);
  let ignore = silent;
  for (;;) {
    const datagram = yield* recvFrom(socket);
    const query = datagram === undefined ? undefined : parseQuery(datagram.data);
    if (datagram === undefined || query === undefined) continue;
    asked.push({ type: query.type, time: host.os.now() });
    if (ignore-- > 0) continue;
    const ip = NAMES.get(query.name.toLowerCase());
    const reverse = query.type === DNS_TYPE.PTR && query.name === "4.1.0.10.in-addr.arpa.";
    const name = reverse ? encodeName("alpine2.test-net.") : undefined;
    const answers =
      name !== undefined
        ? [{ type: DNS_TYPE.PTR, rdata: name }]
        : ip !== undefined && query.type === DNS_TYPE.A
          ? [addressAnswer(ip)]
          : [];
    const known = reverse || (ip !== undefined && query.type !== DNS_TYPE.TXT);
    const response = makeResponse(query, known ? DNS_RCODE.NOERROR : DNS_RCODE.NXDOMAIN, answers, 512, false);
    socket.sendTo(response, datagram.src, datagram.srcPort);
  }
}

function setUp(silent = 0, extra = "") {
  const host = new ProgramHost();
  const asked: { type: number; time: number }[] = [];
  const resolver = host.network.addHost("resolver", RESOLVER);
  resolver.os.spawn("dns", server(resolver, asked, silent));
  const files = new LayeredFiles(
    new Map([
      ["/etc/resolv.conf", `nameserver 127.0.0.11\noptions ndots:0\n${extra}`],
      ["/etc/hosts", "127.0.0.1\tlocalhost\n10.0.1.2\ta2bb9fe5470b\n"],
    ]),
    new Map(),
  );
  return { host, files, asked };
}

const captured = goldenAvailable ? goldenCommands(TRAFFIC) : [];
const lookups = captured.filter((one) => one.argv.includes("nslookup"));
/** Of dig those over UDP that get an answer, and whose TTL is the local server's. */
const digs = captured.filter(
  (one) =>
    one.argv.includes("dig") &&
    one.status === 0 &&
    !one.command.includes("+tcp") &&
    !/test-net|example|OCI/.test(one.command),
);

describe.skipIf(!goldenAvailable)(goldenTitle("DNS tools, as captured"), () => {
  it.each(lookups.map((one) => [one.command, one] as const))("%s", (_, { argv, output, status }) => {
    const { host, files, asked } = setUp();
    const result = host.run(nslookup, argv.slice(argv.indexOf("nslookup")), { files });
    expect(result).toEqual({ out: output, err: "", status });
    expect(asked.map(({ type }) => type)).toEqual([DNS_TYPE.A, DNS_TYPE.AAAA]);
  });

  it.each(digs.map((one) => [one.command, one] as const))("%s", (_, { argv, output }) => {
    const { host, files } = setUp();
    const told = (text: string): string =>
      text
        .replace(/id: \d+/, "id: _")
        .replace(/Query time: \d+/, "Query time: _")
        .replace(/WHEN: .*/, "WHEN: _");
    const result = host.run(dig, argv.slice(argv.indexOf("dig")), { files });
    expect(told(result.out)).toBe(told(output));
    expect(result.status).toBe(0);
  });

  it("has enough to compare with", () => {
    expect(lookups.length).toBe(6);
    expect(digs.length).toBeGreaterThan(6);
  });
});

describe("the stub resolver", () => {
  const resolve = (silent: number, libc: "musl" | "glibc", name: string, extra = "") => {
    const { host, files, asked } = setUp(silent, extra);
    let found: unknown;
    let ended = 0;
    host.run(
      function* (context) {
        found = yield* lookup(context, name, libc);
        ended = context.os.now();
        return 0;
      },
      ["x"],
      { files },
    );
    return { found, asked, seconds: Math.round(ended / 1e8) / 10 };
  };

  it("reads /etc/hosts first, and takes addresses as they are", () => {
    expect(resolve(0, "musl", "a2bb9fe5470b")).toMatchObject({
      found: { ok: true, addresses: [0x0a000102] },
      asked: [],
    });
    expect(resolve(0, "musl", "10.9.8.7")).toMatchObject({ found: { ok: true, addresses: [0x0a090807] }, asked: [] });
  });

  it("of musl asks again after 2.5 s and gives up after 5 s", () => {
    const second = resolve(2, "musl", "alpine2");
    expect(second.found).toEqual({ ok: true, addresses: [0x0a000104] });
    expect(second.asked.map(({ time }) => Math.round(time / 1e8) / 10)).toEqual([0, 0, 2.5, 2.5]);
    expect(resolve(99, "musl", "alpine2")).toMatchObject({ found: { ok: false, error: "AGAIN" }, seconds: 5 });
  });

  it("of glibc asks twice, 5 s each", () => {
    expect(resolve(99, "glibc", "alpine2")).toMatchObject({ found: { ok: false, error: "AGAIN" }, seconds: 10 });
    expect(resolve(0, "glibc", "nosuchname")).toMatchObject({ found: { ok: false, error: "NONAME" }, seconds: 0 });
  });

  it("walks the search list for names with too few dots", () => {
    const { found, asked } = resolve(0, "musl", "example", "search none.test test\noptions ndots:1\n");
    expect(found).toEqual({ ok: true, addresses: [0xc0000250] });
    expect(asked.length).toBe(4);
  });
});
