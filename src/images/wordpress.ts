/**
 * WordPress 5.6 on Apache and PHP 7.4, as far as service discovery goes: its entrypoint script waits for the database
 * named by WORDPRESS_DB_HOST, and pages need it; without tables everything leads to the installation.
 */
import { KernelError } from "../base/errors.ts";
import { SEC } from "../base/time.ts";
import type { Image, Program, ProgramContext } from "../engine/program.ts";
import { type Proc, sleep } from "../scheduler/process.ts";
import { debianFiles, debianPrograms } from "./debian.ts";
import { type ApachePage, apache } from "./httpd.ts";
import { connectMysql } from "./mysql/client.ts";
import { MysqlError } from "./mysql/packet.ts";
import { become } from "./server/entrypoint.ts";
import type { HttpRequest } from "./server/http.ts";

/** How often the script tries the database, and the pause between. */
const TRIES = 10;
const PAUSE = 3 * SEC;

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

function settingsOf({ env }: ProgramContext): Settings {
  const [host = "mysql", port] = (env.get("WORDPRESS_DB_HOST") || "mysql").split(":");
  return {
    host,
    port: Number(port ?? 3306),
    user: env.get("WORDPRESS_DB_USER") || "root",
    password: env.get("WORDPRESS_DB_PASSWORD") ?? "",
    database: env.get("WORDPRESS_DB_NAME") || "wordpress",
  };
}

/** An error as PHP's mysqli words it: its own number for all that is about reaching the server. */
function phpError(error: MysqlError): { code: number; text: string } {
  if (error.code === 2005)
    return { code: 2002, text: "php_network_getaddresses: getaddrinfo failed: Name or service not known" };
  if (error.code !== 2003) return { code: error.code, text: error.message };
  const number = Number(/\((\d+)\)$/.exec(error.message)?.[1]);
  const texts: Readonly<Record<number, string>> = {
    110: "Connection timed out",
    111: "Connection refused",
    113: "No route to host",
  };
  return { code: 2002, text: texts[number] ?? "No such file or directory" };
}

/** The script's PHP program: connects, and makes the database. @returns it went well */
function* prepareDatabase(context: ProgramContext): Proc<boolean> {
  const { host, port, ...login } = settingsOf(context);
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const connection = yield* connectMysql(
      context,
      host,
      port,
      { user: login.user, password: login.password },
      60 * SEC,
    );
    if (!(connection instanceof MysqlError)) {
      const made = yield* connection.query(`CREATE DATABASE IF NOT EXISTS \`${login.database}\``);
      connection.close();
      if (!(made instanceof MysqlError)) return true;
      context.stderr.write(`\nMySQL "CREATE DATABASE" Error: ${made.message}\n`);
      return false;
    }
    const { code, text } = phpError(connection);
    if (connection.code === 2005)
      context.stderr.write(`\nWarning: mysqli::__construct(): ${text} in Standard input code on line 22\n`);
    context.stderr.write(
      `\nWarning: mysqli::__construct(): (HY000/${code}): ${text} in Standard input code on line 22\n`,
    );
    context.stderr.write(`\nMySQL Connection Error: (${code}) ${text}\n`);
    if (attempt < TRIES) yield* sleep(context.os, PAUSE);
  }
  return false;
}

const entrypoint: Program = function* (context) {
  const command = context.argv.slice(1);
  if (command[0] === "apache2-foreground") {
    context.stderr.write("WordPress not found in /var/www/html - copying now...\n");
    context.stderr.write("Complete! WordPress has been successfully copied to /var/www/html\n");
    context.files.write("/var/www/html/wp-config.php", "<?php\n");
    if (!(yield* prepareDatabase(context))) return 1;
  }
  return yield* become(context, command, (name) => programs.get(name));
};

const STYLE =
  '<meta name="viewport" content="width=device-width" />\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />\n<meta name="robots" content="noindex,nofollow" />';

function errorPage(): ApachePage {
  const body = `<!DOCTYPE html>\n<html>\n<head>\n${STYLE}\n\t<title>Database Error</title>\n</head>\n<body id="error-page">\n\t<div class="wp-die-message"><h1>Error establishing a database connection</h1></div></body>\n</html>\n`;
  return { status: 500, body, type: "text/html; charset=utf-8", headers: PHP };
}

const PHP: readonly (readonly [string, string])[] = [["X-Powered-By", "PHP/7.4.15"]];

function installPage(): ApachePage {
  const body = `<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en-US">\n<head>\n${STYLE}\n\t<title>WordPress &rsaquo; Installation</title>\n</head>\n<body class="wp-core-ui language-chooser">\n<p id="logo">WordPress</p>\n<form id="setup" method="post" action="?step=1"><label class='screen-reader-text' for='language'>Select a default language</label>\n<select size='14' name='language' id='language'>\n<option value="" lang="en" selected="selected" data-continue="Continue" data-installed="1">English (United States)</option>\n</select>\n<p class="step"><span class="spinner"></span><input id="language-continue" type="submit" class="button button-primary button-large" value="Continue" /></p></form></body>\n</html>\n`;
  return { status: 200, body, type: "text/html; charset=utf-8", headers: PHP };
}

/** Each page asks the database whether there are tables; there are none. */
function* respond(context: ProgramContext, request: HttpRequest): Proc<ApachePage | undefined> {
  const path = request.target.split("?")[0] as string;
  if (!path.endsWith("/") && !path.endsWith(".php")) return undefined;
  const { host, port, ...login } = settingsOf(context);
  try {
    const connection = yield* connectMysql(context, host, port, login, 60 * SEC);
    if (connection instanceof MysqlError) return errorPage();
    const tables = yield* connection.query("SHOW TABLES");
    connection.close();
    if (tables instanceof MysqlError) return errorPage();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return errorPage();
  }
  if (path === "/wp-admin/install.php") return installPage();
  const location = `http://${request.headers.get("host") ?? ""}/wp-admin/install.php`;
  const headers = [...PHP, ["X-Redirect-By", "WordPress"], ["Location", location]] as const;
  return { status: 302, body: "", type: "text/html; charset=UTF-8", headers };
}

const foreground: Program = (context) =>
  apache(context, {
    server: "Apache/2.4.38 (Debian)",
    mpm: "prefork",
    commandLine: "apache2 -D FOREGROUND",
    respond,
  });

const programs = new Map<string, Program>([
  ...debianPrograms(["curl"]),
  ["apache2-foreground", foreground],
  ["docker-entrypoint.sh", entrypoint],
]);

/** `wordpress`. */
export const wordpressImage: Image = {
  id: "sha256:f3c2b9f6f4b4d9c4e1c9b0cbf7c4f6a59e5e9a4d9b7f2a1c3d5e7f9081a2b3c4",
  tag: "wordpress:latest",
  cmd: ["apache2-foreground"],
  entrypoint: ["docker-entrypoint.sh"],
  env: [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "WORDPRESS_VERSION=5.6.2",
    "PHP_VERSION=7.4.15",
  ],
  exposed: ["80/tcp"],
  workingDir: "/var/www/html",
  stopSignal: "SIGWINCH",
  sizeBytes: 550_000_000,
  programs,
  files: new Map([...debianFiles(programs), ["/var/www/html/", ""]]),
};
