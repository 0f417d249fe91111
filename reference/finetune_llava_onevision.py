"""A fine-tune as a user does it: pictures and questions in LLaVA's JSON, `zoetrope train`, accuracy before and after, and the adapter in PEFT.

MODEL is a folder of `real_words.py` (LLaVA-OneVision's form with real language weights and a random encoder and projector).
  data OUT                       train.jsonl, held-out.jsonl, pictures and recipe.toml
  score PROGRAM MODEL OUT        asks the server every held-out question; with --adapter, the fine-tuned model; writes answers to --to
  peft MODEL ADAPTER OUT ANSWERS asks transformers with PEFT's adapter the same questions, and compares the answers of `score`
"""

import argparse
import base64
import json
import os
import random
import subprocess
import time
import urllib.request

from PIL import Image, ImageDraw

COLORS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (240, 210, 40), "black": (10, 10, 10), "purple": (140, 50, 160)}
PLACES = {"left": (32, 64), "right": (96, 64), "top": (64, 32), "bottom": (64, 96)}
QUESTIONS = {"color": "What color is the shape?", "place": "Where is the shape: left, right, top or bottom?"}
RECIPE = """seed = 1
save_every = 20
[[stage]]
name = "adapter"
epochs = {epochs}
batch = 8
pack = 4
vision.learn = "frozen"
projector = {{ learn = "full", only = ["multi_modal_projector"], lr = 2e-3 }}
language = {{ learn = "lora", rank = 16, alpha = 32 }}
embeddings.learn = "frozen"
optimizer = {{ lr = 3e-4 }}
schedule = {{ kind = "cosine", warmup_share = 0.05 }}
data = [{{ data = "train.jsonl" }}]
eval = {{ every = 20, samples = 32, data = [{{ data = "held-out.jsonl" }}] }}
"""


def draw(rng, path):
    """One shape of one color at one place on a light ground; returns (color, place)."""
    color, place = rng.choice(list(COLORS)), rng.choice(list(PLACES))
    x, y = (middle + rng.randint(-8, 8) for middle in PLACES[place])
    size = rng.randint(20, 28)
    ground = tuple(rng.randint(190, 255) for _ in range(3))
    picture = Image.new("RGB", (128, 128), ground)
    pen, box = ImageDraw.Draw(picture), (x - size, y - size, x + size, y + size)
    rng.choice([pen.ellipse, pen.rectangle])(box, fill=COLORS[color])
    picture.save(path)
    return color, place


def make_data(args):
    os.makedirs(os.path.join(args.out, "pictures"), exist_ok=True)
    rng = random.Random(0)
    for name, count in (("train", args.train), ("held-out", args.held_out)):
        with open(os.path.join(args.out, f"{name}.jsonl"), "w", encoding="utf-8") as file:
            for index in range(count):
                picture = f"pictures/{name}-{index}.png"
                color, place = draw(rng, os.path.join(args.out, picture))
                kind = rng.choice(list(QUESTIONS))
                turns = [{"from": "human", "value": f"<image>\n{QUESTIONS[kind]}"}, {"from": "gpt", "value": {"color": color, "place": place}[kind].capitalize() + "."}]
                print(json.dumps({"image": picture, "conversations": turns}), file=file)
    with open(os.path.join(args.out, "recipe.toml"), "w", encoding="utf-8") as file:
        file.write(RECIPE.format(epochs=args.epochs))


def held_out(out):
    """(picture, question, answer) of every held-out sample."""
    with open(os.path.join(out, "held-out.jsonl"), encoding="utf-8") as file:
        for row in map(json.loads, file):
            question, answer = (turn["value"] for turn in row["conversations"])
            yield os.path.join(out, row["image"]), question.removeprefix("<image>\n"), answer


def ask(url, picture, question):
    data = base64.b64encode(open(picture, "rb").read()).decode()
    content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}, {"type": "text", "text": question}]
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 8}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]


def report(answers, samples):
    right = sum(answer.strip() == sample[2] for answer, sample in zip(answers, samples))
    print(f"{right} of {len(samples)} held-out answers are right: {100 * right / len(samples):.1f} %")


def score(args):
    command = [args.program, "serve", "--model", args.model, "--dtype", "f32", "--kv-cache-dtype", "f32", "--port", str(args.port), "--no-cache"]
    server = subprocess.Popen(command + (["--adapter", args.adapter] if args.adapter else []), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{args.port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/ready")
                break
            except OSError:
                time.sleep(0.2)
        samples = list(held_out(args.out))
        answers = [ask(url, picture, question) for picture, question, _ in samples]
    finally:
        server.terminate()
        server.wait()
    if args.to:
        json.dump(answers, open(args.to, "w", encoding="utf-8"))
    report(answers, samples)


def compare_with_peft(args):
    import torch
    from peft import PeftModel
    from transformers import AutoProcessor, LlavaOnevisionForConditionalGeneration

    processor = AutoProcessor.from_pretrained(args.model)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, args.adapter).eval()
    samples, answers = list(held_out(args.out)), []
    # The folder's generation_config.json is the toy's.
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for picture, question, _ in samples:
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        prompt = processor.apply_chat_template(turns, add_generation_prompt=True)
        inputs = processor(images=Image.open(picture), text=prompt, return_tensors="pt")
        with torch.no_grad():
            ids = model.generate(**inputs, max_new_tokens=8, do_sample=False, eos_token_id=end, pad_token_id=end)[0, inputs["input_ids"].shape[1] :]
        answers.append(processor.decode(ids, skip_special_tokens=True))
    report(answers, samples)
    ours = json.load(open(args.answers, encoding="utf-8"))
    for own, other in [(a, b) for a, b in zip(ours, answers) if a.strip() != b.strip()][:5]:
        print(f"differs: {own!r}, with PEFT {other!r}")
    print(f"{sum(a.strip() == b.strip() for a, b in zip(ours, answers))} of {len(samples)} answers are those of zoetrope")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    data = kinds.add_parser("data")
    data.add_argument("out")
    data.add_argument("--train", type=int, default=480)
    data.add_argument("--held-out", type=int, default=120)
    data.add_argument("--epochs", type=float, default=1)
    data.set_defaults(run=make_data)
    scores = kinds.add_parser("score")
    for name in ("program", "model", "out"):
        scores.add_argument(name)
    scores.add_argument("--adapter")
    scores.add_argument("--to", help="file of the answers")
    scores.add_argument("--port", type=int, default=18118)
    scores.set_defaults(run=score)
    peft = kinds.add_parser("peft")
    for name in ("model", "adapter", "out", "answers"):
        peft.add_argument(name)
    peft.set_defaults(run=compare_with_peft)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
