/**
 * What a host keeps while it is switched off: its files and Docker's state (/var/lib/docker, /etc/docker). What was in
 * memory, and in file systems that are (Debian's /run, /dev, /proc, /sys; systemd-tmpfiles empties /tmp), is lost.
 */
import type { Daemon } from "../engine/daemon.ts";
import type { EngineRemains } from "../engine/engine.ts";
import type { LayeredFiles } from "../engine/filesystem.ts";
import type { Disk } from "../scheduler/machine.ts";

/** Where a host's disk has what this file puts there. */
const KEY = "host";
const MEMORY = /^\/(?:var\/run|run|tmp|dev|proc|sys)(?:\/|$)/;

/** Whose state is on the disk: those of the present boot. */
export interface DiskOwners {
  readonly daemon: Daemon;
  readonly files: LayeredFiles;
}

/** What the last boot left. */
export interface HostRemains {
  readonly engine: EngineRemains;
  readonly files: LayeredFiles;
}

/** A path whose contents don't outlive a power loss. */
export function inMemory(path: string): boolean {
  return MEMORY.test(path);
}

/** From now on the disk has what these have: each change is on it at once. */
export function writeDisk(disk: Disk, owners: DiskOwners): void {
  disk.set(KEY, owners);
}

/** What was on the disk when the power went; undefined at the first boot. */
export function readDisk(disk: Disk): HostRemains | undefined {
  const owners = disk.get(KEY) as DiskOwners | undefined;
  return owners === undefined ? undefined : { engine: owners.daemon.onDisk, files: owners.files };
}
