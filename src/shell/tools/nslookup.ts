/** `nslookup` of busybox 1.35 (networking/nslookup.c, the big one). */
import { formatIpv4, type Ipv4, parseIpv4 } from "../../base/addr.ts";
import { KernelError } from "../../base/errors.ts";
import { SEC } from "../../base/time.ts";
import type { Program, ProgramContext } from "../../engine/program.ts";
import type { Proc } from "../../scheduler/process.ts";
import { DNS_TYPE, makeQuery, parseResponse, RCODE_NAMES, reverseName, TYPE_NAMES } from "../lib/dns-message.ts";
import { Failure, isSignal, tool, waitReady } from "../lib/program.ts";
import { DNS_PORT, parseResolvConf, queryId, resolve } from "../lib/resolve.ts";

interface Question {
  readonly name: string;
  readonly query: Uint8Array;
  readonly id: number;
  reply: Uint8Array | undefined;
}

function* main(context: ProgramContext): Proc<number> {
  const types: number[] = [];
  const words: string[] = [];
  for (const word of context.argv.slice(1)) {
    const type = /^-(?:type|query|q)=(\w+)$/.exec(word)?.[1];
    if (type === undefined) words.push(word);
    else if (TYPE_NAMES[type.toUpperCase()] === undefined) throw new Failure(`invalid query type "${type}"`);
    else types.push(TYPE_NAMES[type.toUpperCase()] as number);
  }
  const [host, via] = words;
  if (host === undefined) throw new Failure("", 1);
  const config = parseResolvConf(context.files.read("/etc/resolv.conf") ?? "");
  let server = config.servers[0] as Ipv4;
  if (via !== undefined) {
    const found = yield* resolve(context, via, "musl");
    if ("failure" in found) throw new Failure(`bad address '${via}'`);
    server = found.addresses[0] as Ipv4;
  }
  const questions = makeQuestions(context, host, types, config.search, config.ndots);
  yield* sendQueries(context, questions, server);
  if (questions.every((one) => one.reply === undefined)) {
    context.stdout.write(";; connection timed out; no servers could be reached\n\n");
    return 1;
  }
  context.stdout.write(`Server:\t\t${formatIpv4(server)}\nAddress:\t${formatIpv4(server)}:${DNS_PORT}\n\n`);
  let failed = false;
  for (const question of questions) failed = !printReply(context, question) || failed;
  return failed ? 1 : 0;
}

function makeQuestions(context: ProgramContext, host: string, types: readonly number[], search: readonly string[], ndots: number): Question[] {
  const ip = parseIpv4(host);
  const name = ip === undefined ? host : reverseName(ip);
  const wanted = types.length > 0 ? types : ip === undefined ? [DNS_TYPE.A, DNS_TYPE.AAAA] : [DNS_TYPE.PTR];
  const short = name.split(".").length - 1 < ndots && !name.endsWith(".");
  const names = short && search.length > 0 ? search.map((domain) => `${name}.${domain}`) : [name];
  return names.flatMap((one) =>
    wanted.map((type) => {
      const id = queryId(context.os);
      const query = makeQuery(id, one, type);
      if (query === undefined) throw new Failure(`${one}: can't resolve`);
      return { name: one, query, id, reply: undefined };
    }),
  );
}

/** Asks up to twice within five seconds, as the built-in defaults say. */
function* sendQueries(context: ProgramContext, questions: readonly Question[], server: Ipv4): Proc<void> {
  const socket = context.ns.socket.udp();
  socket.setOwner("nslookup");
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const question of questions) {
        if (question.reply !== undefined) continue;
        try {
          socket.sendTo(question.query, server, DNS_PORT);
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
        }
      }
      const until = context.os.now() + 2.5 * SEC;
      while (questions.some((one) => one.reply === undefined)) {
        socket.takeError();
        const datagram = socket.tryRecv();
        if (datagram !== undefined) {
          const question = questions.find((one) => one.id === parseResponse(datagram.data)?.id && one.reply === undefined);
          if (question !== undefined) question.reply = datagram.data;
          continue;
        }
        const result = yield* waitReady(context, [socket], until);
        if (isSignal(result)) return;
        if (result === "timeout") break;
      }
    }
  } finally {
    socket.close();
  }
}

/** @returns whether it was an answer */
function printReply(context: ProgramContext, question: Question): boolean {
  const out = (text: string) => context.stdout.write(text);
  const response = question.reply === undefined ? undefined : parseResponse(question.reply);
  if (response === undefined) {
    out(`*** Can't find ${question.name}: No answer\n\n`);
    return false;
  }
  if (response.rcode !== 0) {
    out(`** server can't find ${question.name}: ${RCODE_NAMES[response.rcode] ?? response.rcode}\n\n`);
    return false;
  }
  if (!response.authoritative) out("Non-authoritative answer:\n");
  for (const answer of response.answers) {
    const name = answer.name.replace(/\.$/, "");
    if (answer.type === DNS_TYPE.A) out(`Name:\t${name}\nAddress: ${answer.text}\n`);
    else if (answer.type === DNS_TYPE.PTR) out(`${name}\tname = ${answer.text.replace(/\.$/, "")}\n`);
    else if (answer.type === TYPE_NAMES["CNAME"]) out(`${name}\tcanonical name = ${answer.text.replace(/\.$/, "")}\n`);
  }
  out("\n");
  return true;
}

export const nslookup: Program = tool(main);
