/** Images for looking into networks: nicolaka/netshoot with every tool, and alpine/socat with one. */
import type { Image, Program } from "../engine/program.ts";
import { sh } from "../shell/sh/sh.ts";
import { hostTools } from "../shell/tools/registry.ts";
import { socat } from "../shell/tools/socat.ts";
import { alpine } from "./alpine.ts";
import { alpineRoot } from "./root-files.ts";

const shell: Program = (context) => sh(context, (cwd) => `${context.hostname}:${cwd === "/root" ? "~" : cwd}# `);

const netshootPrograms = new Map<string, Program>([
  ...alpine.programs,
  ...hostTools,
  ["sh", shell],
  ["bash", shell],
  ["zsh", shell],
]);

/** `nicolaka/netshoot`. */
export const netshoot: Image = {
  ...alpine,
  id: "sha256:a18e5ec6d1df1a5c5d4b9a1a9e5c3b7f02d5e6a7b8c9d0e1f2a3b4c5d6e7f809",
  tag: "nicolaka/netshoot:latest",
  cmd: ["zsh"],
  workingDir: "/root",
  sizeBytes: 502_000_000,
  programs: netshootPrograms,
  files: new Map([...alpine.files, ...alpineRoot(netshootPrograms.keys())]),
};

/** `alpine/socat`. */
export const socatImage: Image = {
  ...alpine,
  id: "sha256:5b2a1b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8",
  tag: "alpine/socat:latest",
  cmd: [],
  entrypoint: ["socat"],
  sizeBytes: 8_340_000,
  programs: new Map([...alpine.programs, ["socat", socat]]),
};
