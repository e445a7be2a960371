/** A small swarm, as the drawing gets to know it. */
import { createMachine } from "../../src/lab/machine.ts";
import { runSteps } from "../../src/lab/run.ts";
import { LabSession } from "../../src/lab/session.ts";
import { loadKernel } from "../../src/scheduler/node-adapter.ts";
import { HopWatch } from "../../web/session/follow/watch.ts";
import { Recording } from "../../web/session/packets/recording.ts";
import { SceneWatch } from "../../web/session/scene/watch.ts";
import { labOf } from "./lab.ts";

/** Two hosts, an encrypted overlay with a container on each, a service, a bridge of a user's. */
export const SMALL_SWARM = `
hosts: { host1: {}, host2: {} }
steps:
  - host1: docker swarm init
  - host1: docker swarm join-token -q worker
    as: token
  - host2: docker swarm join --token $token 192.168.77.11:2377
  - host1: docker network create -d overlay --attachable --opt encrypted secret
  - host1: docker network create own
  - host1: docker service create --name web --replicas 2 --publish 80:80 nginx
  - host1: docker run -dit --name aa --network secret alpine
  - host2: docker run -dit --name bb --network secret alpine
  - host1: docker run -dit --name cc --network own alpine
  - host1: docker create --name dd alpine
  - host1: docker exec aa ping -c 2 bb
`;

/** A lab that runs, and the page's eye on it. */
export interface Watching {
  readonly session: LabSession;
  readonly watch: SceneWatch;
  readonly recording: Recording;
}

/** Runs a lab to its end, and keeps it. Close its session. */
export async function watchLab(text: string): Promise<Watching> {
  const recording = new Recording();
  const hops = new HopWatch(labOf(text));
  const session = await LabSession.start(labOf(text), {
    module: await loadKernel(),
    machines: createMachine,
    capture: { patterns: ["*/host/eth0", "*/nat/eth0"], snaplen: 262_144, ...hops.capture(recording) },
  });
  const result = await runSteps(session, {});
  const failures = result.steps.flatMap((step) => step.failures);
  if (failures.length > 0) throw new Error(failures.join("\n"));
  return {
    session,
    recording,
    watch: new SceneWatch({ lab: session, frames: recording, hops: hops.log, seed: session.plan.seed }),
  };
}
