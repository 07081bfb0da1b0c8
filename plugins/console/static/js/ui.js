// What both panes share: states, the list of messages, the log of frames.

const keep = 500; // entries of a list; older ones go

// Close codes of RFC 6455, section 7.4.1, in the words of somebody who looks for the reason.
const closeCodes = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no status",
  1006: "no close frame: nobody listens there, the upgrade was refused, or the network failed",
  1007: "invalid data",
  1008: "policy violation",
  1009: "message too big",
  1011: "internal error",
  1012: "service restart",
  1013: "try again later",
};

/**
 * Says why a socket was closed: "1008 not_authorized" or "1006 (no close frame: …)". A client that was
 * logged in has at least found somebody.
 */
export function closeText(event, loggedIn) {
  const known = event.code === 1006 && loggedIn ? "the connection broke without a close frame" : closeCodes[event.code];
  if (event.reason) return `${event.code} ${event.reason}`;
  return known ? `${event.code} (${known})` : String(event.code);
}

/** Reads the named fields of a form. */
export function values(form) {
  const out = {};
  for (const field of form.elements) {
    if (field.name) out[field.name] = field.type === "checkbox" ? field.checked : field.value.trim();
  }
  return out;
}

function append(list, node) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(node);
  while (list.childElementCount > keep) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

/**
 * A chat: a form with the settings, a state, messages, a line to write in, a log of frames.
 *
 * where(settings) says in a line where it would connect. open(settings, events) makes a connection and returns { send(text), close() }. It tells
 * events.state(state, text), events.message(text, about) and events.frame(text).
 */
export class Pane {
  constructor(root, open, where) {
    this.root = root;
    this.open = open;
    this.connection = null;
    this.sent = []; // texts on their way back to us
    this.settings = root.querySelector("form.settings");
    this.messages = root.querySelector(".messages");
    this.frames = root.querySelector(".frames");
    this.input = root.querySelector(".compose input");
    this.settings.addEventListener("submit", (e) => {
      e.preventDefault();
      if (this.connection) this.disconnect();
      else this.connect();
    });
    root.querySelector(".compose").addEventListener("submit", (e) => {
      e.preventDefault();
      this.send();
    });
    root.querySelector(".clear")?.addEventListener("click", () => this.frames.replaceChildren());
    const show = () => { root.querySelector(".where").textContent = where(values(this.settings)); };
    this.settings.addEventListener("input", show);
    show();
    this.state("off", "not connected");
  }

  /** off, connecting, connected, subscribed or failed. */
  state(name, text) {
    const live = name !== "off" && name !== "failed";
    this.root.dataset.state = name;
    this.root.querySelector(".state-text").textContent = text;
    this.settings.querySelector("fieldset").disabled = live;
    this.settings.querySelector("[type=submit]").textContent = live ? "Disconnect" : "Connect";
    for (const field of this.root.querySelectorAll(".compose input, .compose button")) {
      field.disabled = name !== "subscribed";
    }
    if (!live) this.connection = null;
    this.root.dispatchEvent(new CustomEvent("statechange", { bubbles: true }));
  }

  connect() {
    if (this.connection) return;
    if (!this.settings.checkValidity()) {
      this.settings.querySelector("details").open = true; // what is folded away cannot be pointed at
      this.settings.reportValidity();
      return;
    }
    const mine = {}; // events of a connection before this one do not count any more
    this.current = mine;
    const only = (f) => (...args) => { if (this.current === mine) f(...args); };
    this.sent = [];
    this.state("connecting", "connecting …");
    try {
      this.connection = this.open(values(this.settings), {
        state: only((name, text) => this.state(name, text)),
        message: only((text, about) => this.message(text, about)),
        frame: only((text) => this.frame(text)),
      });
    } catch (err) {
      this.state("failed", err.message);
    }
  }

  disconnect() {
    this.connection?.close();
  }

  send() {
    const text = this.input.value;
    if (!this.connection || text === "") return;
    this.sent.push(text);
    if (this.sent.length > keep) this.sent.shift();
    this.connection.send(text);
    this.input.value = "";
    this.input.focus();
  }

  message(text, about) {
    const i = this.sent.indexOf(text);
    if (i >= 0) this.sent.splice(i, 1);
    const item = element("li", i >= 0 ? "own" : "");
    item.append(element("p", "body", text), element("p", "about", `${new Date().toLocaleTimeString()} · ${about}`));
    append(this.messages, item);
  }

  frame(text) {
    append(this.frames, element("pre", text.startsWith(">>>") ? "out" : text.startsWith("<<<") ? "in" : "", text));
  }
}
