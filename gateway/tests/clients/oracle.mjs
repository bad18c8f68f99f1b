// Runs the whole suite against the stock server, each part against a server of its own that is ended afterwards.
//
//   node oracle.mjs [--python PATH] [--only PART]
//
// It proves that the suite is right; the gateway's harness runs the same parts against the gateway.

import { parseArgs } from "node:util";
import { profiles } from "./raw/profiles.mjs";
import { run, startServer, stopServer } from "./lib/process.mjs";

const { values: options } = parseArgs({
  options: { python: { type: "string" }, only: { type: "string" } },
});

/** Name → [script, arguments after the URL, server flags]. */
const parts = [
  ["raw", "raw.mjs", ["--oracle", "--eio"], []],
  ...Object.entries(profiles).map(([name, { flags }]) => [
    `raw ${name}`,
    "raw.mjs",
    ["--oracle", "--profile", name],
    flags,
  ]),
  ["behaviours", "behaviours.mjs", ["--concurrency", "4"], []],
  ["many", "many.mjs", ["600"], []],
  ["cross-core", "cross-core.mjs", ["200"], []],
  ["hostile", "hostile.mjs", ["--inputs", "20000"], []],
];

let failures = 0;
for (const [name, script, args, flags] of parts) {
  if (options.only && !name.includes(options.only)) continue;
  const server = await startServer(["node", "app-stock.mjs", ...flags]);
  const code = await run("node", [script, server.url, ...args]);
  await stopServer(server);
  if (code !== 0) failures++;
}
if (!options.only || "restart".includes(options.only)) {
  failures += (await run("node", ["restart.mjs", "--", "node", "app-stock.mjs"])) === 0 ? 0 : 1;
}
if (options.python && (!options.only || "python".includes(options.only))) {
  const server = await startServer(["node", "app-stock.mjs"]);
  failures += (await run(options.python, ["python_client.py", server.url])) === 0 ? 0 : 1;
  await stopServer(server);
}
console.log(failures === 0 ? "oracle: every part passed" : `oracle: ${failures} parts failed`);
process.exit(failures === 0 ? 0 : 1);
