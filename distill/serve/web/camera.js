// Take a photo with the camera, in a dialog.

import { UserError } from "./messages.js";
import { takePicture } from "./photo.js";

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** Show what the camera sees until a photo is taken; null where it was called off. */
export async function takePhoto(dialog) {
  const video = dialog.querySelector("video");
  const stream = await openCamera();
  try {
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "take") return null;
    return takePicture(video, { width: video.videoWidth, height: video.videoHeight });
  } finally {
    dialog.returnValue = "";
    video.srcObject = null;
    stream.getTracks().forEach((track) => track.stop());
    if (dialog.open) dialog.close();
  }
}

async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "user" } });
  } catch (error) {
    const why = error.name === "NotAllowedError" ? "this page is not allowed to use it" : "none was found, or another program uses it";
    throw new UserError(`The camera cannot be used: ${why}.`);
  }
}
