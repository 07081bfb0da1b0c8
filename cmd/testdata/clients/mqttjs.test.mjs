// MQTT.js: MQTT 3.1, 3.1.1 and 5 over WebSocket and TCP.
import assert from "node:assert/strict";
import { test } from "node:test";
import mqtt from "mqtt";
import { Inbox, mqttTCP, unique, within, ws } from "./env.mjs";

const versions = {
  "3.1": { protocolVersion: 3, protocolId: "MQIsdp" },
  "3.1.1": { protocolVersion: 4 },
  5: { protocolVersion: 5 },
};

async function connect(t, url, options) {
  const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 5000, clientId: unique("mqttjs").slice(0, 23), ...options });
  const inbox = new Inbox();
  client.on("message", (topic, payload, packet) => inbox.put({ topic, body: payload.toString(), packet }));
  const connack = await within(new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("error", reject);
  }), 10000, "CONNACK");
  t.after(() => client.endAsync(true));
  return { client, inbox, connack };
}

for (const [where, url] of [["WebSocket", ws + "/mqtt"], ["TCP", mqttTCP]]) {
  for (const [version, options] of Object.entries(versions)) {
    test(`MQTT ${version} over ${where}: every QoS, in order`, async (t) => {
      const { client, inbox } = await connect(t, url, options);
      const base = unique("qos");
      const granted = await client.subscribeAsync(`${base}/+`, { qos: 2 });
      assert.equal(granted[0].qos, 2);
      for (const qos of [0, 1, 2]) {
        for (let i = 0; i < 20; i++) await client.publishAsync(`${base}/${qos}`, String(i), { qos });
        for (let i = 0; i < 20; i++) {
          const m = await inbox.next();
          assert.equal(m.topic, `${base}/${qos}`);
          assert.equal(m.body, String(i));
          assert.equal(m.packet.qos, qos);
          assert.equal(m.packet.dup, false);
        }
      }
      await client.unsubscribeAsync(`${base}/+`);
      await client.publishAsync(`${base}/1`, "unseen", { qos: 1 });
      assert.equal(inbox.size, 0);
    });

    test(`MQTT ${version} over ${where}: retained, will, session`, async (t) => {
      const base = unique("state");
      const pub = await connect(t, url, { ...options, will: { topic: `${base}/will`, payload: "gone", qos: 1, retain: false } });
      await pub.client.publishAsync(`${base}/kept/a`, "kept", { qos: 1, retain: true });
      const clientId = unique("s").slice(0, 23);
      const session = { ...options, clientId, clean: false, properties: version === "5" ? { sessionExpiryInterval: 60 } : undefined };
      const first = await connect(t, url, session);
      assert.equal(first.connack.sessionPresent, false);
      await first.client.subscribeAsync([`${base}/#`], { qos: 1 });
      const kept = await first.inbox.next();
      assert.equal(kept.body, "kept");
      assert.equal(kept.packet.retain, true);
      await first.client.endAsync();
      await pub.client.publishAsync(`${base}/missed`, "missed", { qos: 1 });
      const second = await connect(t, url, session);
      if (version !== "3.1") assert.equal(second.connack.sessionPresent, true);
      const missed = await second.inbox.next();
      assert.equal(missed.body, "missed");
      pub.client.stream.destroy();
      assert.equal((await second.inbox.next()).body, "gone");
    });
  }
}

test("MQTT 5: properties, subscription identifiers, request and response", async (t) => {
  const { client, inbox, connack } = await connect(t, ws + "/mqtt", versions[5]);
  assert.equal(connack.reasonCode, 0);
  const topic = unique("props");
  await client.subscribeAsync(topic, { qos: 1, properties: { subscriptionIdentifier: 7 } });
  await client.publishAsync(topic, "x", {
    qos: 1,
    properties: {
      contentType: "text/plain", responseTopic: "answers/here", correlationData: Buffer.from([0, 255, 1]),
      messageExpiryInterval: 100, payloadFormatIndicator: true, userProperties: { a: ["1", "2"], b: "3" },
    },
  });
  const p = (await inbox.next()).packet.properties;
  assert.equal(p.contentType, "text/plain");
  assert.equal(p.responseTopic, "answers/here");
  assert.deepEqual([...p.correlationData], [0, 255, 1]);
  assert.ok(p.messageExpiryInterval > 90 && p.messageExpiryInterval <= 100);
  assert.equal(p.payloadFormatIndicator, true);
  assert.deepEqual(p.userProperties.a, ["1", "2"]);
  assert.equal(p.userProperties.b, "3");
  assert.equal(p.subscriptionIdentifier, 7);
});

test("MQTT 5: shared subscriptions share", async (t) => {
  const topic = unique("shared");
  const a = await connect(t, ws, versions[5]);
  const b = await connect(t, ws, versions[5]);
  for (const c of [a, b]) await c.client.subscribeAsync(`$share/g/${topic}`, { qos: 1 });
  for (let i = 0; i < 20; i++) await a.client.publishAsync(topic, String(i), { qos: 1 });
  const got = [];
  await within((async () => {
    while (got.length < 20) {
      await new Promise((r) => setTimeout(r, 20));
      for (const c of [a, b]) while (c.inbox.size) got.push((await c.inbox.next()).body);
    }
  })());
  assert.deepEqual(got.map(Number).sort((x, y) => x - y), [...Array(20).keys()]);
});

test("MQTT 5: a taken-over client is told why", async (t) => {
  const clientId = unique("twice").slice(0, 23);
  const first = await connect(t, ws, { ...versions[5], clientId });
  const told = within(new Promise((resolve) => first.client.once("disconnect", resolve)), 5000, "DISCONNECT");
  await connect(t, ws, { ...versions[5], clientId });
  assert.equal((await told).reasonCode, 0x8e);
});

test("MQTT 5: a malformed filter is refused, the connection lives", async (t) => {
  const { client } = await connect(t, ws, versions[5]);
  const granted = await client.subscribeAsync("$share//x", { qos: 0 }).catch((e) => [{ qos: e.code ?? 128 }]);
  assert.ok(granted[0].qos >= 128);
  assert.equal(client.connected, true);
});
