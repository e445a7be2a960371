/** nsenter(1): runs a host's program in the network namespace of a container's process, or in one that Docker keeps. */

import { findProgram, type ProcessRoot, RunningProgram } from "../engine/process-runner.ts";
import type { Program } from "../engine/program.ts";
import type { NetNs } from "../kernel/types.ts";
import { EnteredFiles } from "./host-files.ts";

/**
 * @param namespaceOf the network namespace of a process, undefined when there is no such process
 * @param namespaceAt that of a file in /run/docker/netns, undefined when there is no such file
 */
export function nsenter(
  root: ProcessRoot,
  namespaceOf: (pid: number) => NetNs | undefined,
  namespaceAt: (path: string) => NetNs | undefined,
): Program {
  return function* (context) {
    const { argv, stderr } = context;
    let pid: number | undefined;
    let file: string | undefined;
    let at = 1;
    for (; at < argv.length && argv[at]?.startsWith("-"); at++) {
      const arg = argv[at] as string;
      if (arg === "-n" || arg === "--net") continue;
      if (arg === "--") {
        at++;
        break;
      }
      if (arg === "-t" || arg === "--target") pid = Number(argv[++at]);
      else if (arg.startsWith("--target=")) pid = Number(arg.slice(9));
      else if (arg.startsWith("--net=")) file = arg.slice(6);
      else if (arg.startsWith("-n")) file = arg.slice(2);
      else {
        stderr.write(`nsenter: unrecognized option '${arg}'\nTry 'nsenter --help' for more information.\n`);
        return 1;
      }
    }
    if (file === undefined && (pid === undefined || !Number.isInteger(pid))) {
      stderr.write("nsenter: no target PID specified for --net\n");
      return 1;
    }
    const ns = file === undefined ? namespaceOf(pid as number) : namespaceAt(file);
    if (ns === undefined) {
      stderr.write(`nsenter: cannot open ${file ?? `/proc/${pid}/ns/net`}: No such file or directory\n`);
      return 1;
    }
    const command = argv.slice(at);
    const program = findProgram(root, command[0] ?? "sh");
    if (program === undefined) {
      stderr.write(`nsenter: failed to execute ${command[0]}: No such file or directory\n`);
      return 127;
    }
    const entered = { ...root, ns, files: new EnteredFiles(root.files, ns) };
    const running = new RunningProgram(entered, program, command, context.env, context.cwd, context, false);
    try {
      // nsenter becomes the command (execve): its signals are the command's.
      for (;;) {
        if (running.status !== undefined) return yield* running.wait();
        const signal = context.signals.tryPop();
        if (signal !== undefined) running.signal(signal);
        else yield { on: [running.exited, context.signals] };
      }
    } finally {
      running.signal("SIGKILL");
    }
  };
}
