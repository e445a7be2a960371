/** Windows hosts as they look from their terminals and in their containers, and on the wire. */
import { beforeAll, describe, expect, it } from "vitest";
import { galleryLab, type LabRun, labOf, runLab } from "../support/lab.ts";
import { splitTrace } from "../support/split-trace.ts";
import { openTrace } from "../support/wireshark.ts";

const NANO = "mcr.microsoft.com/windows/nanoserver:ltsc2022";

const LAB = String.raw`
hosts: { host1: {}, win1: { os: windows } }
steps:
  - win1: docker version --format '{{.Client.Os}} {{.Server.Os}}/{{.Server.Arch}} {{.Server.MinAPIVersion}}'
    expect: ["windows windows/amd64 1.24"]
  - win1: docker info
    expect:
      - "Storage Driver: windowsfilter"
      - "Network: ics internal l2bridge l2tunnel nat null overlay private transparent"
      - "Default Isolation: process"
      - "OSType: windows"
      - "Operating System: Windows Server 2022 Datacenter"
      - 'Docker Root Dir: C:\ProgramData\docker'
    reject: ["Cgroup", " bridge"]
  - win1: docker network ls --format '{{.Name}} {{.Driver}}'
    expect: ["nat nat\nnone null\n"]
  - win1: docker network rm nat
    exit: 1
    expect: ["nat is a pre-defined network and cannot be removed"]
  - win1: docker network create -d bridge br
    exit: 1
    expect: ['plugin "bridge" not found']
  - win1: docker network create -d nat mine
  - win1: docker run -dit --name m1 --network mine ${NANO}
  - win1: docker inspect -f '{{.Platform}} {{.Driver}} {{.GraphDriver.Name}} {{.HostConfig.NetworkMode}}' m1
    expect: ["windows windowsfilter windowsfilter mine"]
  - win1: docker run --rm --network host ${NANO} hostname
    exit: 125
  # Without a word about networks: nat, with names, and a way out.
  - win1: docker run -dit --name n1 ${NANO}
  - win1: docker run -dit --name n2 ${NANO}
  - win1: docker exec n1 ping -n 1 n2
    expect: ["/Pinging n2 \\[172\\.[0-9.]+\\] with 32/", "/Reply from 172\\.[0-9.]+: bytes=32 time<1ms TTL=128/"]
  - win1: docker exec n1 ping -n 1 192.168.77.11
    expect: ["Reply from 192.168.77.11: bytes=32 time<1ms TTL=63"]
  - win1: docker exec n1 ping -n 1 nosuch
    exit: 1
    expect: ["Ping request could not find host nosuch. Please check the name and try again."]
  - win1: docker exec n1 nslookup n2
    expect: ["Server:  UnKnown\nAddress:  127.0.0.11\n\nNon-authoritative answer:\nName:    n2\nAddress:  172."]
  - win1: docker exec n1 ipconfig
    expect:
      - "\nWindows IP Configuration\n\n\nEthernet adapter vEthernet (Ethernet):\n\n   Connection-specific DNS Suffix  . : \n   IPv4 Address. . . . . . . . . . . : 172."
      - "   Subnet Mask . . . . . . . . . . . : 255.255.240.0\n   Default Gateway . . . . . . . . . : 172."
  - win1: docker exec n1 ipconfig /all
    expect: ["   Host Name . . . . . . . . . . . . : ", "   Physical Address. . . . . . . . . : 02-42-AC-", "   DNS Servers . . . . . . . . . . . : 127.0.0.11"]
  - win1: docker exec n1 ipconfig /renew
    exit: 1
  - win1: docker exec n1 cmd /c "ver && hostname"
    expect: ["Microsoft Windows [Version 10.0.20348."]
  # Its own terminal.
  - win1: ipconfig
    expect: ["Ethernet adapter Ethernet:", ": 192.168.77.12\n", "Ethernet adapter vEthernet (nat):"]
    reject: ["lo", "veth"]
  - win1: ping -n 1 192.168.77.11 && hostname
    expect: ["TTL=64", "\nwin1\n"]
  - win1: nsenter -t 1 -n
    exit: 127
  - host1: ping -c 1 192.168.77.12
    expect: ["ttl=128"]
  # Typed into a container.
  - win1: docker run -it --name t1 ${NANO}
    expect: ["Microsoft Windows [Version 10.0.20348.1668]\n(c) Microsoft Corporation. All rights reserved.\n\nC:\\>"]
  - win1/t1: ping -n 1 n1
    expect: ["Received = 1", "\nC:\\>"]
  - win1/t1: exit
  - win1: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["t1 Exited (0)"]
  # Each system has its own images.
  - win1: docker run --rm alpine
    exit: 125
    expect:
      - "Unable to find image 'alpine:latest' locally\nlatest: Pulling from library/alpine\ndocker: no matching manifest for windows/amd64 10.0.20348 in the manifest list entries.\nSee 'docker run --help'.\n"
  - host1: docker run --rm ${NANO}
    exit: 125
    expect: ["docker: no matching manifest for linux/amd64 in the manifest list entries.\n"]
  - host1: docker run --rm nosuch
    exit: 125
    expect: ["docker: Error response from daemon: "]
  # A Windows host can be the manager.
  - win1: docker swarm init
  - win1: docker swarm join-token -q worker
    as: token
  - host1: docker swarm join --token $token 192.168.77.12:2377
  - win1: docker node inspect --format '{{.Description.Platform.OS}}' self
    expect: ["windows\n"]
  - win1: docker network create -d overlay --attachable both
  - win1: docker run -dit --name ww --network both ${NANO}
  - host1: docker run -dit --name ll --network both alpine
  - host1: docker exec ll ping -c 1 ww
    expect: ["ttl=128", "0% packet loss"]
  - win1: docker exec ww ping -n 1 ll
    expect: ["TTL=64"]
  # Out of the overlay by nat.
  - win1: docker exec ww ping -n 1 192.168.77.11
    expect: ["TTL=63"]
`;

describe("a Windows host", () => {
  let run: LabRun;
  beforeAll(async () => {
    run = await runLab(labOf(LAB), { capture: ["*"] });
  });

  it("looks like one", () => {
    expect(run.failures).toEqual([]);
  });

  it("loses count of no packet", () => {
    for (const { name, made, arrived, delivered, dropped, sent, live } of run.result.counters.hosts)
      expect({ name, packets: made + arrived }).toEqual({ name, packets: delivered + dropped + sent + live });
  });

  it("is the same with several workers", { timeout: 60_000 }, async () => {
    const spread = await runLab(labOf(LAB), { capture: ["*"], workers: 2 });
    expect(spread.transcript).toBe(run.transcript);
    expect(Buffer.compare(spread.trace, run.trace)).toBe(0);
  });
});

describe("an encrypted overlay with Windows hosts", () => {
  it("is encrypted between Linux hosts, and from them; clear from Windows, and between Windows hosts", async () => {
    const run = await runLab(galleryLab("windows"));
    expect(run.failures).toEqual([]);
    const files = splitTrace(run.trace);
    /** What is seen on a host's wire: `who → whom` of the frames that a filter takes. */
    const seen = async (host: string, filter: string): Promise<string[]> => {
      const trace = await openTrace(files.get(`${host}/host/eth0`) as Uint8Array);
      try {
        return trace.filter(filter).map((frame) => trace.columns(frame).slice(2, 4).join(" → "));
      } finally {
        trace.close();
      }
    };
    const secret = "vxlan.vni == 4098";
    expect(await seen("host1", "esp")).toEqual([
      ...["host1 → host2", "host2 → host1", "host1 → host2", "host2 → host1"],
      ...["host1 → win1", "host1 → win1"],
    ]);
    expect(await seen("host1", secret)).toEqual(["w1 → c1", "w1 → c1"]);
    expect(await seen("win2", secret)).toEqual(["w1 → w2", "w2 → w1", "w1 → w2", "w2 → w1"]);
    // Nobody is told that ESP finds no taker.
    expect(await seen("win1", "icmp.type == 3")).toEqual([]);
    expect(await seen("host2", secret)).toEqual([]);
  });
});
