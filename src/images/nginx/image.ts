/** The nginx images: on Debian, and on Alpine; and nginxdemos/hello, whose page says which container answered. */
import type { Image, Program } from "../../engine/program.ts";
import { alpine } from "../alpine.ts";
import { debianFiles, debianPrograms } from "../debian.ts";
import { become, type FindProgram } from "../server/entrypoint.ts";
import { nginx } from "./nginx.ts";
import { DEFAULT_CONF, ERROR_PAGE_50X, mimeTypes, NGINX_CONF, WELCOME_PAGE } from "./pages.ts";

const SCRIPT = "/docker-entrypoint.sh";
const DIRECTORY = "/docker-entrypoint.d";
const IPV6_SCRIPT = "10-listen-on-ipv6-by-default.sh";

/** The image's entrypoint script: what it says before it becomes nginx. Any other command it just runs. */
const entrypoint = (find: FindProgram): Program =>
  function* (context) {
    const [, ...command] = context.argv;
    const say = (text: string): void => context.stdout.write(`${SCRIPT}: ${text}\n`);
    if (command[0] === "nginx" || command[0] === "nginx-debug") {
      say(`${DIRECTORY}/ is not empty, will attempt to perform configuration`);
      say(`Looking for shell scripts in ${DIRECTORY}/`);
      say(`Launching ${DIRECTORY}/${IPV6_SCRIPT}`);
      listenOnIpv6(context);
      say(`Sourcing ${DIRECTORY}/15-local-resolvers.envsh`);
      say(`Launching ${DIRECTORY}/20-envsubst-on-templates.sh`);
      say(`Launching ${DIRECTORY}/30-tune-worker-processes.sh`);
      say("Configuration complete; ready for start up");
    }
    return yield* become(context, command, find);
  };

/** Adds the IPv6 listener that the image's own configuration lacks; one that was changed is left alone. */
function listenOnIpv6({ files, stdout }: Parameters<Program>[0]): void {
  const path = "/etc/nginx/conf.d/default.conf";
  const say = (text: string): void => stdout.write(`${IPV6_SCRIPT}: info: ${text}\n`);
  const text = files.read(path);
  if (text === undefined) {
    say(`${path.slice(1)} is not a file or does not exist`);
    return;
  }
  say(`Getting the checksum of /${path.slice(1)}`);
  if (text !== DEFAULT_CONF) {
    say(`${path} differs from the packaged version`);
    return;
  }
  files.write(path, text.replace("listen       80;", "listen       80;\n    listen  [::]:80;"));
  say(`Enabled listen on IPv6 in ${path}`);
}

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/nginx/nginx.conf", NGINX_CONF],
  ["/etc/nginx/mime.types", mimeTypes()],
  ["/etc/nginx/conf.d/default.conf", DEFAULT_CONF],
  ["/usr/share/nginx/html/index.html", WELCOME_PAGE],
  ["/usr/share/nginx/html/50x.html", ERROR_PAGE_50X],
  [`${DIRECTORY}/${IPV6_SCRIPT}`, "#!/bin/sh\n"],
  [SCRIPT, "#!/bin/sh\n"],
  ["/var/log/nginx/", ""],
  ["/run/", ""],
];

const COMMON = {
  cmd: ["nginx", "-g", "daemon off;"],
  entrypoint: [SCRIPT],
  env: [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "NGINX_VERSION=1.25.2",
    "NJS_VERSION=0.8.0",
  ],
  exposed: ["80/tcp"],
  workingDir: "/",
  stopSignal: "SIGQUIT",
};

function withNginx(programs: ReadonlyMap<string, Program>): ReadonlyMap<string, Program> {
  const all = new Map([...programs, ["nginx", nginx]]);
  return all.set(
    SCRIPT,
    entrypoint((name) => all.get(name)),
  );
}

const debianNginx = withNginx(debianPrograms(["curl"]));

/** `nginx`. */
export const nginxImage: Image = {
  ...COMMON,
  id: "sha256:61395b4c586da2b9b3b7ca903ea6a448e6783dfdd7f768ff2c1a0f3360aaba99",
  tag: "nginx:latest",
  sizeBytes: 187_000_000,
  programs: debianNginx,
  files: new Map([...debianFiles(debianNginx), ...FILES]),
};

const alpineNginx = withNginx(alpine.programs);

/** `nginx:alpine`. */
export const nginxAlpine: Image = {
  ...COMMON,
  id: "sha256:d571254277f6a0ba9d0c4a08f29b94476dcd4a95275bd484ece060ee4ff847e4",
  tag: "nginx:alpine",
  sizeBytes: 42_600_000,
  programs: alpineNginx,
  files: new Map([...alpine.files, ...FILES]),
};

/** The plain-text variant of nginxdemos/hello: hello-plain-text.conf of its repository. */
const HELLO_CONF = `server {
    listen 80;
    listen [::]:80;

    location / {
        default_type text/plain;
        expires -1;
        return 200 'Server address: $server_addr:$server_port\\nServer name: $hostname\\nDate: $time_local\\nURI: $request_uri\\n';
    }
}
`;

/** `nginxdemos/hello`. */
export const nginxHello: Image = {
  ...COMMON,
  id: "sha256:21dd11c8fb7a7f5b3bd0d9ee1a9ba3d0d40a5d6a9c4a36f3ae6d4a0a91a3b5c7",
  tag: "nginxdemos/hello:plain-text",
  sizeBytes: 41_400_000,
  programs: alpineNginx,
  files: new Map([...alpine.files, ...FILES, ["/etc/nginx/conf.d/default.conf", HELLO_CONF]]),
};
