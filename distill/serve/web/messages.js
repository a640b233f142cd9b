// An error whose message is for whoever uses the page; `offer`, a way on that the page may show as a button.

export class UserError extends Error {
  constructor(message, { offer = "" } = {}) {
    super(message);
    this.name = "UserError";
    this.offer = offer;
  }
}

export const megapixels = ({ width, height }) => Math.round((width * height) / 1e6);

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
}
