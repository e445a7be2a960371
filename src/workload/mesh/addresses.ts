/** Addresses and driver options that follow from a mesh's options alone: of its hosts, and of its networks' devices. */
import type { Cidr } from "../../base/addr.ts";
import { OPTION_ENCRYPTED, OPTION_MTU, type Options } from "../../libnetwork/labels.ts";
import type { MeshNetwork, MeshOptions } from "./types.ts";

/** What labs give their hosts: 192.168.77.0/24 from .11 on. */
const SMALL = { ip: 0xc0a84d00, prefix: 24 } as const;
/** Hosts that have room there. */
const SMALL_HOSTS = 244;
/** With more of them 192.168.0.0/16, from .0.11 on. */
const LARGE = { ip: 0xc0a80000, prefix: 16 } as const;
/** Number of the first host in its subnet. */
const FIRST_HOST = 11;
/** MTU that Docker takes where nobody says another. */
const DEFAULT_MTU = 1500;

/** The subnet of the hosts' wires. */
export function underlaySubnet({ hosts }: Pick<MeshOptions, "hosts">): Cidr {
  return hosts <= SMALL_HOSTS ? SMALL : LARGE;
}

/** A host's address, which is its VTEP's, with the subnet's prefix length. */
export function hostAddress(options: Pick<MeshOptions, "hosts">, host: number): Cidr {
  const { ip, prefix } = underlaySubnet(options);
  return { ip: ip + FIRST_HOST + host, prefix };
}

/**
 * The options with which `docker network create` makes a network of the mesh: the encryption, and the underlay's MTU where it is
 * not Ethernet's, since overlays take 1500 whatever the wire takes.
 */
export function networkOptions({ underlay }: MeshOptions, { encrypted }: Pick<MeshNetwork, "encrypted">): Options {
  return {
    ...(encrypted ? { [OPTION_ENCRYPTED]: "" } : {}),
    ...(underlay.mtu === DEFAULT_MTU ? {} : { [OPTION_MTU]: String(underlay.mtu) }),
  };
}
