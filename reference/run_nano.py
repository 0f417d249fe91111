"""Ask a VideoLLaMA3 folder in the transformers-native layout a question with transformers' processor and model, greedily, in f32.

MEDIA is an mp4 (decoded with PyAV), a folder of PNG frames (times.json: seconds, or a list under "times"; else --fps apart), a PNG/JPEG picture, or nothing.
--sample native   the processor's own sample_frames (first frame of every window, at least 4)
--sample slots    the original's rule (last frame of every complete slot, stamp = start of the slot)
--sample all      every frame with its own time (the default for a folder of frames)
Prints one JSON object; --out stores ids, pixels, mask, logits of the last prompt position and of every step.
"""

import argparse
import glob
import json
import os
import time
from fractions import Fraction

import av
import numpy as np
import torch
import transformers
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoProcessor, VideoLlama3ForConditionalGeneration
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil
from transformers.video_utils import VideoMetadata

import original_rules as rules


def decode(path):
    """(frames uint8 [t, h, w, 3], times as Fractions from 0, end): every frame of the first video stream; untagged clips count as BT.601 below 720 rows."""
    frames, times, last = [], [], Fraction(0)
    with av.open(path) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            matrix = Colorspace.ITU709 if frame.colorspace == 1 or (frame.colorspace == 2 and frame.height >= 720) else Colorspace.ITU601
            full = ColorRange.JPEG if frame.color_range == 2 else ColorRange.MPEG
            rgb = frame.reformat(format="rgb24", src_colorspace=matrix, src_color_range=full, dst_color_range=ColorRange.JPEG)
            frames.append(rgb.to_ndarray())
            times.append(frame.pts * frame.time_base)
            last = (frame.duration or 0) * frame.time_base
    first = times[0]
    end = times[-1] - first + (last or (times[-1] - times[-2] if len(times) > 1 else Fraction(1, 25)))
    return np.stack(frames), [t - first for t in times], end


def read_folder(path, fps):
    names = sorted(glob.glob(os.path.join(path, "*.png")))
    frames = np.stack([np.asarray(Image.open(n).convert("RGB")) for n in names])
    stamp_file = os.path.join(path, "times.json")
    if os.path.exists(stamp_file):
        times = json.load(open(stamp_file))
        times = times["times"] if isinstance(times, dict) else times
    else:
        times = [i / fps for i in range(len(names))]
    return frames, times


def choose(frames, times, end, args, processor):
    """(frames, stamps) that the model will see."""
    if args.sample == "all":
        return frames, [float(t) for t in times]
    if args.sample == "slots":
        picks = rules.slot_frames(times, end, Fraction(args.fps).limit_denominator(1000))
        stamps = [s / args.fps for s in range(len(picks))]
        if len(picks) > args.max_frames:
            kept = rules.cap_positions(len(picks), args.max_frames)
            picks, stamps = [picks[k] for k in kept], [stamps[k] for k in kept]
        return frames[picks], stamps
    source = float(len(frames) / end)
    meta = VideoMetadata(total_num_frames=len(frames), fps=source)
    picks = processor.video_processor.sample_frames(metadata=meta, fps=args.fps, max_frames=args.max_frames).tolist()
    return frames[picks], [p / source for p in picks]


class Stamped(VideoMetadata):
    """Metadata whose stamps are given instead of computed."""

    @property
    def timestamps(self):
        return self.stamps


def build_inputs(processor, args):
    """Processor inputs, what was shown (raw frames or None) and the stamps."""
    content, kwargs, raw, stamps = [], {}, None, []
    if args.media and args.media.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
        picture = Image.open(args.media).convert("RGB")
        raw = np.asarray(picture)[None]
        content.append({"type": "image"})
        kwargs["images"] = [picture]
    elif args.media:
        folder = os.path.isdir(args.media)
        frames, times, end = (*read_folder(args.media, args.fps), None) if folder else decode(args.media)
        if folder:
            args.sample = "all"
        raw, stamps = choose(frames, times, end, args, processor)
        meta = Stamped(total_num_frames=len(raw), fps=args.fps, frames_indices=list(range(len(raw))))
        meta.stamps = stamps
        content.append({"type": "video"})
        kwargs["videos"] = [torch.from_numpy(raw.copy()).permute(0, 3, 1, 2)]
        kwargs["video_metadata"] = [meta]
    content.append({"type": "text", "text": args.question})
    messages = [{"role": "user", "content": content}]
    if args.system:
        messages.insert(0, {"role": "system", "content": args.system})
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[prompt], return_tensors="pt", **kwargs)
    inputs.pop("video_metadata", None)
    return inputs, raw, stamps


def greedy(model, inputs, eos, limit):
    """Ids (without the stop token), logits of every step including the one that stopped."""
    kwargs = dict(inputs)
    mask, ids, rows = kwargs.pop("attention_mask"), [], []
    past = None
    with torch.no_grad():
        for _ in range(limit):
            out = model(**kwargs, attention_mask=mask, past_key_values=past, use_cache=True)
            past, row = out.past_key_values, out.logits[0, -1]
            rows.append(row)
            token = int(row.argmax())
            if token in eos:
                break
            ids.append(token)
            kwargs = {"input_ids": torch.tensor([[token]])}
            mask = torch.cat([mask, torch.ones(1, 1, dtype=mask.dtype)], 1)
    return ids, torch.stack(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("question")
    parser.add_argument("--media")
    parser.add_argument("--sample", choices=["native", "slots", "all"], default="native")
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--max-frames", type=int, default=180)
    parser.add_argument("--system")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--out", help="safetensors file")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    processor = AutoProcessor.from_pretrained(args.folder)
    processor.image_processor = VideoLlama3ImageProcessorPil.from_pretrained(args.folder)
    model = VideoLlama3ForConditionalGeneration.from_pretrained(args.folder, dtype=torch.float32, attn_implementation="eager").eval()
    inputs, raw, stamps = build_inputs(processor, args)
    eos = model.generation_config.eos_token_id
    eos = set(eos if isinstance(eos, list) else [eos])
    began = time.time()
    ids, rows = greedy(model, inputs, eos, args.max_new_tokens)
    answer = processor.tokenizer.decode(ids, skip_special_tokens=True)
    report = {
        "answer": answer, "ids": ids, "stamps": stamps, "prompt_tokens": int(inputs["input_ids"].shape[1]), "seconds": time.time() - began,
        "kept": int(inputs["video_compression_mask"].sum()) if "video_compression_mask" in inputs else None,
        "min_gap": min((r.topk(2).values[0] - r.topk(2).values[1]).item() for r in rows),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "pyav": av.__version__},
    }  # fmt: skip
    print(json.dumps(report, ensure_ascii=False))
    if args.out:
        tensors = {k: (v.to(torch.uint8) if v.dtype == torch.bool else v) for k, v in inputs.items() if torch.is_tensor(v)}
        tensors |= {"greedy_ids": torch.tensor(ids, dtype=torch.long), "greedy_logits": rows, "logits": rows[0], "stamps": torch.tensor(stamps)}
        if raw is not None:
            tensors["frames"] = torch.from_numpy(raw.copy())
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, args.out, metadata={"prompt": processor.tokenizer.decode(inputs["input_ids"][0])})


if __name__ == "__main__":
    main()
