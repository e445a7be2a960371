/** Containers and their networks on one host: bridges, modes, connect and disconnect. */
import { describe, it } from "vitest";
import { runSteps } from "./labs.ts";

describe("network modes", () => {
  it("the default bridge: an address, a way out, no names", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker run -d --name c2 alpine sleep 1000
  - host1: docker inspect -f '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}} {{.HostConfig.NetworkMode}}' c1
    expect: ["172.17.0.2 172.17.0.1 default"]
  - host1: docker exec c1 ping -c 1 172.17.0.3
    expect: ["1 packets received"]
  - host1: docker exec c1 ping -c 1 c2
    exit: 1
    expect: ["ping: bad address 'c2'"]
  - host1: docker exec c1 ping -c 1 192.168.77.12
    expect: ["1 packets received"]
  - host1: docker exec c1 cat /etc/hosts
    expect: ["/^172\\\\.17\\\\.0\\\\.2\\t[0-9a-f]{12}$/m"]
`);
  });

  it("host: the host's name, interfaces and files; none: nothing but lo", async () => {
    await runSteps(`
  - host1: docker run --rm --network host alpine hostname
    expect: ["/^host1$/m"]
  - host1: docker run --rm --network host alpine cat /etc/hosts
    expect: ["127.0.1.1\\thost1"]
  - host1: docker run --rm --network host alpine ip addr
    expect: ["inet 192.168.77.11/24", "docker0"]
  - host1: docker run -d --name c1 --network host alpine sleep 1000
  - host1: docker rename c1 c2
  - host1: docker rm -f c2
  - host1: ip -br addr
    expect: ["/^eth0 +UP +192\\\\.168\\\\.77\\\\.11\\\\/24/m"]
  - host1: docker run --rm --network none alpine ip addr
    expect: ["127.0.0.1/8"]
    reject: [eth0]
`);
  });

  it("container: the network of another one, which lives as long as somebody does in it", async () => {
    await runSteps(`
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker run -d --name c2 --network container:c1 alpine sleep 1000
  - host1: docker exec c2 ip addr
    expect: ["172.17.0.2/16"]
  - host1: test "$(docker exec c1 hostname)" = "$(docker exec c2 hostname)" && echo same
    expect: [same]
  - host1: docker inspect -f '{{json .NetworkSettings.Networks}}' c2
    expect: ["{}"]
  - host1: docker stop -t 0 c1
  - host1: docker exec c2 ip addr
    expect: ["127.0.0.1/8"]
    reject: [eth0]
  - host1: docker exec c2 ping -c 1 172.17.0.1
    exit: 1
    expect: ["ping: sendto: Network unreachable"]
  - host1: docker start c1
  - host1: docker exec c1 ip addr
    expect: ["172.17.0.2/16"]
  - host1: docker rm -f c2
  - host1: docker exec c1 ip addr
    expect: ["172.17.0.2/16"]
  - host1: docker stop -t 0 c1
  - host1: docker run --rm --network container:c1 alpine true
    exit: 125
    expect: ["docker: Error response from daemon: cannot join network of a non running container: c1."]
  - host1: docker run --rm --network container:nosuch alpine true
    exit: 125
    expect: ["docker: Error response from daemon: No such container: nosuch."]
  - host1: docker run --name c3 --network container:c3 alpine true
    exit: 125
    expect: ["cannot join own network"]
`);
  });
});

describe("bridges of users", () => {
  it("names: the container's, aliases, the hostname, the short ID; not a name that was made up", async () => {
    await runSteps(`
  - host1: docker network create br1
  - host1: docker run -d --name c1 --hostname web --network br1 --network-alias db alpine sleep 1000
  - host1: docker run -d --network br1 alpine sleep 1000
    as: anonymous
  - host1: docker exec c1 ping -c 1 web
  - host1: docker exec $anonymous ping -c 1 db
  - host1: docker exec $anonymous ping -c 1 web
  - host1: docker exec $anonymous ping -c 1 c1
  - host1: docker exec c1 ping -c 1 $(echo $anonymous | cut -c1-12)
  - host1: docker exec c1 ping -c 1 $(docker inspect -f '{{.Name}}' $anonymous | cut -c2-)
    exit: 1
  - host1: docker inspect -f '{{json .NetworkSettings.Networks.br1.Aliases}}' c1
    expect: ['/^\\["db","[0-9a-f]{12}","web"\\]$/m']
  - host1: docker rename c1 c2
  - host1: docker exec $anonymous ping -c 1 c2
  - host1: docker exec $anonymous ping -c 1 c1
    exit: 1
`);
  });

  it("connect and disconnect while it runs", async () => {
    await runSteps(`
  - host1: docker network create --subnet 10.5.0.0/16 br1
  - host1: docker run -d --name c1 alpine sleep 1000
  - host1: docker network connect --ip 10.5.0.77 --alias db br1 c1
  - host1: docker exec c1 ip addr
    expect: ["/172\\\\.17\\\\.0\\\\.2\\\\/16.*eth0/s", "/10\\\\.5\\\\.0\\\\.77\\\\/16.*eth1/s"]
  - host1: docker run --rm --network br1 alpine ping -c 1 db
    expect: ["PING db (10.5.0.77)"]
  - host1: docker network connect br1 c1
    exit: 1
    expect: ["Error response from daemon: endpoint with name c1 already exists in network br1"]
  - host1: docker network rm br1
    exit: 1
    expect: ["/error while removing network: network br1 id [0-9a-f]{64} has active endpoints/"]
  - host1: docker network disconnect bridge c1
  - host1: docker exec c1 ip route
    expect: ["default via 10.5.0.1 dev eth1"]
  - host1: docker network disconnect bridge c1
    exit: 1
    expect: ["/Error response from daemon: container [0-9a-f]{64} is not connected to network bridge/"]
  - host1: docker network disconnect br1 c1
  - host1: docker exec c1 ip addr
    reject: [eth]
  - host1: docker network rm br1
  - host1: docker network connect br1 c1
    exit: 1
    expect: ["Error response from daemon: network br1 not found"]
  - host1: docker network disconnect br1 c1
    exit: 1
    expect: ["Error response from daemon: network br1 not found"]
  - host1: docker network connect host c1
    exit: 1
    expect: ["container cannot be disconnected from host network or connected to host network"]
`);
  });

  it("connect and disconnect while it is stopped", async () => {
    await runSteps(`
  - host1: docker network create br1
  - host1: docker create --name c1 --network none alpine sleep 1000
  - host1: docker network connect br1 c1
    exit: 1
    expect: ["container cannot be connected to multiple networks with one of the networks in private (none) mode"]
  - host1: docker rm c1
  - host1: docker create --name c1 alpine sleep 1000
  - host1: docker network connect br1 c1
  - host1: docker network connect br1 c1
  - host1: docker start c1
  - host1: docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}' c1
    expect: ["br1=172.18.0.2 bridge=172.17.0.2"]
  - host1: docker stop -t 0 c1
  - host1: docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}' c1
    expect: ["br1= bridge= "]
  - host1: docker network disconnect br1 c1
  - host1: docker network disconnect br1 c1
    exit: 1
    expect: ["/Error response from daemon: container [0-9a-f]{64} is not connected to the network br1/"]
  - host1: docker network rm br1
  - host1: docker start c1
`);
  });

  it("a network of the same name is another network", async () => {
    await runSteps(`
  - host1: docker network create br1
    as: first
  - host1: docker run -d --name c1 --network br1 alpine sleep 1000
  - host1: docker stop -t 0 c1
  - host1: docker network rm br1
  - host1: docker network create br1
  - host1: docker start c1
    exit: 1
    expect: ["Error response from daemon: network $first not found"]
`);
  });

  it("a network asked for by its ID goes by its name", async () => {
    await runSteps(`
  - host1: docker network create br1
    as: id
  - host1: docker run -d --name c1 --network $id alpine sleep 1000
  - host1: docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}' c1
    expect: ["/^br1$/m"]
`);
  });

  it("what only they can do", async () => {
    await runSteps(`
  - host1: docker run --rm --ip 172.17.0.9 alpine true
    exit: 125
    expect: ["docker: Error response from daemon: user specified IP address is supported on user defined networks only."]
  - host1: docker run --rm --network-alias x alpine true
    exit: 125
    expect: ["network-scoped alias is supported only for containers in user defined networks"]
  - host1: docker network rm bridge
    exit: 1
    expect: ["Error response from daemon: bridge is a pre-defined network and cannot be removed"]
  - host1: docker network create bridge
    exit: 1
    expect: ["operation is not permitted on predefined bridge network"]
  - host1: docker network create -d nosuch n1
    exit: 1
    expect: ['Error response from daemon: plugin "nosuch" not found']
`);
  });

  it("published ports", async () => {
    await runSteps(`
  - host1: docker run -dit --name pa -p 8080:80 -p 9000:9000/udp alpine
  - host1: docker ps --format "{{.Ports}}"
    expect: ["0.0.0.0:9000->9000/udp, :::9000->9000/udp, 0.0.0.0:8080->80/tcp, :::8080->80/tcp"]
  - host1: docker port pa
    expect: ["80/tcp -> 0.0.0.0:8080\\n80/tcp -> :::8080\\n9000/udp -> 0.0.0.0:9000"]
  - host1: docker run -d --name pb -p 8080:80 alpine
    exit: 125
    expect: ["driver failed programming external connectivity on endpoint pb (", "Bind for 0.0.0.0:8080 failed: port is already allocated."]
  - host1: docker run -dit --name pc -P --expose 7000 alpine
  - host1: docker port pc
    expect: ["7000/tcp -> 0.0.0.0:49153"]
  - host1: docker stop -t 0 pa
  - host1: docker ps -a --filter name=pa --format "{{.Ports}}|"
  - host1: docker inspect -f '{{json .NetworkSettings.Ports}}' pa
    expect: ["{}"]
`);
  });
});

describe("the name of a network", () => {
  it("comes before the beginning of another one's ID", async () => {
    await runSteps(`
  - host1: docker swarm init
  - host1: docker network create br1
    as: id
  - host1: docker network create -d overlay --attachable $(echo $id | cut -c1-6)
  - host1: docker network inspect -f '{{.Driver}} {{.Scope}}' $(echo $id | cut -c1-6)
    expect: ["/^overlay swarm$/m"]
  - host1: docker network inspect -f '{{.Driver}}' $(echo $id | cut -c1-5)
    expect: ["/^bridge$/m"]
  - host1: docker network inspect -f '{{.Name}}' $id
    expect: ["/^br1$/m"]
  - host1: docker network rm $(echo $id | cut -c1-6)
  - host1: docker network inspect -f '{{.Driver}}' $(echo $id | cut -c1-6)
    expect: ["/^bridge$/m"]
  - host1: docker network rm $(echo $id | cut -c1-6)
`);
  });
});
