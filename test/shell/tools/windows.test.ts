/** Windows' tools: texts of ping on a scripted network, and cmd's way with a line. */
import { describe, expect, it } from "vitest";
import { KernelError } from "../../../src/base/errors.ts";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import type { IcmpReply, IcmpSocket } from "../../../src/kernel/socket-types.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { Signal } from "../../../src/scheduler/process.ts";
import { cmd } from "../../../src/shell/tools/windows/cmd.ts";
import { windowsPing } from "../../../src/shell/tools/windows/ping.ts";
import { programName, WindowsPrograms, windowsPath } from "../../../src/shell/tools/windows/programs.ts";
import { windowsTools } from "../../../src/shell/tools/windows/registry.ts";
import { ProgramHost } from "../harness.ts";

const MS = 1e6;

/** What becomes of a request: an answer after some ms, an error of a type and code, silence, or a refusal. */
type Fate = number | readonly [type: number, code: number] | undefined | "ENETUNREACH" | "EMSGSIZE";

interface Sent {
  readonly seq: number;
  readonly data: Uint8Array;
  readonly time: number;
}

/** A namespace whose ICMP socket meets these fates in order. */
function scripted(host: ProgramHost, fates: readonly Fate[], log: Sent[] = []): NetNs {
  const open = (): IcmpSocket => {
    const signal = new Signal();
    const arrived: IcmpReply[] = [];
    return Object.assign(signal, {
      id: 1,
      closed: false,
      takeError: () => undefined,
      setOwner: () => {},
      close: () => {},
      localAddress: () => ({ ip: 0, port: 1 }),
      setTtl: () => {},
      setPmtuDiscovery: () => {},
      pathMtu: () => 1450,
      tryRecv: () => arrived.shift(),
      sendEcho: (src: number, seq: number, data: Uint8Array) => {
        const fate = fates[log.length];
        log.push({ seq, data, time: host.os.now() });
        if (typeof fate === "string") throw new KernelError(fate, "sendto");
        if (fate === undefined) return;
        const [type, code, delay] = typeof fate === "number" ? [0, 0, fate] : [...fate, 1];
        host.network.after(delay * MS, () => {
          arrived.push({ type, code, id: 1, seq, src, ttl: 128, time: host.os.now(), data, info: 0 });
          signal.notify();
        });
      },
    });
  };
  return Object.create(host.os.kernel.root, { socket: { value: { icmp: open } } }) as NetNs;
}

const files = new LayeredFiles(new Map([["/etc/hosts", "10.0.1.4 w1\n"]]), new Map());

describe("ping", () => {
  it("answers, silence, and the summary", () => {
    const host = new ProgramHost();
    const log: Sent[] = [];
    const ns = scripted(host, [0.2, 12.7, undefined, 3], log);
    const { out, status } = host.run(windowsPing, ["ping", "w1"], { ns, files });
    expect(out).toBe(`
Pinging w1 [10.0.1.4] with 32 bytes of data:
Reply from 10.0.1.4: bytes=32 time<1ms TTL=128
Reply from 10.0.1.4: bytes=32 time=12ms TTL=128
Request timed out.
Reply from 10.0.1.4: bytes=32 time=3ms TTL=128

Ping statistics for 10.0.1.4:
    Packets: Sent = 4, Received = 3, Lost = 1 (25% loss),
Approximate round trip times in milli-seconds:
    Minimum = 0ms, Maximum = 12ms, Average = 5ms
`);
    expect(status).toBe(0);
    expect(new TextDecoder().decode(log[0]?.data)).toBe("abcdefghijklmnopqrstuvwabcdefghi");
    // A second apart; at once after one that timed out.
    expect(log.map(({ time }) => Math.round((time - (log[0]?.time ?? 0)) / MS))).toEqual([0, 1000, 2000, 6000]);
  });

  it("nobody answers", () => {
    const host = new ProgramHost();
    const { out, status } = host.run(windowsPing, ["ping", "-n", "2", "-w", "500", "10.0.1.9"], {
      ns: scripted(host, []),
      files,
    });
    expect(out).toBe(
      "\nPinging 10.0.1.9 with 32 bytes of data:\nRequest timed out.\nRequest timed out.\n" +
        "\nPing statistics for 10.0.1.9:\n    Packets: Sent = 2, Received = 0, Lost = 2 (100% loss),\n",
    );
    expect(status).toBe(1);
  });

  it.each<[Fate, string, number]>([
    [[3, 1], "Reply from 10.0.1.4: Destination host unreachable.", 0],
    [[3, 0], "Reply from 10.0.1.4: Destination net unreachable.", 0],
    [[11, 0], "Reply from 10.0.1.4: TTL expired in transit.", 0],
    ["ENETUNREACH", "PING: transmit failed. General failure. ", 1],
    ["EMSGSIZE", "Packet needs to be fragmented but DF set.", 1],
  ])("%j", (fate, line, expected) => {
    const host = new ProgramHost();
    const { out, status } = host.run(windowsPing, ["ping", "-n", "1", "w1"], { ns: scripted(host, [fate]), files });
    expect(out).toContain(`${line}\n`);
    expect(status).toBe(expected);
  });

  it.each([
    [["-n"], "Value must be supplied for option -n."],
    [["-n", "0", "w1"], "Bad value for option -n, valid range is from 1 to 4294967295."],
    [["-l", "70000", "w1"], "Bad value for option -l, valid range is from 0 to 65500."],
    [["-q", "w1"], "Bad option -q."],
    [[], "Usage: ping"],
  ])("%j is refused", (args, message) => {
    const host = new ProgramHost();
    const { out, status } = host.run(windowsPing, ["ping", ...args], { ns: scripted(host, []), files });
    expect(out).toContain(message);
    expect(status).toBe(1);
  });
});

describe("cmd", () => {
  const programs = windowsTools();
  const container = new LayeredFiles(new Map([["/dir/a.txt", "hello\n"]]), new Map());
  const run = (line: string) => new ProgramHost().run(cmd, ["cmd", "/c", line], { programs, files: container });

  it.each([
    ["hostname", "host1\n", 0],
    ["hostname && echo yes", "host1\nyes\n", 0],
    ["hostname>nul || echo no", "", 0],
    ["type missing 2>nul || echo no", "no\n", 0],
    ["type C:\\DIR\\A.TXT & echo %ERRORLEVEL%", "hello\n0\n", 0],
    ["echo %COMPUTERNAME% %NOSUCH%", "HOST1 %NOSUCH%\n", 0],
    ["cd dir && type a.txt && cd", "hello\nC:\\dir\n", 0],
    ['echo "a && b"', '"a && b"\n', 0],
    ["exit 7", "", 7],
    ["exit /b 3 & echo never", "", 3],
  ])("%s", (line, out, status) => {
    expect(run(line)).toMatchObject({ out, status });
  });

  it("doesn't know everything", () => {
    expect(run("frob -x").err).toBe(
      "'frob' is not recognized as an internal or external command,\noperable program or batch file.\n",
    );
    expect(run("frob -x").status).toBe(1);
    // The line is expanded before its commands run.
    expect(run("frob & echo %ERRORLEVEL%").out).toBe("0\n");
    expect(run("hostname | more").err).toContain("no pipes");
  });

  it("prompts", () => {
    const { out } = new ProgramHost().run(cmd, ["cmd"], {
      programs,
      files: container,
      stdin: "cd DIR\nfrob\necho %ERRORLEVEL%\nexit\n",
    });
    expect(out).toBe(
      "Microsoft Windows [Version 10.0.20348.1668]\n(c) Microsoft Corporation. All rights reserved.\n\n" +
        "C:\\>\nC:\\dir>\nC:\\dir>9009\n\nC:\\dir>",
    );
  });
});

describe("names", () => {
  it("programs are found whatever their case, with a path or .exe", () => {
    for (const name of ["PING", "ping.exe", "C:\\Windows\\System32\\PING.EXE", "c:/windows/system32/ping"])
      expect(programName(name), name).toBe("ping");
    const programs = new WindowsPrograms([["ping", windowsPing]]);
    expect(programs.get("C:\\Windows\\System32\\PING.EXE")).toBe(windowsPing);
    expect(programs.has("pong")).toBe(false);
  });

  it("paths", () => {
    expect(windowsPath("C:\\", "dir\\a")).toBe("/dir/a");
    expect(windowsPath("C:\\x", "\\dir\\a")).toBe("/dir/a");
    expect(windowsPath("C:\\x", "c:/dir/a")).toBe("/dir/a");
  });
});
