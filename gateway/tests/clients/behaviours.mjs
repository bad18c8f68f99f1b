// What an application and its clients may rely on, said with the stock clients.
//
//   node behaviours.mjs URL [--client v4|v3] [--transport polling|websocket|upgrade] [--only TEXT] [--concurrency N]
//
// Without --client or --transport, all of them run one after another.

import { parseArgs } from "node:util";
import { connectionBehaviours } from "./behaviours/connection.mjs";
import { eventBehaviours } from "./behaviours/events.mjs";
import { payloadBehaviours } from "./behaviours/payloads.mjs";
import { roomBehaviours } from "./behaviours/rooms.mjs";
import { baseUrl, runAndExit } from "./lib/check.mjs";
import { Lab, MODES, VERSIONS } from "./lib/clients.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    client: { type: "string" },
    transport: { type: "string" },
    only: { type: "string" },
    concurrency: { type: "string", default: "1" },
  },
});
const url = baseUrl(positionals[0], "node behaviours.mjs URL [--client v4|v3] [--transport T] [--only TEXT]");

/** The one that was asked for, or all. */
function choose(asked, all) {
  if (asked === undefined) return all;
  if (!all.includes(asked)) throw new Error(`${asked} is none of ${all.join(", ")}`);
  return [asked];
}

const behaviours = [...connectionBehaviours, ...eventBehaviours, ...payloadBehaviours, ...roomBehaviours];
const checks = [];
for (const version of choose(options.client, VERSIONS)) {
  for (const mode of choose(options.transport, MODES)) {
    for (const { name, run, skip } of behaviours) {
      const place = { version, mode };
      const reason = skip?.(place);
      // What cannot be said by a client over a transport is not a skipped test of it.
      if (!reason) checks.push({ name: `${version} ${mode}: ${name}`, run, place });
    }
  }
}

const makeContext = ({ place }) => new Lab(url, place.version, place.mode);
await runAndExit("behaviours", checks, makeContext, {
  only: options.only,
  concurrency: Number(options.concurrency),
});
