/** Files of the nginx image, and the pages that nginx makes itself (src/http/ngx_http_special_response.c). */
import { REASONS } from "../server/http.ts";

/** What its Server header says. */
export const NGINX_VERSION = "nginx/1.25.2";

/** /usr/share/nginx/html/index.html. */
export const WELCOME_PAGE = `<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href="http://nginx.org/">nginx.org</a>.<br/>
Commercial support is available at
<a href="http://nginx.com/">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
`;

/** /usr/share/nginx/html/50x.html. */
export const ERROR_PAGE_50X = `<!DOCTYPE html>
<html>
<head>
<title>Error</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>An error occurred.</h1>
<p>Sorry, the page you are looking for is currently unavailable.<br/>
Please try again later.</p>
<p>If you are the system administrator of this resource then you should check
the error log for details.</p>
<p><em>Faithfully yours, nginx.</em></p>
</body>
</html>
`;

/** /etc/nginx/nginx.conf. */
export const NGINX_CONF = `
user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /var/run/nginx.pid;


events {
    worker_connections  1024;
}


http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';

    access_log  /var/log/nginx/access.log  main;

    sendfile        on;
    #tcp_nopush     on;

    keepalive_timeout  65;

    #gzip  on;

    include /etc/nginx/conf.d/*.conf;
}
`;

/** /etc/nginx/conf.d/default.conf. */
export const DEFAULT_CONF = `server {
    listen       80;
    server_name  localhost;

    #access_log  /var/log/nginx/host.access.log  main;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    #error_page  404              /404.html;

    # redirect server error pages to the static page /50x.html
    #
    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
`;

/** Types by the file name's ending (conf/mime.types). */
export const MIME_TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  htm: "text/html",
  css: "text/css",
  xml: "text/xml",
  txt: "text/plain",
  gif: "image/gif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  svg: "image/svg+xml",
  ico: "image/x-icon",
  js: "application/javascript",
  json: "application/json",
  pdf: "application/pdf",
  zip: "application/zip",
};

/** When the files of the image were made: 2023-08-15T17:03:04Z. */
export const IMAGE_TIME = 0x64dbafc8;

/** The text of mime.types, as far as it is known here. */
export function mimeTypes(): string {
  const types = new Map<string, string[]>();
  for (const [ending, type] of Object.entries(MIME_TYPES)) types.set(type, [...(types.get(type) ?? []), ending]);
  return `\ntypes {\n${[...types].map(([type, endings]) => `    ${type.padEnd(48)} ${endings.join(" ")};\n`).join("")}}\n`;
}

/** Reasons that nginx words in its own way. */
const TITLES: Readonly<Record<number, string>> = {
  302: "Found",
  408: "Request Time-out",
  503: "Service Temporarily Unavailable",
  504: "Gateway Time-out",
};

/** `404 Not Found`. */
export function statusLine(status: number): string {
  const reason = TITLES[status] ?? REASONS[status];
  return reason === undefined ? String(status) : `${status} ${reason}`;
}

/** The page for a status from 300 on. */
export function statusPage(status: number): string {
  const title = statusLine(status);
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>${NGINX_VERSION}</center>\r\n</body>\r\n</html>\r\n`;
}
