/** `docker exec`, `attach` and `start` (docker/cli cli/command/container/exec.go, attach.go, start.go; 20.10). */
import { ApiError, type AttachStream } from "../../engine/api.ts";
import { join, type Proc } from "../../scheduler/process.ts";
import { type Command, errorText, exactArgs, type Invocation, minArgs, StatusError } from "./command.ts";
import { hasTty, inspectContainer } from "./container.ts";
import { bool, num, text } from "./format/json.ts";
import { awaitExit, forwardSignal } from "./run.ts";
import { pump } from "./stream.ts";

function* exec(invocation: Invocation): Proc<number> {
  const { engine, flags, args, context } = invocation;
  const [name = "", ...command] = args;
  const detach = flags.bool("detach");
  const tty = flags.bool("tty");
  const interactive = flags.bool("interactive");
  yield* inspectContainer(invocation, name);
  if (!detach && interactive && tty && !context.tty) throw new StatusError(1, "the input device is not a TTY");
  const user = flags.text("user");
  const workdir = flags.text("workdir");
  const { Id } = yield* engine.execCreate(name, {
    Cmd: command,
    Tty: tty,
    AttachStdin: interactive && !detach,
    AttachStdout: !detach,
    AttachStderr: !detach,
    Detach: detach,
    Env: flags.list("env"),
    ...(user === undefined ? {} : { User: user }),
    ...(workdir === undefined ? {} : { WorkingDir: workdir }),
  });
  const stream = yield* engine.execStart(Id, detach);
  if (stream === undefined) return 0;
  if (yield* pump(context, stream, { stdin: interactive, tty })) throw new StatusError(1, "read escape sequence");
  return num(engine.execInspect(Id), "ExitCode");
}

function* attach(invocation: Invocation): Proc<number> {
  const { engine, flags, args, context } = invocation;
  const name = args[0] as string;
  const details = yield* inspectContainer(invocation, name);
  if (!bool(details, "State", "Running"))
    throw new StatusError(1, "You cannot attach to a stopped container, start it first");
  if (bool(details, "State", "Paused"))
    throw new StatusError(1, "You cannot attach to a paused container, unpause it first");
  if (bool(details, "State", "Restarting"))
    throw new StatusError(1, "You cannot attach to a restarting container, wait until it is running");
  const tty = hasTty(details);
  const stdin = bool(details, "Config", "OpenStdin") && !flags.bool("no-stdin");
  if (stdin && tty && !context.tty) throw new StatusError(1, "the input device is not a TTY");
  const id = text(details, "Id");
  const exited = context.os.spawn("docker wait", awaitExit(invocation, id, "next-exit"));
  const escaped = yield* pumpContainer(invocation, id, engine.containerAttach(id), stdin, tty);
  if (escaped) {
    exited.kill();
    throw new StatusError(1, "read escape sequence");
  }
  yield* join(exited);
  return exited.result ?? 1;
}

function pumpContainer(
  invocation: Invocation,
  id: string,
  stream: AttachStream,
  stdin: boolean,
  tty: boolean,
): Proc<boolean> {
  const onSignal = tty ? undefined : forwardSignal(invocation, id);
  return pump(invocation.context, stream, { stdin, tty, ...(onSignal === undefined ? {} : { onSignal }) });
}

function* start(invocation: Invocation): Proc<number> {
  const { engine, flags, args, err, out, context } = invocation;
  const interactive = flags.bool("interactive");
  if (!flags.bool("attach") && !interactive) {
    const failed: string[] = [];
    for (const name of args) {
      try {
        yield* engine.containerStart(name);
        out(`${name}\n`);
      } catch (error) {
        err(`${errorText(error)}\n`);
        failed.push(name);
      }
    }
    if (failed.length > 0) throw new StatusError(1, `Error: failed to start containers: ${failed.join(", ")}`);
    return 0;
  }
  if (args.length > 1) throw new StatusError(1, "you cannot start and attach multiple containers at once");
  const details = yield* inspectContainer(invocation, args[0] as string);
  const id = text(details, "Id");
  const tty = hasTty(details);
  const stream = engine.containerAttach(id);
  const exited = context.os.spawn(
    "docker wait",
    awaitExit(invocation, id, bool(details, "HostConfig", "AutoRemove") ? "removed" : "next-exit"),
  );
  try {
    yield* engine.containerStart(id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    stream.detach();
    exited.kill();
    throw error;
  }
  const stdin = interactive && bool(details, "Config", "OpenStdin");
  if (yield* pumpContainer(invocation, id, stream, stdin, tty)) {
    exited.kill();
    return 0;
  }
  yield* join(exited);
  return exited.result ?? 1;
}

const DETACH_KEYS = {
  name: "detach-keys",
  type: "string",
  usage: "Override the key sequence for detaching a container",
} as const;

/** `docker attach`, `exec`, `logs` and their like. */
export const ATTACH_COMMANDS: readonly Command[] = [
  {
    use: "attach [OPTIONS] CONTAINER",
    short: "Attach local standard input, output, and error streams to a running container",
    args: exactArgs(1),
    flags: [
      DETACH_KEYS,
      { name: "no-stdin", usage: "Do not attach STDIN" },
      { name: "sig-proxy", usage: "Proxy all received signals to the process", shown: "true" },
    ],
    run: attach,
  },
  {
    use: "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    short: "Run a command in a running container",
    args: minArgs(2),
    notInterspersed: true,
    flags: [
      { name: "detach", short: "d", usage: "Detached mode: run command in the background" },
      DETACH_KEYS,
      { name: "env", short: "e", type: "list", usage: "Set environment variables", many: true },
      { name: "interactive", short: "i", usage: "Keep STDIN open even if not attached" },
      { name: "privileged", usage: "Give extended privileges to the command" },
      { name: "tty", short: "t", usage: "Allocate a pseudo-TTY" },
      { name: "user", short: "u", type: "string", usage: "Username or UID (format: <name|uid>[:<group|gid>])" },
      { name: "workdir", short: "w", type: "string", usage: "Working directory inside the container" },
    ],
    run: exec,
  },
  {
    use: "start [OPTIONS] CONTAINER [CONTAINER...]",
    short: "Start one or more stopped containers",
    args: minArgs(1),
    flags: [
      { name: "attach", short: "a", usage: "Attach STDOUT/STDERR and forward signals" },
      DETACH_KEYS,
      { name: "interactive", short: "i", usage: "Attach container's STDIN" },
    ],
    run: start,
  },
];
