/** What the page and the dissectors' worker say to each other, through comlink. All of it survives structured cloning. */

/** A rule of Wireshark's file `colorfilters`. Colours are 0xrrggbb. */
export interface ColorRule {
  readonly name: string;
  readonly filter: string;
  readonly background: number;
  readonly foreground: number;
}

/** What runs. */
export interface Started {
  /** Wireshark's version. */
  readonly version: string;
  readonly rules: readonly ColorRule[];
}

/** A capture to look into, in place of what was loaded. */
export interface CaptureFile {
  /** pcapng. */
  readonly trace: Uint8Array;
  /** Contents of Wireshark's table `esp_sa`; may be empty. */
  readonly keys: string;
  /** Addresses are shown by the names that the file has for them. */
  readonly names: boolean;
}

/** A row of Wireshark's packet list: the columns that the page doesn't know itself. */
export interface DissectedRow {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly info: string;
  /** 0xrrggbb; undefined where no rule of colouring holds. */
  readonly background: number | undefined;
  readonly foreground: number | undefined;
}

/** Frames that a display filter selects. */
export interface FilterResult {
  /** How many it selects of all. */
  readonly matched: number;
  /** Places in the file, from 0: those that were asked for. */
  readonly frames: Uint32Array;
}

/** Whether a display filter can be used. */
export interface FilterCheck {
  readonly ok: boolean;
  /** What is wrong with it, in Wireshark's words. */
  readonly error: string;
}

/** A field or protocol that display filters know. */
export interface FieldName {
  readonly field: string;
  readonly name: string;
}

/** A line of the packet's tree. */
export interface TreeNode {
  readonly label: string;
  /** The display filter that selects the value, for example `vxlan.vni == 4097`; may be empty. */
  readonly filter: string;
  /** Where its bytes stand in their data source. */
  readonly start: number;
  readonly length: number;
  readonly source: number;
  /** A frame that the line speaks of, from 0; a link to it. */
  readonly frame: number | undefined;
  readonly children: readonly TreeNode[];
}

/** Bytes that a packet's tree points into: the frame, what was decrypted of it, what was put together from several. */
export interface DataSource {
  readonly name: string;
  readonly data: Uint8Array;
}

/** One packet in full. */
export interface PacketDetails {
  readonly tree: readonly TreeNode[];
  readonly sources: readonly DataSource[];
}

/** What the page asks of the dissectors. */
export interface DissectorsApi {
  /** Fetches and starts them. @param folder where their files stand @param progress bytes that came so far */
  start(folder: string, progress: (bytes: number) => void): Promise<Started>;
  /** @returns how many frames there are; @throws Error where Wireshark can't read it */
  load(capture: CaptureFile): Promise<number>;
  /** @param frames places in the file, from 0 */
  rows(frames: Uint32Array): readonly DissectedRow[];
  /** @param skip that many of the selected frames are left out @param limit at most that many */
  filter(text: string, skip: number, limit: number): FilterResult;
  check(text: string): FilterCheck;
  /** Fields and protocols whose names begin so. */
  complete(begin: string): readonly FieldName[];
  /** @param frame its place in the file, from 0 */
  details(frame: number): PacketDetails;
}
