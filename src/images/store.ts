/** The images that every host of a lab has, as if they had been pulled. */
import type { Image, ImageStore } from "../engine/program.ts";
import { alpine } from "./alpine.ts";
import { busybox } from "./busybox.ts";

/** `alpine`, `library/alpine`, `docker.io/library/alpine:latest` → `alpine:latest`. */
export function normalizeReference(reference: string): string {
  const name = reference.replace(/^docker\.io\//, "").replace(/^library\//, "");
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

/** A store of the given images; without arguments, of all there are. */
export function imageStore(images: readonly Image[] = [alpine, busybox]): ImageStore {
  return {
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
