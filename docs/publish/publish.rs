// Publishes records with the crate redis.
//   cargo init --name publish && cargo add redis@1 serde_json@1 && cargo add uuid@1 --features v4 && cp publish.rs src/main.rs
//   REDIS_URL=redis://localhost:6379 cargo run
// The embedded broker listens on a socket: REDIS_URL=unix:///…/data/broker/valkey.sock.
use std::time::{SystemTime, UNIX_EPOCH};

use redis::Connection;
use serde_json::{json, Value};
use uuid::Uuid;

fn publish(connection: &mut Connection, queue: &str, actor: &str, record: Value) -> redis::RedisResult<String> {
    let id = Uuid::new_v4().to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64;
    let payload = json!({
        "queue_name": queue, "actor_name": actor, "args": [record], "kwargs": {},
        "options": {"redis_message_id": id}, "message_id": id, "message_timestamp": now,
    });
    // The payload before its id, both or neither.
    redis::pipe()
        .atomic()
        .hset(format!("dramatiq:{queue}.msgs"), &id, payload.to_string()).ignore()
        .rpush(format!("dramatiq:{queue}"), &id).ignore()
        .exec(connection)?;
    Ok(id)
}

fn main() -> redis::RedisResult<()> {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL is set");
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let deposit = json!({
        "deposit_id": "d-1", "account_id": "main", "currency": "USDT", "amount": "10000", "occurred_at": "2026-11-22T10:15:30Z",
    });
    println!("{}", publish(&mut connection, "deposits", "record_deposit", deposit)?);
    Ok(())
}
