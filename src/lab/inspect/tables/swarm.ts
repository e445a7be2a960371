/** The swarm's objects as a manager has them. */
import { type TaskObject, taskStateName } from "../../../swarm/api/objects.ts";
import type { ReadTx } from "../../../swarm/store/memory.ts";
import { address, type HostTable, KEY, number, type Row, text, time, VOLATILE } from "./table.ts";

const NODES = [
  text("id", KEY),
  text("hostname"),
  text("status"),
  text("availability"),
  text("role"),
  text("manager status"),
  address("address"),
  text("engine"),
  number("version", VOLATILE),
];

/** `docker node ls`. */
export function nodes(tx: ReadTx): HostTable {
  const rows = tx.all("node").map(({ id, description, status, spec, role, managerStatus, meta }): Row => {
    const manager = managerStatus === undefined ? "" : managerStatus.leader ? "leader" : managerStatus.reachability;
    const what = [id, description?.hostname ?? "", status.state, spec.availability, role, manager];
    return [...what, status.addr, description?.engine.engineVersion ?? "", meta.version.index];
  });
  return { columns: NODES, rows };
}

const SERVICES = [
  text("id", KEY),
  text("name"),
  text("mode"),
  number("running"),
  number("desired"),
  text("image"),
  address("virtual IPs"),
  text("ports"),
  text("update"),
  number("version", VOLATILE),
];

/** `docker service ls`. */
export function services(tx: ReadTx): HostTable {
  const rows = tx.all("service").map(({ id, spec, endpoint, updateStatus, meta }): Row => {
    const tasks = tx.by("task", "service", id).filter((task) => task.desiredState <= RUNNING);
    const running = tasks.filter((task) => task.status.state === RUNNING).length;
    const vips = (endpoint?.virtualIps ?? []).map(({ addr }) => addr).filter((addr) => addr !== "");
    const ports = (endpoint?.ports ?? []).map((one) => `*:${one.publishedPort}->${one.targetPort}/${one.protocol}`);
    const what = [id, spec.annotations.name, spec.mode?.kind ?? "replicated", running, tasks.length];
    const image = shownImage(spec.task.container?.image ?? "");
    return [...what, image, vips.join(" "), ports.join(" "), updateStatus?.state ?? "", meta.version.index];
  });
  return { columns: SERVICES, rows };
}

const RUNNING = 512;

const TASKS = [
  text("id", KEY),
  text("service"),
  text("name"),
  text("image"),
  text("node"),
  text("desired state"),
  text("current state"),
  time("since"),
  text("error"),
  address("addresses"),
  text("container"),
  number("version", VOLATILE),
];

/** `docker service ps`, of all services. */
export function tasks(tx: ReadTx): HostTable {
  const hostnames = new Map(tx.all("node").map(({ id, description }) => [id, description?.hostname ?? id]));
  const rows = tx.all("task").map((task): Row => {
    const { status, meta } = task;
    const addresses = task.networks.flatMap((network) => network.addresses).map((one) => one.split("/")[0] ?? "");
    const what = [task.id, task.serviceAnnotations.name, nameOf(task), shownImage(task.spec.container?.image ?? "")];
    const states = [taskStateName(task.desiredState), taskStateName(status.state), status.timestamp, status.err];
    const container = status.container?.containerId.slice(0, 12) ?? "";
    const node = hostnames.get(task.nodeId) ?? task.nodeId;
    return [...what, node, ...states, addresses.join(" "), container, meta.version.index];
  });
  return { columns: TASKS, rows };
}

/** `web.1`, as `docker service ps` names a task; an attachment has the container's ID. */
function nameOf({ serviceAnnotations, slot, nodeId, spec }: TaskObject): string {
  if (spec.runtime === "attachment") return `attachment of ${spec.containerId?.slice(0, 12) ?? ""}`;
  return `${serviceAnnotations.name}.${slot === 0 ? nodeId : slot}`;
}

/** An image without its digest. */
function shownImage(image: string): string {
  return image.split("@")[0] ?? "";
}
