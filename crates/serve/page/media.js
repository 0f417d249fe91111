// The films and pictures of a conversation: sending them, and their list.
import { Refusal, failureOf, filePath, isAbort, json, upload } from './api.js';
import { alertOf, button, el, ui, icon } from './dom.js';
import { contentUrl } from './player.js';
import { present } from './request.js';
import { newId } from './store.js';
import { clock, size } from './times.js';

/** @import { Cue, Here, Medium, MediaOn, StoredFile, Talk } from './types.mjs' */

export class Media {
  /** By id. @type {Map<string, Here>} */
  #here = new Map();
  /** @type {Talk} */
  #talk;
  /** Id of the one that is shown. */
  selected = '';

  /** @param {Talk} talk @param {MediaOn} on */
  constructor(talk, on) {
    this.#talk = talk;
    this.on = on;
  }

  /** @param {Medium} medium */
  here(medium) {
    const known = this.#here.get(medium.id) ?? { cues: [] };
    this.#here.set(medium.id, known);
    return known;
  }

  get current() {
    return present(this.#talk).find((medium) => medium.id === this.selected) ?? null;
  }

  get uploading() {
    return present(this.#talk)
      .map((medium) => this.here(medium).upload)
      .filter((each) => each !== undefined);
  }

  /** Shows another conversation, and asks the server which of its files are still there. @param {Talk} talk */
  async open(talk) {
    this.#talk = talk;
    this.select(present(talk)[0]?.id ?? '');
    await Promise.all(present(talk).map((medium) => this.check(medium)));
  }

  /** @param {Medium} medium */
  async check(medium) {
    const here = this.here(medium);
    if (!medium.fileId || here.upload) return;
    try {
      this.#learn(medium, await json(filePath(medium.fileId)));
      here.url ??= await contentUrl(medium.fileId);
      medium.gone = false;
      this.#subtitles(medium);
    } catch (error) {
      if (!(error instanceof Refusal) || error.failure.status !== 404) return;
      medium.gone = true;
      medium.fileId = undefined;
    }
    this.#touched(medium);
  }

  /** Adds a file and sends it. @param {File} file @param {Medium} [again] the medium whose file the server lost */
  add(file, again) {
    const kind = file.type.startsWith('image/') ? 'image' : 'video';
    const medium = again ?? /** @type {Medium} */ ({ id: newId(), name: file.name, size: file.size, kind });
    if (again) Object.assign(again, { name: file.name, size: file.size, kind, duration: undefined, gone: false });
    else this.#talk.media.push(medium);
    const here = this.here(medium);
    Object.assign(here, { file, url: URL.createObjectURL(file) });
    this.select(medium.id);
    this.send(medium);
  }

  /** @param {Medium} medium */
  send(medium) {
    const here = this.here(medium);
    if (!here.file) return;
    here.failure = undefined;
    const running = upload(here.file, () => this.#progress(medium));
    here.upload = running;
    running.done.then(
      (stored) => {
        here.upload = undefined;
        medium.fileId = stored.id;
        this.#learn(medium, stored);
        this.#subtitles(medium);
        this.on.uploaded();
        this.#touched(medium);
      },
      (error) => {
        here.upload = undefined;
        if (!isAbort(error)) here.failure = failureOf(error);
        this.#touched(medium);
      },
    );
    this.#touched(medium);
  }

  /** @param {string} id */
  select(id) {
    this.selected = id;
    this.draw();
    this.on.select();
  }

  /** @param {Medium} medium */
  remove(medium) {
    const here = this.here(medium);
    here.upload?.abort();
    medium.removed = true;
    if (here.file && here.url) URL.revokeObjectURL(here.url);
    this.#here.delete(medium.id);
    this.on.remove(medium);
    this.select(present(this.#talk).find((each) => each.id === this.selected)?.id ?? present(this.#talk)[0]?.id ?? '');
    ui.question.focus();
  }

  /** @param {Medium} medium @param {StoredFile} stored */
  #learn(medium, stored) {
    const { kind, width, height, duration, codec } = stored.zoetrope ?? {};
    const before = medium.kind;
    Object.assign(medium, {
      kind: kind ?? before,
      width: width ?? medium.width,
      height: height ?? medium.height,
      codec,
    });
    // The server's duration counts: plans and answers are on its clock.
    if (duration) medium.duration = duration;
  }

  /** @param {Medium} medium */
  async #subtitles(medium) {
    if (medium.kind !== 'video' || !medium.fileId) return;
    const answer = await json(filePath(medium.fileId, 'subtitles')).catch(() => null);
    const cues = /** @type {Cue[]} */ (answer?.cues ?? []);
    this.here(medium).cues = cues;
    if (cues.length) this.#touched(medium);
  }

  /** @param {Medium} medium */
  #touched(medium) {
    this.draw();
    this.on.changed();
    if (medium.id === this.selected) this.on.select();
  }

  /** Moves the bar without making the list anew. @param {Medium} medium */
  #progress(medium) {
    const bar = ui.media.querySelector(`[data-id="${medium.id}"] progress`);
    const { upload: running } = this.here(medium);
    if (bar instanceof HTMLProgressElement && running) bar.value = running.sent / Math.max(1, running.total);
    this.on.changed();
  }

  draw() {
    const all = present(this.#talk);
    ui.drop.hidden = all.length > 0;
    ui.media.hidden = !all.length;
    ui.media.replaceChildren(...all.map((medium) => this.#item(medium)));
  }

  /** @param {Medium} medium */
  #item(medium) {
    const here = this.here(medium);
    const facts = [
      medium.duration && clock(medium.duration),
      medium.width && `${medium.width} × ${medium.height}`,
      medium.codec,
      size(medium.size),
    ]
      .filter(Boolean)
      .join(' · ');
    const name = el('span', { class: 'name', title: medium.name }, medium.name);
    const about = el('span', { class: 'facts' }, facts);
    const show = el(
      'button',
      {
        type: 'button',
        class: 'show',
        'aria-pressed': String(medium.id === this.selected),
        click: () => this.select(medium.id),
      },
      icon(medium.kind === 'video' ? 'film' : 'picture'),
      el('span', {}, name, about),
    );
    const value = here.upload ? here.upload.sent / Math.max(1, here.upload.total) : 0;
    const bar = here.upload && el('progress', { value, max: 1, 'aria-label': `Sending ${medium.name}` });
    return el(
      'li',
      { 'data-id': medium.id, class: medium.id === this.selected ? 'selected' : null },
      el(
        'div',
        { class: 'medium' },
        show,
        button(`Remove ${medium.name}`, () => this.remove(medium), { icon: 'close', bare: true, class: 'quiet' }),
      ),
      bar,
      ...this.#troubles(medium, here),
    );
  }

  /** @param {Medium} medium @param {Here} here */
  #troubles(medium, here) {
    const troubles = [];
    if (here.failure)
      troubles.push(
        alertOf(
          here.failure,
          button('Send again', () => this.send(medium)),
        ),
      );
    if (medium.gone) {
      const failure = { message: `The server no longer has ${medium.name}.` };
      troubles.push(
        alertOf(
          failure,
          button('Add it again', () => this.on.again(medium)),
        ),
      );
    }
    return troubles;
  }
}
