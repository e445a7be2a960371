/** What Tab offers. */
import { describe, expect, it } from "vitest";
import { complete } from "../../src/cli/completion.ts";

const sources = {
  hosts: ["host1", "host2"],
  programs: ["ip", "ping", "iptables-save"],
  names: { containers: ["web", "web2", "db"], networks: ["bridge", "test-net"], images: ["alpine:latest"] },
};
const offers = (line: string) => complete(line, sources)[0].map((word) => word.trimEnd());

describe("completion", () => {
  it.each<[string, string[]]>([
    ["do", ["docker"]],
    ["ip", ["ip", "iptables-save"]],
    ["@h", ["@host1", "@host2", "@help", "@hosts"]],
    ["@wait ", []],
    ["docker net", ["network"]],
    ["docker network c", ["connect", "create"]],
    ["docker network create --att", ["--attachable"]],
    ["docker network create ", []],
    ["docker network inspect t", ["test-net"]],
    ["docker network rm bridge t", ["test-net"]],
    ["docker network connect ", ["bridge", "test-net"]],
    ["docker network connect test-net w", ["web", "web2"]],
    ["docker run --network t", ["test-net"]],
    ["docker run -it a", ["alpine:latest"]],
    ["docker stop we", ["web", "web2"]],
    ["docker container stop we", ["web", "web2"]],
    ["docker exec d", ["db"]],
    ["docker inspect ", ["web", "web2", "db", "bridge", "test-net", "alpine:latest"]],
    ["docker nosuch x", []],
    ["docker swarm jo", ["join", "join-token"]],
    ["echo x && docker stop d", ["db"]],
    ["echo x | docker sw", ["swarm"]],
    ["ping w", []],
  ])("%j", (line, expected) => {
    expect(offers(line)).toEqual(expected);
  });

  it("replaces the last word, and adds a blank", () => {
    expect(complete("docker network i", sources)).toEqual([["inspect "], "i"]);
  });

  it("knows docker's own commands, all of them", () => {
    expect(offers("docker ")).toEqual(
      expect.arrayContaining(["network", "swarm", "node", "run", "exec", "ps", "logs"]),
    );
  });
});
