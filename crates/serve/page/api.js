// Speaks with the server. Everything goes to the page's own origin.
/** @import { Body, Chunk, Failure, Upload, Value, WireError } from './types.mjs' */

const KEY = 'zoetrope-key';

/** A refusal, with the server's words. */
export class Refusal extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What went wrong, for people. @param {unknown} error @returns {Failure} */
export function failureOf(error) {
  if (error instanceof Refusal) return error.failure;
  if (error instanceof TypeError) return { message: 'The server does not answer. Is it still running?' };
  return { message: error instanceof Error ? error.message : String(error) };
}

/** Whether the user ended it. @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === 'AbortError';

/** The key is kept for this tab only. @param {string} key */
export const setKey = (key) => sessionStorage.setItem(KEY, key);

/** @returns {Record<string, string>} */
function auth() {
  const key = sessionStorage.getItem(KEY);
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Whether media must be fetched with a header, which elements cannot send. */
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

/** @param {WireError | undefined} error @param {number} [status] @param {string | null} [wait] @returns {Failure} */
function failureFrom(error, status, wait) {
  const known = wait && Number.isFinite(Number(wait)) ? Number(wait) : undefined;
  const message = error?.message ?? `The server answered with status ${status ?? 'unknown'}.`;
  return { message, fits: error?.zoetrope?.fits, status, wait: known };
}

/** @param {string} text @param {number} status @param {string | null} wait */
function refusal(text, status, wait) {
  let error;
  try {
    error = JSON.parse(text).error;
  } catch {
    /* not ours, such as a proxy's page */
  }
  return new Refusal(failureFrom(error, status, wait));
}

/** @param {string} path @param {{ method?: string, body?: unknown, signal?: AbortSignal }} [options] */
async function request(path, { method = 'GET', body, signal } = {}) {
  const headers = { ...auth(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  const answer = await fetch(path, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw refusal(await answer.text(), answer.status, answer.headers.get('retry-after'));
  return answer;
}

/** @param {string} path @param {{ method?: string, body?: unknown, signal?: AbortSignal }} [options]
 * @returns {Promise<any>} */
export const json = async (path, options) => (await request(path, options)).json();

/** @param {string} path @param {AbortSignal} [signal] */
export const blob = async (path, signal) => (await request(path, { signal })).blob();

/** The path of a stored file, or of one of its frames. @param {string} id
 * @param {'content' | 'frame' | 'subtitles' | ''} [what] @param {Record<string, Value>} [query] */
export function filePath(id, what = '', query = {}) {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `/v1/files/${encodeURIComponent(id)}${what && `/${what}`}${pairs.length ? `?${pairs.join('&')}` : ''}`;
}

/** Sends a file. `fetch` tells no progress, so this is the older interface. @param {File} file
 * @param {() => void} changed @returns {Upload} */
export function upload(file, changed) {
  const wire = new XMLHttpRequest();
  const form = new FormData();
  form.append('purpose', 'user_data');
  form.append('file', file, file.name);
  const state = /** @type {Upload} */ ({ sent: 0, total: file.size, abort: () => wire.abort() });
  state.done = new Promise((resolve, reject) => {
    wire.upload.onprogress = (event) => {
      state.sent = event.loaded;
      state.total = event.total || file.size;
      changed();
    };
    wire.onload = () => {
      if (wire.status < 300) resolve(JSON.parse(wire.responseText));
      else reject(refusal(wire.responseText, wire.status, wire.getResponseHeader('retry-after')));
    };
    wire.onerror = () => reject(new Refusal({ message: `The connection broke while ${file.name} was sent.` }));
    wire.onabort = () => reject(new DOMException('stopped', 'AbortError'));
    wire.open('POST', '/v1/files');
    for (const [name, value] of Object.entries(auth())) wire.setRequestHeader(name, value);
    wire.send(form);
  });
  return state;
}

/** Asks, and gives the chunks of the answer as they come. @param {Body} body @param {AbortSignal} signal
 * @returns {AsyncGenerator<Chunk>} */
export async function* chat(body, signal) {
  const streamed = { ...body, stream: true, stream_options: { include_usage: true, include_progress: true } };
  const answer = await request('/v1/chat/completions', { method: 'POST', body: streamed, signal });
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    rest = (rest + (value ?? '')).replaceAll('\r\n', '\n');
    const events = rest.split('\n\n');
    rest = done ? '' : (events.pop() ?? '');
    for (const event of events) {
      const data = event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trim());
      if (data.join('') === '[DONE]') return;
      if (!data.length) continue;
      const chunk = /** @type {Chunk} */ (JSON.parse(data.join('\n')));
      if (chunk.error) throw new Refusal(failureFrom(chunk.error));
      yield chunk;
    }
    if (done) throw new Refusal({ message: 'The connection broke before the answer was complete.' });
  }
}
