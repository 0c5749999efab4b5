// Publishes records with npm's redis.
//   npm install redis typescript @types/node
//   npx tsc --strict --module nodenext --target es2022 publish.ts
//   REDIS_URL=redis://localhost:6379 node publish.js
import { randomUUID } from "node:crypto";
import { createClient } from "redis";
import type { Actors, Deposit, Fill } from "./records.js";

const url = process.env.REDIS_URL ?? "redis://localhost:6379";
const namespace = process.env.NAMESPACE ?? "dramatiq";
// The embedded broker listens on a socket: REDIS_URL=unix:///…/data/broker/valkey.sock.
const client = createClient(url.startsWith("unix://") ? { socket: { path: url.slice("unix://".length), tls: false } } : { url });

async function publish<A extends keyof Actors>(actor: A, queue: Actors[A]["queue"], record: Actors[A]["record"]): Promise<string> {
  const id = randomUUID();
  const payload = JSON.stringify({
    queue_name: queue, actor_name: actor, args: [record], kwargs: {}, options: { redis_message_id: id }, message_id: id,
    message_timestamp: Date.now(),
  });
  // The payload before its id, both or neither.
  await client.multi().hSet(`${namespace}:${queue}.msgs`, id, payload).rPush(`${namespace}:${queue}`, id).exec();
  return id;
}

const deposit: Deposit = {
  deposit_id: "d-1", account_id: "main", currency: "USDT", amount: "10000", occurred_at: "2026-11-22T10:15:30Z",
};
const fill: Fill = {
  fill_id: "binance:BTCUSDT:43", account_id: "main", symbol: "BTC/USDT", side: "buy", quantity: "0.015", price: "63990.5",
  executed_at: new Date("2026-11-22T10:15:30.123Z").toISOString(),
};

await client.connect();
console.log(await publish("record_deposit", "deposits", deposit));
console.log(await publish("record_fill", "fills", fill));
await client.close();
