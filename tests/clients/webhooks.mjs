// Verifies one message by every secret that is valid, with two libraries, and by the key pair.

import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const { body, headers, secrets, public_key } = JSON.parse(readFileSync(0, "utf8"));

for (const Webhook of [Standard, Svix]) {
  for (const secret of secrets) {
    const event = new Webhook(secret).verify(body, headers);
    if (event.type !== "customer.created") throw new Error(`it is ${event.type}`);
  }
  const refuses = (body, headers) => {
    try {
      new Webhook(secrets[1]).verify(body, headers);
      return false;
    } catch {
      return true;
    }
  };
  const old = { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 400) };
  if (!refuses(`${body} `, headers) || !refuses(body, old)) throw new Error("it believes anything");
}

const der = Buffer.concat([
  Buffer.from("302a300506032b6570032100", "hex"),
  Buffer.from(public_key.replace(/^whpk_/, ""), "base64"),
]);
const key = createPublicKey({ key: der, format: "der", type: "spki" });
const own = headers["webhook-signature"].split(" ").find((one) => one.startsWith("v1a,"));
const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
const isOurs = verify(null, Buffer.from(content), key, Buffer.from(own.slice(4), "base64"));
if (!isOurs) throw new Error("the key pair did not sign it");
console.log("done");
