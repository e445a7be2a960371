/** Wireshark's dissectors beside the page: served from where they are installed, or copied. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { copyDissectors, type DissectorsPiece, findDissectors } from "../../src/cli/dissectors.ts";
import { ISOLATION, pageUrl, servePage } from "../../src/cli/page-server.ts";
import { viewCommand } from "../../src/cli/view.ts";

let page: string;
let server: Server | undefined;
beforeEach(() => {
  page = mkdtempSync(join(tmpdir(), "swarmwire-piece-"));
  mkdirSync(join(page, "assets"));
  writeFileSync(join(page, "index.html"), "<title>page</title>");
  writeFileSync(join(page, "dissectors.json"), "{}\n");
  for (const name of ["dissectors-ab12.js", "index-cd34.js"]) writeFileSync(join(page, "assets", name), "0");
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(page, { recursive: true });
});

const piece = (): DissectorsPiece => {
  const found = findDissectors();
  if (found === undefined) throw new Error("@goodtools/wiregasm isn't installed");
  return found;
};
async function get(name: string): Promise<Response> {
  return fetch(`${pageUrl(server as Server)}${name}`);
}

it("finds the package, with its licence and the size of what the page fetches", () => {
  const { files, manifest } = piece();
  expect([...files.keys()].sort()).toEqual(
    ["LICENSE", "README.md", "package.json", "wiregasm.data.gz", "wiregasm.js", "wiregasm.wasm.gz"].map(
      (name) => `dissectors/${name}`,
    ),
  );
  const said = JSON.parse(manifest) as Record<string, unknown>;
  expect(said).toMatchObject({ package: "@goodtools/wiregasm", license: "GPL-2.0" });
  const sizes = [...files].filter(([name]) => name.includes("wiregasm")).map(([, path]) => readFileSync(path).length);
  expect(said["bytes"]).toBe(sizes.reduce((sum, size) => sum + size, 0));
  expect(findDissectors(`file://${page}/`)).toBeUndefined();
});

it("is served beside a page that has none, and nothing of it where there is none", async () => {
  server = await servePage(page, 0, ISOLATION, piece());
  expect((await (await get("dissectors.json")).json()) as unknown).toMatchObject({ license: "GPL-2.0" });
  expect(await (await get("dissectors/LICENSE")).text()).toMatch(/GNU GENERAL PUBLIC LICENSE/);
  const code = Buffer.from(await (await get("dissectors/wiregasm.wasm.gz")).arrayBuffer());
  expect(gunzipSync(code).subarray(0, 4).toString("latin1")).toBe("\0asm");
  server.close();
  writeFileSync(join(page, "dissectors.json"), piece().manifest);
  server = await servePage(page, 0);
  expect(await (await get("dissectors.json")).json()).toEqual({});
  expect((await get("dissectors/wiregasm.js")).status).toBe(404);
});

it("lets only the dissectors' own script make code", async () => {
  server = await servePage(page, 0, ISOLATION, piece());
  const policy = async (name: string) => (await get(name)).headers.get("content-security-policy");
  expect(await policy("assets/dissectors-ab12.js")).toMatch(/script-src 'self' 'unsafe-eval';/);
  for (const name of ["", "assets/index-cd34.js", "dissectors/wiregasm.js"])
    expect(await policy(name)).toMatch(/script-src 'self' 'wasm-unsafe-eval';/);
});

it("is copied beside a page for another server, which then says that it is there", async () => {
  copyDissectors(piece(), page);
  expect(readdirSync(join(page, "dissectors")).length).toBe(6);
  expect(readFileSync(join(page, "dissectors.json"), "utf8")).toBe(piece().manifest);
  // What stands there is what is served.
  writeFileSync(join(page, "dissectors/LICENSE"), "theirs");
  server = await servePage(page, 0, ISOLATION, piece());
  expect(await (await get("dissectors/LICENSE")).text()).toBe("theirs");
});

it("swarmwire view --dissectors refuses what is no page", async () => {
  await expect(viewCommand(["--dissectors", join(page, "assets")])).rejects.toThrow(
    /--dissectors .*assets: expected the page's folder/,
  );
});
