/** Builds the page: static files that find each other wherever they are served from. */
import { defineConfig } from "vite";
import { precomputed } from "./bundle/precomputed.ts";

/** What lets a page share memory with its workers. */
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const plugins = () => [precomputed(import.meta.url)];

/** Vite's settings. */
export default defineConfig({
  base: "./",
  plugins: plugins(),
  build: { outDir: "../dist/web", emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 2000 },
  worker: { format: "es", plugins },
  server: { headers: ISOLATION },
  preview: { headers: ISOLATION },
});
