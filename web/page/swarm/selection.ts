/** What is selected in the drawing, and from which size on there is something to select in a host. */

/** A host of fewer pixels' width than this is a box with squares. */
export const INSIDE_WIDTH = 120;

/** What is selected: a host, and a box or a device in it. */
export interface Selection {
  readonly host: number;
  /** Key of a box, or `namespace/ifindex`; empty: the host. */
  readonly key: string;
}
