/** Containers from start to removal on real hosts: what Docker prints, and what can happen at once. */
import { describe, expect, it } from "vitest";
import { runSteps } from "./labs.ts";

describe("start and exit", () => {
  it("exit statuses: the command's, 125, 126, 127, 137, 143", async () => {
    await runSteps(`
  - host1: docker run --rm alpine sh -c 'exit 3'
    exit: 3
  - host1: docker run --rm alpine nosuch
    exit: 127
    expect:
      - 'docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown.'
  - host1: docker run --rm alpine /bin/nosuch
    exit: 127
    expect: ['exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory: unknown.']
  - host1: docker run --rm alpine /etc/passwd
    exit: 126
    expect: ['exec: "/etc/passwd": permission denied: unknown.']
  - host1: docker run --rm --network nosuch alpine true
    exit: 125
    expect: ["docker: Error response from daemon: network nosuch not found."]
  - host1: docker ps -aq
    expect: ["/^$/"]
  - host1: docker run --name c1 alpine nosuch
    exit: 127
  - host1: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Created$/m"]
  - host1: docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' c1
    expect: ["127 created"]
  - host1: docker start c1
    exit: 1
    expect: ["Error response from daemon: failed to create shim task", "Error: failed to start containers: c1"]
  - host1: docker rm c1
  - host1: docker run -d --name c2 alpine sleep 1000
  - host1: docker kill -s TERM c2
  - host1: docker ps --format '{{.Names}}'
    expect: [c2]
  - host1: docker kill c2
    expect: ["/^c2$/m"]
  - host1: docker inspect -f '{{.State.ExitCode}} {{.State.Running}} {{.State.Pid}}' c2
    expect: ["137 false 0"]
  - host1: docker kill c2
    exit: 1
    expect: ["/Error response from daemon: Cannot kill container: c2: Container [0-9a-f]{64} is not running/"]
  - host1: docker kill -s NOPE c2
    exit: 1
    expect: ["Error response from daemon: Invalid signal: NOPE"]
  - host1: docker kill -s 99 c2
    exit: 1
    expect: ["Cannot kill container: c2: The linux daemon does not support signal 99"]
  - host1: docker kill nosuch
    exit: 1
    expect: ["Error response from daemon: Cannot kill container: nosuch: No such container: nosuch"]
`);
  });

  it("stop waits ten seconds for PID 1 that ignores SIGTERM, or as long as it is told", async () => {
    const { result } = await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker stop c1
  - host1: docker start c1
  - host1: docker stop -t 2 c1
  - host1: docker stop c1
    expect: ["/^c1$/m"]
  - host1: docker inspect -f '{{.State.ExitCode}}' c1
    expect: ["137"]
`);
    const took = (command: string) => {
      const step = result.steps.find((one) => one.command === command);
      return ((step?.end ?? 0) - (step?.start ?? 0)) / 1e9;
    };
    expect(took("docker stop -t 2 c1")).toBeCloseTo(2, 1);
    expect(took("docker stop c1")).toBeCloseTo(10, 1);
  });

  it("--rm with -d: gone when it has ended, and its name is free; a stop removes it too", async () => {
    await runSteps(`
  - host1: docker run -d --rm --name c1 alpine sleep 3
  - host1: docker wait c1
    expect: ["/^0$/m"]
  - host1: docker ps -aq
    expect: ["/^$/"]
  - host1: docker run -d --rm --name c1 alpine sleep 300
  - host1: docker restart -t 0 c1
  - host1: docker ps --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Up/m"]
  - host1: docker stop -t 0 c1
  - host1: docker ps -aq
    expect: ["/^$/"]
  - host1: docker inspect c1
    exit: 1
    expect: ["Error: No such object: c1"]
`);
  });

  it("keeps logs over restarts; attach shows what comes from then on", async () => {
    await runSteps(`
  - host1: docker run --name c1 alpine sh -c 'echo one; echo two >&2'
    expect: ["one\\ntwo"]
  - host1: docker logs c1
    expect: ["/^one$/m", "/^two$/m"]
  - host1: docker start -a c1
    expect: ["/^one$/m"]
  - host1: docker logs c1 | wc -l
    expect: ["2"]
  - host1: docker logs --tail 1 c1
    reject: ["one"]
  - host1: docker logs -f c1
    expect: ["one"]
  - host1: docker attach c1
    exit: 1
    expect: ["You cannot attach to a stopped container, start it first"]
`);
  });
});

describe("restart policies", () => {
  it("always: back-off, status, and a stop ends it", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 --restart always alpine sh -c 'exit 4'
  - wait: 20s
  - host1: docker ps --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Restarting \\\\(4\\\\) \\\\d+ seconds ago$/m"]
  - host1: docker exec c1 true
    exit: 1
    expect: ["/Error response from daemon: Container [0-9a-f]{64} is restarting, wait until the container is running/"]
  - host1: docker rm c1
    exit: 1
    expect: ["/You cannot remove a restarting container [0-9a-f]{64}\\\\. Stop the container before attempting removal or force remove/"]
  - host1: docker inspect -f '{{.State.Running}} {{.State.Restarting}}' c1
    expect: ["true true"]
  - host1: docker stop c1
  - wait: 120s
  - host1: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Exited \\\\(4\\\\) 2 minutes ago$|^c1 Exited \\\\(4\\\\) 2/m"]
  - host1: docker start c1
  - host1: docker rm -f c1
  - wait: 60s
  - host1: docker ps -aq
    expect: ["/^$/"]
`);
  });

  it("on-failure: only failures, and only so often", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 --restart on-failure:3 alpine false
  - host1: docker run -d --name c2 --restart on-failure alpine true
  - wait: 30s
  - host1: docker inspect -f '{{.RestartCount}} {{.State.Status}}' c1
    expect: ["3 exited"]
  - host1: docker inspect -f '{{.RestartCount}} {{.State.Status}}' c2
    expect: ["0 exited"]
`);
  });

  it("a kill by hand ends it, its own end doesn't", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 --restart unless-stopped alpine sleep 5
  - wait: 20s
  - host1: docker ps --format '{{.Names}}'
    expect: [c1]
  - host1: docker kill c1
  - wait: 20s
  - host1: docker ps --format '{{.Names}}'
    reject: [c1]
`);
  });
});

describe("at once", () => {
  it("three starts are one", async () => {
    await runSteps(`
  - host1: docker create --name c1 alpine sleep 1000
  - host1: docker start c1 & docker start c1 & docker start c1; sleep 1
    expect: ["c1\\nc1\\nc1"]
  - host1: docker inspect -f '{{.State.Status}} {{.RestartCount}}' c1
    expect: ["running 0"]
  - host1: docker rm -f c1
`);
  });

  it("a stop while it starts waits for the start", async () => {
    await runSteps(`
  - host1: docker create --name c1 alpine sleep 1000
  - host1: docker start c1 & sleep 0.05; docker stop -t 1 c1; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' c1
    expect: ["exited 137"]
`);
  });

  it("a removal while it starts is refused, or forced", async () => {
    await runSteps(`
  - host1: docker create --name c1 alpine sleep 1000
  - host1: docker start c1 & sleep 0.05; docker rm c1
    exit: 1
    expect: ["You cannot remove a running container"]
  - host1: docker rm -f c1
  - host1: docker create --name c1 alpine sleep 1000
  - host1: docker start c1 & sleep 0.05; docker rm -f c1
  - wait: 2s
  - host1: docker ps -aq
    expect: ["/^$/"]
  - host1: docker network inspect -f '{{len .Containers}}' bridge
    expect: ["/^0$/m"]
`);
  });

  it("a start of one that is being stopped begins when the stop has ended", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker stop -t 3 c1 & sleep 1; docker exec c1 echo still here; docker start c1; docker ps --format '{{.Status}}'
    expect: ["still here", "c1"]
  - wait: 5s
  - host1: docker ps -a --format '{{.Status}}'
    expect: ["/^Exited \\\\(137\\\\)/m"]
`);
  });

  it("what runs in a container ends with it", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker exec c1 sleep 500 & sleep 1; docker kill c1; wait; docker exec c1 true
    exit: 1
    expect: ["is not running"]
  - host1: docker start c1
  - host1: docker exec -d c1 sleep 100
  - host1: docker inspect -f '{{len .ExecIDs}}' c1
    expect: ["/^1$/m"]
  - host1: docker top c1
    expect: ["/sleep 1000/", "/sleep 100$/m"]
`);
  });

  it("a client that goes away leaves the request to the daemon", async () => {
    await runSteps(`
  - host1: docker create --name c1 alpine sleep 1000
  - host1: (docker start c1) & sleep 0.05
  - wait: 2s
  - host1: docker ps --format '{{.Names}} {{.Status}}'
    expect: ["/^c1 Up/m"]
`);
  });
});

describe("exec", () => {
  it("statuses, and a command that isn't there", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 -e A=1 -w /tmp alpine sleep 1000
  - host1: docker exec c1 sh -c 'exit 7'
    exit: 7
  - host1: docker exec c1 nosuch
    exit: 126
    expect:
      - 'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown'
  - host1: docker exec -d c1 nosuch
    exit: 1
    expect: ['Error response from daemon: OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch"']
  - host1: docker exec -e B=2 c1 sh -c 'echo $A $B $HOME'
    expect: ["1 2 /root"]
  - host1: docker exec nosuch true
    exit: 1
    expect: ["Error: No such container: nosuch"]
  - host1: echo typed | docker exec -i c1 cat
    expect: ["typed"]
`);
  });
});

describe("names", () => {
  it("rename, and what is refused", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker run -d --name c2 alpine sleep 1000
  - host1: docker rename c1 c2
    exit: 1
    expect:
      - 'Error response from daemon: Error when allocating new name: Conflict. The container name "/c2" is already in use by container'
      - "Error: failed to rename container named c1"
  - host1: docker rename c1 c1
    exit: 1
    expect: ["Renaming a container with the same name as its current name"]
  - host1: docker rename c1 'a!'
    exit: 1
    expect: ["Error when allocating new name: Invalid container name (/a!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"]
  - host1: docker rename nosuch c3
    exit: 1
    expect: ["Error response from daemon: No such container: nosuch"]
  - host1: docker rename c1 c3
  - host1: docker ps --format '{{.Names}}'
    expect: ["c2\\nc3"]
  - host1: docker run -d --name x alpine
    exit: 125
    expect: ["docker: Error response from daemon: Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed.", "See 'docker run --help'."]
  - host1: docker rm c3
    exit: 1
    expect: ["You cannot remove a running container"]
  - host1: docker rm -f c3
  - host1: docker rename c2 c3
`);
  });
});

describe("events and health", () => {
  it("what happened to containers and networks", async () => {
    await runSteps(`
  - host1: docker network create mynet
  - host1: docker run -d --name a1 --network mynet --label x=1 --health-cmd true --health-interval 1s alpine sleep 100
  - wait: 2s
  - host1: docker ps --format "{{.Status}}"
    expect: ['/^Up \\d+ seconds \\(healthy\\)$/m']
  - host1: docker rename a1 a2
  - host1: docker stop -t 1 a2
  - host1: docker rm a2
  - host1: docker events --since 1h --until 0s --filter type=container --format "{{.Action}} {{.Actor.Attributes.name}}"
    expect: ["create a1\\nstart a1\\nhealth_status: healthy a1\\nrename a2\\nkill a2\\nkill a2\\ndie a2\\nstop a2\\ndestroy a2\\n"]
  - host1: docker events --since 1h --until 0s --filter event=die
    expect: ['/Z container die [0-9a-f]{64} \\(exitCode=137, image=alpine, name=a2, x=1\\)$/m']
  - host1: docker events --since 1h --until 0s --filter type=network
    expect: ['/ network create [0-9a-f]{64} \\(name=mynet, type=bridge\\)$/m', '/ network disconnect .*name=mynet/']
  - host1: docker run --health-cmd x --no-healthcheck alpine
    exit: 125
    expect: ["docker: --no-healthcheck conflicts with --health-* options."]
`);
  });
});

describe("logs of a time", () => {
  it("--since and --until: spans before now, times, seconds since 1970", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sh -c 'for i in 1 2 3 4 5 6; do echo line$i; sleep 10; done'
  - wait: 35s
  - host1: docker logs --since 15s c1 | tr '\\n' ' '
    expect: ["/^line[34] line4 $|^line4 $/"]
    reject: ["line2"]
  - host1: docker logs --until 15s c1
    expect: ["line1\\nline2\\n"]
    reject: ["line4"]
  - host1: docker logs --since 2026-01-01T00:00:00Z --until 1767225612 c1
    expect: ["line1\\n"]
    reject: ["line3"]
  - host1: docker logs --since soon c1
    exit: 1
    expect: ['invalid value for "since": failed to parse value as time or duration: "soon"']
  - host1: docker logs -f --until 2026-01-01T00:00:45Z c1
    reject: ["line6"]
`);
  });
});
