// MQTT over WebSocket, with Eclipse Paho.
import { closeText } from "./ui.js";

const packetNames = [
  "", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
  "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT",
];

/** Opens a connection and subscribes; see Pane. */
export function openMqtt(settings, events) {
  const port = Number(settings.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`the port must be between 1 and 65535, not “${settings.port}”`);
  }
  const client = new Paho.Client(settings.host, port, settings.path || "/mqtt", settings.client);
  const qos = Number(settings.qos);
  let leaving = false;
  let loggedIn = false;
  let why = "";
  client.onMessageArrived = (m) => {
    const notes = [`QoS ${m.qos}`, m.retained && "retained", m.duplicate && "redelivered"].filter(Boolean);
    events.message(text(m), `${m.destinationName} · ${notes.join(" · ")}`);
  };
  client.onConnectionLost = (r) => { why ||= reason(r); };
  const options = {
    mqttVersion: 4, // said explicitly, Paho does not try 3.1 after a refusal
    useSSL: settings.tls,
    timeout: 10,
    keepAliveInterval: 30,
    cleanSession: true,
    onSuccess: () => {
      loggedIn = true;
      events.state("connected", "connected, MQTT 3.1.1, subscribing …");
      client.subscribe(settings.topic, {
        qos,
        onSuccess: () => events.state("subscribed", "connected, MQTT 3.1.1"),
        onFailure: (r) => {
          why = `the subscription was refused${r.errorCode ? ` (code ${r.errorCode})` : ""}`;
          leave();
        },
      });
    },
    onFailure: (r) => {
      why = reason(r);
      if (!socket) events.state("failed", r.errorMessage);
    },
  };
  if (settings.login) Object.assign(options, { userName: settings.login, password: settings.passcode });
  const socket = watch(() => client.connect(options), events.frame);
  socket?.addEventListener("close", (e) => {
    const wanted = leaving && !why;
    events.state(wanted ? "off" : "failed", `${why ? `${why} · ` : ""}closed: ${closeText(e, loggedIn)}`);
  });
  function leave() {
    leaving = true;
    if (client.isConnected()) client.disconnect();
    else socket?.close();
  }
  return {
    send: (body) => client.send(settings.topic, body, qos, settings.retain),
    close: leave,
  };
}

// What Paho says about an end, unless it is that the socket was closed (8) or failed (7): the close code
// says more. 0 is the end that we asked for.
const reason = (r) => ([0, 7, 8].includes(r.errorCode) ? "" : r.errorMessage);

// A payload need not be text.
function text(message) {
  try {
    return message.payloadString;
  } catch {
    return `${message.payloadBytes.length} bytes that are not UTF-8`;
  }
}

// Paho keeps the socket, and with it the close code, to itself. It makes it inside connect, so
// for that long it meets a WebSocket that tells us.
function watch(connect, log) {
  const Native = window.WebSocket;
  let socket;
  window.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      socket = this;
      const received = packets((name) => log(`<<< ${name}`));
      const sent = packets((name) => log(`>>> ${name}`));
      this.addEventListener("message", (e) => { if (e.data instanceof ArrayBuffer) received(new Uint8Array(e.data)); });
      this.told = sent;
    }

    send(data) {
      if (data instanceof ArrayBuffer) this.told(new Uint8Array(data));
      super.send(data);
    }
  };
  try {
    connect();
  } finally {
    window.WebSocket = Native;
  }
  return socket;
}

// Names the packets in a stream of bytes: MQTT 3.1.1, section 2.2. A packet may span WebSocket
// messages, and one may hold several.
function packets(found) {
  let rest = new Uint8Array();
  return (bytes) => {
    const all = new Uint8Array(rest.length + bytes.length);
    all.set(rest);
    all.set(bytes, rest.length);
    let at = 0;
    for (;;) {
      let length = 0;
      let i = at + 1;
      let digit = 128;
      for (let shift = 0; digit & 128 && i < all.length && shift < 28; shift += 7) {
        digit = all[i++];
        length += (digit & 127) * 2 ** shift;
      }
      if (at >= all.length || digit & 128 || i + length > all.length) break;
      found(describe(all[at], length));
      at = i + length;
    }
    rest = all.slice(at);
  };
}

function describe(first, length) {
  const name = packetNames[first >> 4] || `type ${first >> 4}`;
  if (first >> 4 !== 3) return `${name}, ${length} bytes`;
  const flags = [`QoS ${(first >> 1) & 3}`, first & 1 && "retain", first & 8 && "dup"].filter(Boolean);
  return `${name}, ${flags.join(", ")}, ${length} bytes`;
}
