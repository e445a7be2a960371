/** The programs of the images over real sockets: what they answer, what they log, how they end. */
import { describe, expect, it } from "vitest";
import { labOf, runLab } from "../support/lab.ts";

/** Runs steps on one host with a user-defined network and a client container on it. */
async function run(steps: string): Promise<void> {
  const { failures } = await runLab(
    labOf(`
hosts: { host1: {} }
steps:
  - host1: docker network create web
  - host1: docker run -d --name client --network web alpine sleep 10d
${steps}`),
  );
  expect(failures).toEqual([]);
}

describe("nginx", () => {
  it("serves its welcome page and its error pages, logs them, and ends gracefully", async () => {
    await run(`
  - host1: docker run -d --name n1 --network web nginx
  - host1: docker exec client curl -s -i http://n1/
    expect:
      - "HTTP/1.1 200 OK\\r\\nServer: nginx/1.25.2\\r\\n"
      - "Content-Length: 615\\r\\nLast-Modified: Tue, 15 Aug 2023 17:03:04 GMT\\r\\nConnection: keep-alive\\r\\nETag: \\"64dbafc8-267\\"\\r\\nAccept-Ranges: bytes\\r\\n"
      - "<title>Welcome to nginx!</title>"
  - host1: docker exec client curl -s -o /dev/null -w '%{http_code} %{size_download}' http://n1/nope
    expect: ["404 153"]
  - host1: docker stop n1
  - host1: docker inspect -f '{{.State.ExitCode}}' n1
    expect: ["0"]
  - host1: docker logs n1
    expect:
      - "/docker-entrypoint.sh: Configuration complete; ready for start up"
      - '/"GET \\/ HTTP\\/1\\.1" 200 615 "-" "curl\\/7\\.88\\.1" "-"/'
      - 'open() "/usr/share/nginx/html/nope" failed (2: No such file or directory)'
      - "signal 3 (SIGQUIT) received, shutting down"
`);
  });

  it("takes a new configuration on reload, and keeps the old one when the new one is wrong", async () => {
    await run(`
  - host1: docker run -d --name n1 --network web nginx
  - host1: docker run -d --name w1 --network web traefik/whoami
  - host1: docker run -d --name w2 --network web traefik/whoami
  - host1: |
      docker exec n1 sh -c 'cat > /etc/nginx/conf.d/default.conf <<END
      upstream all { server w1; server w2 weight=2; }
      server {
        listen 80;
        location / { proxy_pass http://all; proxy_set_header X-From "\\$host"; }
        location = /here { return 200 "here \\$hostname\\n"; }
        location /old/ { return 301 /new/; }
        location ~ [.]txt$ { root /srv; }
      }
      END
      nginx -t && nginx -s reload'
    expect: ["test is successful"]
  - host1: docker exec client sh -c 'for i in 1 2 3 4 5 6; do curl -s http://n1/ | grep Hostname; done | sort | uniq -c | sort -n'
    expect: ["/^ +2 Hostname: \\\\w+\\\\n +4 Hostname: \\\\w+\\\\n$/"]
  - host1: docker exec client curl -s http://n1/
    expect: ["X-From: n1"]
  - host1: docker exec client curl -s http://n1/here
    expect: ["/^here [0-9a-f]{12}\\\\n$/"]
  - host1: docker exec client curl -s -o /dev/null -w '%{http_code} %{redirect_url}' http://n1/old/x
    expect: ["301 http://n1/new/"]
  - host1: docker stop w1 w2
  - host1: docker exec client curl -s -m 300 -o /dev/null -w '%{http_code}' http://n1/
    expect: ["/^50[24]$/"]
  - host1: docker exec n1 sh -c 'echo "server { liste 80; }" > /etc/nginx/conf.d/default.conf; nginx -s reload'
    exit: 1
    expect: ['[emerg] unknown directive "liste" in /etc/nginx/conf.d/default.conf:1']
  - host1: docker exec client curl -s http://n1/here
    expect: ["here"]
`);
  });
});

describe("redis", () => {
  it("answers as redis does", async () => {
    await run(`
  - host1: docker run -d --name r1 --network web redis:alpine
  - host1: |
      docker exec r1 sh -c 'printf "ping\\nset a 1\\nincr a\\nget a\\nget b\\nset t x ex 5\\nttl t\\nrpush l a b\\nlrange l 0 -1\\nincr l\\nfoo bar\\nget\\nkeys *\\n" | redis-cli --no-raw'
    expect:
      - |
        PONG
        OK
        (integer) 2
        "2"
        (nil)
        OK
        (integer) 5
        (integer) 2
        1) "a"
        2) "b"
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        (error) ERR unknown command 'foo', with args beginning with: 'bar' 
        (error) ERR wrong number of arguments for 'get' command
        1) "a"
        2) "t"
        3) "l"
  - wait: 6s
  - host1: docker exec r1 redis-cli exists t
    expect: ["0"]
  - host1: docker exec client sh -c 'printf "PING\\r\\n*1\\r\\n\\$4\\r\\nQUIT\\r\\n" | nc r1 6379'
    expect: ["+PONG\\r\\n+OK\\r\\n"]
  - host1: docker exec r1 redis-cli -p 1 ping
    exit: 1
    expect: ["Could not connect to Redis at 127.0.0.1:1: Connection refused"]
  - host1: docker stop r1
  - host1: docker logs r1
    expect: ["Ready to accept connections tcp", "Redis is now ready to exit, bye bye..."]
`);
  });
});

describe("wordpress and mysql", () => {
  it("wait for each other, log in, and say what is missing", async () => {
    await run(`
  - host1: docker run -d --name wp --network web -e WORDPRESS_DB_PASSWORD=secret wordpress
  - host1: docker run -d --name mysql --network web -e MYSQL_ROOT_PASSWORD=secret mysql:5.7
  - host1: docker run -d --name nopw mysql:5.7
  - wait: 30s
  - host1: docker logs wp
    expect: ["MySQL Connection Error: (2002) Connection refused", "resuming normal operations"]
  - host1: docker logs nopw
    expect: ["Database is uninitialized and password option is not specified"]
  - host1: docker exec client curl -s -L http://wp/
    expect: ["WordPress &rsaquo; Installation"]
  - host1: docker exec mysql mysqladmin ping
    expect: ["mysqld is alive"]
  - host1: docker exec mysql mysql -psecret -e 'show databases'
    expect: ["Database\\ninformation_schema\\nmysql\\nperformance_schema\\nsys\\nwordpress\\n"]
  - host1: docker exec mysql mysql -h mysql -pwrong -e 'select 1'
    exit: 1
    expect: ["/ERROR 1045 \\\\(28000\\\\): Access denied for user 'root'@'[\\\\d.]+' \\\\(using password: YES\\\\)/"]
  - host1: docker stop mysql
  - host1: docker exec client curl -s -i http://wp/
    expect: ["HTTP/1.1 500 Internal Server Error", "Error establishing a database connection"]
`);
  });
});

describe("haproxy", () => {
  it("follows the name's addresses, and says where there is nobody", async () => {
    await run(`
  - host1: docker run -d --name w1 --network web --network-alias all traefik/whoami
  - host1: docker run -d --name w2 --network web --network-alias all traefik/whoami
  - host1: |
      cat > run.sh <<'SCRIPT'
      cat > /usr/local/etc/haproxy/haproxy.cfg <<'CONFIG'
      resolvers docker
          nameserver dns 127.0.0.11:53
      defaults
          mode http
          timeout connect 1s
          timeout client 10s
          timeout server 10s
      listen all
          bind *:80
          server-template s 3 all:80 check resolvers docker init-addr libc,none
      CONFIG
      exec haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg
      SCRIPT
      docker run -d --name lb --network web haproxy sh -c "$(cat run.sh)"
  - wait: 3s
  - host1: docker exec client sh -c 'for i in 1 2 3 4; do wget -q -O - http://lb/ | grep Hostname; done | sort | uniq -c'
    expect: ["/^ +2 Hostname: \\\\w+\\\\n +2 Hostname: \\\\w+\\\\n$/"]
  - host1: docker stop w1 w2
  - wait: 10s
  - host1: docker exec client curl -s -i http://lb/
    expect: ["HTTP/1.1 503 Service Unavailable", "No server is available to handle this request."]
  - host1: docker stop lb
  - host1: docker inspect -f '{{.State.ExitCode}}' lb
    expect: ["0"]
  - host1: docker run --rm haproxy sh -c 'echo "frontend x" > /tmp/c; echo " foo" >> /tmp/c; haproxy -f /tmp/c'
    exit: 1
    expect: ["[ALERT]    (", "parsing [/tmp/c:2] : unknown keyword 'foo' in 'frontend' section"]
`);
  });
});

describe("apache and whoami", () => {
  it("say who they are", async () => {
    await run(`
  - host1: docker run -d --name a1 --network web httpd
  - host1: docker run -d --name w1 --network web traefik/whoami
  - host1: docker run -d --name j1 --network web jwilder/whoami
  - host1: docker run -d --name u1 --network web alpine/socat UDP-LISTEN:9,fork PIPE
  - host1: docker exec client curl -s -i http://a1/
    expect: ["Server: Apache/2.4.57 (Unix)", 'ETag: "2d-432a5e4a73a80"', "<html><body><h1>It works!</h1></body></html>"]
  - host1: docker exec client curl -s http://w1/x
    expect: ["/^Hostname: \\\\w+\\\\nIP: 127\\\\.0\\\\.0\\\\.1\\\\nIP: [\\\\d.]+\\\\nRemoteAddr: [\\\\d.]+:\\\\d+\\\\nGET \\\\/x HTTP\\\\/1\\\\.1\\\\r\\\\nHost: w1\\\\r\\\\nUser-Agent: curl\\\\/7\\\\.88\\\\.1\\\\r\\\\nAccept: \\\\*\\\\/\\\\*\\\\r\\\\n\\\\r\\\\n$/"]
  - host1: docker exec client curl -s http://j1:8000/
    expect: ["/^I'm [0-9a-f]{12}\\\\n$/"]
  - host1: docker exec client sh -c 'echo hello | nc -u -w 1 u1 9'
    expect: ["hello"]
  - host1: docker stop a1 w1
  - host1: docker ps -a --format '{{.Names}} {{.Status}}'
    expect: ["/a1 Exited \\\\(0\\\\)/", "/w1 Exited \\\\(2\\\\)/"]
`);
  });
});

describe("load generators", () => {
  it("count what came and what did not", async () => {
    await run(`
  - host1: docker run -d --name n1 --network web nginx
  - host1: docker exec client ab -n 200 -c 4 http://n1/
    expect: ["Complete requests:      200\\nFailed requests:        0\\n", "Document Length:        615 bytes", "Total transferred:      169600 bytes"]
  - host1: docker exec client ab -n 10 -c 2 -k http://n1/
    expect: ["Keep-Alive requests:    10"]
  - host1: docker exec client ab http://n1:81/
    exit: 1
    expect: ["apr_socket_recv: Connection refused (111)"]
  - host1: docker exec client hey -z 2s -q 10 -c 10 http://n1/
    expect: ["[200]\\t200 responses"]
    reject: ["Error distribution"]
  - host1: docker exec client hey -n 20 -c 10 http://n1:81/
    expect: ["/\\\\[20\\\\]\\\\tGet \\"http:\\\\/\\\\/n1:81\\\\/\\": dial tcp [\\\\d.]+:81: connect: connection refused/"]
`);
  });
});
