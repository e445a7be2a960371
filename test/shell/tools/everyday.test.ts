// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables
/** Small tools, and /proc and /sys, in a container of a lab. */
import { describe, expect, it } from "vitest";
import { kernelBuilt } from "../../support/kernel.ts";
import { labOf, runLab } from "../../support/lab.ts";

/** Scripts and what busybox 1.35 prints for them. */
const SCRIPTS: readonly (readonly [script: string, out: string])[] = [
  ["printf 'hello world' | base64", "aGVsbG8gd29ybGQ=\n"],
  ["echo aGVsbG8gd29ybGQ= | base64 -d", "hello world"],
  ["seq 100 | base64 -w 0 | base64 -d | md5sum", "d632eba71107bf7bc3ec423eab256d78  -\n"],
  ["seq 3 | tac", "3\n2\n1\n"],
  ["printf 'a\\n\\nb\\n' | nl", "     1\ta\n       \n     2\tb\n"],
  ["seq 3 > /tmp/a; seq 4 6 > /tmp/b; paste -d : /tmp/a /tmp/b", "1:4\n2:5\n3:6\n"],
  ["seq 3 | paste -s -d ,", "1,2,3\n"],
  ["echo abcdefgh | fold -w 3", "abc\ndef\ngh\n"],
  [
    "printf 'hello world 12345' | xxd",
    "00000000: 6865 6c6c 6f20 776f 726c 6420 3132 3334  hello world 1234\n00000010: 35                                       5\n",
  ],
  ["printf abc | xxd -p", "616263\n"],
  ["echo 616263 | xxd -r -p", "abc"],
  ["printf '1\\n2\\n' > /tmp/a; printf '2\\n3\\n' > /tmp/b; comm /tmp/a /tmp/b", "1\n\t\t2\n\t3\n"],
  ["comm -12 /tmp/a /tmp/b", "2\n"],
  ["cmp /tmp/a /tmp/b; echo $?", "/tmp/a /tmp/b differ: char 1, line 1\n1\n"],
  ["echo a.c | fgrep .; echo abc | fgrep . ; echo $?", "a.c\n1\n"],
  ["mkdir -p /tmp/x/y; touch /tmp/x/1.txt /tmp/x/y/2.txt; find /tmp/x -name '*.txt'", "/tmp/x/1.txt\n/tmp/x/y/2.txt\n"],
  ["find /tmp/x -type d", "/tmp/x\n/tmp/x/y\n"],
  ["realpath /tmp/x/../x", "/tmp/x\n"],
  ["f=$(mktemp) && test -f $f && echo ${#f}", "15\n"],
  ["truncate -s 3 /tmp/t; wc -c < /tmp/t", "3\n"],
  ["nice sh -c 'echo n'; nohup echo h; setsid echo s", "n\nh\ns\n"],
  [
    "chmod +x /tmp/t && chown root:root /tmp/t && echo ok; chmod 1 /nosuch; true",
    "ok\nchmod: /nosuch: No such file or directory\n",
  ],
  ["cat /proc/sys/net/ipv4/ip_forward; cat /sys/class/net/eth0/mtu; cat /proc/sys/kernel/hostname", "1\n1500\nc1\n"],
  ["ls /sys/class/net; tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/comm", "eth0\nlo\nsleep 10000 sleep\n"],
  ["head -1 /proc/net/route | cut -f 1-4; grep -c eth0 /proc/net/dev", "Iface\tDestination\tGateway \tFlags\n1\n"],
  ["grep '^eth0.*00000000.*0003' /proc/net/route | cut -f 3", "010011AC\n"],
  [
    "echo 0 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward",
    "sh: can't create /proc/sys/net/ipv4/ip_forward: Read-only file system\n",
  ],
  [
    "ping -c 1 172.17.0.1 > /dev/null; cut -c 1-61 /proc/net/arp | tail -1 | cut -d : -f 1",
    "172.17.0.1       0x1         0x2         02\n",
  ],
  ["nc -l -p 77 & sleep 1; cut -c 1-39 /proc/net/tcp | tail -1", "   0: 00000000:004D 00000000:0000 0A 00\n"],
];

describe.skipIf(!kernelBuilt)("everyday tools", () => {
  it("print what busybox prints", async () => {
    const quoted = (text: string): string => JSON.stringify(text);
    const steps = SCRIPTS.map(
      ([script, out]) =>
        `  - host1: ${quoted(`docker exec c1 sh -c "${script.replace(/["$\\]/g, "\\$&")}"`)}\n    expect: [${quoted(out)}]`,
    );
    const lab = `name: everyday\nhosts: { host1: {} }\nsteps:\n  - host1: docker run -d --name c1 --hostname c1 alpine sleep 10000\n${steps.join("\n")}
  - host1: echo 0 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward; sysctl -w net.ipv4.ip_forward=1
    expect: ["0\\nnet.ipv4.ip_forward = 1\\n"]
  - host1: ls /proc/sys/net/ipv4/conf; cat /proc/sys/kernel/osrelease
    expect: ["all", "docker0", "6.1.0-56-amd64"]
`;
    const run = await runLab(labOf(lab));
    expect(run.failures).toEqual([]);
  });
});
