// Bundle the console into api/static, where the API serves it from. The output depends on the sources and the lock file alone.
import { copyFile } from "node:fs/promises";
import { build } from "esbuild";

await build({
  entryPoints: [{ in: "src/main.tsx", out: "console" }, { in: "src/styles/console.css", out: "console" }, { in: "src/editor/main.ts", out: "editor" }],
  outdir: "../api/static",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
});
await copyFile("src/index.html", "../api/static/index.html");
