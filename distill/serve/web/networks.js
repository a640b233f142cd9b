// ONNX networks by onnxruntime-web, which is the file runtime/ort.js and one of WebAssembly beside it.

import * as ort from "./runtime/ort.js";
import { UserError, megabytes } from "./messages.js";

/** Fetch files { name: { path, bytes } } of this folder; `progress` hears the share of all bytes that is here, and how many that is. */
export async function fetchFiles(files, progress) {
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let here = 0;
  const arrived = (bytes) => progress((here += bytes) / total, "Loading…", `${megabytes(here)} of ${megabytes(total)}`);
  const fetched = Object.entries(files).map(async ([name, file]) => [name, await fetchFile(file, arrived)]);
  return Object.fromEntries(await Promise.all(fetched));
}

async function fetchFile({ path, bytes }, arrived) {
  const data = new Uint8Array(bytes);
  let place = 0;
  try {
    const response = await fetch(path);
    if (!response.ok) throw new UserError(`${path} could not be loaded: the server answers ${response.status}.`);
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      data.set(part.value, place); // a RangeError where the file is longer than it was
      place += part.value.length;
      arrived(part.value.length);
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path} could not be loaded (${error.message}). Reload the page to try again.`);
  }
  if (place !== bytes) throw new UserError(`${path} ended after ${place} of ${bytes} bytes. Reload the page to try again.`);
  return data;
}

/** Give onnxruntime its program, before the first network is opened. */
export function startRuntime(program) {
  ort.env.wasm.wasmBinary = program.buffer;
}

/** Open a network of one input, by WebAssembly: a function (values, shape) -> values. */
export async function openNetwork(file) {
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  return (values, shape) => run(session, { images: [values, shape] });
}

/** Open the student: by WebGPU where there is one and it works, else by WebAssembly.
 *
 * Returns { run, runtime, why }: `run` takes { name: [values, shape] } and gives values; `why` not WebGPU. */
export async function openStudent(file, feeds) {
  let why = await whyNoGPU();
  if (!why) {
    try {
      const session = await ort.InferenceSession.create(file, { executionProviders: ["webgpu"] });
      await run(session, feeds); // a first run: what does not work shows here
      return { run: (inputs) => run(session, inputs), runtime: "WebGPU", why };
    } catch (error) {
      console.warn("WebGPU:", error);
      why = "WebGPU failed";
    }
  }
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  return { run: (inputs) => run(session, inputs), runtime: "WebAssembly", why };
}

async function whyNoGPU() {
  if (!self.isSecureContext) return "WebGPU needs https or localhost";
  if (!navigator.gpu) return "this browser has no WebGPU";
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? "" : "no GPU for WebGPU was found";
}

async function run(session, inputs) {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, [values, shape]]) => [name, new ort.Tensor("float32", values, shape)]),
  );
  const output = (await session.run(feeds))[session.outputNames[0]];
  const values = await output.getData();
  output.dispose();
  return values;
}
