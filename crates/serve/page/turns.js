// One question and its answer in the log.
import { setKey } from './api.js';
import { button, copyButton, el, factList, retry, ui } from './dom.js';
import { render } from './markdown.js';
import { count, framesOf, plural, size, span } from './times.js';

/** @import { Acts, Answer, Failure, Progress, Turn } from './types.mjs' */

/** What each stage of the server is called, and what it counts. @type {Record<string, [string, string?]>} */
const STAGES = {
  send: ['Sending the file', 'bytes'],
  connect: ['Asking'],
  queue: ['Waiting in line'],
  decode: ['Decoding frames', ''],
  encode: ['Looking at frames', ''],
  read: ['Reading', 'tokens'],
};

/** @param {Progress} progress */
function stageWords({ stage, done, total }) {
  const [words, unit] = STAGES[stage] ?? [stage];
  if (unit === undefined || total <= 0) return words;
  if (unit === 'bytes') return `${words}: ${size(done)} of ${size(total)}`;
  return `${words}: ${count(done)} of ${count(total)} ${unit}`.trimEnd();
}

export class TurnView {
  #prose = el('div', { class: 'prose' });
  #stage = el('div', { class: 'stage' });
  #notes = el('div', { class: 'notes' });
  #foot = el('footer');
  #question = el('article', { class: 'question', 'aria-label': 'Question' });
  #answer = el(
    'article',
    { class: 'answer', 'aria-label': 'Answer' },
    this.#stage,
    this.#prose,
    this.#notes,
    this.#foot,
  );
  nodes = [this.#question, this.#answer];
  /** @type {Progress | null} */
  #progress = null;
  #drawn = 0;

  /** @param {Turn} turn @param {Acts} acts */
  constructor(turn, acts) {
    this.turn = turn;
    this.acts = acts;
    this.drawQuestion();
  }

  drawQuestion() {
    const media = this.turn.media.map((id) => this.acts.medium(id)).filter((medium) => medium !== undefined);
    const chips = media.map((medium) =>
      el(
        'span',
        { class: medium.removed ? 'chip removed' : 'chip' },
        medium.removed ? `${medium.name} (removed: not in later questions)` : medium.name,
      ),
    );
    this.#question.replaceChildren(
      ...(chips.length ? [el('p', { class: 'chips' }, ...chips)] : []),
      el(
        'div',
        { class: 'asked' },
        button('Edit', () => this.#edit(), { icon: 'edit', bare: true, class: 'quiet' }),
        el('p', { class: 'words' }, this.turn.question),
      ),
    );
  }

  /** The question as a field, in its place. */
  #edit() {
    if (this.acts.busy()) return;
    const field = el('textarea', { 'aria-label': 'Edit the question', rows: 2 });
    field.value = this.turn.question;
    const done = () => field.value.trim() && this.acts.from(this.turn, field.value.trim());
    const leave = () => {
      this.drawQuestion();
      this.#question.querySelector('button')?.focus();
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') leave();
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      done();
    });
    this.#question.replaceChildren(
      el(
        'div',
        { class: 'editing' },
        field,
        this.acts.last(this.turn)
          ? null
          : el('p', { class: 'help' }, 'Later questions and answers of this conversation go.'),
        el('div', { class: 'row' }, button('Ask again', done, { class: 'primary' }), button('Cancel', leave)),
      ),
    );
    field.focus();
  }

  /** Shows what there is of the answer; at most once a frame of the screen while it grows. @param {boolean} busy
   * @param {Progress | null} [progress] */
  update(busy, progress) {
    this.#progress = progress ?? this.#progress;
    this.#answer.setAttribute('aria-busy', String(busy));
    cancelAnimationFrame(this.#drawn);
    if (busy) this.#drawn = requestAnimationFrame(() => this.#draw(true));
    else this.#draw(false);
  }

  /** @param {boolean} busy */
  #draw(busy) {
    const { answer } = this.turn;
    if (!answer) return;
    const log = ui.log;
    const scroller = getComputedStyle(log).overflowY === 'auto' ? log : ui.main;
    const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    render(this.#prose, answer.text, this.acts.context(this.turn));
    this.#prose.classList.toggle('growing', busy && Boolean(answer.text));
    this.#drawStage(busy && !answer.text);
    this.#foot.hidden = busy;
    if (!busy) this.#finish(answer);
    // Follows the answer only while its end is in sight.
    if (below < 80) scroller.scrollTop = scroller.scrollHeight;
  }

  /** @param {boolean} shown */
  #drawStage(shown) {
    const at = this.#progress ?? { stage: 'connect', done: 0, total: 0 };
    this.#stage.hidden = !shown;
    if (!shown) return;
    const words = stageWords(at);
    const bar = this.#stage.querySelector('progress') ?? el('progress', { max: 1 });
    bar.setAttribute('aria-label', words);
    if (at.total > 0 && at.stage !== 'queue') bar.value = at.done / at.total;
    else bar.removeAttribute('value');
    const label = this.#stage.querySelector('span');
    if (label) label.textContent = words;
    else this.#stage.replaceChildren(el('span', {}, words), bar);
  }

  /** @param {Answer} answer */
  #finish(answer) {
    const notes = [];
    if (answer.stopped) notes.push(el('p', { class: 'note' }, 'Stopped here.'));
    if (answer.finish === 'length') notes.push(el('p', { class: 'note' }, 'The answer reached its limit of tokens.'));
    if (answer.finish && !answer.text) notes.push(el('p', { class: 'note' }, 'The model answered without a word.'));
    if (answer.failure) notes.push(this.#failed(answer.failure));
    this.#notes.replaceChildren(...notes);
    const acts = [];
    if (answer.text) acts.push(copyButton('Copy', () => answer.text, { icon: 'copy', class: 'quiet' }));
    if (!answer.failure)
      acts.push(
        button('Regenerate', () => this.acts.from(this.turn, this.turn.question), {
          icon: 'again',
          class: 'quiet only-last',
        }),
      );
    if (framesOf(answer.seen ?? []).length)
      acts.push(
        button('Frames', () => this.acts.frames(this.turn), {
          icon: 'film',
          class: 'quiet',
          'aria-label': 'Frames of this answer on the timeline',
        }),
      );
    this.#foot.replaceChildren(el('div', { class: 'acts' }, ...acts), this.#facts(answer));
  }

  /** @param {Failure} failure */
  #failed(failure) {
    const { alert, again } = retry(failure, 'Try again', (key) => {
      if (key) setKey(key);
      this.acts.from(this.turn, this.turn.question);
    });
    again.classList.add('only-last');
    const until = Date.now() + 1000 * (failure.wait ?? 0);
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      again.disabled = left > 0;
      if (failure.wait) again.textContent = left > 0 ? `Try again in ${left} s` : 'Try again';
      if (left > 0) setTimeout(tick, 250);
    };
    tick();
    return alert;
  }

  /** What the answer cost, and the request behind it. @param {Answer} answer */
  #facts(answer) {
    const seen = answer.seen ?? [];
    const frames = framesOf(seen).length;
    const kept = seen.reduce((sum, each) => sum + each.tokens, 0);
    const before = seen.reduce((sum, each) => sum + (each.tokens_before_pruning ?? each.tokens), 0);
    const { usage, seconds } = answer;
    const brief = [frames && plural(frames, 'frame'), seconds?.total && span(seconds.total)]
      .filter(Boolean)
      .join(' · ');
    const rows = /** @type {[string, string | number | undefined | false][]} */ ([
      ['Frames', frames > 0 && count(frames)],
      ['Visual tokens', seen.length > 0 && (before > kept ? `${count(kept)} kept of ${count(before)}` : count(kept))],
      ['Prompt', usage && plural(usage.prompt_tokens, 'token')],
      ['Not read again', usage && plural(usage.prompt_tokens_details?.cached_tokens ?? 0, 'token')],
      ['Answer', usage && plural(usage.completion_tokens, 'token')],
      ...Object.entries(seconds ?? {}).map(([name, value]) => [name[0].toUpperCase() + name.slice(1), span(value)]),
    ]);
    const about = el(
      'details',
      { class: 'about', toggle: () => about.open && about.scrollIntoView({ block: 'nearest' }) },
      el('summary', {}, brief || 'Details'),
      factList(rows),
      el(
        'div',
        { class: 'row' },
        copyButton('Copy as curl', () => this.acts.request(this.turn, 'curl'), { icon: 'code' }),
        copyButton('Copy as Python', () => this.acts.request(this.turn, 'python'), { icon: 'code' }),
      ),
    );
    return about;
  }
}
