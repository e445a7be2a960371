/** What happens when a kernel gets no more memory, and what it says of the memory that it has. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { PAGE_BYTES } from "../../src/kernel/wasm.ts";
import { kernelBuilt, kernelModule } from "../support/kernel.ts";

describe.skipIf(!kernelBuilt)("a kernel's memory (needs build/kernel.wasm)", () => {
  it("is bounded: whoever needs more gets one clear error, of the worker, with what it holds", async () => {
    const pages = 300;
    const kernel = Kernel.create(await kernelModule(), 3, undefined, pages);
    const host = kernel.addHost("host1", 0, new Random("host1"));
    let made = 0;
    const fill = (): void => {
      for (; made < 100_000; made++) host.createNs(`c${made}`);
    };
    expect(fill).toThrow(UserError);
    expect(made).toBeGreaterThan(1000);
    let message = "";
    try {
      host.createNs("again");
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(
      /^worker 3 is out of memory: its kernel holds 18 MiB, which is its limit, for 1 host with \d+ network namespaces and \d+ pending events; spread the hosts over more workers, or make the run smaller$/,
    );
    // What was under way when memory ran out counts, too; the root is one.
    const said = Number(/with (\d+) network/.exec(message)?.[1]);
    expect(Math.abs(said - (made + 1))).toBeLessThanOrEqual(3);
    expect(kernel.mem.memory.buffer.byteLength).toBe(pages * PAGE_BYTES);
  });

  it("uses the last page: a step that is too large is made smaller", async () => {
    // 256 pages at first, and steps of 16: two are left over.
    const kernel = Kernel.create(await kernelModule(), 0, undefined, 256 + 16 + 2);
    const host = kernel.addHost("host1", 0, new Random("host1"));
    expect(() => {
      for (;;) host.createNs("c");
    }).toThrow("out of memory");
    expect(kernel.mem.memory.buffer.byteLength).toBe((256 + 16 + 2) * PAGE_BYTES);
  });

  it("is reported as used and as held", async () => {
    const kernel = Kernel.create(await kernelModule());
    const before = kernel.counters();
    expect(before.memoryHeld).toBe(256 * PAGE_BYTES);
    const host = kernel.addHost("host1", 0, new Random("host1"));
    for (let i = 0; i < 40_000; i++) host.park(host.createNs(`c${i}`));
    const after = kernel.counters();
    expect(after.memoryHeld).toBeGreaterThan(before.memoryHeld);
    expect(after.memoryHeld).toBeGreaterThan(after.memoryInUse);
    // Freed blocks are kept, and nothing else is lost: blocks have no header.
    expect(after.memoryHeld - after.memoryInUse).toBeLessThan(3 * 2 ** 20);
  });
});
