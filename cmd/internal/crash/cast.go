package crash

import "sync"

// producers are the clients that send.
func (w *world) producers() []actor {
	return []actor{
		newProducer(w, "stomp-a", work, batch, news, backlog),
		newProducer(w, "stomp-b", work, bad, later, in, batch, poison),
		newProducer(w, "stomp-c", in, news),
		newPublisher(w, "mqtt-1", 4, 1, work, news, bad, batch, backlog),
		newPublisher(w, "mqtt-2", 4, 2, news, work),
		newPublisher(w, "mqtt-3", 5, 2, news, in, batch),
		&overSTOMP{retainer{"retain-stomp", w.random("retain-stomp"), retainedLevel + "/stomp", 0}},
		&overMQTT{retainer{"retain-mqtt", w.random("retain-mqtt"), retainedLevel + "/mqtt", 0}},
	}
}

// consumers are the clients that receive. Each of the subscribers tells ready when it is subscribed for the first time.
func (w *world) consumers(ready chan<- struct{}) (all []actor, subscribers int) {
	once := func() func() {
		subscribers++
		return sync.OnceFunc(func() { ready <- struct{}{} })
	}
	places := make(map[string]*Place)
	for _, p := range Places() {
		places[p.Name] = &p
	}
	stomp := func(name, place string, how style, clientID string, header ...string) actor {
		return &consumer{
			title: name, r: w.random(name), place: places[place], clientID: clientID, header: header, style: how, ready: once(),
		}
	}
	mqtt := func(name, place, filter string, level, qos byte, most uint16) actor {
		return &subscriber{
			title: name, r: w.random(name), place: places[place], filter: filter, level: level, most: most, qos: qos,
			ready: once(), incoming: make(map[uint16]*incoming),
		}
	}
	visitor := func(name string, a actor) actor { return &visitor{actor: a, r: w.random(name + " comes")} }
	const group = "readers"
	all = []actor{
		stomp("work-1", "work", individual, "", "destination", work),
		stomp("work-2", "work", individual, "", "destination", work),
		mqtt("work-3", "work", topicOf(work), 4, 1, 0),
		stomp("batch-1", "batch", cumulative, "", "destination", batch),
		stomp("later-1", "later", individual, "", "destination", later),
		stomp("bad-1", "bad", rejecting, "", "destination", bad),
		stomp("dead-1", "dead", individual, "", "destination", "/queue/DLQ.bad"),
		stomp("poison-1", "poison", refusing, "", "destination", poison),
		stomp("poisoned-1", "poisoned", individual, "", "destination", "/queue/DLQ.poison"),
		stomp("mover-1", "in", moving, "", "destination", in),
		stomp("mover-2", "in", moving, "", "destination", in),
		stomp("out-1", "out", individual, "", "destination", out),
		stomp("durable-1", "durable", individual, "durable-1", "destination", news, "durable-subscription-name", "d"),
		stomp("durable-2", "durable-all", cumulative, "durable-2", "destination", news, "durable-subscription-name", "d"),
		mqtt("session-1", "session", topicOf(news), 4, 1, 0),
		mqtt("session-4", "session-5", topicOf(news), 5, 1, 8),
		mqtt("session-2", "exact", topicOf(news), 4, 2, 0),
		stomp("group-1", "group", individual, "", "destination", news, "x-queue-name", group, "durable", "true"),
		mqtt("group-2", "group", "$share/"+group+"/"+topicOf(news), 4, 1, 0),
		mqtt("group-3", "group", "$share/"+group+"/"+topicOf(news), 5, 2, 5),
		visitor("backlog-1", stomp("backlog-1", "backlog", individual, "", "destination", backlog)),
		visitor("durable-3", stomp("durable-3", "durable-away", cumulative, "durable-3", "destination", news, "durable-subscription-name", "d")),
		visitor("session-3", mqtt("session-3", "exact-away", topicOf(news), 5, 2, 10)),
		&wanderer{title: "wanderer", r: w.random("wanderer"), place: places["wander"]},
		&stompReader{reader{"reader-stomp", w.random("reader-stomp"), []string{retainedLevel + "/stomp", retainedLevel + "/mqtt"}}},
		&mqttReader{reader{"reader-mqtt", w.random("reader-mqtt"), []string{retainedLevel + "/stomp", retainedLevel + "/mqtt"}}},
	}
	return all, subscribers
}
