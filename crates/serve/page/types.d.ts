// Types for the checker only; the server does not embed this file. First the wire, then what the page keeps.

export type Value = string | number | boolean;

/** A card of `/v1/models`. */
export interface ModelCard {
  id: string;
  max_model_len?: number;
  zoetrope?: {
    family?: string;
    parameters?: number;
    dtype?: string;
    inputs?: { images: boolean; several_images: boolean; video: boolean };
    settings?: Setting[];
    limits?: Record<string, number>;
  };
}

/** A setting that only some families have. `type` is `integer`, `flag`, or `{ word: [...] }`. */
export interface Setting {
  name: string;
  help?: string;
  meaning?: string;
  default?: Value;
  type?: string | { word: string[] };
}

/** What `POST /v1/files` and `GET /v1/files/ID` answer. */
export interface StoredFile {
  id: string;
  bytes: number;
  filename: string;
  zoetrope?: {
    kind?: 'video' | 'image';
    width?: number;
    height?: number;
    duration?: number | null;
    codec?: string;
  };
}

export interface Cue {
  start: number;
  end: number;
  text: string;
}

/** A frame of a plan or of an answer. Times are seconds of the source. */
export interface Frame {
  index: number;
  time: number;
  tokens: number;
  tokens_before_pruning?: number;
}

/** A film or picture of a plan or of an answer, in the order of the request's parts. */
export interface Seen {
  name: string;
  kind: string;
  duration?: number | null;
  source?: [number, number];
  frames?: Frame[];
  tokens: number;
  tokens_before_pruning?: number;
}

export interface Plan {
  media: Seen[];
  tokens: { text: number; image: number; video: number; prompt: number; limit: number };
  bytes?: { keys_and_values?: number; features?: number };
  seconds?: number | null;
  cached?: boolean;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number; video_tokens?: number };
}

export interface Progress {
  stage: string;
  done: number;
  total: number;
}

/** A chunk of a streamed answer. */
export interface Chunk {
  choices?: { delta?: { content?: string | null; refusal?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  zoetrope?: Partial<Progress> & { media?: Seen[]; seconds?: Record<string, number> };
  error?: WireError;
}

export interface WireError {
  message?: string;
  code?: string | null;
  param?: string | null;
  zoetrope?: { fits?: string };
}

export type Part =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'video_url'; video_url: { url: string; start?: number; end?: number; fps?: number; max_frames?: number } };

export interface Message {
  role: 'user' | 'assistant';
  content: string | Part[];
}

export interface Body {
  model?: string;
  messages: Message[];
  temperature?: number;
  seed?: number;
  max_tokens?: number;
  max_visual_tokens?: number;
  settings?: Record<string, Value>;
}

/** A film or picture of a conversation. */
export interface Medium {
  id: string;
  name: string;
  size: number;
  kind: 'video' | 'image';
  fileId?: string;
  width?: number;
  height?: number;
  duration?: number;
  codec?: string;
  /** The part of the film to read, in seconds; all of it where absent. */
  start?: number;
  end?: number;
  /** The user took it out; it stays named in the turns that had it. */
  removed?: boolean;
  /** The server no longer has it. */
  gone?: boolean;
}

export interface Failure {
  message: string;
  fits?: string;
  status?: number;
  /** Seconds, from `Retry-After`. */
  wait?: number;
}

export interface Answer {
  text: string;
  /** Ids of the media whose parts were in the request, in its order. */
  sent: string[];
  seen?: Seen[];
  usage?: Usage;
  seconds?: Record<string, number>;
  finish?: string;
  stopped?: boolean;
  failure?: Failure;
}

/** A question and its answer. */
export interface Turn {
  question: string;
  /** Ids of the media that were new with this question. */
  media: string[];
  answer?: Answer;
}

export interface Sampling {
  fps?: number;
  most?: number;
  visual?: number;
  temperature?: number;
  longest?: number;
  seed?: number;
  settings: Record<string, Value>;
}

export interface Talk {
  id: string;
  title: string;
  updated: number;
  model?: string;
  media: Medium[];
  turns: Turn[];
  sampling: Sampling;
}

/** A file on its way to the server. */
export interface Upload {
  sent: number;
  total: number;
  done: Promise<StoredFile>;
  failure?: Failure;
  abort: () => void;
}
