/** The mysql image (5.7). */
import type { Image, Program } from "../../engine/program.ts";
import { debianFiles, debianPrograms } from "../debian.ts";
import { become } from "../server/entrypoint.ts";
import { mysql, mysqladmin } from "./client.ts";
import { MYSQL_VERSION, mysqld } from "./server.ts";

const programs = new Map<string, Program>([
  ...debianPrograms(),
  ["mysqld", mysqld],
  ["mysql", mysql],
  ["mysqladmin", mysqladmin],
]);
programs.set("docker-entrypoint.sh", (context) => {
  const command = context.argv.slice(1);
  const argv = command[0]?.startsWith("-") ? ["mysqld", ...command] : command;
  return become(context, argv, (name) => programs.get(name));
});

/** `mysql`. */
export const mysqlImage: Image = {
  id: "sha256:92034fe9a41f4344b97f3fc88a8796248e2cfa9b934be58379f3dbc150d07d9d",
  tag: "mysql:latest",
  cmd: ["mysqld"],
  entrypoint: ["docker-entrypoint.sh"],
  env: [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "MYSQL_MAJOR=5.7",
    `MYSQL_VERSION=${MYSQL_VERSION}-1.el7`,
  ],
  exposed: ["3306/tcp", "33060/tcp"],
  workingDir: "/",
  sizeBytes: 581_000_000,
  programs,
  files: debianFiles(programs),
};
