// The worker as a few functions that return promises.

import { UserError } from "./messages.js";

export class Engine {
  constructor(progress) {
    [this.waiting, this.calls, this.broken] = [new Map(), 0, ""];
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => (data.id ? this.settle(data) : progress(data));
    this.worker.onerror = () => this.fail("A part of this page could not be loaded. Reload it to try again.");
  }

  load = (facts) => this.call("load", [facts]);
  open = (photo, options = {}) => this.call("open", [photo, options]);
  setStyle = (photo, options = {}) => this.call("setStyle", [photo, options]);
  translate = (changes) => this.call("translate", [changes]);

  call(name, values) {
    const id = ++this.calls;
    return new Promise((resolve, reject) => {
      if (this.broken) throw new UserError(this.broken);
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, values });
    });
  }

  settle({ id, result, error }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new UserError(error.message, error));
    else resolve(result);
  }

  fail(message) {
    this.broken = message;
    for (const { reject } of this.waiting.values()) reject(new UserError(message));
    this.waiting.clear();
  }
}
