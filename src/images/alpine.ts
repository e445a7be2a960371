/** alpine: a shell and busybox's tools. */
import type { Image } from "../engine/program.ts";
import { busyboxPrograms } from "./busybox.ts";
import { alpineRoot } from "./root-files.ts";

/** `alpine`: busybox and musl. */
export const alpine: Image = {
  id: "sha256:c1aabb73d2339c5ebaa3681de2e9d9c18d57485045a4e311d9f8004bec208d67",
  tag: "alpine:latest",
  cmd: ["/bin/sh"],
  entrypoint: [],
  env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  exposed: [],
  workingDir: "/",
  sizeBytes: 7_330_000,
  programs: busyboxPrograms,
  files: new Map([
    ...alpineRoot(busyboxPrograms.keys()),
    ["/etc/alpine-release", "3.18.4\n"],
    ["/etc/os-release", 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.18.4\nPRETTY_NAME="Alpine Linux v3.18"\n'],
    ["/etc/passwd", "root:x:0:0:root:/root:/bin/ash\n"],
    ["/etc/group", "root:x:0:root\n"],
  ]),
};
