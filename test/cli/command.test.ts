/** The command as people use it: the compiled one, in processes of its own. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAll, readPackets } from "../../src/pcap-writer/index.ts";

const BIN = join(import.meta.dirname, "../../bin/swarmwire.js");
let folder = "";

beforeAll(() => {
  if (!existsSync(join(import.meta.dirname, "../../dist/src/cli/main.js"))) throw new Error("npm run build first");
  folder = mkdtempSync(join(tmpdir(), "swarmwire-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function swarmwire(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: "utf8", input: "" });
  return { status, out: stdout, err: stderr };
}

function lab(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const LONG = `hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - wait: 1000h
  - host1: echo never
`;

describe("help and mistakes", () => {
  it.each(["run", "shell", "view", "sweep", "bench", "labs", "check", "schema"])("%s --help", (command) => {
    for (const flag of ["--help", "-h"]) {
      const { status, out, err } = swarmwire(command, flag);
      expect([status, err]).toEqual([0, ""]);
      expect(out).toContain(`Usage: swarmwire ${command}`);
    }
  });

  it("says what there is", () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
    expect(swarmwire("--version")).toEqual({ status: 0, out: `swarmwire ${version}\n`, err: "" });
    expect(swarmwire("--help")).toMatchObject({ status: 0, err: "" });
    expect(swarmwire()).toMatchObject({ status: 2, out: "" });
    expect(swarmwire("labs").out).toMatch(/^standalone +Standalone containers on two hosts/m);
    expect(JSON.parse(swarmwire("schema").out)).toHaveProperty("title", "swarmwire lab");
  });

  it.each<[string[], RegExp]>([
    [["frob"], /^swarmwire: there is no command frob; see swarmwire --help\n$/],
    [["constructor"], /^swarmwire: there is no command constructor/],
    [["view", "a", "b"], /^swarmwire view: one lab at a time; unexpected b\n$/],
    [["view", "no-such"], /^no-such: no such file, and no lab of that name/],
    [["view", "--seed", "1"], /^swarmwire view: --seed and --set are for a lab: which one\?\n$/],
    [["view", "standalone", "--set", "nix=1"], /^standalone\.yaml: there is no nix to set/],
    [["view", "--port", "x"], /^swarmwire view: --port x: expected a number from 0 to 65535\n$/],
    [["run"], /^swarmwire run: which lab\? Try: swarmwire run standalone\n$/],
    [["run", "nosuch"], /^nosuch: no such file, and no lab of that name \(swarmwire labs has a list\)\n$/],
    [["run", "standalone", "--frob"], /^swarmwire run: unknown flag --frob; see swarmwire run --help\n$/],
    [["run", "standalone", "--workers", "0"], /expected a number from 1 to 64\n$/],
    [["run", "standalone", "--until", "soon"], /^swarmwire run: --until soon: expected a time like 90s or 12h\n$/],
    [["run", "standalone", "--capture", "x"], /^swarmwire run: --capture needs --pcap FILE\n$/],
    [["run", "standalone", "--pcap", "/nosuch/x"], /^\/nosuch\/x: ENOENT/],
    [["run", "a", "b"], /^swarmwire run: one lab at a time; unexpected b\n$/],
    [["run", "standalone", "--pcap", ""], /^swarmwire run: --pcap needs the name of a file, or -\n$/],
    [["shell", "--pcap", "-"], /^swarmwire shell: --pcap - is for swarmwire run/],
    [["check"], /^swarmwire check: which lab\?\n$/],
    [["labs", "x"], /^swarmwire labs: unexpected x\n$/],
    [["schema", "x"], /^swarmwire schema: unexpected x\n$/],
    [["shell", "nosuch"], /^nosuch: no such file/],
  ])("%j: status 2 and one line", (args, message) => {
    const { status, out, err } = swarmwire(...args);
    expect([status, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
    expect(err.trimEnd()).not.toContain("\n");
  });

  it("a wrong lab: file, line, column, field", () => {
    const path = lab("wrong.yaml", "hosts: {a: {}}\nsteps:\n  - a: ls\n    expcet: x\n");
    for (const command of ["run", "check"]) {
      const { status, err } = swarmwire(command, path);
      expect(status).toBe(2);
      expect(err).toContain(`${path}:4:5: steps[0].expcet: no host is called expcet`);
    }
    const small = lab("small.yaml", "hosts: {a: {}}\nnetwork: { subnet: 10.0.0.0/30 }\nsteps: []\n");
    expect(swarmwire("check", small).err).toBe(
      `${small}:2:20: network.subnet: 10.0.0.0/30 is too small for hosts: expected a prefix of /29 at most\n`,
    );
    expect(swarmwire("check", "standalone", "mtu")).toMatchObject({ status: 0, err: "" });
  });
});

describe("shell", () => {
  it("reads commands of several lines, with a prompt of their own", () => {
    const lines = [
      "for i in 1 2",
      "do echo a$i",
      "done",
      "echo 'b",
      "c'",
      "echo d \\",
      "  e",
      "cat <<EOF",
      "f",
      "EOF",
      "@hosts",
      "if true",
    ];
    const { stdout } = spawnSync(process.execPath, [BIN, "shell"], { encoding: "utf8", input: lines.join("\n") });
    expect(stdout).toBe(
      "host1$ for i in 1 2\n> do echo a$i\n> done\na1\na2\nhost1$ echo 'b\n> c'\nb\nc\n" +
        "host1$ echo d \\\n>   e\nd e\nhost1$ cat <<EOF\n> f\n> EOF\nf\nhost1$ @hosts\nhost1\nhost2\n" +
        'host1$ if true\n> sh: syntax error: unexpected end of file (expecting "then")\n',
    );
  });
});

describe("a trace", () => {
  it("--pcap - goes to standard output, and nothing else does", () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, "run", "standalone", "--pcap", "-"], {
      maxBuffer: 1 << 26,
    });
    expect(status).toBe(0);
    expect(readPackets(stdout).length).toBeGreaterThan(100);
    expect(String(stderr)).toMatch(/^host1\$ docker swarm init\n/);
    const path = join(folder, "same.pcapng");
    swarmwire("run", "standalone", "--quiet", "--pcap", path);
    expect(stdout.equals(readFileSync(path))).toBe(true);
  });

  it("that its disk can't hold ends with a whole block; it is said at once, and the run goes on", () => {
    const path = join(folder, "full.pcapng");
    const script = 'ulimit -f 40; exec "$0" "$@"';
    const args = ["-c", script, process.execPath, BIN, "run", "standalone", "--pcap", path, "--capture", "*/*/*"];
    const { status, stdout, stderr } = spawnSync("bash", args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stdout).toMatch(/\n\n\d+ commands, all as expected; /);
    expect(stderr).toBe(
      `swarmwire: the trace ${path} ends here: EFBIG: file too large, write; the run goes on without it\n`,
    );
    const file = readFileSync(path);
    expect(file.length).toBeGreaterThan(39 << 10);
    expect(readPackets(file).length).toBeGreaterThan(50);
  });
});

describe("run", () => {
  it("shows terminals and ends with 0; --quiet shows nothing", () => {
    const { status, out, err } = swarmwire("run", "standalone");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toMatch(/^host1\$ docker swarm init\nSwarm initialized/);
    expect(out).toContain("[host1/alpine1] / # ping -c 2 alpine2\nPING alpine2 (10.0.1.4): 56 data bytes\n");
    expect(out).toMatch(/\n\n\d+ commands, all as expected; /);
    expect(swarmwire("run", "standalone", "--quiet")).toEqual({ status: 0, out: "", err: "" });
  });

  it("ends with 1 when an expectation doesn't hold, and says which and what came instead", () => {
    const path = lab("fails.yaml", "hosts: {a: {}}\nsteps:\n  - a: echo hi\n    expect: bye\n  - a: echo next\n");
    const { status, out, err } = swarmwire("run", path);
    expect([status, err]).toEqual([1, '✗ step 1 (a$ echo hi): expected "bye"\n']);
    expect(out).toContain("hi\na$ echo next\nnext\n");
    expect(out).toContain("2 commands, 1 not as expected");
    expect(swarmwire("run", path, "--quiet").err).toContain('instead: "hi\\n"');
  });

  it("--json: an object a step and one at the end", () => {
    const path = lab(
      "json.yaml",
      "hosts: {a: {}}\nsteps:\n  - a: echo hi; echo no >&2\n  - wait: 5s\n  - fault: { host: a, link: down }\n  - a: (sleep 1; echo late) &\n  - wait: 2s\n  - a: 'false'\n",
    );
    const { status, out } = swarmwire("run", path, "--json");
    expect(status).toBe(1);
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line["type"])).toEqual([
      "step",
      "wait",
      "fault",
      "step",
      "output",
      "wait",
      "step",
      "end",
    ]);
    expect(lines[0]).toEqual({
      type: "step",
      step: 0,
      host: "a",
      terminal: null,
      command: "echo hi; echo no >&2",
      stdout: "hi\n",
      stderr: "no\n",
      exit: 0,
      open: null,
      start: 1e9,
      end: expect.any(Number),
      ok: true,
      failures: [],
    });
    expect(lines[1]).toMatchObject({ step: 1, duration: 5e9 });
    expect(lines[2]).toMatchObject({ step: 2, text: "a: link down" });
    expect(lines.at(-2)).toMatchObject({ exit: 1, ok: false, failures: ["exit status 1, expected 0"] });
    expect(lines.at(-1)).toMatchObject({ ok: false, cut: false, steps: 3, failed: 1, trace: null, traceError: null });
    expect(lines.at(-1)).toHaveProperty("counters.framesCarried");
  });

  it("--pcap and --capture: points by pattern; the same bytes with two workers and again, others with another seed", () => {
    const trace = (name: string, ...args: string[]): Buffer => {
      const path = join(folder, name);
      expect(swarmwire("run", "standalone", "--quiet", "--pcap", path, ...args)).toMatchObject({ status: 0, err: "" });
      return readFileSync(path);
    };
    const one = trace("1.pcapng");
    expect(trace("2.pcapng", "--workers", "2").equals(one)).toBe(true);
    expect(trace("3.pcapng", "--seed", "other").equals(one)).toBe(false);
    const names = (bytes: Buffer) =>
      readAll(bytes)
        .records.flatMap((record) => (record.kind === "interface" ? [record.name] : []))
        .sort();
    expect(names(one)).toEqual(["host1/host/eth0", "host2/host/eth0"]);
    const inside = trace("4.pcapng", "--capture", "host1/alpine1/eth?", "--capture", "*/test-net/vxlan0");
    expect(names(inside)).toEqual(["host1/alpine1/eth0", "host1/test-net/vxlan0", "host2/test-net/vxlan0"]);
    const short = readPackets(trace("5.pcapng", "--snaplen", "60"));
    expect(Math.max(...short.map((packet) => packet.data.length))).toBe(60);
  });

  it("says when no device fits a pattern", () => {
    const { status, err } = swarmwire(
      "run",
      "standalone",
      "--quiet",
      "--pcap",
      join(folder, "e.pcapng"),
      "--capture",
      "x/*",
    );
    expect(status).toBe(1);
    expect(err).toMatch(/is empty: no device is called x\/\*; names are host\/namespace\/device/);
  });

  it.skipIf(!existsSync("/dev/full"))("a full disk: the run goes on, one message, status 1", () => {
    const { status, out, err } = swarmwire("run", "standalone", "--pcap", "/dev/full");
    expect(status).toBe(1);
    expect(out).toContain("all as expected");
    expect(out).not.toContain("Trace:");
    expect(err).toMatch(
      /^swarmwire: the trace \/dev\/full ends here: ENOSPC: no space left on device, write; the run goes on without it\n$/,
    );
  });

  it("--until stops in time", () => {
    const { status, out } = swarmwire("run", "standalone", "--until", "6s");
    expect(status).toBe(0);
    expect(out).toContain("6s of virtual time");
    expect(out).toContain("Stopped before the end of the last step.");
  });
});

/** Runs the command until its output says so, then sends a signal. */
async function interrupted(signal: NodeJS.Signals, when: string, args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    if (out.includes(when)) setTimeout(() => child.kill(signal), 300);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, out, err };
}

describe("signals", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s: status %i, a whole trace of what was shown, a message", async (signal, status) => {
    const path = join(folder, `${signal}.pcapng`);
    const run = await interrupted(signal, "1000h", ["run", lab("long.yaml", LONG), "--pcap", path]);
    expect(run.status).toBe(status);
    expect(run.out).toContain("Stopped before the end of the last step.");
    expect(run.out).not.toContain("never");
    expect(run.err).toMatch(/^swarmwire: interrupted at .*s of virtual time\n$/);
    const { records, error } = readAll(readFileSync(path));
    expect(error).toBeUndefined();
    const packets = records.filter((record) => record.kind === "packet");
    const told = Number(/, (\d+) packets\. Open it/.exec(run.out)?.[1]);
    expect(packets.length).toBe(told);
    expect(told).toBeGreaterThan(100);
  });

  it("the keys of ESP packets stand beside the trace of a run that was cut, and those of an earlier run don't", async () => {
    const path = join(folder, "secret.pcapng");
    const keys = `${path}.esp_sa`;
    writeFileSync(keys, "old\n");
    swarmwire("run", lab("plain.yaml", "hosts: { host1: {} }\nsteps:\n  - host1: docker swarm init\n"), "--pcap", path);
    expect(existsSync(keys)).toBe(false);
    const secret = LONG.replace(
      "  - wait: 1000h\n",
      `  - host1: docker network create --opt encrypted --driver overlay --attachable enc-net
  - host1: docker run -dit --name c1 --network enc-net alpine
  - host2: docker run -dit --name c2 --network enc-net alpine
  - host1: docker exec c1 ping -c 2 c2
  - wait: 1000h
`,
    );
    const run = await interrupted("SIGINT", "1000h", ["run", lab("secret.yaml", secret), "--pcap", path]);
    expect(run.status).toBe(130);
    expect(run.out).toContain(`ESP keys: ${keys}, `);
    const table = readFileSync(keys, "utf8");
    expect(table.split("\n").slice(0, 6)).toEqual(
      Array(6).fill(expect.stringMatching(/^"IPv4","192\.168\.77\.1[12]",/)),
    );
    // What it says to type, typed; only where there is a tshark.
    const typed = run.out
      .split("\n")
      .flatMap((line) => /^ {2}((?:mkdir|WIRESHARK).*?)(?: {3}.*)?$/.exec(line)?.[1] ?? []);
    expect(typed).toHaveLength(2);
    const command = `${typed.join(" && ")} -Y 'icmp && esp.icv_good == 1' -o esp.enable_authentication_check:TRUE`;
    const tshark = spawnSync("sh", ["-c", command], { cwd: folder, encoding: "utf8" });
    if (tshark.status !== 127) expect(tshark.stdout.trimEnd().split("\n")).toHaveLength(8);
  });

  const script = spawnSync("script", ["--version"]).status === 0;

  it.skipIf(!script)("on a terminal: a line of progress on standard error, and Ctrl-C on the keyboard", async () => {
    const command = `${process.execPath} ${BIN} run ${lab("tty.yaml", LONG)} >/dev/null`;
    const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    let screen = "";
    child.stdout.on("data", (chunk: Buffer) => {
      screen += chunk.toString();
      if (/\d+h\d+m\d+s of virtual time, step 4 of 5/.test(screen) && !child.stdin.writableEnded)
        child.stdin.end("\x03");
    });
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    expect(status).toBe(130);
    // The line of progress is taken away before anything else is said.
    expect(screen).toContain("\r\x1b[Kswarmwire: interrupted at ");
  });

  it("a reader that goes away, as head does, is no error", async () => {
    const path = join(folder, "unread.pcapng");
    const child = spawn(process.execPath, [BIN, "run", "standalone", "--pcap", path], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.stdout.destroy();
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    expect([status, err]).toEqual([141, ""]);
    expect(readAll(readFileSync(path)).error).toBeUndefined();
  });
});

describe("shell", () => {
  function shell(input: string, ...args: string[]): { status: number | null; out: string; err: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, "shell", ...args], {
      encoding: "utf8",
      input,
    });
    return { status, out: stdout, err: stderr };
  }

  it("commands, an attached container with its own prompt, other hosts, time", () => {
    const { status, out, err } = shell(
      [
        "hostname",
        "docker run -it --name c1 alpine",
        "pwd",
        "@host2",
        "hostname",
        "@host1",
        "echo again",
        "exit",
        "@wait 1h",
        "docker ps -a --format '{{.Names}} {{.Status}}'",
        "",
      ].join("\n"),
    );
    expect([status, err]).toEqual([0, ""]);
    expect(out).toBe(
      [
        "host1$ hostname",
        "host1",
        "host1$ docker run -it --name c1 alpine",
        "/ # pwd",
        "/",
        "/ # @host2",
        "host2$ hostname",
        "host2",
        "host2$ @host1",
        "/ # echo again",
        "again",
        "/ # exit",
        "host1$ @wait 1h",
        "host1$ docker ps -a --format '{{.Names}} {{.Status}}'",
        "c1 Exited (0) About an hour ago",
        "host1$ \n",
      ].join("\n"),
    );
  });

  it("mistakes, and output that comes late", () => {
    const { out } = shell("@nosuch\n@wait soon\n@help\n@hosts\nfrob\n(sleep 2; echo late) &\n@wait 3s\n");
    expect(out).toContain("there is no host nosuch; @hosts lists them, @help says more\n");
    expect(out).toContain("@wait: expected a time like 10s or 12h\n");
    expect(out).toContain("@wait 1h   let virtual time pass\n");
    expect(out).toContain("host1$ @hosts\nhost1\nhost2\n");
    expect(out).toContain("frob: not found\n");
    expect(out).toContain("@wait 3s\n[host1] late\nhost1$ ");
  });

  it("end of input ends a container's shell, and swarmwire", () => {
    const { status, out } = shell("docker run -it --rm --name c1 alpine");
    expect(status).toBe(0);
    expect(out).toMatch(/\/ # \n*$/);
  });

  it("a lab's steps first; a trace", () => {
    const path = join(folder, "shell.pcapng");
    const { status, out } = shell("docker node ls\n", "firewall-4789", "--pcap", path);
    expect(status).toBe(0);
    expect(out).toMatch(/host1\$ docker node ls\nID +HOSTNAME/);
    expect(readPackets(readFileSync(path)).length).toBeGreaterThan(100);
  });

  it.each([
    ["SIGHUP", 129],
    ["SIGTERM", 143],
  ] as const)("a terminal that goes away (%s) leaves a whole trace", async (signal, expected) => {
    const path = join(folder, `${signal}.pcapng`);
    const child = spawn(process.execPath, [BIN, "shell", "--pcap", path], { stdio: ["pipe", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (/rtt min.*host1\$ $/s.test(out)) child.kill(signal);
    });
    child.stdin.write("ping -c 3 192.168.77.12\n");
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    expect(status).toBe(expected);
    const { records, error } = readAll(readFileSync(path));
    expect(error).toBeUndefined();
    expect(records.filter((record) => record.kind === "packet").length).toBeGreaterThan(6);
  });
});
