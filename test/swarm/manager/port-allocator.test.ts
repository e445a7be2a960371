import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NEW_META, type ServiceObject } from "../../../src/swarm/api/objects.ts";
import type { PublishedPort } from "../../../src/swarm/api/services.ts";
import { PortAllocator, portsAllocated } from "../../../src/swarm/manager/allocator/port-allocator.ts";

const port = (publishedPort: number, more: Partial<PublishedPort> = {}): PublishedPort => ({
  name: "",
  protocol: "tcp",
  targetPort: 80,
  publishedPort,
  publishMode: "ingress",
  ...more,
});

function service(id: string, ports: readonly PublishedPort[], given?: readonly PublishedPort[]): ServiceObject {
  const spec = { mode: "vip", ports } as const;
  return {
    id,
    meta: NEW_META,
    spec: { annotations: { name: id, labels: {} }, task: { runtime: "container", networks: [] }, endpoint: spec },
    endpoint: given === undefined ? undefined : { spec, ports: given, virtualIps: [] },
  };
}

const numbers = (ports: readonly PublishedPort[]) => ports.map(({ publishedPort }) => publishedPort);

describe("ports of the mesh", () => {
  it("come from 30000 on, each protocol for itself, and past those that were chosen", () => {
    const allocator = new PortAllocator();
    expect(numbers(allocator.allocate(service("a", [port(0), port(0, { targetPort: 81 })])))).toEqual([30000, 30001]);
    expect(numbers(allocator.allocate(service("b", [port(0, { protocol: "udp" })])))).toEqual([30000]);
    expect(numbers(allocator.allocate(service("c", [port(30002), port(8080, { targetPort: 81 })])))).toEqual([
      30002, 8080,
    ]);
    expect(numbers(allocator.allocate(service("d", [port(0)])))).toEqual([30003]);
    expect(() => allocator.allocate(service("e", [port(0, { targetPort: 1 }), port(8080)]))).toThrow(
      "requested bit is already allocated",
    );
    // What the failed one had is free again, but not next.
    expect(numbers(allocator.allocate(service("f", [port(0)])))).toEqual([30005]);
    allocator.deallocate("c");
    expect(numbers(allocator.allocate(service("g", [port(8080)])))).toEqual([8080]);
  });

  it("stay with a service whose wish is the same; fixed ones stand first", () => {
    const allocator = new PortAllocator();
    const first = allocator.allocate(service("a", [port(0)]));
    const changed = service("a", [port(0), port(9000, { targetPort: 90 })], first);
    expect(portsAllocated(changed)).toBe(false);
    const second = allocator.allocate(changed);
    expect(numbers(second)).toEqual([9000, 30000]);
    expect(portsAllocated(service("a", [port(0), port(9000, { targetPort: 90 })], second))).toBe(true);
    expect(numbers(allocator.allocate(service("a", [port(0, { targetPort: 81 })], second)))).toEqual([30001]);
  });

  it("are not needed in host mode", () => {
    const allocator = new PortAllocator();
    const host = port(8080, { publishMode: "host" });
    for (const id of ["a", "b"]) expect(numbers(allocator.allocate(service(id, [host])))).toEqual([8080]);
    expect(portsAllocated(service("a", [host], [port(8081, { publishMode: "host" })]))).toBe(false);
    expect(portsAllocated(service("a", [host], [host]))).toBe(true);
  });

  it("belong to one service each, whatever is asked for and given back; 2768 are there without a wish", () => {
    const wish = fc.record({
      id: fc.constantFrom("a", "b", "c"),
      port: fc.constantFrom(0, 1, 30000, 30001, 30002),
      release: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 30 }), (wishes) => {
        const allocator = new PortAllocator();
        const held = new Map<string, number[]>();
        for (const { id, port: wished, release } of wishes) {
          if (release) allocator.deallocate(id);
          held.delete(id);
          if (release) continue;
          try {
            held.set(id, numbers(allocator.allocate(service(id, [port(wished)]))));
          } catch (error) {
            expect((error as Error).name).toBe("AllocationError");
          }
          const all = [...held.values()].flat();
          expect(new Set(all).size).toBe(all.length);
        }
      }),
    );
    const allocator = new PortAllocator();
    const many = Array.from({ length: 2768 }, (_, i) => port(0, { targetPort: i + 1 }));
    expect(numbers(allocator.allocate(service("a", many))).at(-1)).toBe(32767);
    expect(() => allocator.allocate(service("b", [port(0)]))).toThrow("no bit available");
  });

  it("are taken over from the store by a new leader", () => {
    const allocator = new PortAllocator();
    allocator.restore(service("a", [port(0)], [port(30000)]));
    expect(numbers(allocator.allocate(service("b", [port(0)])))).toEqual([30001]);
    allocator.deallocate("a");
    expect(numbers(allocator.allocate(service("c", [port(30000)])))).toEqual([30000]);
  });
});
