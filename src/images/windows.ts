/** Base images of Windows Server 2022: cmd and the network tools of it that are emulated. */
import type { Image } from "../engine/program.ts";
import { windowsTools } from "../shell/tools/windows/registry.ts";

const COMMON = {
  cmd: ["c:\\windows\\system32\\cmd.exe"],
  entrypoint: [],
  env: [],
  exposed: [],
  workingDir: "C:\\",
  programs: windowsTools(),
  files: new Map([
    ["/License.txt", "To read the licensing information, visit https://go.microsoft.com/fwlink/?linkid=2040441\n"],
  ]),
};

/** `mcr.microsoft.com/windows/nanoserver`. */
export const nanoserver: Image = {
  ...COMMON,
  id: "sha256:4d1bd2f4e1cbd6b9e2b1b0a5e9e5d14f6a7d1f3c9d8b7a6f5e4d3c2b1a098f7e",
  tag: "mcr.microsoft.com/windows/nanoserver:ltsc2022",
  sizeBytes: 296_000_000,
};

/** `mcr.microsoft.com/windows/servercore`. */
export const servercore: Image = {
  ...COMMON,
  id: "sha256:8f2c6a1e4b7d9035c1e6f8a2b4d7093e5c1f6a8b2d4e7f9031c5a6b8d2e4f701",
  tag: "mcr.microsoft.com/windows/servercore:ltsc2022",
  sizeBytes: 5_100_000_000,
};
