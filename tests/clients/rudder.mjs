// RudderStack's library for Node.

import { createRequire } from "node:module";
import { report } from "./tracks.mjs";

const { TRACK_KEY: key, TRACK_URL: dataPlaneUrl } = process.env;
const module = createRequire(import.meta.url)("@rudderstack/rudder-sdk-node");
const RudderAnalytics = module.default ?? module;
const analytics = new RudderAnalytics(key, { dataPlaneUrl, gzip: true });
report(analytics);
await new Promise((resolve, reject) => {
  analytics.flush((error) => (error ? reject(error) : resolve()));
});
console.log("done");
process.exit(0);
