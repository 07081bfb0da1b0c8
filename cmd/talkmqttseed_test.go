package wyecmd_test

// mqttTalkSeeds hold conversations that take each step, in every version and by every way, and say everything that is wrong.
func mqttTalkSeeds() [][]byte {
	numbers := make(map[string]byte)
	for i, step := range mqttTalkSteps() {
		numbers[step.name] = byte(i)
	}
	do := func(name string, choices ...byte) []byte {
		n, ok := numbers[name]
		if !ok {
			panic("there is no step " + name)
		}
		return append([]byte{n}, choices...)
	}
	var seeds [][]byte
	for version := range byte(3) {
		for way := range byte(2) {
			begin := []byte{0, version, way}
			seeds = append(seeds, talkSeed(begin, mqttMessages(do)...), talkSeed(begin, mqttSessions(do)...), talkSeed(begin, mqttDenied(do, 2-version)...))
		}
	}
	for version := range byte(3) {
		for i := 0; i < len(mqttWrongs([]byte{5, 4, 3}[version])); i += wrongsAtOnce {
			steps := [][]byte{do("subscribe", 1, 1)}
			for j := range byte(wrongsAtOnce) {
				w := byte(i) + j
				steps = append(steps, do("publish with QoS 1", 1), do("say what is wrong", 0, w, w, w/4), do("publish with QoS 2", 1))
			}
			seeds = append(seeds, talkSeed([]byte{0, version, byte(i) % 2}, steps...))
		}
	}
	garbage := byte(len(numbers))
	return append(seeds, append(talkSeed([]byte{0, 0, 0}, do("publish with QoS 1")), garbage, 0, 0x30, 0x03, 0x00, 0x01, 'a'))
}

type talkDo func(name string, choices ...byte) []byte

// mqttMessages publishes in every way.
func mqttMessages(do talkDo) [][]byte {
	return [][]byte{
		do("publish what is retained", 0, 1), do("publish what is retained", 1, 2), do("subscribe", 0, 2, 0, 0), do("subscribe", 1, 1, 1, 1), do("subscribe", 2, 0, 0, 2),
		do("publish with QoS 0", 0), do("publish with QoS 1", 0), do("publish with QoS 2", 0), do("acknowledge", 0), do("publish with QoS 2", 1),
		do("publish what is retained", 0, 2), do("publish what is retained", 1, 0), do("clear what is retained", 0, 1), do("acknowledge", 3),
		do("subscribe again", 0, 1, 0), do("subscribe again", 0, 1, 1), do("subscribe again", 0, 1, 2), do("acknowledge", 3), do("acknowledge", 3),
		do("publish by an alias", 0, 0, 1), do("publish by an alias", 0, 0, 2), do("publish by an alias", 1, 0, 0), do("publish by an alias", 1, 0, 1),
		do("unsubscribe", 0, 0), do("unsubscribe", 0, 0), do("unsubscribe", 0, 0), do("publish what is retained", 2, 1), do("publish what is retained", 3, 1),
		do("subscribe by a wildcard", 0, 1), do("subscribe by a wildcard", 1, 2, 1), do("publish with QoS 1", 0), do("publish with QoS 1", 2),
		do("unsubscribe", 0, 0), do("unsubscribe", 0, 0), do("subscribe by a wildcard", 2, 2, 0, 1), do("publish with QoS 1", 3),
		do("share", 0), do("publish what is shared", 0), do("share", 1), do("publish what is shared", 1), do("publish what is shared", 0), do("acknowledge", 3),
		do("unshare", 0), do("publish what is shared", 0), do("share", 0), do("publish what is shared", 0), do("unshare", 1), do("publish what is shared", 0),
	}
}

// mqttSessions leaves and comes back in every way.
func mqttSessions(do talkDo) [][]byte {
	begin := [][]byte{
		do("subscribe", 0, 1), do("subscribe", 1, 2), do("share", 0), do("publish what is shared", 0), do("publish with QoS 1", 0), do("publish with QoS 2", 1),
	}
	var all [][]byte
	for i, name := range []string{
		"resume", "resume after a goodbye", "leave with the will", "take over", "resume", "start anew", "start anew after the worst", "take over",
		"start anew by taking over", "have a short session", "end the session at goodbye", "resume",
	} {
		all = append(all, begin...)
		all = append(all, do(name, 0, byte(i), byte(i/4), byte(i)))
	}
	return append(all, do("subscribe", 1, 2), do("be away", 1, 0, 2), do("acknowledge", 3), do("be away", 1, 1, 1, 1))
}

// mqttDenied lets mal, who speaks a version of its own, try what it can.
func mqttDenied(do talkDo, version byte) [][]byte {
	all := [][]byte{
		do("mal publishes", 0, version), do("mal subscribes"), do("subscribe by a wildcard", 2, 2), do("share", 1), do("mal publishes", 0, 2), do("publish with QoS 1", 3),
	}
	for i := range byte(10) {
		all = append(all, do("a denied SUBSCRIBE", 0, i), do("a denied PUBLISH", i, i))
	}
	for i := range byte(4) {
		all = append(all, do("a denied retained PUBLISH", i, i))
	}
	return append(all,
		do("a denied alias", 1), do("a denied will", 1, version), do("be somebody else", 0, version, version), do("log in with a wrong password", 0, version),
		do("mal publishes", 0, 1), do("publish with QoS 0", 0), do("subscribe again"),
	)
}
