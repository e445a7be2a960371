/**
 * What the capture did inside tasks of D-service-vip (in-container.txt, in-container-vip.txt), done in tasks here: names, pings, the
 * virtual IP's other ports, the mesh from within.
 *
 * What can't be equal: ids, times, dig's cookies, and the order of several addresses of one name, which is random in both. The capture's
 * `docker exec … nslookup`, `ip` and `wget` were those of the capture's busybox image, which is no nginx; its `wget` loops end in
 * "Segmentation fault" and were done again with curl there.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenAvailable, goldenTitle, xzAvailable } from "../support/golden.ts";
import { kernelBuilt } from "../support/kernel.ts";
import type { Frame } from "./frames.ts";
import { type GoldenCommand, goldenCommands, goldenFrames } from "./scenario.ts";
import { D, GOLDEN_TASKS, ServiceLab } from "./service-lab.ts";

/** Tasks that the capture looked into, with the process whose namespace it entered. */
const INSIDE = [
  { node: "manager", slot: 1, pid: "10980", lo: "fc78c23fb7f7__lo" },
  { node: "worker-2", slot: 3, pid: "9237", lo: `ctr-my-nginx.3.${GOLDEN_TASKS[2].id}__lo` },
] as const;

interface Pair {
  readonly golden: GoldenCommand;
  readonly ours: string;
  readonly exit: number | undefined;
}

/** dig's output without what is random, its addresses in order; ping's without times. */
function plain(text: string): string {
  const lines = text
    .replace(/id: \d+/g, "id: ID")
    .replace(/Query time: \d+ msec/g, "Query time: T")
    .replace(/WHEN: .*/g, "WHEN: T")
    .replace(/time[= ]\d[\d.]* ?ms/g, "time T")
    .replace(/^rtt .*/gm, "rtt")
    .split("\n");
  const address = (line: string): boolean => /\tIN\tA\t/.test(line);
  const sorted = lines.filter(address).sort();
  return lines.map((line) => (address(line) ? (sorted.shift() as string) : line)).join("\n");
}

/** DNS messages of a capture: each question's answer, both without IDs and additional records; addresses in order. */
function answers(frames: readonly Frame[]): Map<string, string> {
  const questions = new Map<string, string>();
  const found = new Map<string, string>();
  for (const { ip, ports } of frames) {
    if (ip?.protocol !== 17 || ports === undefined) continue;
    const message = ip.payload.subarray(8);
    const id = `${(message[0] ?? 0) * 256 + (message[1] ?? 0)}`;
    let end = 12;
    while ((message[end] ?? 0) !== 0) end += (message[end] ?? 0) + 1;
    const question = Buffer.from(message.subarray(12, end + 5)).toString("latin1");
    if (((message[2] ?? 0) & 0x80) === 0) questions.set(id, question);
    else if (questions.has(id)) {
      const records = Buffer.from(message.subarray(end + 5));
      // Address records: a name as it was asked, or a pointer to it, and four bytes at the end of each.
      const count = (message[6] ?? 0) * 256 + (message[7] ?? 0);
      const size = count === 0 ? 0 : records.length / count;
      const list = Array.from({ length: count }, (_, i) => records.subarray(i * size, (i + 1) * size).toString("hex"));
      found.set(question, `${Buffer.from(message.subarray(2, 12)).toString("hex")} ${list.sort().join(" ")}`);
    }
  }
  return found;
}

describe.skipIf(!kernelBuilt || !goldenAvailable || !xzAvailable)(
  goldenTitle("D-service-vip, inside tasks", true),
  () => {
    let d: ServiceLab;
    const pairs: Pair[] = [];

    beforeAll(async () => {
      d = await ServiceLab.start();
      for (const { node, slot, pid } of INSIDE) {
        const commands = ["in-container.txt", "in-container-vip.txt"].flatMap((file) =>
          goldenCommands(`${D}/${node}/${file}`),
        );
        for (const golden of commands) {
          if (!/^nsenter -t|^curl -s -m/.test(golden.command) || golden.command.includes("blob200k")) continue;
          // The virtual IP has no name: the question went on to the capture's upstream server, which isn't here.
          if (golden.command.endsWith("-x 10.0.3.2")) continue;
          const command = d.ours(golden.command).replace(`-t ${pid} `, `-t ${d.tasks.get(slot)?.pid} `);
          const { stdout, stderr, exit } = await d.lab.run(node, command, golden.exit);
          pairs.push({ golden, ours: stdout + stderr, exit });
        }
      }
    }, 120_000);
    afterAll(async () => await d?.lab.close());

    const of = (pattern: RegExp): Pair[] => pairs.filter(({ golden }) => pattern.test(golden.command));

    it("dig: service, tasks, reverse, AAAA", () => {
      const digs = of(/ dig /);
      expect(digs.length).toBe(26);
      for (const { golden, ours } of digs)
        expect(`${golden.command}\n${plain(ours)}`).toBe(`${golden.command}\n${plain(d.ours(golden.output))}`);
      // The order of a task list is drawn anew each time.
      const orders = of(/dig .* tasks\.my-nginx$/).map(({ ours }) => ours.replace(/id: \d+/, ""));
      expect(new Set(orders).size).toBeGreaterThan(2);
    });

    it("the answers themselves, byte for byte", () => {
      for (const { node, slot, lo } of INSIDE) {
        const real = answers(goldenFrames(`${D}/${node}/pcap/${lo}.pcap`));
        const own = answers(d.lab.frames(`${node}/${d.namespace(node, `my-nginx.${slot}.`).name}/lo`));
        // Names that contain ids are other ones here.
        const comparable = [...real].filter(([question]) => own.has(question) && !question.includes("in-addr"));
        expect(comparable.map(([question]) => question).some((question) => question.includes("tasks"))).toBe(true);
        expect(comparable.length).toBeGreaterThanOrEqual(3);
        for (const [question, answer] of comparable) expect([question, own.get(question)]).toEqual([question, answer]);
      }
    });

    it("ping: tasks and the virtual IP answer, with these TTLs", () => {
      const pings = of(/ ping /);
      expect(pings.length).toBe(12);
      for (const { golden, ours } of pings) expect(plain(ours)).toBe(plain(golden.output));
    });

    it("a port of the virtual IP that nobody serves, and one of the mesh, refuse; the mesh answers from within", () => {
      const refused = of(/:(81|8081)\//);
      expect(refused.map(({ golden, exit }) => [golden.exit, exit])).toEqual([
        [7, 7],
        [7, 7],
        [7, 7],
        [7, 7],
      ]);
      const mesh = of(/nsenter .* http:\/\/[\d.]+:8080/);
      expect(mesh.length).toBe(6);
      for (const { golden, ours, exit } of mesh) {
        expect([exit, ours.length > 0]).toEqual([golden.exit, golden.output.length > 0]);
      }
    });
  },
);
