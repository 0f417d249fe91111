// Shows the film or picture that is chosen: in the browser's own player, or, where it cannot, as frames of the server.
import { blob, filePath, hasKey, isAbort } from './api.js';
import { get } from './dom.js';
import { clock } from './times.js';

/** @import { Medium } from './types.js' */

export class Player {
  #video = get('video', HTMLVideoElement);
  #still = get('still', HTMLImageElement);
  #frames = get('frames-player', HTMLElement);
  #frame = get('frame', HTMLImageElement);
  #position = get('position', HTMLInputElement);
  #positionText = get('position-text', HTMLElement);
  #note = get('player-note', HTMLElement);
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

  /**
   * @param {object} on
   * @param {(seconds: number) => void} on.time
   * @param {(medium: Medium, facts: { duration?: number, width: number, height: number }) => void} on.facts
   */
  constructor(on) {
    this.on = on;
    this.#video.addEventListener('loadedmetadata', () => this.#loaded());
    this.#video.addEventListener('error', () => this.#unplayable());
    for (const name of ['timeupdate', 'seeking']) this.#video.addEventListener(name, () => on.time(this.time));
    this.#video.addEventListener('play', () => this.#follow());
    this.#position.addEventListener('input', () => this.seek(Number(this.#position.value)));
  }

  get time() {
    return this.#decoded ? this.#time : this.#video.currentTime;
  }

  /**
   * @param {Medium | null} medium
   * @param {string} [url] where the bytes are; absent while nobody has them
   */
  open(medium, url) {
    const shown = medium ? `${medium.id} ${medium.kind} ${url}` : '';
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#medium = medium;
    this.#decoded = false;
    this.#time = 0;
    this.#pending = 0;
    this.#note.hidden = true;
    this.#frames.hidden = true;
    this.#video.hidden = medium?.kind !== 'video' || !url;
    this.#still.hidden = medium?.kind !== 'image' || !url;
    this.#video.pause();
    this.#video.removeAttribute('src');
    this.#still.removeAttribute('src');
    if (medium?.kind === 'video' && url) this.#video.src = url;
    else this.#video.load();
    if (medium?.kind === 'image' && url) this.#still.src = url;
    this.#still.alt = medium ? `The picture ${medium.name}` : '';
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
    } else if (this.#video.readyState) {
      this.#video.currentTime = seconds;
    } else {
      this.#pending = seconds;
    }
  }

  #loaded() {
    const { videoWidth: width, videoHeight: height, duration } = this.#video;
    // Sound without a picture: the browser knows the container but not the codec.
    if (!width) { this.#unplayable(); return; }
    if (this.#medium) this.on.facts(this.#medium, { width, height, duration: Number.isFinite(duration) ? duration : undefined });
    if (this.#pending) this.#video.currentTime = this.#pending;
  }

  #unplayable() {
    // Taking the film away makes an error as well.
    if (!this.#video.getAttribute('src')) return;
    this.#decoded = true;
    this.#video.hidden = true;
    this.#video.removeAttribute('src');
    this.#frames.hidden = false;
    this.#note.hidden = false;
    this.#showFrames();
  }

  async #showFrames() {
    const medium = this.#medium;
    if (!medium) return;
    const codec = medium.codec ? ` (${medium.codec})` : '';
    this.#note.textContent = medium.fileId
      ? `This browser cannot play ${medium.name}${codec}. You see the frames that Zoetrope decodes.`
      : `This browser cannot play ${medium.name}. Zoetrope’s own frames appear here once the file is sent.`;
    this.#position.max = String(medium.duration ?? 0);
    this.#position.value = String(this.#time);
    this.#position.disabled = !medium.fileId;
    this.#positionText.textContent = `${clock(this.#time)} / ${clock(medium.duration ?? 0)}`;
    this.#position.setAttribute('aria-valuetext', clock(this.#time));
    if (!medium.fileId) return;
    this.#wanted?.abort();
    this.#wanted = new AbortController();
    const width = Math.min(1280, Math.round((this.#frames.clientWidth || 640) * devicePixelRatio));
    try {
      const picture = await blob(filePath(medium.fileId, 'frame', { time: this.#time, width }), this.#wanted.signal);
      if (medium !== this.#medium) return;
      URL.revokeObjectURL(this.#frameUrl);
      this.#frameUrl = URL.createObjectURL(picture);
      this.#frame.src = this.#frameUrl;
      this.#frame.alt = `${medium.name} at ${clock(this.#time)}`;
    } catch (error) {
      if (!isAbort(error)) this.#note.textContent = `${medium.name} cannot be shown here: ${error instanceof Error ? error.message : error}`;
    }
  }

  /** While a film plays, the timeline follows at the screen's own pace. */
  #follow() {
    const step = () => {
      if (this.#video.paused) return;
      this.on.time(this.time);
      requestAnimationFrame(step);
    };
    step();
  }
}

/**
 * Where the bytes of a file are that the server has.
 * @param {string} id
 */
export async function contentUrl(id) {
  // Elements cannot send a key: then the whole file is fetched with one.
  return hasKey() ? URL.createObjectURL(await blob(filePath(id, 'content'))) : filePath(id, 'content');
}
