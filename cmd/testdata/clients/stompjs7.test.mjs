// @stomp/stompjs 7, the current STOMP client of browsers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "@stomp/stompjs";
import WebSocket from "ws";
import { Inbox, unique, within, ws } from "./env.mjs";

globalThis.WebSocket = WebSocket;

async function connect(t, options = {}) {
  const errors = new Inbox();
  const client = new Client({ brokerURL: ws, reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0, ...options });
  client.onStompError = errors.put;
  const connected = new Promise((resolve) => { client.onConnect = resolve; });
  client.activate();
  const frame = await within(connected, 10000, "CONNECTED");
  t.after(() => client.deactivate({ force: true }));
  return { client, errors, frame };
}

function receipt(client, id) {
  return within(new Promise((resolve) => client.watchForReceipt(id, resolve)), 10000, "RECEIPT " + id);
}

for (const version of ["1.2", "1.1", "1.0"]) {
  test(`publish and subscribe, STOMP ${version}`, async (t) => {
    const { Versions } = await import("@stomp/stompjs");
    const { client, frame } = await connect(t, { stompVersions: new Versions([version]) });
    assert.equal(client.connectedVersion, version);
    assert.match(frame.headers.server ?? "wye/", /^wye\//);
    const inbox = new Inbox();
    const topic = "/topic/" + unique("seven");
    client.subscribe(topic, inbox.put, version === "1.0" ? {} : { receipt: "s" });
    if (version !== "1.0") await receipt(client, "s");
    client.publish({ destination: topic, body: "grüße €", headers: { "content-type": "text/plain", shape: "round" } });
    const m = await inbox.next();
    assert.equal(m.body, "grüße €");
    assert.equal(m.headers.destination, topic);
    assert.equal(m.headers.shape, "round");
    assert.equal(m.headers["content-type"], "text/plain");
    assert.ok(m.headers["message-id"] && m.headers.subscription);
  });
}

test("binary WebSocket frames both ways", async (t) => {
  const { client } = await connect(t, { forceBinaryWSFrames: true });
  const inbox = new Inbox();
  const queue = "/queue/" + unique("binary");
  client.subscribe(queue, inbox.put);
  const body = new Uint8Array(256).map((_, i) => i);
  client.publish({ destination: queue, binaryBody: body });
  assert.deepEqual(new Uint8Array((await inbox.next()).binaryBody), body);
});

test("a large frame split over many messages", async (t) => {
  const { client } = await connect(t, { splitLargeFrames: true, maxWebSocketChunkSize: 1000 });
  const inbox = new Inbox();
  const queue = "/queue/" + unique("large");
  client.subscribe(queue, inbox.put);
  const body = "0123456789äöü".repeat(20000);
  client.publish({ destination: queue, body });
  assert.equal((await inbox.next()).body, body);
});

test("heart-beats keep an idle connection", async (t) => {
  const { client } = await connect(t, { heartbeatIncoming: 400, heartbeatOutgoing: 400 });
  let closed = false;
  client.onWebSocketClose = () => { closed = true; };
  await new Promise((r) => setTimeout(r, 2500));
  assert.equal(closed, false);
  assert.equal(client.connected, true);
});

test("receipts", async (t) => {
  const { client } = await connect(t);
  const queue = "/queue/" + unique("receipts");
  for (let i = 0; i < 20; i++) {
    const got = receipt(client, "r" + i);
    client.publish({ destination: queue, body: String(i), headers: { receipt: "r" + i } });
    await got;
  }
});

test("transactions: committed or never seen", async (t) => {
  const { client } = await connect(t);
  const inbox = new Inbox();
  const queue = "/queue/" + unique("tx");
  client.subscribe(queue, inbox.put);
  const lost = client.begin();
  client.publish({ destination: queue, body: "aborted", headers: { transaction: lost.id } });
  lost.abort();
  const kept = client.begin();
  client.publish({ destination: queue, body: "one", headers: { transaction: kept.id } });
  client.publish({ destination: queue, body: "two", headers: { transaction: kept.id } });
  await new Promise((r) => setTimeout(r, 100));
  assert.equal(inbox.size, 0, "nothing is delivered before the commit");
  kept.commit();
  assert.equal((await inbox.next()).body, "one");
  assert.equal((await inbox.next()).body, "two");
});

test("client-individual: ack, nack and redelivery", async (t) => {
  const { client } = await connect(t);
  const inbox = new Inbox();
  const queue = "/queue/" + unique("acks");
  client.subscribe(queue, inbox.put, { ack: "client-individual" });
  client.publish({ destination: queue, body: "a" });
  client.publish({ destination: queue, body: "b" });
  const a = await inbox.next();
  const b = await inbox.next();
  assert.deepEqual([a.body, b.body], ["a", "b"]);
  b.ack();
  a.nack();
  const again = await inbox.next();
  assert.equal(again.body, "a");
  assert.equal(again.headers.redelivered, "true");
  again.ack();
});

test("unacknowledged messages survive the client", async (t) => {
  const queue = "/queue/" + unique("crash");
  const first = await connect(t);
  const inbox = new Inbox();
  first.client.subscribe(queue, inbox.put, { ack: "client" });
  for (const body of ["1", "2", "3"]) first.client.publish({ destination: queue, body });
  for (let i = 0; i < 3; i++) await inbox.next();
  first.client.forceDisconnect();
  const second = await connect(t);
  const again = new Inbox();
  second.client.subscribe(queue, again.put, { ack: "client" });
  for (const body of ["1", "2", "3"]) {
    const m = await again.next();
    assert.equal(m.body, body);
    assert.equal(m.headers.redelivered, "true");
  }
});

test("an error says what is wrong before the connection ends", async (t) => {
  const { client, errors } = await connect(t);
  client.publish({ destination: "/nowhere/x", body: "x", headers: { receipt: "bad" } });
  const e = await errors.next();
  assert.equal(e.headers["receipt-id"], "bad");
  assert.ok(e.headers.message);
  assert.match(e.body, /\/queue\//);
});

test("bodies with NUL", async (t) => {
  const { client } = await connect(t);
  const inbox = new Inbox();
  const queue = "/queue/" + unique("nul");
  client.subscribe(queue, inbox.put);
  client.publish({ destination: queue, body: "a\0b" });
  assert.equal((await inbox.next()).body, "a\0b");
});
