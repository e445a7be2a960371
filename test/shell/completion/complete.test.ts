/** What Tab offers. */
import { describe, expect, it } from "vitest";
import { type CompletionSources, complete } from "../../../src/shell/completion/complete.ts";

const FILES: Readonly<Record<string, readonly string[]>> = {
  "/": ["etc/", "root/"],
  "/etc": ["hostname", "hosts", "nginx/"],
  "/etc/nginx": ["nginx.conf"],
  "/root": [".ash_history", "notes"],
};

const inside: CompletionSources = {
  programs: ["ping", "ps", "ip", "cat"],
  docker: undefined,
  devices: ["lo", "eth1"],
  hosts: ["localhost"],
  cwd: "/",
  list: (directory) => FILES[directory],
  inContainer: () => undefined,
};

const sources: CompletionSources = {
  programs: ["docker", "ip", "ping", "iptables-save", "nsenter", "sudo", "cat", "bridge", "ipvsadm"],
  docker: {
    containers: ["web", "web2", "db"],
    networks: ["bridge", "test-net"],
    images: ["alpine:latest"],
    services: ["whoami"],
    nodes: ["self", "host1", "host2"],
    stacks: ["app"],
  },
  devices: ["lo", "eth0", "docker_gwbridge"],
  hosts: ["localhost", "web", "whoami"],
  cwd: "/root",
  list: (directory) => FILES[directory],
  inContainer: (name) => (name === "web" ? inside : undefined),
};
const offers = (line: string) => complete(line, sources).candidates.map((word) => word.trimEnd());

describe("completion", () => {
  it.each<[string, string[]]>([
    ["do", ["docker"]],
    ["ip", ["ip", "iptables-save", "ipvsadm"]],
    ["docker net", ["network"]],
    ["docker network c", ["connect", "create"]],
    ["docker network create --att", ["--attachable"]],
    ["docker network create ", []],
    ["docker network create --driver ", ["bridge", "overlay"]],
    ["docker network create -d o", ["overlay"]],
    ["docker network create --driver=o", ["overlay"]],
    ["docker network inspect t", ["test-net"]],
    ["docker network rm bridge t", ["test-net"]],
    ["docker network connect ", ["bridge", "test-net"]],
    ["docker network connect test-net w", ["web", "web2"]],
    ["docker run --network t", ["test-net"]],
    ["docker run --network=t", ["test-net"]],
    ["docker run -it a", ["alpine:latest"]],
    ["docker run -p 80:80 a", ["alpine:latest"]],
    ["docker run -it alpine s", []],
    ["docker stop we", ["web", "web2"]],
    ["docker container stop we", ["web", "web2"]],
    ["docker exec d", ["db"]],
    ["docker exec -it web p", ["ping", "ps"]],
    ["docker exec web cat /etc/hosts | cat /etc/host", ["/etc/hostname", "/etc/hosts"]],
    ["docker exec web ip link show e", ["eth1"]],
    ["docker exec nosuch p", []],
    ["docker inspect ", ["web", "web2", "db", "bridge", "test-net", "alpine:latest", "whoami"]],
    ["docker nosuch x", []],
    ["docker swarm jo", ["join", "join-token"]],
    ["docker swarm join-token w", ["worker"]],
    ["docker service ps w", ["whoami"]],
    ["docker service scale w", ["whoami="]],
    ["docker service logs w", ["whoami"]],
    ["docker node inspect host", ["host1", "host2"]],
    ["docker node update --availability d", ["drain"]],
    ["docker stack rm a", ["app"]],
    ["echo x && docker stop d", ["db"]],
    ["echo x | docker sw", ["swarm"]],
    ["echo $(docker net", ["network"]],
    ["sudo docker net", ["network"]],
    ["X=1 ping w", ["web", "whoami"]],
    ["ping w", ["web", "whoami"]],
    ["nsenter -t 12 -n ip li", ["link"]],
    ["ip ", ["addr", "link", "neigh", "netns", "route", "rule", "xfrm"]],
    ["ip -br ad", ["addr"]],
    ["ip a s", ["show"]],
    ["ip link show e", ["eth0"]],
    ["ip addr show dev d", ["docker_gwbridge"]],
    ["ip route add default v", ["via"]],
    ["bridge fdb show br d", ["docker_gwbridge"]],
    ["ipvsadm -L", ["-L", "-Ln"]],
    ["cat ", ["notes"]],
    ["cat .", [".ash_history"]],
    ["cat /etc/ho", ["/etc/hostname", "/etc/hosts"]],
    ["cat ../etc/n", []],
    ["cat /etc/n", ["/etc/nginx/"]],
    ["cat /nosuch/", []],
    ["echo x > no", ["notes"]],
  ])("%j", (line, expected) => {
    expect(offers(line)).toEqual(expected);
  });

  it("replaces the last word, adds a blank, and none behind a directory or =", () => {
    expect(complete("docker network i", sources)).toEqual({ candidates: ["inspect "], word: "i" });
    expect(complete("docker run --network=t", sources)).toEqual({ candidates: ["test-net "], word: "t" });
    expect(complete("cat /etc/n", sources)).toEqual({ candidates: ["/etc/nginx/"], word: "/etc/n" });
    expect(complete("docker service scale w", sources)).toEqual({ candidates: ["whoami="], word: "w" });
  });

  it("knows docker's own commands, all of them", () => {
    expect(offers("docker ")).toEqual(
      expect.arrayContaining(["network", "swarm", "node", "run", "exec", "ps", "logs"]),
    );
  });
});
