package memory_test

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/core/engine"
	"github.com/wyemq/wye/core/engine/memory"
)

// A message is stored, read by the owner of the log, and settled.
func Example() {
	ctx := context.Background()
	e := memory.New()
	done := make(chan error)
	commit := func(op engine.Op) {
		e.Commit(&engine.Batch{Ops: []engine.Op{op}}, func(err error) { done <- err })
		if err := <-done; err != nil {
			fmt.Println(err)
		}
	}
	commit(engine.Op{Kind: engine.Append, Logs: []engine.LogID{"q/jobs"}, Msg: &engine.Message{Body: []byte("work")}})
	log, err := e.Open(ctx, "q/jobs", engine.LogOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	recs, _ := log.Next(10, 1<<20)
	fmt.Printf("%s, %d left\n", recs[0].Msg.Body, log.Stats().Depth)
	commit(engine.Op{Kind: engine.Settle, Log: log, Seqs: []engine.Seq{recs[0].Seq}})
	fmt.Printf("%d left\n", log.Stats().Depth)
	_ = e.Close(ctx)
	// Output:
	// work, 1 left
	// 0 left
}
