/**
 * systemctl(1) and service(8) for the one unit of a lab's host that matters: docker.service (systemd 252 of Debian 12).
 * There is no docker.socket: a daemon that was stopped stays stopped.
 */
import type { Daemon } from "../engine/daemon.ts";
import type { Program, ProgramContext } from "../engine/program.ts";
import type { Proc } from "../scheduler/process.ts";

const UNIT = "docker.service";
/** Exit statuses of systemctl: a unit that isn't there, and one that isn't active. */
const NO_UNIT = 5;
const INACTIVE = 3;

function unitOf(name: string): string {
  return name.includes(".") ? name : `${name}.service`;
}

function* change(daemon: Daemon, verb: string): Proc<void> {
  if (verb === "stop" || verb === "restart") yield* daemon.stop();
  if (verb === "start" || verb === "restart") yield* daemon.start();
}

function status(context: ProgramContext, daemon: Daemon): number {
  const active = daemon.engine !== undefined;
  context.stdout.write(
    `${active ? "●" : "○"} ${UNIT} - Docker Application Container Engine\n` +
      `     Loaded: loaded (/lib/systemd/system/${UNIT}; enabled; preset: enabled)\n` +
      `     Active: ${active ? "active (running)" : "inactive (dead)"}\n`,
  );
  return active ? 0 : INACTIVE;
}

/** `systemctl start|stop|restart|status|is-active|is-enabled|daemon-reload|enable|disable docker`. */
export function systemctl(daemon: Daemon): Program {
  return function* (context) {
    const words = context.argv.slice(1).filter((word) => !word.startsWith("-"));
    const [verb = "", ...names] = words;
    if (verb === "daemon-reload") return 0;
    if (!["start", "stop", "restart", "status", "is-active", "is-enabled", "enable", "disable"].includes(verb)) {
      context.stderr.write(verb === "" ? "Too few arguments.\n" : `Unknown command verb ${verb}.\n`);
      return 1;
    }
    for (const name of names) {
      const unit = unitOf(name);
      if (unit === UNIT) continue;
      if (verb === "is-active") {
        context.stdout.write("inactive\n");
        return INACTIVE;
      }
      context.stderr.write(
        verb === "status"
          ? `Unit ${unit} could not be found.\n`
          : `Failed to ${verb} ${unit}: Unit ${unit} ${verb === "stop" ? "not loaded" : "not found"}.\n`,
      );
      return verb === "status" ? NO_UNIT - 1 : NO_UNIT;
    }
    if (names.length === 0) {
      context.stderr.write("Too few arguments.\n");
      return 1;
    }
    if (verb === "status") return status(context, daemon);
    if (verb === "is-active") {
      context.stdout.write(daemon.engine === undefined ? "inactive\n" : "active\n");
      return daemon.engine === undefined ? INACTIVE : 0;
    }
    if (verb === "is-enabled") context.stdout.write("enabled\n");
    else yield* change(daemon, verb);
    return 0;
  };
}

/** `service docker start|stop|restart|status`. */
export function service(daemon: Daemon): Program {
  return function* (context) {
    const [, name = "", verb = ""] = context.argv;
    if (name === "" || verb === "") {
      context.stderr.write(
        "Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]\n",
      );
      return 1;
    }
    if (name !== "docker") {
      context.stderr.write(`${name}: unrecognized service\n`);
      return 1;
    }
    if (verb === "status") return status(context, daemon);
    if (!["start", "stop", "restart"].includes(verb)) {
      context.stderr.write(`Usage: /etc/init.d/docker {start|stop|restart|status}\n`);
      return 1;
    }
    yield* change(daemon, verb);
    return 0;
  };
}

/** `sudo COMMAND…`: everybody is root here. */
export const sudo: Program = function* (context) {
  const [, ...words] = context.argv;
  while (words[0]?.startsWith("-")) words.shift();
  if (words.length === 0) {
    context.stderr.write("usage: sudo -h | -K | -k | -V\nusage: sudo [-u user] [VAR=value] [command [arg ...]]\n");
    return 1;
  }
  if (!context.programs.includes(words[0] as string) && !(words[0] as string).includes("/")) {
    context.stderr.write(`sudo: ${words[0]}: command not found\n`);
    return 1;
  }
  return yield* context.exec(words);
};
