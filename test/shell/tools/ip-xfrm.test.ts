import { beforeEach, describe, expect, it } from "vitest";
import { EPOCH_SECONDS } from "../../../src/base/wall-clock.ts";
import type { Host } from "../../../src/kernel/host.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { stateText } from "../../../src/shell/tools/ip-xfrm-show.ts";
import { busyboxTools, hostTools } from "../../../src/shell/tools/registry.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../../support/golden.ts";
import { ip, kernelBuilt, lan } from "../../support/kernel.ts";
import { unhex } from "../../support/wasm.ts";
import { ProgramHost, type RunResult } from "../harness.ts";

const host = new ProgramHost();
let ns: NetNs;

beforeEach(async () => {
  if (!kernelBuilt) return;
  const { hosts } = await lan(1);
  ns = (hosts[0] as Host).root;
});

function run(line: string, tools = hostTools): RunResult {
  const argv = line.split(" ");
  const program = tools.get(argv[0] as string);
  if (program === undefined) throw new Error(`no program ${argv[0]}`);
  return host.run(program, argv, { ns, limit: 1e9 });
}

const STATE = "src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x1001";
const AEAD = "aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f00001001 64";

/** The commands that make what a dump of states and policies shows, oldest first. */
function commandsFor(dump: string): string[] {
  const blocks = dump.split(/^(?=src )/m).filter((block) => block.startsWith("src "));
  return blocks.reverse().map((block) => {
    const field = (pattern: RegExp): string => pattern.exec(block)?.[1] ?? "";
    const id = field(/^(src \S+ dst \S+)/);
    const spi = field(/spi (0x[0-9a-f]+)/);
    const reqid = field(/reqid (\d+)/);
    if (!block.includes("tmpl ")) {
      const key = field(/rfc4106\(gcm\(aes\)\) (0x[0-9a-f]+)/);
      const window = `replay-window ${field(/replay-window (\d+)/)} replay-oseq ${field(/oseq (0x[0-9a-f]+)/)}`;
      return `ip xfrm state add ${id} proto esp spi ${spi} reqid ${reqid} mode transport ${window} aead rfc4106(gcm(aes)) ${key} 64`;
    }
    const upper = field(/^src \S+ dst \S+ (proto \S+ dport \d+)/);
    const mark = field(/mark (0x[0-9a-f]+)\//);
    const tmpl = `tmpl ${field(/tmpl (src \S+ dst \S+)/)} proto esp spi ${spi} reqid ${reqid} mode transport`;
    return `ip xfrm policy add ${id} ${upper} dir out mark ${mark} mask 0xffffffff ${tmpl}`;
  });
}

function make(dump: string): void {
  for (const command of commandsFor(dump)) expect(run(command)).toEqual({ out: "", err: "", status: 0 });
}

const section = (text: string, title: string): string => {
  const start = text.indexOf(`### ${title}\n`) + title.length + 5;
  return text.slice(start, text.indexOf("\n### ", start)).replace(/\n+$/, "\n");
};

/** Dates differ: the fake's clock stands at virtual time 0. */
const undated = (text: string): string =>
  text.replace(/add \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "add 2026-01-01 00:00:00");

describe.skipIf(!goldenAvailable || !kernelBuilt)(goldenTitle("ip xfrm as captured"), () => {
  it.each(["manager", "worker-1"])("C2-key-rotation %s: each listing during the rotations", (vm) => {
    const listings = goldenText(`C2-key-rotation/${vm}/xfrm-changes.txt`)
      .split(/^===== .*\n/m)
      .filter((part) => part.includes("src "));
    expect(listings.length).toBeGreaterThan(3);
    for (const listing of listings) {
      make(listing);
      expect(run("ip xfrm state").out + run("ip xfrm policy").out).toBe(listing);
      run("ip xfrm state flush");
      run("ip xfrm policy flush");
      expect(run("ip xfrm state").out + run("ip xfrm policy").out).toBe("");
    }
  });

  it.each(["manager", "worker-1"])("C-encrypted %s: ip -s before traffic", (vm) => {
    const text = goldenText(`C-encrypted/${vm}/state-1-before-traffic/host.txt`);
    const states = section(text, "ip -s xfrm state");
    const policies = section(text, "ip -s xfrm policy");
    expect(states).toContain("spi 0x");
    make(states);
    make(policies);
    expect(run("ip -s xfrm state").out).toBe(undated(states));
    expect(run("ip -s xfrm policy").out).toBe(undated(policies));
  });

  it("C-encrypted: ip -s of a state in use", () => {
    const text = section(goldenText("C-encrypted/manager/state-2-after-traffic/host.txt"), "ip -s xfrm state");
    const block = text.split(/^(?=src )/m).find((one) => one.includes("0xf6bfc5b0"));
    const at = (date: string): number => (Date.parse(`${date}Z`) / 1000 - EPOCH_SECONDS) * 1e9;
    const shown = stateText(
      {
        src: ip("192.168.77.11"),
        dst: ip("192.168.77.12"),
        spi: 0xf6bfc5b0,
        reqid: 13681891,
        aead: { name: "rfc4106(gcm(aes))", key: unhex("105d84c25b5be9a5c2100f1ea713c94af6bfc5b0"), icvBits: 64 },
        replayWindow: 0,
        seq: 0,
        seqHi: 0,
        oseq: 0x63,
        oseqHi: 0,
        bitmap: [0],
        bytes: 43603,
        packets: 99,
        added: at("2026-11-20T09:49:28"),
        used: at("2026-11-20T09:55:37"),
        stats: { replayWindow: 0, replay: 0, failed: 0 },
      },
      { stats: true },
    );
    expect(shown).toBe(block);
  });
});

describe.skipIf(!kernelBuilt)("ip xfrm state", () => {
  it("adds, gets, updates, counts and deletes", () => {
    const add = `ip xfrm state add ${STATE} reqid 7 mark 5 mask 0xf ${AEAD}`;
    expect(run(add)).toEqual({ out: "", err: "", status: 0 });
    expect(run(add)).toEqual({ out: "", err: "RTNETLINK answers: File exists\n", status: 2 });
    expect(run("ip x s count").out).toBe("\t SAD count 1\n");
    expect(run("ip -s xfrm state count").out).toBe("\t SAD count 1 (buckets count 7 Max 1048576)\n");
    const text = [
      "src 10.0.0.1 dst 10.0.0.2",
      "\tproto esp spi 0x00001001 reqid 7 mode transport",
      "\treplay-window 0 ",
      "\tmark 0x5/0xf ",
      "\taead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f00001001 64",
      "\tanti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000",
      "\tsel src 0.0.0.0/0 dst 0.0.0.0/0 ",
      "",
    ].join("\n");
    expect(run("ip xfrm state").out).toBe(text);
    expect(run(`ip xfrm state get ${STATE} mark 5`).out).toBe(text);
    expect(run(`ip xfrm state get ${STATE}`)).toEqual({
      out: "",
      err: "RTNETLINK answers: No such process\n",
      status: 2,
    });
    expect(run("ip xfrm state list nokeys").out).toContain("\taead rfc4106(gcm(aes)) <<Keys hidden>> 64\n");
    expect(run("ip xfrm state list src 10.0.0.9").out).toBe("");
    expect(run("ip xfrm state list reqid 7").out).toBe(text);
    expect(
      run(`ip xfrm state update ${STATE} mark 5 mask 0xf limit packet-hard 10 limit byte-hard 1000 ${AEAD}`).status,
    ).toBe(0);
    expect(run("ip -s xfrm state").out).toContain(
      "\t  limit: soft (INF)(bytes), hard 1000(bytes)\n\t  limit: soft (INF)(packets), hard 10(packets)\n",
    );
    expect(run(`ip xfrm state delete ${STATE}`).err).toBe("RTNETLINK answers: No such process\n");
    expect(run(`ip xfrm state delete ${STATE} mark 5 mask 0xf`).status).toBe(0);
    expect(run("ip xfrm state").out).toBe("");
  });

  it("shows extended replay state", () => {
    run(
      `ip xfrm state add ${STATE} replay-window 300 flag esn replay-oseq 9 replay-oseq-hi 1 sel proto udp dport 4789 ${AEAD}`,
    );
    expect(run("ip xfrm state").out).toBe(
      [
        "src 10.0.0.1 dst 10.0.0.2",
        "\tproto esp spi 0x00001001 reqid 0 mode transport",
        "\treplay-window 0 flag esn",
        "\taead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f00001001 64",
        "\tanti-replay esn context:",
        "\t seq-hi 0x0, seq 0x0, oseq-hi 0x1, oseq 0x9",
        "\t replay_window 300, bitmap-length 10",
        `\t ${"00000000 ".repeat(8)}`,
        `\t ${"00000000 ".repeat(2)}`,
        "\tsel src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 4789 ",
        "",
      ].join("\n"),
    );
    expect(run("ip -s xfrm state").out).toContain("\treplay-window 0 seq 0x00000000 flag esn (0x10000000)\n");
  });

  it("refuses what the kernel or the program refuses", () => {
    const cases: [string, string, number][] = [
      [`ip xfrm state add ${STATE} aead rfc4106(gcm(aes)) 0x0001 64`, "RTNETLINK answers: Invalid argument", 2],
      [`ip xfrm state add ${STATE} ${AEAD.replace(/64$/, "72")}`, "RTNETLINK answers: Invalid argument", 2],
      [`ip xfrm state add ${STATE}`, 'ALGO-TYPE value "enc" or "aead" is required with XFRM-PROTO value "esp"', 1],
      [`ip xfrm state add ${STATE} flag esn ${AEAD}`, "Error: esn flag set without replay-window.", 255],
      [
        `ip xfrm state add ${STATE} replay-window 5000 ${AEAD}`,
        "Error: replay-window (5000) > XFRMA_REPLAY_ESN_MAX (4096).",
        255,
      ],
      [`ip xfrm state add ${STATE} mode tunnel ${AEAD}`, "RTNETLINK answers: Protocol not supported", 2],
      [`ip xfrm state add ${STATE} bogus`, 'Error: argument "bogus" is wrong: unknown', 255],
      ["ip xfrm state add src", 'Command line is not complete. Try option "help"', 255],
      ["ip xfrm state bogus", 'Command "bogus" is unknown, try "ip xfrm state help".', 255],
      ["ip xfrm bogus", 'Command "bogus" is unknown, try "ip xfrm help".', 255],
      [`ip xfrm state delete ${STATE}`, "RTNETLINK answers: No such process", 2],
    ];
    for (const [line, err, status] of cases) expect(run(line), line).toEqual({ out: "", err: `${err}\n`, status });
    expect(run("ip xfrm state", busyboxTools).status).not.toBe(0);
  });
});

describe.skipIf(!kernelBuilt)("ip xfrm policy", () => {
  const ID = "src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 dir out";

  it("adds, replaces, gets, counts and deletes", () => {
    const tmpl = "tmpl proto esp reqid 3 mode transport level required";
    expect(run(`ip xfrm policy add ${ID} priority 4 ${tmpl}`).status).toBe(0);
    expect(run(`ip xfrm policy add ${ID} ${tmpl}`).err).toBe("RTNETLINK answers: File exists\n");
    expect(run(`ip xfrm policy update ${ID} action block`).status).toBe(0);
    expect(run("ip xfrm policy").out).toBe(
      "src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 4789 \n\tdir out action block priority 0 ptype main \n",
    );
    expect(run(`ip xfrm policy get ${ID}`).out).toBe(run("ip xfrm policy").out);
    run("ip xfrm policy add src 10.0.0.0/8 dst 0.0.0.0/0 proto icmp type 8 dir in mark 0 mask 0xff");
    expect(run("ip xfrm policy list dir in").out).toBe(
      "src 10.0.0.0/8 dst 0.0.0.0/0 proto icmp type 8 \n\tdir in priority 0 ptype main \n\tmark 0/0xff \n",
    );
    expect(run("ip xfrm policy count").out).toBe("\t SPD IN  1 OUT 1 FWD 0\n");
    expect(run("ip -s xfrm policy count").out).toBe(
      "\t SPD IN  1 OUT 1 FWD 0 (Sock: IN 0 OUT 0 FWD 0)\n\t SPD buckets: count 7 Max 1048576\n",
    );
    expect(run("ip xfrm policy delete dir out index 1").status).toBe(0);
    expect(run(`ip xfrm policy delete ${ID}`).err).toBe("RTNETLINK answers: No such file or directory\n");
    expect(run("ip xfrm policy deleteall").status).toBe(0);
    expect(run("ip xfrm policy").out).toBe("");
    expect(run("ip xfrm policy add src 10.0.0.1/32").err).toBe("Not enough information: DIR is required.\n");
  });

  it("has defaults", () => {
    expect(run("ip xfrm policy getdefault").out).toBe("Default policies:\n in:  accept\n fwd: accept\n out: accept\n");
    expect(run("ip xfrm policy setdefault in block fwd block").status).toBe(0);
    expect(run("ip xfrm policy getdefault").out).toBe("Default policies:\n in:  block\n fwd: block\n out: accept\n");
  });
});
