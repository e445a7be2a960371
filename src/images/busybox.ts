/** busybox: the tools that alpine has too. */
import type { Image, Program } from "../engine/program.ts";
import { sh } from "../shell/sh/sh.ts";
import { busyboxTools } from "../shell/tools/registry.ts";
import { busyboxRoot } from "./root-files.ts";

const shell: Program = (context) => sh(context, (cwd) => `${cwd === "/root" ? "~" : cwd} # `);

/** The tools and the shell, under their names. */
export const busyboxPrograms: ReadonlyMap<string, Program> = new Map<string, Program>([
  ...busyboxTools,
  ["sh", shell],
  ["ash", shell],
]);

/** `busybox`. */
export const busybox: Image = {
  id: "sha256:a416a98b71e224a31ee99cff8e16063554498227d2b696152a9c3e0aa65e5824",
  tag: "busybox:latest",
  cmd: ["sh"],
  entrypoint: [],
  env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  exposed: [],
  workingDir: "/",
  sizeBytes: 4_260_000,
  programs: busyboxPrograms,
  files: new Map([
    ...busyboxRoot(busyboxPrograms.keys()),
    ["/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"],
    ["/etc/group", "root:x:0:\n"],
  ]),
};
