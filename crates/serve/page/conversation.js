// The log: questions and answers, asked one at a time.
import { ask } from './asker.js';
import { ui } from './dom.js';
import { bodyOf, curlOf, present, pythonOf, unasked } from './request.js';
import { TurnView } from './turns.js';

/** @import { Acts, Context, ConversationOn, Talk, Turn } from './types.mjs' */
/** @import { Media } from './media.js' */

export class Conversation {
  /** @type {Talk} */
  #talk;
  #media;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {Map<Turn, TurnView>} */
  #views = new Map();

  /** @param {Talk} talk @param {Media} media @param {ConversationOn} on */
  constructor(talk, media, on) {
    this.#talk = talk;
    this.#media = media;
    this.on = on;
  }

  get busy() {
    return this.#running !== null;
  }

  /** @param {Talk} talk */
  open(talk) {
    this.stop();
    this.#running = null;
    this.#swap(false);
    this.#talk = talk;
    this.draw();
    this.#scroll();
  }

  /** Ends the answer that comes; what is there of it stays. */
  stop() {
    this.#running?.abort();
  }

  draw() {
    this.#views.clear();
    ui.log.querySelectorAll('article').forEach((article) => article.remove());
    for (const turn of this.#talk.turns) this.#view(turn);
    ui.welcome.hidden = this.#talk.turns.length > 0;
  }

  /** @param {Turn} turn */
  #view(turn) {
    const view = new TurnView(turn, this.#acts());
    this.#views.set(turn, view);
    ui.log.append(...view.nodes);
    view.update(false);
    return view;
  }

  /** @returns {Acts} */
  #acts() {
    return {
      context: (turn) => this.#context(turn),
      medium: (id) => this.#talk.media.find((medium) => medium.id === id),
      from: (turn, question) => this.#from(turn, question),
      frames: (turn) => this.#frames(turn),
      request: (turn, language) => {
        const { body, sent } = bodyOf(this.#talk, this.#talk.turns.indexOf(turn), turn.question, turn.media);
        return language === 'curl' ? curlOf(body, sent) : pythonOf(body, sent);
      },
      last: (turn) => turn === this.#talk.turns.at(-1),
      busy: () => this.busy,
    };
  }

  /** Which film a time in this turn's answer means: the one named last before it, else the first asked about.
   * @param {Turn} turn @returns {Context} */
  #context(turn) {
    const films = present(this.#talk).filter((medium) => medium.kind === 'video' && medium.duration);
    let film = films.find((medium) => turn.answer?.sent.includes(medium.id)) ?? films[0];
    return {
      mention: (text) => {
        const places = films.map((medium) => text.lastIndexOf(medium.name));
        const last = Math.max(-1, ...places);
        if (last >= 0) film = films[places.indexOf(last)];
      },
      film: () => {
        const { id, duration } = film ?? {};
        return id && duration ? { duration, seek: (seconds) => this.#seek(id, seconds) } : null;
      },
    };
  }

  /** @param {string} id @param {number} seconds */
  #seek(id, seconds) {
    if (this.#media.selected !== id) this.#media.select(id);
    this.on.seek(seconds);
  }

  /** @param {Turn} turn */
  #frames(turn) {
    const has = turn.answer?.sent.includes(this.#media.selected);
    const first = present(this.#talk).find((medium) => turn.answer?.sent.includes(medium.id));
    if (!has && first) this.#media.select(first.id);
    this.on.shown(turn);
    ui.frames.querySelector('button')?.focus();
  }

  /** Asks about all media that no question had yet. @param {string} question */
  ask(question) {
    this.#talk.title ||= question.slice(0, 80);
    const turn = { question, media: unasked(this.#talk).map((medium) => medium.id) };
    this.#talk.turns.push(turn);
    this.#run(turn);
  }

  /** Asks again from this turn on; what came later goes, and its media stay for the new question.
   * @param {Turn} turn @param {string} question */
  #from(turn, question) {
    if (this.busy) return;
    const at = this.#talk.turns.indexOf(turn);
    if (at === 0) this.#talk.title = question.slice(0, 80);
    this.#talk.turns.length = at;
    const again = { question, media: unasked(this.#talk).map((medium) => medium.id) };
    this.#talk.turns.push(again);
    this.draw();
    this.#run(again);
  }

  /** @param {Turn} turn */
  async #run(turn) {
    const talk = this.#talk;
    const running = new AbortController();
    this.#running = running;
    ui.welcome.hidden = true;
    turn.answer = { text: '', sent: [] };
    const view = this.#views.get(turn) ?? this.#view(turn);
    this.on.saved(talk);
    this.#swap(true);
    view.update(true);
    this.#scroll();
    let saved = Date.now();
    await ask(talk, talk.turns.indexOf(turn), {
      signal: running.signal,
      upload: (medium) => this.#media.here(medium).upload,
      changed: (progress) => {
        view.update(true, progress);
        if (Date.now() - saved < 2000) return;
        saved = Date.now();
        this.on.saved(talk);
      },
    });
    view.update(false);
    if (this.#running === running) this.#running = null;
    this.on.saved(talk);
    if (talk !== this.#talk) return;
    this.#swap(false);
    this.on.shown(turn.answer?.seen ? turn : null);
    this.on.done();
    // Perhaps the server lost a file.
    if (turn.answer?.failure) for (const medium of present(talk)) this.#media.check(medium);
  }

  /** Stop stands where Send was, and the focus stays there. @param {boolean} busy */
  #swap(busy) {
    const [gone, here] = busy ? [ui.send, ui.stop] : [ui.stop, ui.send];
    const focused = document.activeElement === gone;
    gone.hidden = true;
    here.hidden = false;
    if (focused) here.focus();
  }

  #scroll() {
    const scroller = getComputedStyle(ui.log).overflowY === 'auto' ? ui.log : ui.main;
    scroller.scrollTop = scroller.scrollHeight;
  }
}
