/** Filled within minutes. */
export function nfBorderVersion(): u32 {
  return 1;
}
