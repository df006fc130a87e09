// Bundle the console into api/static, where the API serves it from. The output depends on the sources and the lock file alone.
import { copyFile, rm } from "node:fs/promises";
import { build } from "esbuild";

const folder = "../api/static";
await rm(folder, { recursive: true, force: true });
await build({
  entryPoints: [{ in: "src/main.tsx", out: "console" }, { in: "src/styles/console.css", out: "console" }],
  outdir: folder,
  splitting: true,
  chunkNames: "[name]-[hash]", // names of another release are missed, not mixed up
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
await copyFile("src/index.html", `${folder}/index.html`);
