// Everything that takes time, beside the page: it answers { id, name, values } with { id, result } or { id, error },
// and tells of its progress with { share, text, amount } in between.

import { UserError } from "./messages.js";
import { loadStudent } from "./student.js";

const progress = (share, text, amount) => self.postMessage({ share, text, amount });
let student = null;

const calls = {
  async load(facts) {
    student = await loadStudent(facts, progress);
    return student.runtime;
  },
  open: (photo, options) => student.open(photo, options),
  setStyle: (photo, options) => student.setStyle(photo, options),
  translate: (changes) => student.translate(changes, progress),
};

let last = Promise.resolve(); // one after the other

self.onmessage = ({ data: { id, name, values } }) => {
  last = last.then(async () => {
    try {
      self.postMessage({ id, result: await calls[name](...values) });
    } catch (error) {
      if (!(error instanceof UserError)) console.error(error);
      self.postMessage({ id, error: { message: messageOf(error), offer: error.offer ?? "" } });
    }
  });
};

function messageOf(error) {
  if (error instanceof UserError) return error.message;
  if (error instanceof RangeError || /memory|alloc/i.test(error.message)) {
    return "This browser does not have enough memory for that. Try a smaller picture.";
  }
  return `That did not work: ${error.message ?? error}`;
}
