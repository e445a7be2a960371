import { describe, expect, it } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { learntOrders } from "../../../src/workload/mesh/orders.ts";

describe("orders in which hosts learn of tasks", () => {
  const hostOf = Uint32Array.from({ length: 40 }, (_, c) => Math.floor(c / 8));
  const containers = Uint32Array.from({ length: 20 }, (_, i) => 2 * i);
  const orders = learntOrders(containers, [0, 1, 2, 3, 4], hostOf, new Random("orders"));

  it("are of all tasks, the host's own first and each host's together", () => {
    expect(orders).toHaveLength(5);
    for (const [host, order] of orders.entries()) {
      expect([...order].sort((a, b) => a - b)).toEqual([...containers]);
      const hosts = [...order].map((c) => hostOf[c]);
      expect(hosts.slice(0, 4)).toEqual([host, host, host, host]);
      expect(hosts.filter((h, i) => h !== hosts[i - 1])).toHaveLength(5);
    }
  });

  it("differ from host to host, so that round robin doesn't begin at one task everywhere", () => {
    const newest = new Set(orders.map((order) => order.at(-1)));
    expect(newest.size).toBeGreaterThan(1);
    expect(learntOrders(containers, [0, 1, 2, 3, 4], hostOf, new Random("orders"))).toEqual(orders);
  });
});
