// Segment's library for Node.

import { Analytics } from "@segment/analytics-node";
import { report } from "./tracks.mjs";

const { TRACK_KEY: writeKey, TRACK_URL: host } = process.env;

async function send(writeKey, what) {
  const analytics = new Analytics({ writeKey, host, maxRetries: 1 });
  const errors = [];
  analytics.on("error", (error) => errors.push(error.code));
  what(analytics);
  await analytics.closeAndFlush({ timeout: 30_000 });
  return errors;
}

const errors = await send(writeKey, report);
if (errors.length > 0) throw new Error(`it went wrong: ${errors}`);
const wrong = (analytics) => analytics.track({ userId: "u", event: "Never" });
const refused = await send("ecrm_wk_wrong", wrong);
if (refused.length !== 1) throw new Error(`a wrong key is told as ${refused}`);
console.log("done");
