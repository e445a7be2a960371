import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { IpvsConnection, IpvsServiceInfo } from "../../../src/kernel/ipvs-types.ts";
import {
  listConnections,
  listServices,
  procIpVs,
  procIpVsConn,
  procIpVsStats,
} from "../../../src/shell/lib/ipvs-text.ts";
import { hostTools } from "../../../src/shell/tools/registry.ts";
import { type Farm, farm, VIP } from "../../ipvs/net.ts";
import { goldenAvailable, goldenFolder, goldenText, goldenTitle } from "../../support/golden.ts";
import { ip, kernelBuilt, pass } from "../../support/kernel.ts";
import { ProgramHost, type RunResult } from "../harness.ts";

const host = new ProgramHost();
let net: Farm;

beforeEach(async () => {
  if (kernelBuilt) net = await farm();
});

function run(line: string, stdin?: string): RunResult {
  const program = hostTools.get("ipvsadm");
  if (program === undefined) throw new Error("no ipvsadm");
  return host.run(program, line.split(" "), {
    ns: net.director,
    limit: 1e9,
    ...(stdin === undefined ? {} : { stdin }),
  });
}

function ok(line: string): string {
  const { out, err, status } = run(line);
  expect({ line, err, status }).toEqual({ line, err: "", status: 0 });
  return out;
}

const fails = (line: string, err: string, status = 255): void => {
  expect(run(line)).toEqual({ out: "", err: `${err}\n`, status });
};

const SCENARIO = "J-ipvs-schedulers";
const files = goldenAvailable ? readdirSync(join(goldenFolder, SCENARIO)).filter((name) => name.endsWith(".txt")) : [];

describe.skipIf(!kernelBuilt || !goldenAvailable)(goldenTitle("ipvsadm on the tables of a real kernel"), () => {
  it.each(files)("%s", (name) => {
    const text = goldenText(`${SCENARIO}/${name}`);
    const block = (from: string, to: RegExp): string => {
      const rest = text.slice(text.indexOf(from) + from.length);
      return rest.slice(0, to.exec(rest)?.index ?? rest.length).replace(/^# /gm, "");
    };
    const before = block("# --- configuration ---\n", /^# -A/m);
    const commands = text.match(/(?<=^# )-[Aa] .*$/gm) ?? [];
    const after = block("# --- ipvsadm -Ln after ---\n", /^# ---/m);
    for (const command of commands) ok(`ipvsadm ${command}`);
    expect(ok("ipvsadm -Ln")).toBe(before);
    expect(ok("ipvsadm -Sn")).toBe(commands.map((command) => `${command}\n`).join(""));
    for (const [, client = "", port = ""] of text.matchAll(/^(\d\S+) (\d+) (\d\S+)$/gm)) {
      const socket = net.client.socket.udp();
      socket.bind(ip(client), Number(port));
      socket.sendTo(new Uint8Array(5), ip(VIP), 80);
      pass(net.kernel, 1e5);
      socket.close();
    }
    expect(ok("ipvsadm -L -n")).toBe(after);
    // The order of connections hangs on a random number of the kernel's, and they are some seconds old.
    const rows = (table: string): string[] =>
      table
        .replace(/ 0[45]:\d\d /g, " 05:00 ")
        .replace(/ {2}\d\d\d$/gm, "  300")
        .split("\n")
        .filter((line) => line !== "")
        .sort();
    const tables = ok("ipvsadm -Lcn") + procIpVsConn(net.director.ipvs);
    expect(rows(tables)).toEqual(rows(goldenText(`${SCENARIO}/${name.replace(".txt", ".lcn")}`)));
  });

  it("twos", () => {
    fails(`ipvsadm -A -u ${VIP}:80 -s twos`, goldenText(`${SCENARIO}/udp-twos-equal.err`).trimEnd());
  });
});

const NONE = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
const SOME = { connections: 1, packetsIn: 53, packetsOut: 65, bytesIn: 2847, bytesOut: 203605 };

describe.skipIf(!goldenAvailable)(goldenTitle("listings of a service's sandbox"), () => {
  const text = goldenAvailable ? goldenText("D-service-vip/manager/state-3-after-vip-manager/ns-lb_z40ukpj0j.txt") : "";
  const section = (title: string): string => {
    const start = text.indexOf(`### ${title}\n`) + title.length + 5;
    return text.slice(start, text.indexOf("\n### ", start)).replace(/\n+$/, "\n");
  };
  const service: IpvsServiceInfo = {
    id: { fwmark: 257 },
    scheduler: "rr",
    stats: SOME,
    destinations: [5, 6, 3, 4, 7].map((last) => ({
      address: ip(`10.0.3.${last}`),
      port: 0,
      forwarding: "masq",
      weight: 1,
      activeConnections: 0,
      inactiveConnections: last === 5 ? 1 : 0,
      persistentConnections: 0,
      stats: last === 5 ? SOME : NONE,
    })),
  };
  const connection: IpvsConnection = {
    protocol: "tcp",
    client: { ip: ip("10.0.3.3"), port: 56954 },
    virtual: { ip: ip("10.0.3.2"), port: 80 },
    destination: { ip: ip("10.0.3.5"), port: 80 },
    state: "TIME_WAIT",
    expires: 90.5e9,
    fwmark: 257,
  };
  const ipvs = { services: () => [service], connections: () => [connection], stats: () => SOME } as never;
  const how = { numeric: true, exact: false, sorted: true };

  it("ipvsadm -Ln, --stats, -Lcn", () => {
    expect(listServices([service], { ...how, columns: "default" })).toBe(section("ipvsadm -Ln"));
    expect(listServices([service], { ...how, columns: "stats" })).toBe(section("ipvsadm -Ln --stats"));
    expect(listConnections([connection], true).replace(/ +$/gm, "")).toBe(section("ipvsadm -Lcn"));
  });

  it("/proc/net/ip_vs, ip_vs_conn, ip_vs_stats", () => {
    expect(procIpVs(ipvs)).toBe(section("/proc/net/ip_vs"));
    expect(procIpVsConn(ipvs)).toBe(section("/proc/net/ip_vs_conn"));
    // The counters of rates are not kept here.
    expect(procIpVsStats(ipvs).split("\n").slice(0, 5)).toEqual(
      section("/proc/net/ip_vs_stats").split("\n").slice(0, 5),
    );
  });
});

describe.skipIf(!kernelBuilt)("ipvsadm", () => {
  it("services of all kinds, their options in listings and dumps", () => {
    ok("ipvsadm -A -t 10.1.0.1:80 -s wrr -p 600 -M 255.255.255.0");
    ok("ipvsadm -A -u 10.1.0.1:53 -s rr -o");
    ok("ipvsadm -A -f 7 -p");
    ok("ipvsadm --add-service --sctp-service 10.1.0.1:5000 --scheduler=sh --sched-flags sh-port,sh-fallback");
    ok("ipvsadm -a -t 10.1.0.1:80 -r 10.1.1.1 -m -w 3 -x 100 -y 50");
    ok("ipvsadm -a -t 10.1.0.1:80 -r 10.1.1.2:8080 -i");
    ok("ipvsadm -a -f 7 -r 10.1.1.3:0 -g");
    expect(ok("ipvsadm -Ln")).toBe(`IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.1.0.1:80 wrr persistent 600 mask 255.255.255.0
  -> 10.1.1.1:80                  Masq    3      0          0         
  -> 10.1.1.2:80                  Tunnel  1      0          0         
UDP  10.1.0.1:53 rr ops
SCTP 10.1.0.1:5000 sh (sh-fallback,sh-port)
FWM  7 wlc persistent 360
  -> 10.1.1.3:0                   Route   1      0          0         
`);
    const saved = ok("ipvsadm -S -n");
    expect(saved).toBe(`-A -t 10.1.0.1:80 -s wrr -p 600 -M 255.255.255.0
-a -t 10.1.0.1:80 -r 10.1.1.1:80 -m -w 3
-a -t 10.1.0.1:80 -r 10.1.1.2:80 -i -w 1
-A -u 10.1.0.1:53 -s rr -o
-A --sctp-service 10.1.0.1:5000 -s sh -b sh-fallback,sh-port
-A -f 7 -s wlc -p 360
-a -f 7 -r 10.1.1.3:0 -g -w 1
`);
    expect(ok("ipvsadm -Ln --thresholds -t 10.1.0.1:80")).toContain(
      "  -> 10.1.1.1:80                  100        50         0          0         \n",
    );
    expect(ok("ipvsadm -L -t 10.1.0.1:80")).toContain("TCP  10.1.0.1:http wrr");
    ok("ipvsadm -C");
    expect(ok("ipvsadm -Sn")).toBe("");
    expect(run("ipvsadm -R", saved)).toEqual({ out: "", err: "", status: 0 });
    expect(ok("ipvsadm -Sn")).toBe(saved);
  });

  it("weights change, servers and services go, counters and time-outs are set", () => {
    ok("ipvsadm -A -u 10.1.0.1:53 -s rr");
    ok("ipvsadm -a -u 10.1.0.1:53 -r 10.1.1.1 -m");
    ok("ipvsadm -e -u 10.1.0.1:53 -r 10.1.1.1 -m -w 0");
    ok("ipvsadm -E -u 10.1.0.1:53 -s lc");
    expect(ok("ipvsadm -Sn")).toBe("-A -u 10.1.0.1:53 -s lc\n-a -u 10.1.0.1:53 -r 10.1.1.1:53 -m -w 0\n");
    ok("ipvsadm -d -u 10.1.0.1:53 -r 10.1.1.1");
    ok("ipvsadm -Z");
    ok("ipvsadm -D -u 10.1.0.1:53");
    expect(ok("ipvsadm -L --timeout")).toBe("Timeout (tcp tcpfin udp): 900 120 300\n");
    ok("ipvsadm --set 100 0 50");
    expect(ok("ipvsadm -L --timeout")).toBe("Timeout (tcp tcpfin udp): 100 120 50\n");
    expect(ok("ipvsadm -Ln --rate").split("\n")[1]).toBe(
      "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS",
    );
  });

  it("what is refused", () => {
    fails("ipvsadm -D -t 10.1.0.1:80", "No such service");
    fails("ipvsadm -a -t 10.1.0.1:80 -r 10.1.1.1 -m", "Service not defined");
    ok("ipvsadm -A -t 10.1.0.1:80");
    fails("ipvsadm -A -t 10.1.0.1:80", "Service already exists");
    fails("ipvsadm -E -t 10.1.0.1:80 -s nothing", "Scheduler or persistence engine not found");
    ok("ipvsadm -a -t 10.1.0.1:80 -r 10.1.1.1 -m");
    fails("ipvsadm -a -t 10.1.0.1:80 -r 10.1.1.1 -m", "Destination already exists");
    fails("ipvsadm -e -t 10.1.0.1:80 -r 10.1.1.9 -m", "No such destination");
    fails("ipvsadm -A -t 10.1.0.1", "Zero port specified for non-persistent service", 2);
    fails("ipvsadm -A -t bad:80", "illegal virtual server address[:port] specified", 2);
    fails("ipvsadm -A -f 0", "illegal firewall mark specified", 2);
    fails("ipvsadm -A", "You need to supply the 'service-address' option for the 'add-service' command", 2);
    fails("ipvsadm -D -t 10.1.0.1:80 -s rr", "Illegal 'scheduler' option with the 'delete-service' command", 2);
    fails("ipvsadm -A -D -t 10.1.0.1:80", "multiple commands specified", 2);
  });
});
