/** `docker images` and `docker image ls` (docker/cli cli/command/image, formatter/image.go; 20.10). */
import type { Proc } from "../../scheduler/process.ts";
import type { Command, Invocation } from "./command.ts";
import { filterFlag, filtersOf } from "./common.ts";
import { ago, goTimestamp } from "./container.ts";
import { type JsonObject, list, num, text } from "./format/json.ts";
import { humanSize } from "./format/size.ts";
import { formatRows, type Listing, truncateId } from "./format/table.ts";

const LISTING: Listing = {
  headers: {
    ID: "IMAGE ID",
    Repository: "REPOSITORY",
    Tag: "TAG",
    Digest: "DIGEST",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
  },
  columns: ["Repository", "Tag", "ID", "CreatedSince", "Size"],
  quiet: "ID",
};

function imageRows(image: JsonObject, now: number, truncate: boolean): JsonObject[] {
  const id = text(image, "Id");
  const tags = list(image, "RepoTags").map(String);
  return (tags.length === 0 ? ["<none>:<none>"] : tags).map((tag) => {
    const colon = tag.lastIndexOf(":");
    return {
      CreatedAt: goTimestamp(num(image, "Created")),
      CreatedSince: ago(now, num(image, "Created")),
      Digest: "<none>",
      ID: truncate ? truncateId(id) : id,
      Repository: tag.slice(0, colon),
      Size: humanSize(num(image, "Size")),
      Tag: tag.slice(colon + 1),
    };
  });
}

function* images({ engine, flags, args, out, context }: Invocation): Proc<undefined> {
  const filters = { ...filtersOf(flags.list("filter")), ...(args[0] === undefined ? {} : { reference: [args[0]] }) };
  const found = engine.imageList(Object.keys(filters).length === 0 ? undefined : filters);
  const rows = found.flatMap((image) => imageRows(image, context.os.now(), !flags.bool("no-trunc")));
  const listing = flags.bool("digests")
    ? { ...LISTING, columns: ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"] }
    : LISTING;
  out(formatRows(listing, rows, flags.text("format"), flags.bool("quiet")));
}

const LIST: Command = {
  use: "ls [OPTIONS] [REPOSITORY[:TAG]]",
  short: "List images",
  aliases: ["list"],
  args: { min: 0, max: 1 },
  flags: [
    { name: "all", short: "a", usage: "Show all images (default hides intermediate images)" },
    { name: "digests", usage: "Show digests" },
    filterFlag("Filter output based on conditions provided", "f"),
    { name: "format", type: "string", usage: "Pretty-print images using a Go template" },
    { name: "no-trunc", usage: "Don't truncate output" },
    { name: "quiet", short: "q", usage: "Only show image IDs" },
  ],
  run: images,
};

/** `docker image`. */
export const IMAGE: Command = { use: "image", short: "Manage images", commands: [LIST] };

const { aliases: _, ...withoutAliases } = LIST;
/** `docker images`. */
export const IMAGES: Command = { ...withoutAliases, use: "images [OPTIONS] [REPOSITORY[:TAG]]" };
