// Shows the film or picture that is chosen: in the browser's own player, or, where it cannot, as frames of the server.
import { blob, failureOf, filePath, hasKey, isAbort } from './api.js';
import { ui } from './dom.js';
import { clock } from './times.js';

/** @import { Medium, PlayerOn } from './types.mjs' */

export class Player {
  /** @type {Medium | null} */
  #medium = null;
  #shown = '';
  #decoded = false;
  #time = 0;
  /** @type {AbortController | null} */
  #wanted = null;
  #frameUrl = '';
  /** A place asked for before the film was ready. */
  #pending = 0;

  /** @param {PlayerOn} on */
  constructor(on) {
    this.on = on;
    ui.video.addEventListener('loadedmetadata', () => this.#loaded());
    ui.video.addEventListener('error', () => this.#unplayable());
    for (const name of ['timeupdate', 'seeking']) ui.video.addEventListener(name, () => on.time(this.time));
    ui.video.addEventListener('play', () => this.#follow());
    ui.position.addEventListener('input', () => this.seek(Number(ui.position.value)));
  }

  get time() {
    return this.#decoded ? this.#time : ui.video.currentTime;
  }

  /** @param {Medium | null} medium @param {string} [url] where the bytes are; absent while nobody has them */
  open(medium, url) {
    const shown = medium ? `${medium.id} ${medium.kind} ${url}` : '';
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#medium = medium;
    this.#decoded = false;
    this.#time = 0;
    this.#pending = 0;
    ui.playerNote.hidden = true;
    ui.framesPlayer.hidden = true;
    ui.video.hidden = medium?.kind !== 'video' || !url;
    ui.still.hidden = medium?.kind !== 'image' || !url;
    ui.video.pause();
    ui.video.removeAttribute('src');
    ui.still.removeAttribute('src');
    if (medium?.kind === 'video' && url) ui.video.src = url;
    else ui.video.load();
    if (medium?.kind === 'image' && url) ui.still.src = url;
    ui.still.alt = medium ? `The picture ${medium.name}` : '';
  }

  /** The server has the film now: it can decode what the browser cannot. */
  uploaded() {
    if (this.#decoded) this.#showFrames();
  }

  /** @param {number} seconds */
  seek(seconds) {
    if (this.#decoded) {
      this.#time = seconds;
      this.on.time(seconds);
      this.#showFrames();
    } else if (ui.video.readyState) {
      ui.video.currentTime = seconds;
    } else {
      this.#pending = seconds;
    }
  }

  #loaded() {
    const { videoWidth: width, videoHeight: height, duration } = ui.video;
    // Sound without a picture: the browser knows the container but not the codec.
    if (!width) {
      this.#unplayable();
      return;
    }
    if (this.#medium)
      this.on.facts(this.#medium, { width, height, duration: Number.isFinite(duration) ? duration : undefined });
    if (this.#pending) ui.video.currentTime = this.#pending;
  }

  #unplayable() {
    // Taking the film away makes an error as well.
    if (!ui.video.getAttribute('src')) return;
    this.#decoded = true;
    ui.video.hidden = true;
    ui.video.removeAttribute('src');
    ui.framesPlayer.hidden = false;
    ui.playerNote.hidden = false;
    this.#showFrames();
  }

  async #showFrames() {
    const medium = this.#medium;
    if (!medium) return;
    const codec = medium.codec ? ` (${medium.codec})` : '';
    ui.playerNote.textContent = medium.fileId
      ? `This browser cannot play ${medium.name}${codec}. You see the frames that Zoetrope decodes.`
      : `This browser cannot play ${medium.name}. Zoetrope’s own frames appear here once the file is sent.`;
    ui.position.max = String(medium.duration ?? 0);
    ui.position.value = String(this.#time);
    ui.position.disabled = !medium.fileId;
    ui.positionText.textContent = `${clock(this.#time)} / ${clock(medium.duration ?? 0)}`;
    ui.position.setAttribute('aria-valuetext', clock(this.#time));
    if (!medium.fileId) return;
    this.#wanted?.abort();
    this.#wanted = new AbortController();
    const width = Math.min(1280, Math.round((ui.framesPlayer.clientWidth || 640) * devicePixelRatio));
    try {
      const picture = await blob(filePath(medium.fileId, 'frame', { time: this.#time, width }), this.#wanted.signal);
      if (medium !== this.#medium) return;
      URL.revokeObjectURL(this.#frameUrl);
      this.#frameUrl = URL.createObjectURL(picture);
      ui.frame.src = this.#frameUrl;
      ui.frame.alt = `${medium.name} at ${clock(this.#time)}`;
    } catch (error) {
      if (!isAbort(error))
        ui.playerNote.textContent = `${medium.name} cannot be shown here: ${failureOf(error).message}`;
    }
  }

  /** While a film plays, the timeline follows at the screen's own pace. */
  #follow() {
    const step = () => {
      if (ui.video.paused) return;
      this.on.time(this.time);
      requestAnimationFrame(step);
    };
    step();
  }
}

/** Where the bytes of a file are that the server has. @param {string} id */
export async function contentUrl(id) {
  // Elements cannot send a key: then the whole file is fetched with one.
  return hasKey() ? URL.createObjectURL(await blob(filePath(id, 'content'))) : filePath(id, 'content');
}
