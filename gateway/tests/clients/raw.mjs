// The wire vectors of protocol.md 9.1 to 9.5 and 9.7 against a live server.
//
//   node raw.mjs URL [--oracle] [--profile NAME] [--only TEXT] [--eio] [--no-client]
//   node raw.mjs --profiles          prints each profile and the server flags it needs, as JSON
//
// --oracle    the server is the stock one: vectors where Tidegate must answer otherwise are left out
// --profile   vectors for other than default options (raw/profiles.mjs) in place of the default ones
// --eio       the server has the bare echo endpoint at /engine.io/
// --no-client the server has no client bundles

import { parseArgs } from "node:util";
import { baseUrl, runAndExit } from "./lib/check.mjs";
import { Observer } from "./lib/observer.mjs";
import { httpVectors } from "./raw/http.mjs";
import { http11Vectors } from "./raw/http11.mjs";
import { pollingVectors } from "./raw/polling.mjs";
import { profiles } from "./raw/profiles.mjs";
import { socketioVectors } from "./raw/socketio.mjs";
import { upgradeVectors } from "./raw/upgrade.mjs";
import { websocketVectors } from "./raw/websocket.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    oracle: { type: "boolean" },
    profile: { type: "string" },
    profiles: { type: "boolean" },
    only: { type: "string" },
    eio: { type: "boolean" },
    "no-client": { type: "boolean" },
  },
});

if (options.profiles) {
  const flags = Object.entries(profiles).map(([name, profile]) => [name, profile.flags]);
  console.log(JSON.stringify(Object.fromEntries(flags)));
  process.exit(0);
}

const url = baseUrl(positionals[0], "node raw.mjs URL [--oracle] [--profile NAME] [--only TEXT] [--eio] [--no-client]");

function reasonToSkip(vector) {
  if (vector.skip) return vector.skip;
  if (options.oracle && vector.stock === false) return `stock differs: ${vector.why}`;
  if (!options.oracle && vector.oracleOnly) return vector.oracleOnly;
  if (vector.needs === "eio" && !options.eio) return "needs --eio";
  if (vector.needs === "client" && options["no-client"]) return "no client bundles";
  return undefined;
}

function chosenVectors() {
  if (options.profile === undefined) {
    const http = [...httpVectors, ...http11Vectors];
    return [...http, ...pollingVectors, ...websocketVectors, ...upgradeVectors, ...socketioVectors];
  }
  const profile = profiles[options.profile];
  if (!profile) throw new Error(`no such profile: ${options.profile}`);
  return profile.vectors;
}

function makeContext() {
  // With a small limit, or without WebSocket, the observer still gets through: its packets are short.
  const observer = new Observer(url, options.profile === "polling-only" ? "polling" : "websocket");
  return {
    url,
    reason: (id) => observer.reason(id),
    release: (key) => observer.ask("release", key),
    close: () => observer.close(),
  };
}

const checks = chosenVectors().map((vector) => ({ ...vector, skip: reasonToSkip(vector) }));
await runAndExit(`raw${options.profile ? ` ${options.profile}` : ""}`, checks, makeContext, { only: options.only });
