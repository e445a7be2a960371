/**
 * One start of a swarm, in a process of its own: node startup-run.mjs '{"hosts":100,"workers":1}' prints one JSON object.
 *
 * All hosts are on; the first one makes the swarm, all others are told to join at the same moment. Then each host is asked,
 * once or twice a second, what it knows: its memberlist, its NetworkDB, the nodes of the ingress network, and its peer table there.
 */
import { createMachine } from "../../dist/src/lab/machine.js";
import { parseLab } from "../../dist/src/lab/parse.js";
import { LabSession } from "../../dist/src/lab/session.js";
import { loadKernel, nodePlatform } from "../../dist/src/scheduler/node-adapter.js";

const {
  hosts,
  workers = 1,
  limit = 400,
  poll = hosts < 300 ? 0.5 : 1,
  profile = false,
  underlay = ", fabric: { hostsPerLeaf: 32, spines: 4 }",
  rss = false,
} = JSON.parse(process.argv[2]);
const SEC = 1e9;
const POLL = poll * SEC;
const DRAINED = 5 * SEC;

const plan = parseLab(
  "startup.yaml",
  `
name: startup
hosts: { m: {}, w: { count: ${hosts - 1} } }
network: { subnet: 172.16.0.0/16, latency: 50us, bandwidth: 10Gbit${underlay} }
`,
);
const start = performance.now();
const session = await LabSession.start(plan, {
  module: await loadKernel(),
  machines: workers === 1 ? createMachine : new URL("../../dist/src/lab/machine.js", import.meta.url).href,
  workers,
  platform: nodePlatform(),
  skip: false,
  profile,
});
const booted = performance.now();
const { cluster } = session;
const names = plan.hosts.map(({ name }) => name);

async function run(host, command) {
  const { stdout, stderr, exit } = await session.command(host, { command }, cluster.now + 60 * SEC, () => {});
  if (exit !== 0) throw new Error(`${host}$ ${command}: ${stdout}${stderr}`);
  return stdout.trim();
}

await run("m", "docker swarm init --default-addr-pool 10.0.0.0/8 --default-addr-pool-mask-length 16");
const token = await run("m", "docker swarm join-token -q worker");
const joined = cluster.now;
const command = `docker swarm join --token ${token} 172.16.0.11:2377`;
const outcomes = await session.commands(names.slice(1), { command }, joined + limit * SEC, () => {});
const refused = outcomes.filter(({ exit }) => exit !== 0);
if (refused.length > 0) console.error(`${refused.length} joins failed: ${refused[0].stdout}${refused[0].stderr}`);
const answered = outcomes.map(({ answered: at }) => (at ?? cluster.now) - joined);

/** What is to be complete, and how many of it that is. */
const GOALS = { members: hosts, nodes: hosts, networkNodes: hosts, peers: hosts - 1 };
/** Virtual time, counted from the join, at which each host was first seen complete. */
const complete = Object.fromEntries(Object.keys(GOALS).map((goal) => [goal, new Map()]));
let open = names;
const progress = [];
while (open.length > 0 && cluster.now < joined + limit * SEC && refused.length === 0) {
  const next = cluster.now + POLL;
  const answers = await session.ask(
    open.map((host) => ({ host, request: { kind: "gossip", network: "ingress" } })),
    POLL,
  );
  const now = cluster.now - joined;
  const known = { members: 0, nodes: 0, networkNodes: 0, peers: 0 };
  open = open.filter((host, i) => {
    const view = answers[i].answer;
    for (const [goal, count] of Object.entries(GOALS)) {
      known[goal] += view[goal];
      if (view[goal] === count && !complete[goal].has(host)) complete[goal].set(host, now);
      else if (view[goal] !== count) complete[goal].delete(host);
    }
    return Object.keys(GOALS).some((goal) => !complete[goal].has(host));
  });
  const mean = Object.entries(known).map(([goal, sum]) => [goal, Math.round(sum / Math.max(1, answers.length))]);
  progress.push({ time: now, open: open.length, ...Object.fromEntries(mean) });
  if (rss)
    console.error(
      JSON.stringify({
        ...progress.at(-1),
        wall: Math.round(performance.now() - start),
        rss: Math.round(process.memoryUsage().rss / 2 ** 20),
      }),
    );
  await session.wait(next - cluster.now);
}
const converged = performance.now();
const counters = await cluster.counters();
const bytes = await session.commands(
  names,
  { command: "cat /sys/class/net/eth0/statistics/tx_bytes" },
  cluster.now + DRAINED,
  () => {},
);
const last = (values) => [...values].sort((a, b) => a - b);
const times = Object.fromEntries(
  Object.entries(complete).map(([goal, map]) => {
    const sorted = last(map.values());
    return [goal, { half: sorted[sorted.length >> 1] ?? null, all: map.size === hosts ? sorted.at(-1) : null }];
  }),
);
const { rss: resident } = process.memoryUsage();
const { maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    hosts,
    workers,
    joined: { half: last(answered)[answered.length >> 1], all: last(answered).at(-1) },
    ...times,
    converged: open.length === 0,
    virtual: cluster.now,
    frames: counters.framesCarried,
    drops: counters.drops,
    bytes: bytes.map(({ stdout }) => Number(stdout)),
    kernelMemory: counters.memory,
    resident,
    mostResident: maxRSS * 1024,
    wall: { boot: booted - start, converge: converged - booted },
    cpu: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000,
    progress,
    profile: (await cluster.profile()) ?? null,
  }),
);
await session.close();
