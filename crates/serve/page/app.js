// The page: one conversation about films and pictures, and what holds its parts together.
import { failureOf, filePath, json, setKey } from './api.js';
import { ask } from './asker.js';
import { showModels, theme } from './card.js';
import { Cost } from './cost.js';
import { alertOf, button, el, ui } from './dom.js';
import { History, titleOf } from './history.js';
import { Media } from './media.js';
import { Player } from './player.js';
import { bodyOf, curlOf, present, pythonOf, unasked } from './request.js';
import { Settings } from './settings.js';
import { Store, fresh } from './store.js';
import { Timeline } from './timeline.js';
import { TurnView } from './turns.js';

/** @import { Acts, Context, Failure, Medium, ModelCard, Plan, Talk, Turn } from './types.js' */

class App {
  store = new Store();
  talk = fresh();
  /** @type {ModelCard[]} */
  cards = [];
  /** @type {AbortController | null} */
  running = null;
  /** The turn whose frames are on the timeline; none while it shows the plan. @type {Turn | null} */
  shown = null;
  /** @type {{ plan: Plan, sent: string[] } | null} */
  plan = null;
  /** @type {Map<Turn, TurnView>} */
  views = new Map();
  /** The medium that a chosen file replaces. @type {Medium | undefined} */
  replaces;
  #saving = 0;


  constructor() {
    this.timeline = new Timeline({ seek: (seconds) => this.player.seek(seconds), range: () => this.reread() });
    this.player = new Player({
      time: (seconds) => this.timeline.time(seconds),
      facts: (medium, facts) => {
        medium.duration ??= facts.duration;
        medium.width ??= facts.width;
        medium.height ??= facts.height;
        this.media.draw();
        this.drawMedium();
      },
    });
    this.cost = new Cost({
      body: () => this.draft(),
      uploads: () => this.media.uploading,
      card: () => this.card,
      plan: (plan, sent) => {
        this.plan = plan && { plan, sent: sent.map((medium) => medium.id) };
        if (!this.shown) this.drawFrames();
      },
    });
    this.media = new Media(this.talk, {
      select: () => this.drawMedium(),
      uploaded: () => this.save(),
      changed: () => this.cost.later(0),
      remove: (medium) => this.removed(medium),
      again: (medium) => this.choose(medium),
    });
    this.settings = new Settings(() => this.reread());
    this.history = new History(this.store, {
      open: (talk) => this.open(talk),
      delete: (talk) => this.delete(talk),
      current: () => this.talk.id,
    });
    this.listen();
  }

  get card() {
    return this.cards.find((card) => card.id === this.talk.model) ?? this.cards[0];
  }

  listen() {
    theme();
    ui.composer.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    ui.question.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    ui.question.addEventListener('input', () => {
      this.grow();
      this.cost.later(600);
    });
    ui.question.addEventListener('paste', (event) => this.files(event.clipboardData?.files, event));
    ui.stop.addEventListener('click', () => this.running?.abort());
    ui.newTalk.addEventListener('click', () => this.open(fresh()));
    ui.openModel.addEventListener('click', () => ui.modelCard.showModal());
    for (const add of document.querySelectorAll('[data-add]')) add.addEventListener('click', () => this.choose());
    for (const example of document.querySelectorAll('#examples button')) {
      example.addEventListener('click', () => {
        ui.question.value = example.textContent ?? '';
        this.grow();
        ui.question.focus();
        this.cost.later();
      });
    }
    ui.chooser.addEventListener('change', () => {
      this.files(ui.chooser.files);
      ui.chooser.value = '';
    });
    this.drops();
    for (const dialog of document.querySelectorAll('dialog')) {
      // A click beside the sheet closes it.
      dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
    }
    addEventListener('popstate', () => this.fromAddress());
    const narrow = matchMedia('(max-width: 860px)');
    const fold = () => { ui.sampling.open = !narrow.matches; };
    narrow.addEventListener('change', fold);
    fold();
  }

  drops() {
    let inside = 0;
    const mark = (/** @type {number} */ depth) => {
      inside = depth;
      ui.main.classList.toggle('dropping', inside > 0);
    };
    ui.main.addEventListener('dragenter', () => mark(inside + 1));
    ui.main.addEventListener('dragleave', () => mark(inside - 1));
    ui.main.addEventListener('dragover', (event) => event.preventDefault());
    ui.main.addEventListener('drop', (event) => {
      mark(0);
      this.files(event.dataTransfer?.files, event);
    });
  }

  async start() {
    await this.fromAddress();
    try {
      this.cards = (await json('/v1/models')).data ?? [];
      ui.banner.replaceChildren();
    } catch (error) {
      this.banner(failureOf(error));
    }
    this.useCard();
    this.cost.later(0);
  }

  /** A refusal that stops everything. @param {Failure} failure */
  banner(failure) {
    const field = failure.status === 401
      && el('input', { type: 'password', 'aria-label': 'API key', placeholder: 'API key', autocomplete: 'off' });
    const again = button(field ? 'Use this key' : 'Try again', () => {
      if (field) setKey(field.value.trim());
      this.start();
    });
    ui.banner.replaceChildren(alertOf(failure, field, again));
  }

  useCard() {
    showModels(this.cards, this.card, (card) => {
      this.talk.model = card.id;
      this.useCard();
      this.reread();
    });
    this.settings.open(this.talk.sampling, this.card);
  }

  /** Opens the conversation that the address names, or a new one. */
  async fromAddress() {
    const id = /^#talk=(\w+)$/.exec(location.hash)?.[1];
    if (id === this.talk.id) return;
    this.open((id && await this.store.get(id)) || fresh(), false);
  }

  /**
   * @param {Talk} talk
   * @param {boolean} [byHand]
   */
  open(talk, byHand = true) {
    this.running?.abort();
    this.running = null;
    this.busy(false);
    for (const { answer } of talk.turns) {
      if (answer && !answer.finish && !answer.failure) answer.stopped = true;
    }
    this.talk = talk;
    this.plan = null;
    this.shown = talk.turns.findLast((turn) => turn.answer?.seen) ?? null;
    const address = talk.turns.length || talk.media.length ? `/#talk=${talk.id}` : '/';
    if (byHand) history.pushState(null, '', address);
    document.title = talk.title ? `${talk.title} · Zoetrope` : 'Zoetrope';
    ui.question.value = '';
    this.grow();
    this.drawTalk();
    this.useCard();
    this.media.open(talk).then(() => this.cost.later(0));
    if (byHand) ui.question.focus();
    ui.log.scrollTop = ui.log.scrollHeight;
  }

  /** The conversation and its files, here and on the server. @param {Talk} talk */
  async delete(talk) {
    await this.store.delete(talk.id);
    await Promise.all(present(talk).map((medium) => this.dropFile(medium)));
    if (talk.id === this.talk.id) this.open(fresh());
  }

  /** Takes a file off the server, unless another conversation has it as well. @param {Medium} medium */
  async dropFile(medium) {
    const used = (await this.store.all()).some((talk) => present(talk).some((each) => each.fileId === medium.fileId));
    if (medium.fileId && !used) await json(filePath(medium.fileId), { method: 'DELETE' }).catch(() => {});
  }

  save() {
    const { talk } = this;
    talk.updated = Date.now();
    talk.model ??= this.card?.id;
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.store.put(talk), 200);
    if (!location.hash) history.replaceState(null, '', `/#talk=${talk.id}`);
    document.title = `${titleOf(talk)} · Zoetrope`;
  }

  /** @param {Medium} [replaces] */
  choose(replaces) {
    this.replaces = replaces;
    ui.chooser.click();
  }

  /**
   * @param {FileList | null | undefined} files
   * @param {Event} [event]
   */
  files(files, event) {
    if (!files?.length) return;
    event?.preventDefault();
    for (const file of files) {
      this.media.add(file, this.replaces);
      this.replaces = undefined;
    }
    this.reread();
  }

  /** @param {Medium} medium */
  async removed(medium) {
    // A medium that no question had leaves nothing behind.
    const asked = this.talk.turns.some((turn) => turn.media.includes(medium.id));
    if (!asked) this.talk.media = this.talk.media.filter((each) => each !== medium);
    this.drawTalk();
    this.reread();
    await this.store.put(this.talk);
    await this.dropFile(medium);
  }

  /** What is read has changed: the timeline shows the plan again. */
  reread() {
    this.shown = null;
    this.cost.later();
    this.save();
  }

  draft() {
    const question = ui.question.value.trim();
    const fresher = unasked(this.talk).map((medium) => medium.id);
    const made = bodyOf(this.talk, this.talk.turns.length, question, fresher);
    return { ...made, asks: Boolean(question || made.sent.length || this.talk.turns.length) };
  }

  drawMedium() {
    const medium = this.media.current;
    const here = medium && this.media.here(medium);
    this.player.open(medium, here?.url);
    this.player.uploaded();
    this.timeline.show(medium, here?.cues ?? []);
    this.drawFrames();
    ui.main.classList.toggle('has-media', Boolean(medium));
  }

  drawFrames() {
    const id = this.media.current?.id ?? '';
    const answer = this.shown?.answer;
    const seen = answer?.seen?.[answer.sent.indexOf(id)];
    const planned = this.plan?.plan.media[this.plan.sent.indexOf(id)];
    this.timeline.frames((seen ?? planned)?.frames ?? [], Boolean(seen));
    this.timeline.time(this.player.time);
  }

  drawTalk() {
    this.views.clear();
    ui.log.querySelectorAll('article').forEach((article) => article.remove());
    for (const turn of this.talk.turns) this.view(turn);
    ui.welcome.hidden = this.talk.turns.length > 0;
  }

  /** @param {Turn} turn */
  view(turn) {
    const view = new TurnView(turn, this.acts());
    this.views.set(turn, view);
    ui.log.append(...view.nodes);
    view.update(false);
    return view;
  }

  /** @returns {Acts} */
  acts() {
    return {
      context: (turn) => this.context(turn),
      medium: (id) => this.talk.media.find((medium) => medium.id === id),
      from: (turn, question) => this.from(turn, question),
      frames: (turn) => this.showFrames(turn),
      request: (turn, language) => {
        const { body, sent } = bodyOf(this.talk, this.talk.turns.indexOf(turn), turn.question, turn.media);
        return language === 'curl' ? curlOf(body, sent) : pythonOf(body, sent);
      },
      last: (turn) => turn === this.talk.turns.at(-1),
      busy: () => this.running !== null,
    };
  }

  /** Which film a time in this turn's answer means: the one named last before it, else the first asked about. @param {Turn} turn @returns {Context} */
  context(turn) {
    const films = present(this.talk).filter((medium) => medium.kind === 'video' && medium.duration);
    let film = films.find((medium) => turn.answer?.sent.includes(medium.id)) ?? films[0];
    return {
      mention: (text) => {
        const places = films.map((medium) => text.lastIndexOf(medium.name));
        const last = Math.max(-1, ...places);
        if (last >= 0) film = films[places.indexOf(last)];
      },
      film: () => {
        const { id, duration } = film ?? {};
        return id && duration ? { duration, seek: (seconds) => this.seek(id, seconds) } : null;
      },
    };
  }

  /**
   * @param {string} id
   * @param {number} seconds
   */
  seek(id, seconds) {
    if (this.media.selected !== id) this.media.select(id);
    this.player.seek(seconds);
  }

  /** @param {Turn} turn */
  showFrames(turn) {
    this.shown = turn;
    const has = turn.answer?.sent.includes(this.media.selected);
    const first = present(this.talk).find((medium) => turn.answer?.sent.includes(medium.id));
    if (!has && first) this.media.select(first.id);
    this.drawFrames();
    ui.frames.querySelector('button')?.focus();
  }

  send() {
    const question = ui.question.value.trim();
    if (!question || this.running) return;
    ui.question.value = '';
    this.grow();
    this.talk.title ||= question.slice(0, 80);
    const turn = { question, media: unasked(this.talk).map((medium) => medium.id) };
    this.talk.turns.push(turn);
    this.run(turn);
  }

  /**
   * Asks again from this turn on; what came later goes, and its media stay for the new question.
   * @param {Turn} turn
   * @param {string} question
   */
  from(turn, question) {
    if (this.running) return;
    const at = this.talk.turns.indexOf(turn);
    if (at === 0) this.talk.title = question.slice(0, 80);
    this.talk.turns.length = at;
    const again = { question, media: unasked(this.talk).map((medium) => medium.id) };
    this.talk.turns.push(again);
    this.drawTalk();
    this.run(again);
  }

  /** @param {Turn} turn */
  async run(turn) {
    const { talk } = this;
    const running = new AbortController();
    this.running = running;
    ui.welcome.hidden = true;
    turn.answer = { text: '', sent: [] };
    const view = this.views.get(turn) ?? this.view(turn);
    this.busy(true);
    view.update(true);
    this.scroll();
    let saved = Date.now();
    await ask(talk, talk.turns.indexOf(turn), {
      signal: running.signal,
      upload: (medium) => this.media.here(medium).upload,
      changed: (progress) => {
        view.update(true, progress);
        if (Date.now() - saved < 2000 || talk !== this.talk) return;
        saved = Date.now();
        this.save();
      },
    });
    view.update(false);
    if (this.running === running) this.running = null;
    if (talk !== this.talk) { this.store.put(talk); return; }
    this.busy(false);
    if (turn.answer?.seen) this.shown = turn;
    this.drawFrames();
    this.save();
    this.cost.later(0);
    // Perhaps the server lost a file.
    if (turn.answer?.failure) for (const medium of present(talk)) this.media.check(medium);
  }

  /** Stop stands where Send was, and the focus stays there. @param {boolean} busy */
  busy(busy) {
    const [send, stop] = [ui.send, ui.stop];
    const [gone, here] = busy ? [send, stop] : [stop, send];
    const focused = document.activeElement === gone;
    gone.hidden = true;
    here.hidden = false;
    if (focused) here.focus();
  }

  scroll() {
    const scroller = getComputedStyle(ui.log).overflowY === 'auto' ? ui.log : ui.main;
    scroller.scrollTop = scroller.scrollHeight;
  }

  grow() {
    ui.question.style.height = 'auto';
    ui.question.style.height = `${Math.min(ui.question.scrollHeight, 200)}px`;
  }
}

new App().start();
