/** Commands and flags of docker 20.10 that this engine has nothing for: whoever types them shall not look for a typing error. */

/** Commands, by the words behind `docker`. */
const COMMANDS: ReadonlySet<string> = new Set(
  (
    "app build builder buildx checkpoint commit compose config context cp diff events export history import load " +
    "login logout manifest pause plugin pull push rmi save scan search secret stats tag trust unpause update volume"
  ).split(" "),
);

/** Commands of groups that are there, by group. */
const SUBCOMMANDS: Readonly<Record<string, string>> = {
  container: "commit cp diff export pause stats unpause update",
  image: "build history import load prune pull push rm save tag",
  system: "df events prune",
  stack: "",
  swarm: "ca join-token unlock unlock-key",
};

const RUN_FLAGS =
  "add-host attach a blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count " +
  "cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares c cpus cpuset-cpus cpuset-mems detach-keys " +
  "device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust " +
  "dns dns-opt dns-option dns-search domainname env-file expose gpus group-add health-cmd health-interval " +
  "health-retries health-start-period health-timeout init io-maxbandwidth io-maxiops ip6 ipc isolation kernel-memory " +
  "label l label-file link link-local-ip log-driver log-opt mac-address memory m memory-reservation memory-swap " +
  "memory-swappiness mount no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish p " +
  "publish-all P pull read-only restart runtime security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt " +
  "sysctl tmpfs ulimit user u userns uts volume v volume-driver volumes-from";

const CREATE_SERVICE_FLAGS =
  "cap-add cap-drop config container-label credential-spec dns dns-option dns-search endpoint-mode entrypoint env-file " +
  "generic-resource group health-cmd health-interval health-retries health-start-period health-timeout host init " +
  "isolation limit-cpu limit-memory limit-pids log-driver log-opt max-concurrent mount no-healthcheck no-resolve-image " +
  "placement-pref read-only replicas-max-per-node reserve-cpu reserve-memory secret stop-grace-period stop-signal sysctl " +
  "ulimit user u with-registry-auth";

/** Flags of commands that are there, by their path; long names and shorthands. */
const FLAGS: Readonly<Record<string, string>> = {
  run: RUN_FLAGS,
  create: RUN_FLAGS,
  exec: "detach-keys env-file privileged user u",
  attach: "detach-keys no-stdin sig-proxy",
  start: "attach a checkpoint checkpoint-dir detach-keys interactive i",
  rm: "link l volumes v",
  ps: "size s",
  images: "all a digests filter f no-trunc",
  "image ls": "all a digests filter f no-trunc",
  inspect: "size s type",
  "network create": "config-from config-only ipv6 ipam-opt",
  "swarm init":
    "autolock cert-expiry dispatcher-heartbeat external-ca force-new-cluster max-snapshots snapshot-interval task-history-limit",
  "swarm update":
    "autolock cert-expiry dispatcher-heartbeat external-ca max-snapshots snapshot-interval task-history-limit",
  "service create": CREATE_SERVICE_FLAGS,
  "service update": `${CREATE_SERVICE_FLAGS} config-add config-rm mount-add mount-rm secret-add secret-rm`,
};

/** What is said of a command that isn't there; undefined when docker has none of that name. @param group "" for docker's own */
export function commandNotEmulated(group: string, word: string): string | undefined {
  const known = group === "" ? COMMANDS.has(word) : (SUBCOMMANDS[group] ?? "").split(" ").includes(word);
  const name = group === "" ? word : `${group} ${word}`;
  return known && word !== "" ? `docker: '${name}' is not emulated yet.` : undefined;
}

/** What is said of a flag that a command doesn't have here; undefined when docker's hasn't either. @param flag without dashes */
export function flagNotEmulated(path: string, flag: string): string | undefined {
  const command = path.replace(/^docker /, "").replace(/^container /, "");
  if (!(FLAGS[command] ?? "").split(" ").includes(flag)) return undefined;
  return `docker: the flag ${flag.length === 1 ? "-" : "--"}${flag} of '${path}' is not emulated yet.`;
}
