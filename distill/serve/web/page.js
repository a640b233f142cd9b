// The page: pictures come in, the worker makes results of them, and they are shown.

import { hasCamera, takePhoto } from "./camera.js";
import { Compare, imageData } from "./compare.js";
import { Engine } from "./engine.js";
import { withTexts } from "./mark.js";
import { UserError } from "./messages.js";
import { readPhoto } from "./photo.js";
import { makeSliders } from "./sliders.js";

const element = (id) => document.getElementById(id);
const compare = new Compare(element("compare"));
export const engine = new Engine(showProgress);

let facts; // student.json
let sliders;
let photo = null; // { name, picture, note, crops, outputs, parts }
let hasStyle = false;
let shown = "photo"; // or the number of a face
const turns = { photo: 0, style: 0, result: 0 }; // how often each was asked for: what was asked for before is not shown

/** Show how far work is: a share of 1, or null where that is not known. `text` is read out, `amount` is not. */
function showProgress({ share = null, text, amount = "" }) {
  if (element("status").textContent !== text) element("status").textContent = text;
  element("amount").textContent = amount;
  element("progress").hidden = false;
  if (share === null) element("progress").removeAttribute("value");
  else element("progress").value = share;
}

function showDone(text) {
  element("status").textContent = text;
  element("amount").textContent = "";
  element("progress").hidden = true;
}

function showError(error, wayOn) {
  if (!(error instanceof UserError)) console.error(error);
  const [message, button] = element("alert").children;
  element("alert").hidden = false;
  message.textContent = error instanceof UserError ? error.message : `That did not work: ${error.message ?? error}`;
  button.hidden = !(error.offer && wayOn);
  button.textContent = "Use the middle of the picture";
  button.onclick = wayOn;
  showDone("");
}

/** Make a photo, a style or a result; what goes wrong is shown, unless another of its `kind` was asked for since. */
async function attempt(kind, work, wayOn) {
  const mine = ++turns[kind];
  const current = () => mine === turns[kind];
  element("alert").hidden = true;
  try {
    await work(current);
  } catch (error) {
    if (current()) showError(error, wayOn);
  }
}

/** Take a photo from `source`, a function that returns { picture, note }. */
function usePhoto(name, source, options = {}) {
  let taken;
  const middle = () => usePhoto(name, () => taken, { middle: true });
  return attempt("photo", async (current) => {
    photo = null;
    turns.result++;
    element("result").hidden = true;
    showProgress({ text: "Reading the picture…" });
    taken = await source();
    await loaded;
    if (!current()) return;
    showProgress({ text: "Looking for faces…" });
    const faces = await engine.open(taken.picture, options);
    if (!current()) return;
    photo = { name, ...taken, crops: faces.map(({ pixels }) => pixels) };
    await translate();
  }, middle);
}

function useStyle(source, options = {}) {
  let taken;
  const middle = () => useStyle(() => taken, { middle: true });
  return attempt("style", async (current) => {
    hasStyle = false;
    showProgress({ text: "Looking for the face of the style…" });
    taken = await source();
    await loaded;
    const face = await engine.setStyle(taken.picture, options);
    if (!current()) return;
    hasStyle = true;
    drawFace(element("style-face"), face);
    await translate();
  }, middle);
}

const translate = () => attempt("result", async (current) => {
  const needed = !photo ? "Choose a photo." : !hasStyle && facts.inputs.includes("style") ? "Now choose a style image." : "";
  if (needed) return showDone(needed);
  showProgress({ text: "Translating…" });
  const start = performance.now();
  const { outputs, parts } = await engine.translate(sliders.values());
  if (!current()) return;
  Object.assign(photo, { outputs, parts });
  showViews();
  show(photo.crops[shown] ? shown : "photo");
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  showDone(`Done: ${photo.crops.length === 1 ? "1 face" : `${photo.crops.length} faces`} in ${seconds} s.`);
});

/** Show the photo, or the face of a number, before and after. */
function show(view) {
  shown = view;
  const isPhoto = view === "photo";
  compare.show(isPhoto ? photo.picture : photo.crops[view], isPhoto ? photo.parts : [photo.outputs[view]]);
  compare.element.classList.toggle("face", !isPhoto);
  for (const button of element("views").children) button.setAttribute("aria-pressed", button.value === String(view));
  element("note").textContent = photo.note;
  element("download").textContent = isPhoto ? "Download the photo" : "Download the face";
  if (element("result").hidden) {
    element("result").hidden = false;
    document.body.classList.add("used"); // there is less to say about drop zones now
    element("result").scrollIntoView({ block: "nearest" });
  }
}

/** A button for the photo, and one for each face. */
function showViews() {
  const faces = photo.crops.map((crop, number) => {
    const canvas = document.createElement("canvas");
    drawFace(canvas, photo.outputs[number]);
    return viewButton(number, photo.crops.length > 1 ? `Face ${number + 1}` : "The face", canvas);
  });
  element("views").replaceChildren(viewButton("photo", "The photo"), ...faces);
}

function viewButton(view, name, ...children) {
  const button = Object.assign(document.createElement("button"), { type: "button", value: view });
  button.append(...children, name);
  button.addEventListener("click", () => show(view));
  return button;
}

function drawFace(canvas, face) {
  Object.assign(canvas, { width: face.width, height: face.height, hidden: false });
  canvas.getContext("2d").putImageData(imageData(face), 0, 0);
}

async function useCamera() {
  element("camera-button").disabled = true;
  try {
    const taken = await takePhoto(element("camera"));
    if (taken) usePhoto("camera", () => taken);
  } finally {
    element("camera-button").disabled = false;
  }
}

async function download() {
  const ending = shown === "photo" ? "" : `-face${shown + 1}`;
  const texts = facts.marks[shown === "photo" ? "photo" : "face"];
  const address = URL.createObjectURL(await withTexts(await compare.file(), texts));
  const name = `${photo.name.replace(/\.[^.]*$/, "")}-${facts.title}${ending}.png`;
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Take files from a drop zone's input, and what is dropped on `zone`. */
function takeFiles(zone, input, use) {
  input.addEventListener("change", () => {
    if (input.files.length) use(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) use(event.dataTransfer.files[0]);
    else showError(new UserError("That was not a file. Save the picture first, then drop the file."));
  });
}

function describe() {
  document.title = facts.title;
  element("title").textContent = facts.title;
  element("about").textContent = facts.about;
  element("style-input").hidden = !facts.inputs.includes("style");
  sliders = makeSliders(element("conditions"), facts.conditions, () => photo && translate());
}

/** Load the student and everything it needs. */
async function load() {
  const response = await fetch("student.json");
  if (!response.ok) throw new UserError(`student.json could not be loaded: the server answers ${response.status}.`);
  facts = await response.json();
  describe();
  const { runtime, why } = await engine.load(facts);
  element("runtime").textContent = `Networks run by ${runtime}${why ? ` (${why})` : ""}.`;
  if (!turns.photo && !turns.style) showDone("Ready. Choose a photo.");
}

const usePhotoFile = (file) => usePhoto(file.name, () => readPhoto(file));
takeFiles(document.body, element("photo-file"), usePhotoFile); // dropped anywhere
takeFiles(element("photo-drop"), document.createElement("input"), usePhotoFile);
takeFiles(element("style-drop"), element("style-file"), (file) => useStyle(() => readPhoto(file)));
element("camera-button").hidden = !hasCamera();
element("camera-button").addEventListener("click", () => useCamera().catch(showError));
element("download").addEventListener("click", () => download().catch(showError));
showProgress({ share: 0, text: "Loading…" });
const loaded = load(); // a promise: the networks are ready
loaded.catch(showError);
