// Makes the panes of a page work, with what the broker says about its listeners.
import { Pane } from "./ui.js";
import { openStomp } from "./stomp.js";
import { openMqtt } from "./mqtt.js";

const wildcards = ["", "0.0.0.0", "[::]"];
const isLoopback = (host) => host === "localhost" || host === "[::1]" || host.startsWith("127.");

/**
 * Where clients of protocol connect: the listener's address, on the host this page came from when
 * the listener is on every address, or both are on this machine.
 */
function endpoint(config, protocol) {
  const fits = (l) => /^wss?:/.test(l.url) && (!l.protocols?.length || l.protocols.includes(protocol));
  const found = config.listeners.find(fits);
  if (!found) return null;
  const url = new URL(found.url);
  if (wildcards.includes(url.hostname) || (isLoopback(url.hostname) && isLoopback(location.hostname))) {
    url.hostname = location.hostname;
  }
  return url;
}

const short = (url) => url.href.replace(/\/$/, "");

function fillStomp(root, url) {
  root.querySelector("[name=url]").value = short(url);
}

function fillMqtt(root, url) {
  root.querySelector("[name=host]").value = url.hostname;
  root.querySelector("[name=port]").value = url.port || (url.protocol === "wss:" ? 443 : 80);
  root.querySelector("[name=tls]").checked = url.protocol === "wss:";
  root.querySelector("[name=client]").value = `paho-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
}

async function load() {
  const answer = await fetch("/demo/config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/demo/config.json: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

function listListeners(config) {
  const list = document.querySelector(".listeners");
  for (const l of config.listeners) {
    const item = document.createElement("li");
    const code = document.createElement("code");
    code.textContent = l.url;
    item.append(code, ` ${l.protocols?.length ? l.protocols.join(", ") : "every protocol"}`);
    list.append(item);
  }
}

function connectAll(panes) {
  const button = document.querySelector(".connect-all");
  if (!button) return;
  const live = () => panes.some((p) => p.connection);
  const show = () => {
    button.textContent = live() ? "Disconnect both" : "Connect both";
    button.classList.toggle("quiet", live());
  };
  document.addEventListener("statechange", show);
  button.addEventListener("click", () => {
    const stop = live();
    for (const p of panes) {
      if (stop) p.disconnect();
      else p.connect();
    }
    show();
  });
  show();
}

async function start() {
  let config = { listeners: [] };
  const notice = document.querySelector(".notice");
  try {
    config = await load();
  } catch (err) {
    notice.textContent = `The broker did not say where it listens (${err.message}); the usual port is filled in.`;
  }
  listListeners(config);
  const panes = [];
  const kinds = {
    stomp: [openStomp, fillStomp, (v) => `${v.url} · ${v.destination}`],
    mqtt: [openMqtt, fillMqtt, (v) => `${v.tls ? "wss" : "ws"}://${v.host}:${v.port} · ${v.topic}`],
  };
  for (const [protocol, [open, fill, where]] of Object.entries(kinds)) {
    for (const root of document.querySelectorAll(`.pane[data-protocol=${protocol}]`)) {
      const url = endpoint(config, protocol);
      if (!url && config.version) {
        notice.textContent = `No WebSocket listener of this broker speaks ${protocol.toUpperCase()}; the usual port is filled in.`;
      }
      const usual = new URL(`${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname}:61614`);
      fill(root, url ?? usual);
      panes.push(new Pane(root, open, where));
    }
  }
  connectAll(panes);
  document.documentElement.dataset.ready = "true";
}

start();
