// The older generation of browser clients: stompjs 2.3.3 (stomp-websocket) and webstomp-client. They offer
// v10.stomp and v11.stomp, use the /stomp path and destinations without a leading slash.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import WebSocket from "ws";
import { Inbox, unique, within, ws } from "./env.mjs";

globalThis.WebSocket = WebSocket;
const require = createRequire(import.meta.url);
const Stomp = require("stompjs/lib/stomp.js").Stomp;
const webstomp = require("webstomp-client");

// In a browser these are window's.
Stomp.setInterval = (interval, f) => setInterval(f, interval);
Stomp.clearInterval = (id) => clearInterval(id);

const flavours = {
  "stompjs 2.3.3": {
    over: (socket) => Stomp.over(socket),
    send: (client, destination, headers, body) => client.send(destination, headers, body),
  },
  "webstomp-client 1.2.6": {
    over: (socket) => webstomp.over(socket, { debug: false }),
    send: (client, destination, headers, body) => client.send(destination, body, headers),
  },
};

for (const [name, { over, send }] of Object.entries(flavours)) {
  async function connect(t, headers = {}) {
    const socket = new WebSocket(ws + "/stomp", ["v10.stomp", "v11.stomp"]);
    const client = over(socket);
    client.debug = () => {};
    client.heartbeat.outgoing = client.heartbeat.incoming = 0;
    const frame = await within(new Promise((resolve, reject) => client.connect(headers, resolve, reject)), 10000, "CONNECTED");
    t.after(() => socket.terminate());
    assert.match(socket.protocol, /^v1[01]\.stomp$/);
    return { client, frame };
  }

  test(`${name}: chat on queue/test without a slash`, async (t) => {
    const { client, frame } = await connect(t, { login: "guest", passcode: "guest" });
    assert.equal(frame.headers.version, "1.1");
    const inbox = new Inbox();
    const queue = "queue/" + unique("test");
    client.subscribe(queue, inbox.put);
    send(client, queue, { priority: "9", color: "blue" }, "hello");
    const m = await inbox.next();
    assert.equal(m.body, "hello");
    assert.equal(m.headers.color, "blue");
    assert.equal(m.headers.destination, queue);
  });

  test(`${name}: client acknowledgements and transactions`, async (t) => {
    const { client } = await connect(t);
    const inbox = new Inbox();
    const queue = "/queue/" + unique("acks");
    client.subscribe(queue, inbox.put, { ack: "client" });
    const tx = client.begin();
    send(client, queue, { transaction: tx.id }, "in a transaction");
    tx.commit();
    const m = await inbox.next();
    assert.equal(m.body, "in a transaction");
    const ack = client.begin();
    m.ack({ transaction: ack.id });
    ack.abort();
    m.ack();
  });

  test(`${name}: large bodies are split by the client`, async (t) => {
    const { client } = await connect(t);
    const inbox = new Inbox();
    const queue = "/queue/" + unique("large");
    client.subscribe(queue, inbox.put);
    const body = "x".repeat(100000);
    send(client, queue, {}, body);
    assert.equal((await inbox.next()).body, body);
  });

  test(`${name}: heart-beats`, async (t) => {
    const socket = new WebSocket(ws + "/stomp", ["v10.stomp", "v11.stomp"]);
    const client = over(socket);
    client.debug = () => {};
    client.heartbeat.outgoing = client.heartbeat.incoming = 500;
    await within(new Promise((resolve, reject) => client.connect({}, resolve, reject)));
    await new Promise((r) => setTimeout(r, 2500));
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.terminate();
  });
}
