/** nstat: what is shown, and what is remembered from one call to the next. */
import { describe, expect, it } from "vitest";
import { LayeredFiles } from "../../../src/engine/filesystem.ts";
import type { NetNs } from "../../../src/kernel/types.ts";
import { nstat } from "../../../src/shell/tools/nstat.ts";
import { ProgramHost } from "../harness.ts";

describe("nstat", () => {
  const host = new ProgramHost();
  const counters = { IpInReceives: 7, UdpInErrors: 0, UdpInCsumErrors: 2 };
  const ns = Object.create(host.os.kernel.root, { snmp: { value: () => counters } }) as NetNs;
  const files = new LayeredFiles(new Map(), new Map());
  const run = (...args: string[]) => host.run(nstat, ["nstat", ...args], { ns, files }).out;
  const row = (name: string, value: number) => `${name.padEnd(32)}${String(value).padEnd(16)}   0.0\n`;

  it("shows what has moved since its last call", () => {
    expect(run("-s")).toBe(`#kernel\n${row("IpInReceives", 7)}${row("UdpInCsumErrors", 2)}`);
    expect(run()).toBe(`#kernel\n${row("IpInReceives", 7)}${row("UdpInCsumErrors", 2)}`);
    expect(run()).toBe("#kernel\n");
    counters.UdpInCsumErrors += 3;
    expect(run("-s")).toBe(`#kernel\n${row("UdpInCsumErrors", 3)}`);
    expect(run("-as")).toBe(`#kernel\n${row("IpInReceives", 7)}${row("UdpInCsumErrors", 5)}`);
    expect(run("-asz", "udp*errors")).toBe(`#kernel\n${row("UdpInErrors", 0)}${row("UdpInCsumErrors", 5)}`);
    expect(run("-n")).toBe("");
    expect(run()).toBe("#kernel\n");
  });
});
