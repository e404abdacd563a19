// Uses the emulator that FIRESTORE_EMULATOR_HOST names, and prints what it read as JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/status"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := firestore.NewClient(ctx, os.Args[1])
	check(err)
	defer client.Close()
	orders := client.Collection("orders")
	write(ctx, client, orders)
	found := map[string]any{
		"values":      values(ctx, orders),
		"query":       query(ctx, orders),
		"count":       count(ctx, orders),
		"transaction": inTransaction(ctx, client, orders.Doc("c")),
		"increment":   increment(ctx, orders.Doc("c")),
		"error":       createAgain(ctx, orders.Doc("a")),
		"collections": collections(ctx, client),
		"listened":    listen(ctx, orders),
	}
	check(json.NewEncoder(os.Stdout).Encode(found))
}

func write(ctx context.Context, client *firestore.Client, orders *firestore.CollectionRef) {
	bulk := client.BulkWriter(ctx)
	for number, id := range []string{"a", "b", "c"} {
		_, err := bulk.Set(orders.Doc(id), map[string]any{
			"number":    number,
			"null":      nil,
			"integer":   7,
			"double":    0.5,
			"text":      "é𝄞",
			"bytes":     []byte{0, 255},
			"time":      time.UnixMilli(1_767_323_045_678),
			"list":      []any{1, "a", map[string]any{"deep": true}},
			"reference": orders.Doc("a"),
			"vector":    firestore.Vector64{1, 0.5},
		})
		check(err)
	}
	bulk.End()
}

func values(ctx context.Context, orders *firestore.CollectionRef) map[string]any {
	document, err := orders.Doc("a").Get(ctx)
	check(err)
	stored := document.Data()
	delete(stored, "number")
	bytes := []int{}
	for _, each := range stored["bytes"].([]byte) {
		bytes = append(bytes, int(each))
	}
	stored["bytes"] = bytes
	stored["time"] = stored["time"].(time.Time).UnixMilli()
	stored["reference"] = "orders/" + stored["reference"].(*firestore.DocumentRef).ID
	return stored
}

func query(ctx context.Context, orders *firestore.CollectionRef) []string {
	ids := []string{}
	documents := orders.Where("number", ">=", 1).OrderBy("number", firestore.Desc).Documents(ctx)
	for {
		document, err := documents.Next()
		if err == iterator.Done {
			return ids
		}
		check(err)
		ids = append(ids, document.Ref.ID)
	}
}

func count(ctx context.Context, orders *firestore.CollectionRef) int64 {
	result, err := orders.NewAggregationQuery().WithCount("all").Get(ctx)
	check(err)
	return result["all"].(*firestorepb.Value).GetIntegerValue()
}

func inTransaction(
	ctx context.Context, client *firestore.Client, order *firestore.DocumentRef,
) (number int64) {
	check(client.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		document, err := tx.Get(order)
		if err != nil {
			return err
		}
		number = document.Data()["number"].(int64) + 1
		return tx.Update(order, []firestore.Update{{Path: "number", Value: number}})
	}))
	return number
}

func increment(ctx context.Context, order *firestore.DocumentRef) any {
	_, err := order.Update(ctx, []firestore.Update{{Path: "number", Value: firestore.Increment(10)}})
	check(err)
	document, err := order.Get(ctx)
	check(err)
	return document.Data()["number"]
}

func createAgain(ctx context.Context, order *firestore.DocumentRef) int {
	_, err := order.Create(ctx, map[string]any{})
	return int(status.Code(err))
}

func collections(ctx context.Context, client *firestore.Client) []string {
	found, err := client.Collections(ctx).GetAll()
	check(err)
	ids := []string{}
	for _, each := range found {
		ids = append(ids, each.ID)
	}
	return ids
}

func listen(ctx context.Context, orders *firestore.CollectionRef) []string {
	snapshots := orders.Where("number", ">=", 10).Snapshots(ctx)
	defer snapshots.Stop()
	seen := []string{}
	for len(seen) < 2 {
		snapshot, err := snapshots.Next()
		check(err)
		for _, change := range snapshot.Changes {
			kind := map[firestore.DocumentChangeKind]string{
				firestore.DocumentAdded:    "added",
				firestore.DocumentModified: "modified",
				firestore.DocumentRemoved:  "removed",
			}[change.Kind]
			seen = append(seen, kind+" "+change.Doc.Ref.ID)
		}
		if len(seen) == 1 {
			_, err := orders.Doc("d").Set(ctx, map[string]any{"number": 11})
			check(err)
		}
	}
	return seen
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
