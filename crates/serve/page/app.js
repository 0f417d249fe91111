// The page: one conversation about films and pictures, and what holds its parts together.
import { failureOf, filePath, json, setKey } from './api.js';
import { showModels, theme } from './card.js';
import { Conversation } from './conversation.js';
import { Cost } from './cost.js';
import { retry, ui } from './dom.js';
import { History, titleOf } from './history.js';
import { Media } from './media.js';
import { Player } from './player.js';
import { bodyOf, present, unasked } from './request.js';
import { Settings } from './settings.js';
import { Store, fresh } from './store.js';
import { Timeline } from './timeline.js';

/** @import { Failure, Medium, ModelCard, Plan, Talk, Turn } from './types.mjs' */

class App {
  store = new Store();
  talk = fresh();
  /** @type {ModelCard[]} */
  cards = [];
  /** The turn whose frames are on the timeline; none while it shows the plan. @type {Turn | null} */
  shown = null;
  /** @type {{ plan: Plan, sent: string[] } | null} */
  plan = null;
  #saving = 0;
  /** The medium that a chosen file replaces. @type {Medium | undefined} */
  replaces;

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
        // The model is loaded now, and its card complete.
        if (plan && this.card && !this.card.zoetrope) this.models();
      },
    });
    this.media = new Media(this.talk, {
      select: () => this.drawMedium(),
      uploaded: () => this.save(),
      changed: () => this.cost.later(0),
      remove: (medium) => this.removed(medium),
      again: (medium) => this.choose(medium),
    });
    this.conversation = new Conversation(this.talk, this.media, {
      seek: (seconds) => this.player.seek(seconds),
      saved: (talk) => this.save(talk),
      shown: (turn) => {
        this.shown = turn ?? this.shown;
        this.drawFrames();
      },
      done: () => this.cost.later(0),
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
    ui.stop.addEventListener('click', () => this.conversation.stop());
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
      dialog.addEventListener('click', ({ target, clientX, clientY }) => {
        const { left, right, top, bottom } = dialog.getBoundingClientRect();
        const beside = clientX < left || clientX > right || clientY < top || clientY > bottom;
        if (target === dialog && beside) dialog.close();
      });
    }
    addEventListener('popstate', () => this.fromAddress());
    const narrow = matchMedia('(max-width: 860px)');
    const fold = () => {
      ui.sampling.open = !narrow.matches;
    };
    narrow.addEventListener('change', fold);
    fold();
  }

  drops() {
    let inside = 0;
    const mark = (/** @type {number} */ depth) => {
      inside = depth;
      ui.main.classList.toggle('dropping', inside > 0);
    };
    // Everywhere: a film dropped beside the target must not take the place of the page.
    addEventListener('dragenter', () => mark(inside + 1));
    addEventListener('dragleave', () => mark(inside - 1));
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
      mark(0);
      this.files(event.dataTransfer?.files, event);
    });
  }

  async start() {
    await this.fromAddress();
    await this.models();
    this.cost.later(0);
  }

  async models() {
    try {
      this.cards = (await json('/v1/models')).data ?? [];
      ui.banner.replaceChildren();
    } catch (error) {
      this.banner(failureOf(error));
    }
    this.useCard();
  }

  /** A refusal that stops everything. @param {Failure} failure */
  banner(failure) {
    const { alert } = retry(failure, 'Try again', (key) => {
      if (key) setKey(key);
      this.start();
    });
    ui.banner.replaceChildren(alert);
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
    this.open((id && (await this.store.get(id))) || fresh(), false);
  }

  /** @param {Talk} talk @param {boolean} [byHand] */
  open(talk, byHand = true) {
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
    this.conversation.open(talk);
    this.useCard();
    this.media.open(talk).then(() => this.cost.later(0));
    if (byHand) ui.question.focus();
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

  /** @param {Talk} [talk] */
  save(talk = this.talk) {
    if (!talk.turns.length && !talk.media.length) return;
    talk.updated = Date.now();
    talk.model ??= this.card?.id;
    this.store.put(talk);
    if (talk !== this.talk) return;
    if (!location.hash) history.replaceState(null, '', `/#talk=${talk.id}`);
    document.title = `${titleOf(talk)} · Zoetrope`;
  }

  /** @param {Medium} [replaces] */
  choose(replaces) {
    this.replaces = replaces;
    ui.chooser.click();
  }

  /** @param {FileList | null | undefined} files @param {Event} [event] */
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
    this.conversation.draw();
    this.reread();
    await this.store.put(this.talk);
    await this.dropFile(medium);
  }

  /** What is read has changed: the timeline shows the plan again. */
  reread() {
    this.shown = null;
    this.cost.later();
    const { talk } = this;
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.save(talk), 300);
  }

  send() {
    const question = ui.question.value.trim();
    if (!question || this.conversation.busy) return;
    ui.question.value = '';
    this.grow();
    this.conversation.ask(question);
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

  grow() {
    ui.question.style.height = 'auto';
    ui.question.style.height = `${Math.min(ui.question.scrollHeight, 200)}px`;
  }
}

new App().start();
