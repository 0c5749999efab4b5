// Publishes records with go-redis. The embedded broker's URL is unix:///…/data/broker/valkey.sock.
//
//	go mod init publish && go get github.com/redis/go-redis/v9 github.com/google/uuid && REDIS_URL=redis://localhost:6379 go run publish.go
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

type fields map[string]any

func publish(ctx context.Context, client *redis.Client, queue, actor string, record fields) error {
	id := uuid.NewString()
	payload, _ := json.Marshal(fields{"queue_name": queue, "actor_name": actor, "args": []fields{record}, "kwargs": fields{},
		"options": fields{"redis_message_id": id}, "message_id": id, "message_timestamp": time.Now().UnixMilli()})
	// The payload before its id, both or neither.
	_, err := client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HSet(ctx, "dramatiq:"+queue+".msgs", id, payload)
		return tx.RPush(ctx, "dramatiq:"+queue, id).Err()
	})
	return err
}

func main() {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err == nil {
		deposit := fields{"deposit_id": "d-1", "account_id": "main", "currency": "USDT", "amount": "10000", "occurred_at": "2026-11-22T10:15:30Z"}
		err = publish(context.Background(), redis.NewClient(options), "deposits", "record_deposit", deposit)
	}
	if err != nil {
		log.Fatal(err)
	}
}
