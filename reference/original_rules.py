"""The original code's arithmetic (DAMO checkpoints), written down again in Python from the model page: sizes, sampling, stamps, pruning, prompt.

Independent of the Rust code; `make_plan_goldens.py` checks it against the page's worked numbers and, where it can, against ffmpeg and transformers.
"""

import math

import numpy as np

MIN_TOKENS, MAX_TOKENS, PATCH = 16, 16384, 14


def sizes_same_merge(items, merge, min_tokens=MIN_TOKENS, max_tokens=MAX_TOKENS):
    """A2.1. items: list of (h, w, frames); returns list of (h, w) in pixels."""
    f = PATCH * merge
    total = sum(n for _, _, n in items)
    min_px = min_tokens * f * f
    cap = (max_tokens * f * f) // total
    out = []
    for h, w, _ in items:
        hb, wb = round(h / f) * f, round(w / f) * f
        if hb * wb > cap:
            beta = math.sqrt((h * w) / cap)
            hb, wb = math.floor(h / beta / f) * f, math.floor(w / beta / f) * f
        if hb * wb < min_px:
            beta = math.sqrt(min_px / (h * w))
            hb, wb = math.ceil(h * beta / f) * f, math.ceil(w * beta / f) * f
        out.append((hb, wb))
    return out


def sizes_mixed(items, merges, max_tokens=MAX_TOKENS):
    """A2.2. items: list of (h, w, frames) with their merge sizes; a side never falls below one factor."""
    factors = [PATCH * m for m in merges]
    total = sum(n * math.ceil(h / f) * math.ceil(w / f) for (h, w, n), f in zip(items, factors))
    out = []
    for (h, w, _), f in zip(items, factors):
        if total > max_tokens:
            beta = math.sqrt(total / max_tokens)
            hb, wb = math.floor(h / beta / f) * f, math.floor(w / beta / f) * f
        else:
            hb, wb = round(h / f) * f, round(w / f) * f
        out.append((max(f, hb), max(f, wb)))
    return out


def sizes(items, merges, min_tokens=MIN_TOKENS, max_tokens=MAX_TOKENS):
    """Either rule: A2.1 when all merge sizes are equal, else A2.2."""
    if len(set(merges)) == 1:
        return sizes_same_merge(items, merges[0], min_tokens, max_tokens)
    return sizes_mixed(items, merges, max_tokens)


def slot_frames(times, end, rate):
    """`fps=fps=rate:round=down` on frames at `times` (Fractions from the start of the file) that end at `end`.

    Every slot [s/rate, (s+1)/rate) that is complete before `end` yields the last frame at or before its end; from the first frame's slot on.
    """
    slots = [math.floor(t * rate) for t in times]
    last = math.floor(end * rate)
    picks, i = [], 0
    for s in range(slots[0], last):
        while i + 1 < len(slots) and slots[i + 1] <= s:
            i += 1
        picks.append(i)
    return picks


def cap_positions(n, max_frames):
    """numpy.linspace(0, n-1, max_frames) truncated toward zero."""
    return [int(x) for x in np.linspace(0, n - 1, max_frames, dtype=int)]


def stamps(start, duration, rate, n):
    """numpy.arange(start, start + duration + 1/rate, 1/rate) cut to n."""
    return [float(x) for x in np.arange(start, start + duration + 1 / rate, 1 / rate)[:n]]


def index_path(n, vfps, rate=None, max_frames=None, start=None, end=None):
    """A3.2: indices of the frame-index path (folder of frames, gif, short window)."""
    s, e = start, end
    if s is not None or e is not None:
        s = max(s, 0) if s is not None else None
        e = max(e, 0) if e is not None else None
        if s is not None and e is not None:
            if s > e:
                s, e = e, s
            if s == e:
                e = s + 1
    first = max(int(s * vfps) - 1, 0) if s is not None else 0
    last = min(int(e * vfps) - 1, n - 1) if e is not None else n - 1
    d = last - first + 1
    if rate is not None and d / vfps < max_frames:
        seg = min(vfps // rate, d)
        picks = [int(x) for x in np.arange(seg // 2, d, seg, dtype=int)]
    else:
        picks = list(range(d)) if d <= max_frames else cap_positions(d, max_frames)
    return [first + p for p in picks]


def stamp_text(value, numpy_rule=True):
    """One decimal. numpy rule (ffmpeg path): round(1) of a numpy float; else Python's round on a plain float."""
    return str(np.round(np.float64(value), 1)) if numpy_rule else str(round(float(value), 1))


def keep_mask(pixels, t, tokens, threshold=0.1, min_tokens=1, bf16=False):
    """A6 on [t * tokens * m * m, 588] normalized values (torch tensor); bool list per token."""
    import torch

    x = pixels.to(torch.bfloat16) if bf16 else pixels
    x = x.reshape(t, tokens, -1)
    diff = torch.abs(x[1:] - x[:-1]).mean(dim=-1) * 255
    diff = torch.cat([torch.full_like(diff[0:1], threshold + 1), diff], 0)
    mask = diff > threshold
    short = torch.nonzero(mask.sum(dim=1) < min_tokens)[:, 0]
    mask[short, :min_tokens] = True
    return mask.flatten(), diff


# A4.1: the chat template of the hub checkpoints, in the words of the page.
DEFAULT_SYSTEM = (
    "You are VideoLLaMA3 created by Alibaba DAMO Academy, a helpful assistant to help people understand images and videos."
)
CHAT_TEMPLATE = (
    "{%- if add_system_prompt and messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\n" + DEFAULT_SYSTEM + "<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'stream' -%}{%- set open = '<|stream_start|>' -%}{%- set close = '<|stream_end|>' -%}"
    "{%- else -%}{%- set open = '<|im_start|>' -%}{%- set close = '<|im_end|>' -%}{%- endif -%}"
    "{{- open + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] + close + '\\n' -}}"
    "{%- else -%}"
    "{%- for item in message['content'] -%}"
    "{%- if item['type'] == 'text' -%}{{- item['text'] -}}"
    "{%- elif item['type'] == 'image' -%}"
    "{%- if 'timestamp' in item -%}{{- 'Time ' + (item['timestamp'] | round(1) | string) + 's: ' -}}{%- endif -%}"
    "{{- '<image>\\n' -}}"
    "{%- elif item['type'] == 'video' -%}"
    "{%- for i in range(item['num_frames']) -%}"
    "{%- if 'timestamps' in item -%}{{- 'Time ' + (item['timestamps'][i] | round(1) | string) + 's:' -}}{%- endif -%}"
    "{{- '<image>,' if i < item['num_frames'] - 1 else '<image>\\n' -}}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{{- close -}}{%- if message['role'] != 'stream' -%}{{- '\\n' -}}{%- endif -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def render(messages, add_generation_prompt=True, add_system_prompt=False):
    """The prompt text, one `<image>` for a picture or a frame."""
    import jinja2

    template = jinja2.Environment().from_string(CHAT_TEMPLATE)
    return template.render(
        messages=messages, add_generation_prompt=add_generation_prompt, add_system_prompt=add_system_prompt
    )
