// One page, one script, one style sheet; nothing inline, since the coordinator's policy forbids it.
import { defineConfig } from "vite";

export default defineConfig({
  build: { target: "es2022", modulePreload: false, assetsInlineLimit: 0, reportCompressedSize: false },
  // `npm run dev` beside a coordinator on its usual port.
  server: { proxy: { "/v1": "http://127.0.0.1:8080" } },
});
