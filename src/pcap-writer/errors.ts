/**
 * The errors of this folder. It depends on nothing outside itself, so that it can be used alone.
 */

/**
 * The sink refused bytes (a full disk, a closed pipe), or the writer was used after it was closed.
 * `cause` is what the sink threw. All that the sink took before is made of whole blocks.
 */
export class CaptureWriteError extends Error {
  override name = "CaptureWriteError";
}

/** A capture file that cannot be read further. What came before `offset` was whole. */
export class CaptureFormatError extends Error {
  override name = "CaptureFormatError";
  /** Where in the file the block or record begins that could not be read. */
  readonly offset: number;
  /** True if the file merely ends too early; false if its contents are wrong. */
  readonly truncated: boolean;

  constructor(message: string, offset: number, truncated: boolean) {
    super(`${message} (at byte ${offset})`);
    this.offset = offset;
    this.truncated = truncated;
  }
}
