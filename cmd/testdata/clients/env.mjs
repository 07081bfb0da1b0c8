// What the Go test says: where the broker listens.
export const ws = process.env.WYE_WS;
export const mqttTCP = process.env.WYE_MQTT_TCP;
if (!ws || !mqttTCP) throw new Error("WYE_WS and WYE_MQTT_TCP must say where the broker listens");

let n = 0;
// unique makes a name that no other test uses.
export const unique = (prefix) => `${prefix}-${process.pid}-${++n}`;

// within rejects when p takes longer than ms: a test never hangs.
export function within(p, ms = 10000, what = "an answer") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  return Promise.race([p, late]).finally(() => clearTimeout(timer));
}

// Inbox is an endless list of what came in, to be awaited one by one.
export class Inbox {
  #have = [];
  #wanted = [];
  put = (x) => {
    const w = this.#wanted.shift();
    if (w) w(x); else this.#have.push(x);
  };
  next(ms) {
    if (this.#have.length) return Promise.resolve(this.#have.shift());
    return within(new Promise((r) => this.#wanted.push(r)), ms, "message");
  }
  get size() { return this.#have.length; }
}
