/** The images that every host of a lab has, as if they had been pulled. */
import type { Image, ImageStore } from "../engine/program.ts";
import { alpine } from "./alpine.ts";
import { busybox } from "./busybox.ts";
import { centos, debian, ubuntu } from "./debian.ts";
import { haproxyImage } from "./haproxy/haproxy.ts";
import { httpdImage } from "./httpd.ts";
import { mysqlImage } from "./mysql/image.ts";
import { netshoot, socatImage } from "./netshoot.ts";
import { nginxAlpine, nginxHello, nginxImage } from "./nginx/image.ts";
import { redisAlpine, redisImage } from "./redis/image.ts";
import { containousWhoami, jwilderWhoamiImage, whoamiImage } from "./whoami.ts";
import { nanoserver, servercore } from "./windows.ts";
import { wordpressImage } from "./wordpress.ts";

/** Every image there is, by operating system. */
const LINUX_IMAGES: readonly Image[] = [
  alpine,
  busybox,
  debian,
  ubuntu,
  centos,
  nginxImage,
  nginxAlpine,
  nginxHello,
  httpdImage,
  redisImage,
  redisAlpine,
  whoamiImage,
  containousWhoami,
  jwilderWhoamiImage,
  mysqlImage,
  wordpressImage,
  haproxyImage,
  netshoot,
  socatImage,
];
const WINDOWS_IMAGES: readonly Image[] = [nanoserver, servercore];

/** `alpine`, `library/alpine`, `docker.io/library/alpine:latest` → `alpine:latest`. */
export function normalizeReference(reference: string): string {
  const name = reference.replace(/^docker\.io\//, "").replace(/^library\//, "");
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

/**
 * A store of the given images; without arguments, of all there are for Linux.
 * @param foreign images of other operating systems: known, but not to be run
 */
export function imageStore(
  images: readonly Image[] = LINUX_IMAGES,
  foreign: readonly Image[] = WINDOWS_IMAGES,
): ImageStore {
  return {
    isForeign(reference) {
      const [repository] = normalizeReference(reference).split(":");
      return foreign.some((image) => image.tag.split(":")[0] === repository);
    },
    find(reference) {
      const name = normalizeReference(reference);
      const [repository] = name.split(":");
      const digits = reference.replace(/^sha256:/, "");
      return (
        images.find((image) => image.tag === name) ??
        (/^[0-9a-f]+$/.test(digits) ? images.find((image) => image.id.slice(7).startsWith(digits)) : undefined) ??
        // Another tag of an image that is here stands for it: the emulation knows one version of each.
        (name.endsWith(":latest") ? undefined : images.find((image) => image.tag.split(":")[0] === repository))
      );
    },
    list: () => images,
  };
}

/** The images of a Windows host. */
export function windowsImageStore(): ImageStore {
  return imageStore(WINDOWS_IMAGES, LINUX_IMAGES);
}
