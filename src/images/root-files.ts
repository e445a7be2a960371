/** Root file systems: directories, and the programs as files in the directories where the real systems have them. */

/** What a program's file begins with (elf(5)): enough to be no script. */
const PROGRAM = "\u007fELF\u0002\u0001\u0001";

/** Directories of Alpine's and Debian's root (hier(7)). */
const DIRECTORIES = [
  "bin",
  "dev",
  "etc",
  "home",
  "lib",
  "media",
  "mnt",
  "opt",
  "proc",
  "root",
  "run",
  "sbin",
  "srv",
  "sys",
  "tmp",
  "usr",
  "usr/bin",
  "usr/local",
  "usr/sbin",
  "var",
  "var/log",
  "var/run",
  "var/tmp",
];

/** Applets that Alpine has in /bin, /sbin and /usr/sbin; the others are in /usr/bin. */
const ALPINE_PLACES: Readonly<Record<string, string>> = {
  "/bin":
    "ash base64 cat chgrp chmod chown cp date dd df dmesg dnsdomainname echo egrep false fgrep getopt grep gunzip gzip " +
    "hostname ipcalc kill link ln ls mkdir mknod mktemp more mount mv netstat nice pidof ping printenv ps pwd rev rm rmdir " +
    "sed sh sleep stat stty su sync tar touch true umount uname usleep watch zcat",
  "/sbin": "arp ifconfig ifdown ifup ip iptables iptables-save nameif route slattach sysctl",
  "/usr/sbin": "arping brctl chroot",
};

/** Programs that Debian has in /usr/sbin (to which /sbin leads). */
const DEBIAN_SBIN = new Set(
  "arp arping bridge conntrack ifconfig ip iptables iptables-save ipvsadm route sysctl tcpdump".split(" "),
);

function withDirectories(files: Iterable<readonly [string, string]>): Map<string, string> {
  return new Map([...DIRECTORIES.map((name): [string, string] => [`/${name}/`, ""]), ...files]);
}

/** The root of an Alpine container. */
export function alpineRoot(programs: Iterable<string>): Map<string, string> {
  const places = new Map(
    Object.entries(ALPINE_PLACES).flatMap(([place, names]) => names.split(" ").map((name) => [name, place])),
  );
  return withDirectories([...programs].map((name) => [`${places.get(name) ?? "/usr/bin"}/${name}`, PROGRAM]));
}

/** The root of a busybox container: one directory of programs. */
export function busyboxRoot(programs: Iterable<string>): Map<string, string> {
  return withDirectories([...programs].map((name) => [`/bin/${name}`, PROGRAM]));
}

/** The root of a Debian 12 host. */
export function debianRoot(programs: Iterable<string>): Map<string, string> {
  return withDirectories(
    [...programs, "bash", "sh", "docker", "nsenter"].map((name) => [
      `${DEBIAN_SBIN.has(name) ? "/usr/sbin" : "/usr/bin"}/${name}`,
      PROGRAM,
    ]),
  );
}
