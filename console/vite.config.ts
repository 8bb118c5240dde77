import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The built files are committed beside the Go package that embeds them: a change
// here must give the same bytes on every machine.
export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "~": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../internal/console/dist",
    emptyOutDir: true,
    target: ["chrome120", "firefox121", "safari17"],
    assetsInlineLimit: 0, // the content policy allows no data: scripts or fonts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: {
    // `npm run dev` shows the sources against a running server: KYRA_URL=http://… npm run dev
    proxy: { "/api": { target: process.env.KYRA_URL ?? "http://127.0.0.1:8080" } },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"] },
});
