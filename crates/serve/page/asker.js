// Asks one question: waits for the files on their way, then reads the stream into the turn's answer.
import { Refusal, chat, failureOf, isAbort } from './api.js';
import { bodyOf, present } from './request.js';

/** @import { Answer, AskOn, Chunk, Talk } from './types.mjs' */

/** @param {Talk} talk @param {number} at which turn @param {AskOn} on */
export async function ask(talk, at, on) {
  const turn = talk.turns[at];
  const answer = /** @type {Answer} */ ({ text: '', sent: [] });
  turn.answer = answer;
  try {
    await uploads(talk, at, on);
    const { body, sent } = bodyOf(talk, at, turn.question, turn.media);
    answer.sent = sent.map((medium) => medium.id);
    on.changed({ stage: 'connect', done: 0, total: 0 });
    for await (const chunk of chat(body, on.signal)) on.changed(take(answer, chunk));
    if (!answer.finish) throw new Refusal({ message: 'The answer ended before it was complete.' });
  } catch (error) {
    if (isAbort(error)) answer.stopped = true;
    else answer.failure = failureOf(error);
  }
  on.changed(null);
}

/** Puts a chunk into the answer. @param {Answer} answer @param {Chunk} chunk
 * @returns {import('./types.mjs').Progress | null} how far the server is, before the first word */
function take(answer, chunk) {
  const choice = chunk.choices?.[0];
  answer.text += choice?.delta?.content ?? choice?.delta?.refusal ?? '';
  answer.finish = choice?.finish_reason ?? answer.finish;
  answer.usage = chunk.usage ?? answer.usage;
  const { media, seconds, stage, done, total } = chunk.zoetrope ?? {};
  answer.seen = media ?? answer.seen;
  answer.seconds = seconds ?? answer.seconds;
  return stage && !answer.text ? { stage, done: done ?? 0, total: total ?? 0 } : null;
}

/** Waits until the server has what the question is about. @param {Talk} talk @param {number} at @param {AskOn} on */
async function uploads(talk, at, on) {
  const asked = new Set(talk.turns.slice(0, at + 1).flatMap((turn) => turn.media));
  for (const medium of present(talk).filter((each) => asked.has(each.id))) {
    const running = on.upload(medium);
    if (running) {
      const tick = setInterval(() => on.changed({ stage: 'send', done: running.sent, total: running.total }), 100);
      const stop = new Promise((_, reject) => {
        on.signal.addEventListener('abort', () => reject(on.signal.reason), { once: true });
      });
      try {
        await Promise.race([running.done, stop]);
      } finally {
        clearInterval(tick);
      }
    }
    // Never asks about less than the user sees in the list.
    if (!medium.fileId && !medium.removed)
      throw new Refusal({ message: `The server does not have ${medium.name}: add it again, or remove it.` });
  }
}
