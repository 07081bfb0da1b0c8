// STOMP over WebSocket, with today's library or the one that old manuals show.
import { closeText } from "./ui.js";

function check(url) {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw new Error(`“${url}” is not a URL; one looks like ws://127.0.0.1:61614`);
  }
  if (!["ws:", "wss:"].includes(parsed.protocol)) {
    throw new Error(`the URL must begin with ws:// or wss://, not ${parsed.protocol}//`);
  }
}

// The frame log is for showing to others.
const redact = (text) => text.replace(/^passcode:.*$/m, "passcode:********");

/** Opens a connection and subscribes; see Pane. */
export function openStomp(settings, events) {
  check(settings.url);
  const about = (frame) => `${frame.headers.destination}${frame.headers.redelivered === "true" ? " · redelivered" : ""}`;
  const handlers = {
    url: settings.url,
    destination: settings.destination,
    headers: settings.login ? { login: settings.login, passcode: settings.passcode } : {},
    debug: (text) => events.frame(redact(text)),
    connected: (frame) => {
      handlers.loggedIn = true;
      events.state("connected", `connected, STOMP ${frame.headers.version ?? "1.0"}, subscribing …`);
    },
    subscribed: (version) => events.state("subscribed", `connected, STOMP ${version ?? "1.0"}`),
    message: (frame) => events.message(frame.body, about(frame)),
    closed: (event) => {
      const why = handlers.why ? `${handlers.why} · ` : "";
      const wanted = handlers.leaving && event.code === 1000;
      events.state(wanted ? "off" : "failed", `${why}closed: ${closeText(event, handlers.loggedIn)}`);
    },
    refused: (frame) => {
      handlers.why = `ERROR: ${frame.headers.message ?? ""}${frame.body ? ` (${frame.body.trim()})` : ""}`;
    },
  };
  const connection = settings.library === "classic" ? classic(handlers) : modern(handlers);
  return {
    send: connection.send,
    close: () => {
      handlers.leaving = true;
      connection.close();
    },
  };
}

// @stomp/stompjs 7: the client object owns the socket.
function modern(h) {
  const client = new StompJs.Client({
    brokerURL: h.url,
    connectHeaders: h.headers,
    reconnectDelay: 0, // the page shows why a connection ended instead of hiding it
    logRawCommunication: true,
    debug: h.debug,
    onConnect: (frame) => {
      h.connected(frame);
      client.watchForReceipt("subscribed", () => h.subscribed(frame.headers.version));
      client.subscribe(h.destination, h.message, { receipt: "subscribed" });
    },
    onStompError: h.refused,
    onWebSocketClose: h.closed,
  });
  client.activate();
  return {
    send: (body) => client.publish({ destination: h.destination, body, headers: { "content-type": "text/plain" } }),
    close: () => client.deactivate(),
  };
}

// stompjs 2.3.3 from 2014: the page owns the socket.
function classic(h) {
  const socket = new WebSocket(h.url, ["v10.stomp", "v11.stomp"]);
  const client = Stomp.over(socket);
  socket.addEventListener("close", h.closed);
  client.debug = h.debug;
  client.connect(h.headers, (frame) => {
    h.connected(frame);
    client.onreceipt = () => h.subscribed(frame.headers.version);
    client.subscribe(h.destination, h.message, { receipt: "subscribed" });
  }, (problem) => {
    if (problem.headers) h.refused(problem); // else it is a text that says less than the close code
  });
  return {
    send: (body) => client.send(h.destination, {}, body),
    close: () => (client.connected ? client.disconnect() : socket.close()),
  };
}
