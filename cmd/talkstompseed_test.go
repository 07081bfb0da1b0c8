package wyecmd_test

// wrongsAtOnce is how many wrong things are said in the conversation of a seed.
const wrongsAtOnce = 5

// stompTalkSeeds hold a conversation that takes each step, in every version and by every way, and say everything that is wrong.
func stompTalkSeeds() [][]byte {
	numbers := make(map[string]byte)
	for i, step := range stompTalkSteps() {
		numbers[step.name] = byte(i)
	}
	do := func(name string, choices ...byte) []byte {
		n, ok := numbers[name]
		if !ok {
			panic("there is no step " + name)
		}
		return append([]byte{n}, choices...)
	}
	garbage := byte(len(numbers))
	var seeds [][]byte
	for version := range byte(3) {
		for way := range byte(stompTalkWays) {
			again := []byte{0, version}
			seeds = append(seeds,
				talkSeed([]byte{0, version, way}, stompTour(do, again)...),
				talkSeed([]byte{0, version, way}, stompTransactions(do, again)...),
			)
		}
	}
	for i := 0; i < len(stompWrongs("")); i += wrongsAtOnce {
		for way := range byte(2) {
			steps := [][]byte{do("subscribe to a topic", 1)}
			for j := range byte(wrongsAtOnce) {
				steps = append(steps, do("say what is wrong", 0, byte(i)+j, byte(i)+j), do("subscribe to a topic", 1), do("send to a topic", 1))
			}
			seeds = append(seeds, talkSeed([]byte{0, byte(i/wrongsAtOnce) % 3, way}, steps...))
		}
	}
	return append(seeds,
		append(talkSeed([]byte{0, 2, 0}, do("send to a topic")), append([]byte{garbage}, "SEND\ndestination:/topic/a\n\nx\x00SUBSCRIBE\n\x00"...)...),
		append(talkSeed([]byte{0, 1, 3}, do("send to a topic")), append([]byte{garbage}, "\x00\xff\n\n\x00"...)...),
	)
}

// stompTour takes most steps once or twice.
func stompTour(do func(name string, choices ...byte) []byte, again []byte) [][]byte {
	topic := func(i byte) []byte { return do("send to a topic", i) }
	return [][]byte{
		topic(0), do("subscribe to a topic", 0, 0), do("subscribe to a topic", 1, 2, 1), do("subscribe to a topic", 1, 3), topic(0), topic(1), topic(2), topic(3),
		do("subscribe to a topic with acknowledgements", 2, 0, 0), topic(2), do("subscribe to a topic with acknowledgements", 2, 1, 2), topic(2), topic(2),
		do("acknowledge", 0, 0, 0), do("acknowledge", 0, 1, 1), do("refuse", 0, 0, 0), do("refuse", 0, 1, 0), topic(2),
		do("send to a queue", 0), do("send to a queue", 0), do("subscribe to a queue", 0, 2), do("send to a queue", 0), do("acknowledge", 0, 0, 1),
		do("refuse", 0, 0, 0), do("refuse for good", 0, 0, 0), do("unsubscribe", 0, 2), do("subscribe to a queue", 0, 1, 1), do("acknowledge", 0, 1, 2),
		do("subscribe to a queue", 2, 1), do("send to a queue", 2), do("send to a queue", 2), do("acknowledge", 0, 2, 0),
		do("subscribe for good", 1, 2), do("subscribe for good twice"), do("subscribe for good", 1, 2), topic(1), topic(1), do("acknowledge", 0, 0, 0),
		do("leave in order", again...), topic(1), do("subscribe for good", 1, 1), topic(1), do("acknowledge", 0, 0, 1), do("leave without a word", again...),
		topic(1), do("subscribe for good", 1, 0), do("take over", again...), topic(1), do("subscribe for good", 1, 0), do("leave in a hurry", 0, again[1]),
		do("subscribe for good", 0, 0), do("delete a durable subscription", 0, 0), topic(0), do("delete a durable subscription", 0, 0),
		do("mal subscribes", 0, 2, 3, 1), do("subscribe to a topic", 3, 2), do("mal sends"), topic(3), do("ask and be answered", 0, 1), do("ask and be answered", 1, 1, 2),
		do("a denied SEND", 0, 1, 0, 1), do("a denied SEND", 0, 4, 1), do("a denied SUBSCRIBE", 0, 2), do("a denied SUBSCRIBE", 0, 6, 1), do("mal subscribes"),
		do("a denied COMMIT", 1), topic(3), do("be somebody else", 0, 1), do("log in with a wrong password", 0, 0), do("log in with a wrong password", 0, 1, 2, 3),
		do("log in with a wrong password", 0, 2, 0, 4), do("listen for heart-beats", 0, max(again[1], 1)), do("be silent", 0, 0),
	}
}

// stompTransactions settles and sends in transactions, to their end or not.
func stompTransactions(do func(name string, choices ...byte) []byte, again []byte) [][]byte {
	filled := [][]byte{
		do("begin a transaction", 0), do("send in a transaction", 0), do("send to a queue in a transaction", 1), do("acknowledge in a transaction", 0, 0, 0, 0),
		do("refuse in a transaction", 0, 0, 0, 0),
	}
	var all [][]byte
	add := func(steps ...[]byte) { all = append(all, steps...) }
	add(do("subscribe to a topic", 0, 0), do("subscribe to a queue", 0, 2), do("subscribe for good", 1, 1))
	for range 5 {
		add(do("send to a queue", 0), do("send to a topic", 1))
	}
	add(filled...)
	add(do("commit"), do("send to a queue", 1), do("acknowledge", 0, 0, 0))
	add(filled...)
	add(do("abort"), do("acknowledge", 0, 0, 0))
	add(filled...)
	add(do("unsubscribe", 0, 0), do("commit", 0, 0, again[1]))
	add(do("subscribe for good", 1, 2), do("subscribe to a queue", 0, 1), do("send to a queue", 1))
	add(filled...)
	return append(all, do("leave without a word", again...))
}
