/** Colours of networks. */

/**
 * Networks' colours on light and on dark ground: each stands out from the ground by 3 to 1 at least (WCAG 2.2, 1.4.11),
 * and from each other one also for eyes that see no red or no green. A network beyond the last one has the colour of an
 * earlier one; its name tells them apart.
 */
export const NETWORK_COLOURS = {
  light: ["#1067b3", "#c07900", "#106300", "#cd0064", "#1996bc", "#2412f0", "#002f23"],
  dark: ["#46abff", "#e8e84a", "#8fc31f", "#ff4f9e", "#9bf3ff", "#3d6dff", "#558414"],
} as const;
