/** Rates and counts as `ip -h -s link` and people write them. */

const STEPS = ["", "k", "M", "G", "T"] as const;

function scaled(value: number, unit: string): string {
  let [rest, step] = [value, 0];
  while (rest >= 999.5 && step < STEPS.length - 1) {
    rest /= 1000;
    step++;
  }
  const digits = rest >= 99.5 || (step === 0 && Number.isInteger(rest)) ? 0 : rest >= 9.95 ? 1 : 2;
  return `${rest.toFixed(digits)} ${STEPS[step]}${unit}`;
}

/** Bits a second. */
export function bitRate(bits: number): string {
  return scaled(bits < 1 ? 0 : bits, "bit/s");
}

/** Packets a second. */
export function packetRate(packets: number): string {
  return `${scaled(packets < 0.005 ? 0 : packets, "").trimEnd()} packets/s`;
}

/** Bytes. */
export function byteCount(bytes: number): string {
  return scaled(bytes, "B");
}

/** How thick a line is that carries so many bits a second: a pixel more for each factor of ten above a kilobit. */
export function loadWidth(bits: number): number {
  return bits < 1 ? 1 : 1 + Math.max(0.5, Math.min(7, Math.log10(bits) - 3));
}
