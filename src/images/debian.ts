/** Debian and its relatives: a root file system with bash and the tools that their base images have. */
import type { Image, Program } from "../engine/program.ts";
import { sh } from "../shell/sh/sh.ts";
import { hostTools } from "../shell/tools/registry.ts";
import { debianRoot } from "./root-files.ts";

const bash: Program = (context) => sh(context, (cwd) => `root@${context.hostname}:${cwd === "/root" ? "~" : cwd}# `);
const dash: Program = (context) => sh(context, () => "# ");

/** What only comes with a package: iproute2, iputils-ping, dnsutils, net-tools, tcpdump … */
const PACKAGED = new Set(
  (
    "arp bridge conntrack curl dig httpd ifconfig ip iptables iptables-save ipvsadm nc netstat nslookup nstat ping route " +
    "ss tcpdump traceroute wget ps top sysctl host ab redis-cli brctl sudo systemctl service telnet"
  ).split(" "),
);

/**
 * The programs of a slim Debian image.
 * @param packages those of the packaged tools that the image has too
 */
export function debianPrograms(packages: readonly string[] = []): ReadonlyMap<string, Program> {
  const tools = [...hostTools].filter(([name]) => !PACKAGED.has(name) || packages.includes(name));
  return new Map<string, Program>([...tools, ["sh", dash], ["bash", bash]]);
}

/** The files of a Debian image with these programs. */
export function debianFiles(programs: ReadonlyMap<string, Program>): ReadonlyMap<string, string> {
  return new Map([
    ...debianRoot(programs.keys()),
    ["/etc/debian_version", "12.2\n"],
    [
      "/etc/os-release",
      'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    ],
    ["/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"],
    ["/etc/group", "root:x:0:\nwww-data:x:33:\n"],
  ]);
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function base(tag: string, id: string, sizeBytes: number, release: string, packages: readonly string[]): Image {
  const programs = debianPrograms(packages);
  return {
    id: `sha256:${id}`,
    tag,
    cmd: ["bash"],
    entrypoint: [],
    env: [PATH],
    exposed: [],
    workingDir: "/",
    sizeBytes,
    programs,
    files: new Map([...debianFiles(programs), ["/etc/os-release", release]]),
  };
}

/** `debian`. */
export const debian: Image = base(
  "debian:latest",
  "5ae7a5e8fa1d8f9a6c5e1c6a5c0a9e37a4ae4a9e54f3dd0e5ad8f0b0a8d6c1d2",
  117_000_000,
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
  [],
);

/** `ubuntu`. */
export const ubuntu: Image = base(
  "ubuntu:latest",
  "e4c58958181a5925816faa528ce959e487632f4cfd192f8132f71b32df2744b4",
  77_800_000,
  'PRETTY_NAME="Ubuntu 22.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\n',
  [],
);

/** `centos`. */
export const centos: Image = base(
  "centos:latest",
  "5d0da3dc976460b72c77d94c8a1ad043720b0416bfc16c52c45d4847e53fadb6",
  231_000_000,
  'NAME="CentOS Linux"\nVERSION="8"\nID="centos"\nID_LIKE="rhel fedora"\nPRETTY_NAME="CentOS Linux 8"\n',
  ["curl", "ping", "ip", "ss", "ps"],
);
