// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell variables
/** The shell's language and the text tools, held against what busybox 1.35 printed for the same scripts. */
import { describe, expect, it } from "vitest";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import { RunningProgram } from "../../../src/engine/process-runner.ts";
import { Pipe } from "../../../src/engine/program.ts";
import { busybox, busyboxPrograms } from "../../../src/images/busybox.ts";
import { FakeNetwork, fakeIp } from "../../support/fake-host.ts";

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly status: number | undefined;
}

class Container {
  readonly network = new FakeNetwork();
  readonly os = this.network.addHost("host1", fakeIp(0)).os;
  readonly stdin = new Pipe();
  readonly program: RunningProgram;
  out = "";
  err = "";

  constructor(argv: readonly string[], tty: boolean) {
    const root = {
      os: this.os,
      ns: this.os.kernel.root,
      hostname: "h",
      files: new LayeredFiles(busybox.files, new Map()),
      programs: busyboxPrograms,
      processes: new Set<RunningProgram>(),
    };
    const env = new Map([
      ["PATH", "/bin"],
      ["HOME", "/root"],
    ]);
    const stdout = {
      write: (text: string): void => {
        this.out += text;
      },
    };
    const stderr = {
      write: (text: string): void => {
        if (tty) this.out += text;
        else this.err += text;
      },
    };
    const shell = busyboxPrograms.get("sh") ?? expect.unreachable();
    const io = { stdin: this.stdin, stdout, stderr, tty };
    this.program = new RunningProgram(root, shell, argv, env, "/tmp", io, true);
  }
}

function run(script: string): Ran {
  const container = new Container(["sh", "-c", script], false);
  container.stdin.close();
  container.network.runFor(30e9);
  return { out: container.out, err: container.err, status: container.program.status };
}

describe("what busybox 1.35 prints", () => {
  it.each([
    [
      "echo $((1+2*3)) $((-7%3)) $((2**10)) $((1<<4|3)) $((5>3&&2<1)) $((x=5,x+1)) $((x+=2)) $((x++)) $x",
      "7 -1 1024 19 0 6 7 7 8\n",
    ],
    ["echo $((0x1f)) $((010)) $((~0)) $((3>2?10:20)) $((nope)) $(((1+2)*3))", "31 8 -1 10 0 9\n"],
    [
      "a=abcabc; echo ${a#a} ${a##*b} ${a%c} ${a%%b*} ${#a} ${a/b/X} ${a//b/X} ${a:1:3}",
      "bcabc c abcab a 6 aXcabc aXcaXc bca\n",
    ],
    [
      'set -- a \'b c\' d; echo $#; for i in "$@"; do echo "[$i]"; done; shift; IFS=,; echo "$*" $1',
      "3\n[a]\n[b c]\n[d]\nb c,d b c\n",
    ],
    ['f() { local v=1; echo "$1:$#:$v"; return 3; }; v=9; f x y; echo $? $v', "x:2:1\n3 9\n"],
    ["case abc in x) echo no;; [!x]b*) echo yes;; esac; case 5 in [[:digit:]]) echo dig;; esac", "yes\ndig\n"],
    ["cat <<EOF\nx $((1+1)) `echo hi`\nEOF\ncat <<-'EOF'\n\t$((1))\n\tEOF\n", "x 2 hi\n$((1))\n"],
    ["x=; echo ${x:-d} ${x-e} ${y:=z} $y ${y:+alt} ${nope+no}. ${x:-'s q'} \"${x:-'s q'}\"", "d z z alt . s q 's q'\n"],
    [
      "i=0; until [ $i -ge 2 ]; do i=$((i+1)); echo $i; done; for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done",
      "1\n2\n1\n3\n",
    ],
    [
      "printf '%s-%d-%x|%5s|%-5s|%05d\\n' a 10 255 r l 42; printf '%s\\n' a b; printf '%b' 'x\\ny\\n'",
      "a-10-ff|    r|l    |00042\na\nb\nx\ny\n",
    ],
    ["echo -e 'a\\tb\\x41'; [ \\( a = a \\) -a 2 -gt 1 ] && echo and; echo $'q\\tq'", "a\tbA\nand\nq\tq\n"],
    ["true & wait; echo $?; (exit 5) & wait $!; echo $?; x=$(exit 4); echo $?", "0\n5\n4\n"],
    ["trap 'echo bye' EXIT; echo hi; (exit 3); echo $?", "hi\n3\nbye\n"],
    ["A=1 sh -c 'echo $A $0 $1' name arg; eval 'echo $((1+1))'; command -v echo", "1 name arg\n2\necho\n"],
    ["yes | head -n 2; seq 5 | tail -n 2; seq 3 | tr '\\n' ' '", "y\ny\n4\n5\n1 2 3 "],
    [
      "printf 'b 2\\na 1\\nb 1\\n' | sort | uniq -c; printf 'a:b:c\\n' | cut -d: -f2,3",
      "      1 a 1\n      1 b 1\n      1 b 2\nb:c\n",
    ],
    [
      "printf 'aabb\\n' | tr -s ab; printf 'a1b2\\n' | tr -d 0-9; printf 'x y\\n' | tr '[:lower:]' '[:upper:]'",
      "ab\nab\nX Y\n",
    ],
    [
      "printf 'foo\\nbar\\nfoobar\\n' | grep -n foo; printf 'abc123\\n' | grep -o '[0-9]*'; printf 'a\\nb\\nc\\n' | grep -A1 b",
      "1:foo\n3:foobar\n123\nb\nc\n",
    ],
    [
      "printf 'a b\\n' | sed 's/\\(.\\) \\(.\\)/\\2-\\1/'; seq 4 | sed -n '2,3p'; seq 3 | sed '1!G;h;$!d'; seq 3 | sed '2d;s/$/./'",
      "b-a\n2\n3\n3\n2\n1\n1.\n3.\n",
    ],
    [
      "echo abc | md5sum; printf '' | sha1sum; echo abc | sha256sum | cut -c1-16",
      "0bee89b07a248e27c83fc3d5951213c1  -\nda39a3ee5e6b4b0d3255bfef95601890afd80709  -\nedeaaff3f1774ad2\n",
    ],
    [
      "dd if=/dev/zero bs=4 count=2 2>/dev/null | hexdump -C; head -c 5 /dev/zero | wc -c; head -c 100000 /dev/urandom | wc -c",
      "00000000  00 00 00 00 00 00 00 00                           |........|\n00000008\n5\n100000\n",
    ],
    [
      "mkdir -p d/e; echo hi > d/e/f; cp -r d g; mv g/e/f g/h; ls d/e g; cat g/h; rm -r d g; ls",
      "d/e:\nf\n\ng:\ne\nh\nhi\n",
    ],
    ["expr 1 + 2 \\* 3; expr abc : 'a\\(.*\\)'; basename /a/b.c .c; dirname /a/b", "7\nbc\nb\n/a\n"],
    ['while read a b; do echo "$b-$a"; done <<EOF\nx y z\nEOF\n', "y z-x\n"],
    ["echo err >&2 2>/dev/null; { echo o; echo e >&2; } 2>&1 | sort", "e\no\n"],
  ])("%s", (script, expected) => {
    expect(run(script).out).toBe(expected);
  });

  it.each([
    ["echo $((1/0)); echo after", "sh: divide by zero\n", 2],
    ["echo $((1+)); echo after", "sh: arithmetic syntax error\n", 2],
    ["echo ${nope:?message}; echo no", "sh: nope: message\n", 2],
    ["set -u; echo $undef; echo no", "sh: undef: parameter not set\n", 2],
    ["set -e; false; echo no", "", 1],
    ["cd /nosuch", "sh: cd: line 0: can't cd to /nosuch: No such file or directory\n", 2],
    ["[ 1 -eq x ]", "sh: x: bad number\n", 2],
    ["for i in 1; do echo; ", 'sh: syntax error: unexpected end of file (expecting "done")\n', 2],
    ["kill 99999", "kill: can't kill pid 99999: No such process\n", 1],
    ["echo x > /nosuch/x", "sh: can't create /nosuch/x: nonexistent directory\n", 1],
    ["readonly r=1; r=2; echo no", "sh: r: is read only\n", 2],
    ["sed 's/a/b'", "sed: unmatched '/'\n", 1],
    ["mkdir /tmp; exit 7", "mkdir: can't create directory '/tmp': File exists\n", 7],
    ["sleep 10 & kill $!; wait $!", "Terminated\n", 143],
  ])("%s: what goes wrong", (script, err, status) => {
    expect(run(script)).toEqual({ out: "", err, status });
  });
});

describe("pipes", () => {
  it("a writer whose reader is gone dies of SIGPIPE", () => {
    expect(run("(yes; echo $? >&2) | head -n 1").err).toBe("141\n");
    expect(run("set -o pipefail; yes | head -n 1; echo $?").out).toBe("y\n141\n");
    expect(run("while true; do echo y; done | head -n 1")).toMatchObject({ out: "y\n", status: 0 });
    expect(run("cat /dev/zero | head -c 3 | wc -c").out).toBe("3\n");
  });

  it("a line goes through as it comes", () => {
    expect(
      run("(echo a!; sleep 5; echo b!) | grep . | cut -c1- | while read x; do echo $x; date +%S; done").out,
    ).toMatch(/^a!\n00\nb!\n05\n$/);
  });
});

describe("on a terminal", () => {
  function terminal(): Container {
    return new Container(["sh"], true);
  }

  it("Ctrl-C ends what runs, a loop of builtins, and a line; not the shell", () => {
    const container = terminal();
    const { network, stdin, program } = container;
    const type = (text: string) => {
      stdin.push(text);
      network.runFor(1e9);
    };
    type("sleep 100\n");
    expect(container.out).toBe("/tmp # ");
    program.interrupt();
    network.runFor(1e9);
    expect(container.out).toBe("/tmp # \n/tmp # ");
    type("while true; do :; done; echo no\n");
    program.interrupt();
    network.runFor(1e9);
    type("echo $?\n");
    expect(container.out).toBe("/tmp # \n/tmp # \n/tmp # 130\n/tmp # ");
    program.interrupt();
    network.runFor(1e9);
    expect(container.out.endsWith("/tmp # \n/tmp # ")).toBe(true);
    type("while true; do sleep 1; done | cat\n");
    program.interrupt();
    network.runFor(1e9);
    type("cat\n");
    type("typed\n");
    expect(container.out.endsWith("typed\n")).toBe(true);
    stdin.push("");
    network.runFor(1e9);
    type("sleep 1 &\n");
    type("\n");
    expect(container.out).toMatch(/\[1\]\+ {2}Done {23}sleep 1\n\/tmp # $/);
    type("exit 3\n");
    expect(program.status).toBe(3);
  });
});
