/** What Tab offers on a host or in one of its containers: looked up in the engine and the files as they are. */
import type { Container } from "../../engine/container.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ProcessRoot } from "../../engine/process-runner.ts";
import type { FileSystem } from "../../engine/program.ts";
import { type Completion, type CompletionSources, complete } from "../../shell/completion/complete.ts";
import type { DockerNames } from "../../shell/completion/docker.ts";
import { NAMESPACE_LABEL } from "../../shell/docker/compose-convert.ts";
import { BUILTINS } from "../../shell/sh/builtins.ts";
import type { Inspected } from "./inspect.ts";

/** Shells, the one that people want first. */
const SHELLS = ["bash", "sh", "ash", "cmd"];

/** Answers `completion`. */
export function completion(
  host: Inspected,
  query: { readonly line: string; readonly container: string | undefined; readonly cwd: string | undefined },
): Completion {
  const { line, container } = query;
  const sources = container === undefined ? hostSources(host) : containerSources(host, container, query.cwd);
  return sources === undefined ? { candidates: [], word: "" } : complete(line, sources);
}

/** Answers `shell`. */
export function shell({ engine }: Inspected, container: string): string | undefined {
  const programs = containerOf(engine, container)?.program?.root.programs;
  return SHELLS.find((name) => programs?.has(name));
}

function hostSources(host: Inspected): CompletionSources {
  const { engine, root, cwd } = host;
  return {
    ...sourcesOf(root, cwd, engine),
    programs: [...programsOf(root), "docker", "nsenter", "service", "sudo", "systemctl"],
    docker: engine === undefined ? NOTHING : namesOf(engine),
    inContainer: (container) => containerSources(host, container, undefined),
  };
}

function containerSources({ engine }: Inspected, name: string, cwd: string | undefined): CompletionSources | undefined {
  const container = containerOf(engine, name);
  const root = container?.program?.root;
  if (root === undefined) return undefined;
  return {
    ...sourcesOf(root, cwd ?? "/", engine),
    programs: programsOf(root),
    docker: undefined,
    inContainer: () => undefined,
  };
}

function sourcesOf(root: ProcessRoot, cwd: string, engine: Engine | undefined) {
  const names = engine === undefined ? NOTHING : namesOf(engine);
  return {
    devices: root.ns.link.list().map(({ name }) => name),
    hosts: [...new Set([...hostsFile(root.files), ...names.containers, ...names.services])],
    cwd,
    list: (directory: string) => listed(root.files, directory),
  };
}

function containerOf(engine: Engine | undefined, name: string): Container | undefined {
  const all = engine?.containers.list().filter(({ running }) => running) ?? [];
  return all.find((one) => one.name === name) ?? all.find(({ id }) => id.startsWith(name));
}

function programsOf({ programs }: ProcessRoot): string[] {
  return [...programs.keys(), ...BUILTINS.keys()].filter((name) => /^[a-z]/.test(name));
}

/** Names of /etc/hosts (hosts(5)). */
function hostsFile(files: FileSystem): string[] {
  const lines = (files.read("/etc/hosts") ?? "").split("\n").map((line) => line.replace(/#.*/, "").trim());
  return lines.flatMap((line) => line.split(/\s+/).slice(1));
}

function listed(files: FileSystem, directory: string): string[] | undefined {
  const path = directory === "/" ? "" : directory;
  return files
    .list(directory)
    ?.map((name) => (files.read(`${path}/${name}`) === undefined && files.list(`${path}/${name}`) ? `${name}/` : name));
}

const NOTHING: DockerNames = { containers: [], networks: [], images: [], services: [], nodes: [], stacks: [] };

function namesOf(engine: Engine): DockerNames {
  const { controller, swarm } = engine;
  const { services, nodes, networks } = swarmNames(engine);
  const local = controller.networks().filter(({ state }) => state === "ready");
  return {
    containers: engine.containers.list().map(({ name }) => name),
    networks: [...new Set([...local.map(({ name }) => name), ...networks])],
    images: engine.imageList().flatMap((image) => image["RepoTags"] as string[]),
    services: services.map(({ name }) => name),
    nodes: swarm.isManager ? ["self", ...nodes] : [],
    stacks: [...new Set(services.flatMap(({ labels }) => labels[NAMESPACE_LABEL] ?? []))],
  };
}

/** Of the swarm's objects, as a manager has them. */
function swarmNames({ swarm }: Engine) {
  const services = swarm.objects((tx) => tx.all("service")) ?? [];
  const nodes = swarm.objects((tx) => tx.all("node")) ?? [];
  const networks = swarm.objects((tx) => tx.all("network")) ?? [];
  return {
    services: services.map(({ spec }) => spec.annotations),
    nodes: nodes.map((node) => node.description?.hostname ?? node.id),
    networks: networks.map(({ spec }) => spec.annotations.name),
  };
}
