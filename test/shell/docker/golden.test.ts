/** The docker command prints what Docker 20.10.24 printed, given what its engine answered. */
import { describe, expect, it } from "vitest";
import type { EngineApi, JsonObject } from "../../../src/engine/api.ts";
import { dockerProgram } from "../../../src/shell/docker/docker.ts";
import { goldenAvailable, goldenText, goldenTitle } from "../../support/golden.ts";
import { type GoldenCommand, goldenCommands, ProgramHost } from "../harness.ts";
import { fakeEngine, give, refuse } from "./fake-engine.ts";

const A = "A-swarm-init/manager/commands.txt";

function check(entry: GoldenCommand, answers: Partial<EngineApi>, stdin?: string): void {
  const result = new ProgramHost().run(
    dockerProgram(fakeEngine(answers)),
    entry.argv,
    stdin === undefined ? {} : { stdin },
  );
  expect(result.out + result.err).toBe(entry.output);
  expect(result.status).toBe(entry.status);
}

function only(path: string, command: string | RegExp): GoldenCommand {
  const found = goldenCommands(path).find((one) =>
    typeof command === "string" ? one.command === command : command.test(one.command),
  );
  if (found === undefined) throw new Error(`${path} has no ${String(command)}`);
  return found;
}

/** Rows of a table with `--no-trunc`, split where the heading's columns begin. */
function tableRows(text: string, first: string): Record<string, string>[] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith(first));
  const head = lines[at] as string;
  const columns = [...head.matchAll(/\S+(?: \S+)*/g)].map((match) => ({ name: match[0], at: match.index }));
  const rows: Record<string, string>[] = [];
  for (const line of lines.slice(at + 1)) {
    if (line === "" || /^(ID|CONTAINER ID|NETWORK ID|Error)\b/.test(line)) break;
    rows.push(
      Object.fromEntries(
        columns.map(({ name, at: from }, index) => [name, line.slice(from, columns[index + 1]?.at).trim()]),
      ),
    );
  }
  return rows;
}

describe.skipIf(!goldenAvailable)(goldenTitle("docker, against golden"), () => {
  const networks = (): JsonObject[] =>
    tableRows(goldenText("A-swarm-init/manager/state-1-swarm-up/docker-ls.txt"), "NETWORK ID").map((row) => ({
      Name: row["NAME"],
      Id: row["NETWORK ID"],
      Driver: row["DRIVER"],
      Scope: row["SCOPE"],
    }));

  it("network ls, in any order of the answer", () => {
    const listed = goldenCommands(A).filter((entry) => entry.command === "docker network ls");
    expect(networks()).toHaveLength(5);
    check(listed.at(-1) as GoldenCommand, { networkList: () => give(networks().reverse()) });
  });

  it("network ls --no-trunc", () => {
    const text = goldenText("A-swarm-init/manager/state-1-swarm-up/docker-ls.txt");
    const block = text.slice(text.indexOf("NETWORK ID"), text.indexOf("ID      ", text.indexOf("none")));
    const argv = ["docker", "network", "ls", "--no-trunc"];
    check({ time: "", command: "", argv, output: block, status: 0 }, { networkList: () => give(networks()) });
  });

  it("node ls", () => {
    const nodes = tableRows(goldenText("A-swarm-init/manager/state-1-swarm-up/docker-ls.txt"), "ID      ").map(
      (row) => ({
        ID: (row["ID"] as string).slice(0, 25),
        Description: { Hostname: row["HOSTNAME"], Engine: { EngineVersion: row["ENGINE VERSION"] } },
        Status: { State: row["STATUS"]?.toLowerCase() },
        Spec: { Availability: row["AVAILABILITY"]?.toLowerCase() },
        ...(row["MANAGER STATUS"] === "Leader" ? { ManagerStatus: { Leader: true, Reachability: "reachable" } } : {}),
      }),
    );
    expect(nodes).toHaveLength(3);
    const info = { Swarm: { NodeID: nodes[0]?.ID } };
    check(only(A, "docker node ls"), { nodeList: () => give(nodes.reverse() as JsonObject[]), info: () => give(info) });
  });

  it("swarm init and join-token", () => {
    const init = only(A, /^docker swarm init/);
    const node = /node \((\w+)\)/.exec(init.output)?.[1] as string;
    const worker = /--token (\S+)/.exec(init.output)?.[1] as string;
    const manager = /--token (\S+)/.exec(only(A, "docker swarm join-token manager").output)?.[1] as string;
    const answers: Partial<EngineApi> = {
      swarmInit: (request) => {
        expect(request).toMatchObject({ ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "192.168.77.11", SubnetSize: 24 });
        return give(node);
      },
      nodeInspect: () => give({ ManagerStatus: { Addr: "192.168.77.11:2377" } }),
      swarmInspect: () => give({ JoinTokens: { Worker: worker, Manager: manager } }),
      info: () => give({ Swarm: { NodeID: node } }),
    };
    check(init, answers);
    check(only(A, "docker swarm join-token worker"), answers);
    check(only(A, "docker swarm join-token manager"), answers);
  });

  it("swarm join and leave", () => {
    const join = only("A-swarm-init/worker-1/commands.txt", /^docker swarm join/);
    check(join, {
      swarmJoin: (request) => {
        expect(request).toMatchObject({ RemoteAddrs: ["192.168.77.11:2377"], JoinToken: join.argv[4] });
        return give(undefined);
      },
      info: () => give({ Swarm: { ControlAvailable: false } }),
    });
    check(only("I-errors/worker-2/leave-join.txt", "docker swarm leave"), { swarmLeave: () => give(undefined) });
  });

  const inspected = [
    A,
    "A-swarm-init/worker-2/commands.txt",
    "B-standalone-attachable/manager/commands.txt",
    "I-errors/worker-1/in-swarm.txt",
  ].flatMap((path) => goldenCommands(path).filter((entry) => entry.command.startsWith("docker network inspect")));

  it.each(inspected)("$command at $time", (entry) => {
    const [answer] = JSON.parse(entry.output.slice(0, entry.output.lastIndexOf("]") + 1)) as JsonObject[];
    const name = entry.argv.at(-1) as string;
    check(entry, {
      networkInspect: () => (answer === undefined ? refuse(404, `network ${name} not found`) : give(answer)),
    });
  });

  it("inspect prints <nil> and other characters as they are", () => {
    const text = goldenText("D-service-vip/manager/state-1-before-traffic/docker-network-inspect.txt");
    const blocks = [...text.matchAll(/^\[\n[\s\S]*?^\]\n/gm)].map((match) => match[0]);
    expect(blocks.some((block) => block.includes("<nil>"))).toBe(true);
    for (const output of blocks) {
      const answers = JSON.parse(output) as JsonObject[];
      const argv = ["docker", "network", "inspect", ...answers.map((_, index) => String(index))];
      check(
        { time: "", command: "", argv, output, status: 0 },
        { networkInspect: (name) => give(answers[Number(name)] as JsonObject) },
      );
    }
  });

  it("container inspect", () => {
    const output = goldenText("B-standalone-attachable/manager/state-1-before-traffic/docker-inspect-containers.txt");
    const answers = JSON.parse(output) as JsonObject[];
    check(
      { time: "", command: "", argv: ["docker", "inspect", "x"], output, status: 0 },
      { containerInspect: () => give(answers[0] as JsonObject) },
    );
  });

  it("ps -a", () => {
    const entry = only("B-standalone-attachable/manager/commands.txt", "docker ps -a");
    // Virtual time 0 is 1767225600; the container is 6 minutes older.
    const container = {
      Id: "a2bb9fe5470b41efee4b90fb2eb9e79c5d5ba8d9f179a7ad638ffee8c9d0fd39",
      Names: ["/alpine1"],
      Image: "alpine",
      Command: "/bin/sh",
      Created: 1767225600 - 365,
      Ports: [],
      State: "exited",
      Status: "Exited (137) 7 seconds ago",
    };
    check(entry, {
      containerList: (options) => {
        expect(options).toEqual({ all: true });
        return give([container]);
      },
    });
  });

  it.each(goldenCommands("I-errors/manager/help.txt"))("$command", (entry) => {
    check(entry, {});
  });

  const REFUSALS: readonly [path: string, command: RegExp, method: keyof EngineApi, status: number][] = [
    ["I-errors/manager/pre-swarm.txt", /network create/, "networkCreate", 403],
    ["I-errors/manager/pre-swarm.txt", /node ls/, "nodeList", 503],
    ["I-errors/manager/pre-swarm.txt", /swarm leave/, "swarmLeave", 503],
    ["I-errors/manager/pre-swarm.txt", /join-token/, "swarmInspect", 503],
    ["I-errors/worker-1/in-swarm.txt", /network create/, "networkCreate", 403],
    ["I-errors/worker-1/in-swarm.txt", /node ls/, "nodeList", 503],
    ["I-errors/worker-1/leave-join.txt", /swarm leave/, "swarmLeave", 500],
    ["I-errors/worker-2/leave-join.txt", /swarm join /, "swarmJoin", 400],
  ];
  const refusals = REFUSALS.flatMap(([path, command, method, status]) =>
    goldenCommands(path)
      .filter((entry) => command.test(entry.command) && entry.status !== 0)
      .map((entry) => ({ ...entry, method, code: status })),
  );

  it.each(refusals)("$command is refused ($method $code)", (entry) => {
    const message = entry.output.replace(/^Error response from daemon: /, "").trimEnd();
    check(entry, { [entry.method]: () => refuse(entry.code, message) });
  });

  it("network rm", () => {
    const path = "I-errors/worker-1/in-swarm.txt";
    const inspectIngress = { networkInspect: () => give({ Ingress: true }) };
    check(only(path, "docker network rm ingress"), inspectIngress, "");
    check(only(path, "docker network rm ingress"), inspectIngress, "n\n");
    const refused = only(path, "docker network rm nginx-net-2");
    const message = refused.output.replace(/^Error response from daemon: /, "").trimEnd();
    check(refused, { networkInspect: () => give({ Ingress: false }), networkRemove: () => refuse(503, message) });
  });

  it("run on a network that is not there", () => {
    const created = { containerCreate: () => give({ Id: "c".repeat(64), Warnings: [] }) };
    for (const entry of goldenCommands("I-errors/worker-1/in-swarm.txt").filter((one) =>
      one.command.startsWith("docker run"),
    )) {
      const message = entry.output
        .replace(/^docker: Error response from daemon: /, "")
        .trimEnd()
        .replace(/\.$/, "");
      check(entry, {
        ...created,
        containerAttach: () => ({
          stdin: undefined as never,
          output: undefined as never,
          interrupt: () => {},
          detach: () => {},
        }),
        containerWait: () => give({ StatusCode: 0 }),
        containerStart: () => refuse(404, message),
      });
    }
  });
});
