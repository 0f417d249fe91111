"""How fast llama.cpp runs GGUF files here: read a prompt, write an answer, and write it beside a busy neighbour.

The same work as `zoetrope bench --prompt 1024 --answer 32` gives the decoder: any token ids, batch 1, the answer written
after the prompt, medians. The source package of llama-cpp-python on PyPI holds llama.cpp's source in `vendor/llama.cpp`;
it is built once, with cmake and a C++ compiler, for this machine's instructions. `--neighbour` writes the answer again
while another process keeps core 0 busy. Prints one JSON object a file and number of threads.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys

PROGRAMS = ["llama-bench", "llama-quantize"]
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "ON",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
}
# Ends by itself when the process that started it is gone, however that ended.
SPIN = """
import os
os.sched_setaffinity(0, {0})
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def built(folder):
    """The program llama-bench of a source or build folder; None where it is not built yet."""
    places = [folder / part / PROGRAMS[0] for part in ("", "bin", "build/bin")]
    return next((place for place in places if place.is_file()), None)


def build(source):
    """Builds in the folder `build` of the source, which holds no history: its version stands for the commit."""
    parts = re.findall(r"set\(LLAMA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)\)", (source / "CMakeLists.txt").read_text())
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    options.append(f"-DLLAMA_BUILD_COMMIT={'.'.join(parts) or 'unknown'}")
    into = source / "build"
    for command in (
        ["cmake", "-S", source, "-B", into, *options],
        ["cmake", "--build", into, "-j", str(os.cpu_count()), "--target", *PROGRAMS],
    ):
        subprocess.run(command, check=True, stdout=sys.stderr)
    return built(source)


@contextlib.contextmanager
def neighbour():
    spinning = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
        if spinning.poll() is not None:
            raise RuntimeError(f"the neighbour ended early with {spinning.returncode}")
    finally:
        spinning.kill()
        spinning.wait()


def run(bench, file, threads, args, *work):
    """What llama-bench says of one kind of work, and the median of its rates in tokens a second."""
    command = [bench, "-m", file, "-t", threads, "-r", args.repeats, "-o", "json", *work]
    out = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE).stdout
    (row,) = json.loads(out)
    return row, statistics.median(row["samples_ts"])


def measure(bench, file, threads, args):
    write_work = ["-p", 0, "-n", args.answer, "-d", args.prompt]
    row, read = run(bench, file, threads, args, "-p", args.prompt, "-n", 0)
    _, write = run(bench, file, threads, args, *write_work)
    line = {
        "file": os.path.basename(file),
        "type": row["model_type"],
        "threads": threads,
        "prompt_tokens_per_s": read,
        "answer_tokens_per_s": write,
        "build": f"llama.cpp {row['build_commit']} ({row['build_number']})",
    }
    if args.neighbour:
        with neighbour():
            _, line["answer_tokens_per_s_neighbour"] = run(bench, file, threads, args, *write_work)
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="GGUF")
    parser.add_argument("--source", type=pathlib.Path, required=True, help="of llama.cpp, or a finished build of it")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--answer", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--neighbour", action="store_true", help="write the answer once more beside a busy core 0")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = built(args.source) or build(args.source)
    for file in args.files:
        for threads in map(int, args.threads.split(",")):
            print(json.dumps(measure(bench, file, threads, args)), flush=True)


if __name__ == "__main__":
    main()
