"""Random media files with numbers drawn into their frames, read by the media room and by FFmpeg (PyAV), and judged.

    random_media.py PROGRAM [--seed S] [--files N] [--only K] [--keep FOLDER] [--out TABLE.md] [--ffmpeg]

PROGRAM is target/debug/examples/compare. The encoder is the program named by the environment variable FFMPEG ("ffmpeg"
without it). File K of seed S is the same on every run. `--keep` leaves the files and their recipes in FOLDER.
`--ffmpeg` lets PROGRAM hand over to that FFmpeg as well, which is otherwise out of its reach. Ends with 1 when a verdict is
"wrong".

Verdicts: `right` frames, numbers and times are those drawn (of a damaged file: every frame shown is, and none is missing
that FFmpeg shows); `warned` something is lost and the answer says so; `refused` an error says why; `as FFmpeg` damage that
FFmpeg does not notice either; `unnoticed` overwritten bytes of a picture that FFmpeg's decoder notices and the decoder at
work does not, all frames there and in time; `wrong` the rest. All frames are read, then every n-th, then some spread evenly: the pictures
of an undamaged file must be the same each time.
"""

import argparse
import collections
import json
import os
import pathlib
import sys
import tempfile

from random_files import judge, make, recipe

VERDICTS = ("right", "warned", "refused", "as FFmpeg", "unnoticed", "wrong")


def read(options, case, path, truth):
    """Reads a file in all ways. Returns the verdict and why."""
    reader = judge.Reader(case, max(number for _, number in truth) + 1)
    environment = dict(os.environ, ZOETROPE_FFMPEG=make.FFMPEG if options.ffmpeg else "/nowhere")
    witness, errors = judge.ffmpeg(path, reader, case["turn"])
    if not case["damage"] and any(away > judge.INTACT for _, _, away in witness):
        raise make.EncodingFailed("the encoder breaks pictures: FFmpeg shows them broken as well")
    if not case["damage"] and not witness and case["container"] not in ("h264", "hevc"):
        raise make.EncodingFailed("the muxer leaves out parameter sets: FFmpeg shows no frame")
    answer = judge.ours(options.program, path, 1, environment)
    if isinstance(answer, str):
        return judge.verdict(case, truth, answer, None, witness, errors)
    mine = judge.shown(answer, reader)
    result, why = judge.verdict(case, truth, answer, mine, witness, errors)
    if result in ("right", "warned", "as FFmpeg", "unnoticed"):
        fault = sampled(options.program, case, path, answer, environment)
        if fault:
            return "wrong", f"{fault} | {why}"
    return result, why


def sampled(program, case, path, answer, environment):
    """What differs when only some frames are read, in words."""
    all_frames = dict(answer["frames"])
    step = 2 + int(case["inner"] * 9)
    some = judge.ours(program, path, step, environment)
    if isinstance(some, str):
        # Of a damaged file, the frames that are wanted may be the lost ones.
        told = case["damage"] and judge.refusal(case, some)[0] == "refused"
        return "" if told else f"every {step}th frame: {some}"
    excused = answer["repeated"] + answer["lost"] + some["repeated"] + some["lost"]
    if excused:
        return ""
    for index, picture in some["frames"]:
        if index not in all_frames or (picture != all_frames[index]).any():
            return f"frame {index} is another one when every {step}th is read"
    count, total = 7, len(answer["times"])
    wanted = sum(int(all_frames[i * total // count].flat[0]) for i in range(count))
    got = judge.uniform_sum(program, path, count, environment)
    return "" if got == wanted else f"{count} frames spread evenly sum up to {got} instead of {wanted}"


def one(options, number, folder):
    """Makes and judges file `number`. Returns its recipe, the verdict and why; None when FFmpeg cannot make it."""
    case = recipe.draw(options.seed, number)
    try:
        path, truth = make.make(case, folder)
        result, why = read(options, case, path, truth)
    except make.EncodingFailed as error:
        print(f"{number}: not made: {str(error).splitlines()[-1] if str(error) else error}", flush=True)
        return None
    print(f"{number}: {result}: {words(case)}{': ' + why if why else ''}", flush=True)
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
        kept = pathlib.Path(options.keep, f"{number}{path.suffix}")
        kept.write_bytes(path.read_bytes())
        kept.with_suffix(".json").write_text(json.dumps({"recipe": case, "truth": truth, "verdict": [result, why]}, indent=1))
    return case, result, why


def words(case):
    """A recipe in a line."""
    odd = [f"{key} {case[key]}" for key in ("start", "edits", "join", "turn", "damage", "gaps") if case[key]]
    odd += [f"flags {case['flags']}"] if case["flags"] != "true" else []
    return f"{case['codec']} in {case['container']}, gop {case['gop']}" + "".join(f", {text}" for text in odd)


def table(seed, rows):
    """Counts by codec and container, and every file that is wrong."""
    lines = [f"Seed {seed}, {len(rows)} files.", ""]
    for key in ("codec", "container"):
        counts = collections.Counter((case[key], result) for _, case, result, _ in rows)
        lines += [f"| {key} | " + " | ".join(VERDICTS) + " |", "|---" * (len(VERDICTS) + 1) + "|"]
        for name in dict.fromkeys(case[key] for _, case, _, _ in sorted(rows, key=lambda row: row[1][key])):
            lines.append(f"| {name} | " + " | ".join(str(counts[name, verdict]) for verdict in VERDICTS) + " |")
        total = [sum(1 for row in rows if row[2] == verdict) for verdict in VERDICTS]
        lines += ["| all | " + " | ".join(map(str, total)) + " |", ""]
    lines += [f"- wrong, file {number}: {words(case)}: {why}" for number, case, result, why in rows if result == "wrong"]
    lines += [f"- unnoticed, file {number}: {words(case)}: {why}" for number, case, result, why in rows if result == "unnoticed"]
    return "\n".join(lines) + "\n"


def main():
    """Makes, reads and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--only", type=int, nargs="*")
    parser.add_argument("--keep")
    parser.add_argument("--out")
    parser.add_argument("--ffmpeg", action="store_true")
    options = parser.parse_args()
    rows, number = [], 0
    numbers = iter(options.only) if options.only else iter(range(10 * options.files))
    while len(rows) < (len(options.only) if options.only else options.files):
        number = next(numbers, None)
        if number is None:
            break
        with tempfile.TemporaryDirectory() as folder:
            row = one(options, number, pathlib.Path(folder))
        if row:
            rows.append((number, *row))
    text = table(options.seed, rows)
    print(text)
    if options.out:
        pathlib.Path(options.out).write_text(text)
    sys.exit(any(result == "wrong" for _, _, result, _ in rows))


if __name__ == "__main__":
    main()
