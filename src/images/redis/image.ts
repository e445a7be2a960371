/** The redis images, on Debian and on Alpine. */
import type { Image, Program } from "../../engine/program.ts";
import { alpine } from "../alpine.ts";
import { debianFiles, debianPrograms } from "../debian.ts";
import { become } from "../server/entrypoint.ts";
import { redisCli } from "./cli.ts";
import { redisServer } from "./server.ts";

/** docker-entrypoint.sh: options and configuration files are redis-server's. */
function withRedis(programs: ReadonlyMap<string, Program>): ReadonlyMap<string, Program> {
  const all = new Map<string, Program>([...programs, ["redis-server", redisServer], ["redis-cli", redisCli]]);
  const entrypoint: Program = (context) => {
    const command = context.argv.slice(1);
    const first = command[0] ?? "";
    const argv = first.startsWith("-") || first.endsWith(".conf") ? ["redis-server", ...command] : command;
    return become(context, argv, (name) => all.get(name));
  };
  return all.set("docker-entrypoint.sh", entrypoint);
}

const COMMON = {
  cmd: ["redis-server"],
  entrypoint: ["docker-entrypoint.sh"],
  env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "REDIS_VERSION=7.2.1"],
  exposed: ["6379/tcp"],
  workingDir: "/data",
};

const onDebian = withRedis(debianPrograms());
const onAlpine = withRedis(alpine.programs);

/** `redis`. */
export const redisImage: Image = {
  ...COMMON,
  id: "sha256:506734eb5e71c5555eb4c7a2eb8dd2bd5ac5d8a2f2a6ad1ac4ad0a6e0b0e1a7c",
  tag: "redis:latest",
  sizeBytes: 138_000_000,
  programs: onDebian,
  files: new Map([...debianFiles(onDebian), ["/data/", ""]]),
};

/** `redis:alpine`. */
export const redisAlpine: Image = {
  ...COMMON,
  id: "sha256:bc4f5d8a1a0d9c9cdf6ac1d3de4a5a1e4bd8ae5a7a4f9b9a9e0a3b1f6b3a7d21",
  tag: "redis:alpine",
  sizeBytes: 37_800_000,
  programs: onAlpine,
  files: new Map([...alpine.files, ["/data/", ""]]),
};
