"""Tokens a second of training here and in PyTorch: the same VideoLLaMA3 of about 150 million parameters, the same samples, in turn.

    python bench/peers/training_speed.py PROGRAM OUT [--kind full|lora] [--pairs 5]

The model (encoder of 12 layers of 384, decoder of 30 layers of 576, 49,152 tokens, random) and four samples (a picture of 224 x 168 with a
question and an answer) are written to OUT once. Every run is a process of its own; the first step does not count. PyTorch runs the model
of transformers with sdpa and fused AdamW, LoRA by peft; padding is not needed, as all samples have one length. Ours has a pack for each
thread, PyTorch one batch. The losses of both are printed, so that it is seen that they do the same work. Needs what `reference/requirements.txt` lists, and peft.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOY = os.path.join(ROOT, "crates", "models", "tests", "golden", "videollama3", "toy-hf")
sys.path.insert(0, os.path.join(ROOT, "reference"))
RANK, ALPHA, LR, BATCH = 16, 32, 1e-4, 4
ANSWER = "It is on the street, and the man is in the other image. " * 5
RECIPE = """seed = 1
save_every = 1000
[loader]
workers = 0
keep_mb = 0
keep_features = {keep}
[[stage]]
name = "speed"
steps = {steps}
batch = {batch}
pack = {pack}
optimizer = {{ lr = {lr} }}
schedule = {{ kind = "constant" }}
data = [{{ data = "samples.jsonl" }}]
{learn}
"""
LEARN = {"full": "", "lora": f"""vision.learn = "frozen"
projector.learn = "frozen"
embeddings.learn = "frozen"
language = {{ learn = "lora", rank = {RANK}, alpha = {ALPHA} }}
"""}  # fmt: skip


def make(out):
    import torch
    from PIL import Image
    from transformers import AutoConfig, VideoLlama3ForConditionalGeneration

    from make_training_goldens import frame

    folder = os.path.join(out, "model")
    os.makedirs(folder)
    for name in os.listdir(TOY):
        if not name.endswith(".safetensors"):
            open(os.path.join(folder, name), "wb").write(open(os.path.join(TOY, name), "rb").read())
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    text, layers = config["text_config"], 30
    text.update(hidden_size=576, num_hidden_layers=layers, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536, vocab_size=49152,
                layer_types=["full_attention"] * layers, tie_word_embeddings=True)  # fmt: skip
    config["vision_config"].update(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536)
    config["tie_word_embeddings"] = True
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
    torch.manual_seed(0)
    model = VideoLlama3ForConditionalGeneration(AutoConfig.from_pretrained(folder))
    print(sum(parameter.numel() for parameter in model.parameters()) / 1e6, "million parameters")
    model.save_pretrained(folder)
    with open(os.path.join(out, "samples.jsonl"), "w") as file:
        for number in range(BATCH):
            Image.fromarray(frame(168, 224, 0, number)).save(os.path.join(out, f"{number}.png"))
            turns = [{"from": "human", "value": "<image>\nWhat is in the image?"}, {"from": "gpt", "value": ANSWER.strip()}]
            print(json.dumps({"image": f"{number}.png", "conversations": turns}), file=file)


def ours(args):
    recipe, run = os.path.join(args.out, f"{args.kind}.toml"), os.path.join(args.out, f"run-{os.getpid()}-{time.time_ns()}")
    learn = LEARN[args.kind]
    if args.ours == "bf16":
        groups = ("vision", "projector", "language", "embeddings")
        learn = learn or "".join(f'{group} = {{ learn = "full", precision = "bf16" }}\n' for group in groups)
    with open(recipe, "w") as file:
        file.write(RECIPE.format(steps=args.steps, batch=BATCH, lr=LR, learn=learn, keep=str(args.keep_features).lower(), pack=args.pack or max(BATCH // args.threads, 1)))
    command = [args.program, "train", recipe, "--model", os.path.join(args.out, "model"), "--out", run, "-q", "--threads", str(args.threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # Of this child alone; `RUSAGE_CHILDREN` has the largest of all, PyTorch's too.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    with open(os.path.join(run, "metrics.jsonl")) as file:
        rows = [row for row in map(json.loads, file) if row["record"] == "step"]
    subprocess.run(["rm", "-rf", run], check=True)
    seconds, tokens = sum(row["seconds"] for row in rows[1:]), sum(row["tokens"] for row in rows[1:])
    peak = usage.ru_maxrss * 1024 / 1e9
    return {"tokens_per_second": tokens / seconds, "tokens_a_step": rows[1]["tokens"], "losses": [row["loss"] for row in rows], "peak_gb": peak}


def theirs(args):
    """One run in this process."""
    import torch
    from PIL import Image
    from transformers import AutoProcessor, VideoLlama3ForConditionalGeneration

    torch.set_num_threads(args.threads)
    folder, dtype = os.path.join(args.out, "model"), getattr(torch, args.dtype)
    processor = AutoProcessor.from_pretrained(folder)
    model = VideoLlama3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").train()
    if args.kind == "lora":
        from peft import LoraConfig, get_peft_model

        modules = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=modules))
    with open(os.path.join(args.out, "samples.jsonl")) as file:
        rows = [json.loads(line) for line in file]
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=LR, weight_decay=0.0, fused=True)
    losses, seconds, tokens = [], 0.0, 0
    for step in range(args.steps):
        began = time.perf_counter()
        texts, pictures = [], []
        for row in rows:
            question, answer = (turn["value"] for turn in row["conversations"])
            user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.removeprefix("<image>\n")}]}
            reply = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
            texts.append(processor.apply_chat_template([user, reply], tokenize=False))
            pictures.append(Image.open(os.path.join(args.out, row["image"])).convert("RGB"))
        inputs = processor(text=texts, images=pictures, return_tensors="pt")
        ids = inputs["input_ids"]
        targets = processor.tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
        labels = torch.full_like(ids, -100)
        last = max(at for at in range(ids.shape[1] - len(targets) + 1) if ids[0, at : at + len(targets)].tolist() == targets)
        labels[:, last : last + len(targets)] = ids[:, last : last + len(targets)]
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            loss = model(**inputs, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step > 0:
            seconds, tokens = seconds + time.perf_counter() - began, tokens + ids.numel()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"tokens_per_second": tokens / seconds, "tokens_a_step": ids.numel(), "losses": losses, "peak_gb": peak}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("out")
    parser.add_argument("--kind", choices=["full", "lora"], default="full")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--dtype", default="float32", help="of PyTorch's products: float32, or bfloat16 by autocast")
    parser.add_argument("--ours", choices=["f32", "bf16"], default="f32", help="our products in full training")
    parser.add_argument("--keep-features", action="store_true", help="keep the features of our frozen encoder, which PyTorch computes again in each step")
    parser.add_argument("--pack", type=int, help="samples of our pack; as many packs as threads when left out")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return theirs(args)
    if not os.path.exists(os.path.join(args.out, "samples.jsonl")):
        make(args.out)
    ratios = []
    for pair in range(args.pairs):
        mine = ours(args)
        own = subprocess.run([sys.executable, *sys.argv, "--peer"], check=True, stdout=subprocess.PIPE, text=True)
        peer = json.loads(own.stdout.splitlines()[-1])
        ratios.append(mine["tokens_per_second"] / peer["tokens_per_second"])
        for name, row in (("ours", mine), ("torch", peer)):
            shown = " ".join(f"{loss:.4f}" for loss in row["losses"])
            print(f"{name:6} {row['tokens_per_second']:8.1f} tokens/s, {row['tokens_a_step']} tokens a step, {row['peak_gb']:.2f} GB, losses {shown}", flush=True)
    print(f"{args.kind}, {args.dtype}: ratio {statistics.median(ratios):.2f} (median of {len(ratios)}, {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
