import { describe, expect, it } from "vitest";
import { hostTools } from "../../../src/shell/tools/registry.ts";
import { FakeHostKernel, type FakeNetNs } from "../../support/fake-netns.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../../support/golden.ts";
import { ProgramHost, type RunResult } from "../harness.ts";

const host = new ProgramHost();

function namespace(): FakeNetNs {
  return new FakeHostKernel("host1", 0, { ip: 0xc0a84d0b, prefix: 24 }).root;
}

/** Words of a command line with double quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map((match) => match[1] ?? (match[2] as string));
}

function run(ns: FakeNetNs, line: string): RunResult {
  const argv = words(line);
  const program = hostTools.get(argv[0] as string);
  if (program === undefined) throw new Error(`no program ${argv[0]}`);
  return host.run(program, argv, { ns, limit: 1e9 });
}

/** The iptables-save part of a dump, without comments and counters of rules. */
function savedTables(path: string): string[] {
  const text = goldenText(path);
  const start = text.indexOf("### iptables-save -c");
  const part = text.slice(start, text.indexOf("\n### ", start + 1));
  return part
    .split("\n")
    .slice(1)
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(/^\[\d+:\d+\] /, ""));
}

const DUMPS = [
  "A-swarm-init/manager/state-1-swarm-up/host.txt",
  "B-standalone-attachable/manager/state-2-after-traffic/host.txt",
  "B-standalone-attachable/manager/state-2-after-traffic/ns-ctr-alpine1.txt",
  "A-swarm-init/manager/state-1-swarm-up/ns-ingress_sbox.txt",
];

describe.skipIf(!goldenAvailable)(goldenTitle("iptables on captured rules"), () => {
  it.each(DUMPS)("applies %s rule by rule and saves the same text", (path) => {
    const lines = savedTables(path);
    const ns = namespace();
    let table = "";
    for (const line of lines) {
      if (line.startsWith("*")) table = line.slice(1);
      else if (/^:\S+ -/.test(line))
        expect(run(ns, `iptables -t ${table} -N ${line.slice(1).split(" ")[0]}`).err).toBe("");
      else if (line.startsWith(":")) {
        const [chain, policy] = line.slice(1).split(" ");
        expect(run(ns, `iptables -t ${table} -P ${chain} ${policy}`).err).toBe("");
      } else if (line.startsWith("-A"))
        expect(run(ns, `iptables -t ${table} ${line}`)).toMatchObject({ err: "", status: 0 });
    }
    const saved = run(ns, "iptables-save")
      .out.split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines.length === 0 || saved.length > 3).toBe(true);
    expect(saved).toEqual(lines);
  });

  it("takes encryption's marks and matches", () => {
    const ns = namespace();
    const rule =
      '-p udp -m policy --dir in --pol none -m udp --dport 4789 -m u32 --u32 "0>>22&0x3C@12&0xFFFFFF00=0x100200" -j DROP';
    run(ns, `iptables -A INPUT ${rule}`);
    run(ns, "iptables -t mangle -A OUTPUT -p udp --dport 4789 -j MARK --set-mark 13681891");
    expect(run(ns, "iptables -S INPUT").out).toContain(
      '-A INPUT -p udp -m policy --dir in --pol none -m udp --dport 4789 -m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x100200" -j DROP\n',
    );
    expect(run(ns, "iptables-save -t mangle").out).toContain(
      "-A OUTPUT -p udp -m udp --dport 4789 -j MARK --set-xmark 0xd0c4e3/0xffffffff\n",
    );
  });

  it("lists an empty table as the real one does", () => {
    const text = goldenText("B-standalone-attachable/manager/state-2-after-traffic/host.txt");
    const start = text.indexOf("### iptables -t mangle -nvL\n");
    const part = text.slice(text.indexOf("\n", start) + 1, text.indexOf("\n### ", start + 1));
    expect(run(namespace(), "iptables -t mangle -nvL").out).toBe(part);
  });

  it("lists a marking rule as the real one does", () => {
    const ns = namespace();
    run(ns, "iptables -t mangle -A INPUT -d 10.0.3.2/32 -j MARK --set-xmark 0x101/0xffffffff");
    run(ns, "iptables -t mangle -A PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x100/0xffffffff");
    const { out } = run(ns, "iptables -t mangle -nvL");
    expect(out).toContain(
      "    0     0 MARK       0    --  *      *       0.0.0.0/0            10.0.3.2             MARK set 0x101\n",
    );
    expect(out).toContain(
      "    0     0 MARK       6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:8080 MARK set 0x100\n",
    );
  });
});

describe("iptables", () => {
  it("inserts, checks and deletes", () => {
    const ns = namespace();
    run(ns, "iptables -A INPUT -p tcp --dport 22 -j ACCEPT");
    run(ns, "iptables -I INPUT ! -s 10.0.0.0/8 -i eth0 -m conntrack --ctstate NEW -j REJECT");
    expect(run(ns, "iptables -S INPUT").out).toBe(
      "-P INPUT ACCEPT\n-A INPUT ! -s 10.0.0.0/8 -i eth0 -m conntrack --ctstate NEW -j REJECT --reject-with icmp-port-unreachable\n" +
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    expect(run(ns, "iptables -C INPUT -p tcp --dport 22 -j ACCEPT").status).toBe(0);
    expect(run(ns, "iptables -D INPUT -p tcp --dport 22 -j ACCEPT").status).toBe(0);
    expect(run(ns, "iptables -C INPUT -p tcp --dport 22 -j ACCEPT")).toMatchObject({
      status: 1,
      err: "iptables: Bad rule (does a matching rule exist in that chain?).\n",
    });
    expect(run(ns, "iptables -D INPUT 1").status).toBe(0);
    expect(run(ns, "iptables -S INPUT").out).toBe("-P INPUT ACCEPT\n");
  });

  it("keeps `-m state` apart from `-m conntrack`", () => {
    const ns = namespace();
    run(ns, "iptables -A INPUT -m state -p tcp --sport 8080 --state ESTABLISHED,RELATED -j ACCEPT");
    expect(run(ns, "iptables -S INPUT").out).toBe(
      "-P INPUT ACCEPT\n-A INPUT -p tcp -m state --state RELATED,ESTABLISHED -m tcp --sport 8080 -j ACCEPT\n",
    );
    expect(run(ns, "iptables -L INPUT -n").out).toContain("state RELATED,ESTABLISHED");
    expect(
      run(ns, "iptables -C INPUT -p tcp --sport 8080 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT").status,
    ).toBe(1);
    expect(run(ns, "iptables -D INPUT -p tcp --sport 8080 -m state --state ESTABLISHED,RELATED -j ACCEPT").status).toBe(
      0,
    );
  });

  it("refuses what the real one refuses", () => {
    const ns = namespace();
    const hint = "Try `iptables -h' or 'iptables --help' for more information.\n";
    expect(run(ns, "iptables -A NOSUCH -j DROP")).toMatchObject({
      status: 1,
      err: "iptables: No chain/target/match by that name.\n",
    });
    expect(run(ns, "iptables -A INPUT -j NOSUCH")).toMatchObject({
      status: 2,
      err: `iptables v1.8.9 (nf_tables): Chain 'NOSUCH' does not exist\n${hint}`,
    });
    expect(run(ns, "iptables -A INPUT --frob -j DROP")).toMatchObject({
      status: 2,
      err: `iptables v1.8.9 (nf_tables): unknown option "--frob"\n${hint}`,
    });
    run(ns, "iptables -N MINE");
    expect(run(ns, "iptables -N MINE")).toMatchObject({ status: 1, err: "iptables: Chain already exists.\n" });
    run(ns, "iptables -A INPUT -j MINE");
    expect(run(ns, "iptables -X MINE").status).toBe(2);
    run(ns, "iptables -F");
    expect(run(ns, "iptables -X MINE")).toMatchObject({ status: 0, err: "" });
  });
});
