/** Sizes as github.com/docker/go-units words them. */

function fourDigits(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function scaled(size: number, base: number, units: readonly string[]): string {
  let value = size;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${fourDigits(value)}${units[unit]}`;
}

/** `5.54MB`: units.HumanSizeWithPrecision(size, 3). */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  const units = ["B", "kB", "MB", "GB", "TB"];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${units[unit]}`;
}

/** `2.929GiB`: units.BytesSize. */
export function bytesSize(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}
