/** What the tests of services have in common: a swarm of three, and specs as they need them. */
import type { ApiServiceSpec } from "../../src/swarm/api/convert-services.ts";
import { Lab, type Machine } from "./lab.ts";

export const PORT = { Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" };

export function three(): { lab: Lab; manager: Machine; machines: Machine[] } {
  const lab = new Lab();
  const machines = lab.swarm(["manager", "worker-1", "worker-2"]);
  lab.wait(1);
  return { lab, manager: machines[0] as Machine, machines };
}

export function network(lab: Lab, manager: Machine, Name: string): string {
  return lab.run(manager, manager.node.control.createNetwork({ Name, Driver: "overlay" }));
}

/** Specs as the tests have them. */
export const replicas = (count: number): ApiServiceSpec => ({ Mode: { Replicated: { Replicas: count } } });
export const image = (Image: string): ApiServiceSpec => ({ TaskTemplate: { ContainerSpec: { Image } } });
export const merged = (...specs: readonly ApiServiceSpec[]): ApiServiceSpec => ({
  ...Object.assign({}, ...specs),
  TaskTemplate: Object.assign({}, ...specs.map((spec) => spec.TaskTemplate)),
});
export const placed = (Placement: object): ApiServiceSpec => ({ TaskTemplate: { Placement } });
export const published = (...Ports: readonly object[]): ApiServiceSpec => ({ EndpointSpec: { Mode: "vip", Ports } });

export function setNode(lab: Lab, manager: Machine, name: string, change: object): void {
  const node = lab.run(manager, manager.node.control.getNode(name));
  lab.run(manager, manager.node.control.updateNode(node.ID, node.Version.Index, { ...node.Spec, ...change }));
}
