// The list of conversations, and what a conversation looks like outside the page.
import { button, el, ui } from './dom.js';
import { clock, count, framesOf, plural, span } from './times.js';

/** @import { Answer, HistoryOn, Talk } from './types.mjs' */
/** @import { Store } from './store.js' */

export class History {
  /** @param {Store} store @param {HistoryOn} on */
  constructor(store, on) {
    this.store = store;
    this.on = on;
    ui.openTalks.addEventListener('click', async () => {
      await this.draw();
      ui.talks.showModal();
    });
  }

  async draw() {
    const talks = await this.store.all();
    const where = this.store.lasting
      ? 'Kept in this browser only.'
      : 'This browser keeps nothing: conversations end with the tab.';
    ui.talksNote.textContent = talks.length
      ? where
      : `No conversations yet. ${this.store.lasting ? 'They stay in this browser.' : where}`;
    ui.talksList.hidden = !talks.length;
    ui.talksList.replaceChildren(...talks.map((talk) => this.#item(talk)));
  }

  /** @param {Talk} talk */
  #item(talk) {
    const title = titleOf(talk);
    const day = new Date(talk.updated).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
    const time = new Date(talk.updated).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
    const open = el(
      'button',
      {
        type: 'button',
        class: 'talk',
        'aria-current': talk.id === this.on.current() ? 'true' : null,
        click: () => {
          ui.talks.close();
          this.on.open(talk);
        },
      },
      el('span', { class: 'name' }, title),
      el('span', { class: 'facts' }, `${day}, ${time} · ${plural(talk.turns.length, 'question')}`),
    );
    const remove = button(
      'Delete',
      async () => {
        if (remove.dataset.sure) {
          await this.on.delete(talk);
          await this.draw();
          ui.talks.querySelector('button')?.focus();
          return;
        }
        remove.dataset.sure = 'yes';
        remove.replaceChildren('Really delete?');
        remove.setAttribute('aria-label', `Really delete ${title}?`);
      },
      {
        class: 'quiet danger',
        'aria-label': `Delete ${title}`,
        blur: () => {
          delete remove.dataset.sure;
          remove.replaceChildren('Delete');
          remove.setAttribute('aria-label', `Delete ${title}`);
        },
      },
    );
    return el(
      'li',
      {},
      open,
      el(
        'div',
        { class: 'row' },
        button('Markdown', () => save(talk, 'md'), { class: 'quiet', 'aria-label': `Export ${title} as Markdown` }),
        button('JSON', () => save(talk, 'json'), { class: 'quiet', 'aria-label': `Export ${title} as JSON` }),
        remove,
      ),
    );
  }
}

/** @param {Talk} talk */
export const titleOf = (talk) => talk.title || talk.media[0]?.name || 'New conversation';

/** @param {Talk} talk @param {'md' | 'json'} kind */
function save(talk, kind) {
  const text = kind === 'json' ? JSON.stringify(talk, null, 2) : markdownOf(talk);
  const url = URL.createObjectURL(new Blob([text], { type: kind === 'json' ? 'application/json' : 'text/markdown' }));
  const name = titleOf(talk)
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60);
  el('a', { href: url, download: `${name || 'conversation'}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {Talk} talk */
export function markdownOf(talk) {
  const media = talk.media.map((medium) => {
    const part =
      medium.start !== undefined || medium.end !== undefined
        ? `, read from ${clock(medium.start ?? 0)} to ${clock(medium.end ?? medium.duration ?? 0)}`
        : '';
    const length = medium.duration ? ` (${clock(medium.duration)})` : '';
    return `- ${medium.name}${length}${part}${medium.removed ? ', removed later' : ''}\n`;
  });
  const turns = talk.turns.map(
    (turn) => `\n## ${turn.question.replaceAll('\n', '\n\n')}\n\n${answerText(turn.answer)}\n`,
  );
  return `# ${titleOf(talk)}\n\n${talk.model ? `Model: ${talk.model}\n\n` : ''}${media.join('')}${turns.join('')}`;
}

/** @param {Answer | undefined} answer */
function answerText(answer) {
  if (!answer) return '*No answer.*';
  const parts = [answer.text];
  if (answer.failure) parts.push(`*Refused: ${answer.failure.message}*`);
  if (answer.stopped) parts.push('*Stopped here.*');
  for (const seen of answer.seen ?? []) {
    const frames = framesOf([seen])
      .map((frame) => clock(frame.time))
      .join(', ');
    parts.push(`*${seen.name}: ${count(seen.tokens)} tokens${frames ? `, frames at ${frames}` : ''}*`);
  }
  if (answer.seconds?.total) parts.push(`*${span(answer.seconds.total)}*`);
  return parts.filter(Boolean).join('\n\n');
}
