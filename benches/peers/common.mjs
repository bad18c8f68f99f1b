// What the peers on npm's socket.io share: their settings, and what they print.
import { readFileSync } from "node:fs";

// Nothing is compressed and no file is served. All else is as socket.io has it.
export const options = { serveClient: false, perMessageDeflate: false, httpCompression: false };

// Prints what is measured, such as `version node 20.20.2, socket.io 4.8.4`. Modules that are not installed are left out.
export function sayVersions(runtime, ...modules) {
  const versions = modules.flatMap((name) => {
    const version = versionOf(name);
    return version ? [`${name} ${version}`] : [];
  });
  console.log(`version ${[runtime, ...versions].join(", ")}`);
}

function versionOf(name) {
  try {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

// Frees each client's HTTP request once it is connected, which socket.io's guide recommends against memory use.
export function forgetRequests(io) {
  io.engine.on("connection", (client) => {
    client.request = null;
  });
}

// Lets the kernel choose a port, and prints it.
export function listen(http) {
  http.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
    console.log(`listening on http://127.0.0.1:${http.address().port}`);
  });
}
