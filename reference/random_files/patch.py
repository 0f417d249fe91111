"""Changes bytes of finished files: edit lists, display matrices, keyframe flags that lie, damage."""

import random
import struct

KEY = 0x0001_0000  # sample_is_non_sync_sample of ISO/IEC 14496-12, section 8.8.3.1
PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex"}
# Elements of Matroska whose children are looked at: Segment, Cluster.
MASTERS = {0x18538067, 0x1F43B675}


def boxes(data, start=0, end=None, path=()):
    """All MP4 boxes as (path of names, start, size of the header, end), parents first."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = start + size if size else end
        if size and size < header or stop > end:
            return
        yield (*path, name), start, header, stop
        if name in PARENTS:
            yield from boxes(data, start + header, stop, (*path, name))
        start = stop


def find(data, name):
    """Payload start and end of the first box `name`; (0, 0) without one."""
    return next(((start + header, end) for path, start, header, end in boxes(data) if path[-1] == name), (0, 0))


def edits(data, kind, truth, inner):
    """Replaces the edit list of an MP4 file whose `moov` is last. Returns the file and the new truth."""
    at, _ = find(data, b"mdhd")
    scale = struct.unpack_from(">I", data, at + (20 if data[at] else 12))[0]
    at, _ = find(data, b"mvhd")
    clock = struct.unpack_from(">I", data, at + (20 if data[at] else 12))[0]
    first = 0
    at, end = find(data, b"elst")
    if at:
        rows = [struct.unpack_from(">qq" if data[at] else ">Ii", data, at + 8 + i * (20 if data[at] else 12))
                for i in range(struct.unpack_from(">I", data, at + 4)[0])]
        first = next(media for _, media in rows if media >= 0)
    times = [time for time, _ in truth]
    length = times[-1] + (times[1] - times[0])
    some, more = 1 + int(inner * (len(truth) // 2)), len(truth) // 2 + int(inner * (len(truth) // 2 - 2))
    half = (times[1] - times[0]) / 2
    parts = {  # seconds of the media from, to; None is an empty edit of 0.4 s
        "trim": [(times[some], length)], "tail": [(0.0, times[more])], "empty": [None, (0.0, length)],
        "empty+trim": [None, (times[some], length)], "two": [(0.0, times[some]), (times[more], length)],
        "repeat": [(0.0, times[some]), (0.0, times[some])], "inside": [(times[some] + half, length)],
    }[kind]
    table, new, at = b"", [], 0
    for part in parts:
        begin, end = part or (0.0, 0.4)
        lasts = int((end - begin) * clock + 1e-6)
        media = -1 if part is None else first + round(begin * scale)
        table += struct.pack(">IiI", lasts, media, 0x10000)
        if part:
            shown = [(n, t) for t, n in truth if t >= begin - (half if kind == "inside" else 0) - 1e-6 and t < end - 1e-6]
            new += [(at / clock + max(t - begin, 0.0), n) for n, t in shown]
        at += lasts
    box = struct.pack(">I4sII", 16 + len(table), b"elst", 0, len(parts)) + table
    box = struct.pack(">I4s", 8 + len(box), b"edts") + box
    stated(data, at)
    return replaced(data, box), [(time - new[0][0], number) for time, number in new]


def stated(data, ticks):
    """Writes the length of the movie and of its track."""
    for name, offsets in ((b"mvhd", (16, 24)), (b"tkhd", (20, 28))):
        at, _ = find(data, name)
        struct.pack_into(">Q" if data[at] else ">I", data, at + offsets[data[at]], ticks)


def replaced(data, box):
    """`data` with `box` in the place of `edts`, or behind `tkhd`."""
    found = {path[-1]: (start, end) for path, start, _, end in boxes(data)}
    start, end = found.get(b"edts", (found[b"tkhd"][1],) * 2)
    data[start:end] = box
    for name in (b"moov", b"trak"):
        at = found[name][0]
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(box) - (end - start))
    return data


def turn(data, how):
    """Writes a display matrix."""
    at, _ = find(data, b"tkhd")
    one = 0x10000
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0), "mirror": (-one, 0, 0, one)}[how]
    struct.pack_into(">9i", data, at + (52 if data[at] else 40), a, b, 0, c, d, 0, 0, 0, 0x40000000)


def lie(how, truths):
    """What to state in place of `truths`."""
    return {"all": [True] * len(truths), "none": [False] * len(truths), "shifted": [False, *truths[:-1]],
            "some": [i == 0 for i in range(len(truths))]}[how]


def flags(data, container, how):
    """States other keyframes than there are."""
    {"mp4": sync_samples, "mov": sync_samples, "fmp4": fragments, "mkv": matroska, "webm": matroska, "avi": avi,
     "ts": packets, "m2ts": packets, "flv": flash}[container](data, how)


def sync_samples(data, how):
    """`stss` of MP4."""
    at, end = find(data, b"stss")
    if not at:
        return
    if how == "all":
        data[at - 4:at] = b"free"
        return
    count = struct.unpack_from(">I", data, at + 4)[0]
    struct.pack_into(">I", data, at + 4, {"none": 0, "some": 1}.get(how, count))
    if how == "shifted":
        for place in range(at + 8, end, 4):
            struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + 1)


def fragments(data, how):
    """Sample flags of fragments."""
    places = []
    for path, start, header, _ in list(boxes(data)):
        at = start + header
        bits = struct.unpack_from(">I", data, at)[0] & 0xFFFFFF
        if path[-1] == b"trex":
            places.append(at + 20)
        if path[-1] == b"tfhd" and bits & 0x20:
            places.append(at + 8 + sum(size for bit, size in ((1, 8), (2, 4), (8, 4), (16, 4)) if bits & bit))
        if path[-1] == b"trun":
            count, place = struct.unpack_from(">I", data, at + 4)[0], at + 8 + (4 if bits & 1 else 0)
            if bits & 4:
                places.append(place)
                place += 4
            row = sum(4 for bit in (0x100, 0x200, 0x400, 0x800) if bits & bit)
            if bits & 0x400:
                places += [place + i * row + sum(4 for bit in (0x100, 0x200) if bits & bit) for i in range(count)]
    values = [struct.unpack_from(">I", data, place)[0] for place in places]
    for place, value, key in zip(places, values, lie(how, [not value & KEY for value in values])):
        struct.pack_into(">I", data, place, value & ~KEY if key else value | KEY)


def vint(data, at, keep):
    """A number of EBML and the place behind it. None for an unknown size."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at:at + length], "big")
    if not keep:
        value &= (1 << 7 * length) - 1
        value = None if value == (1 << 7 * length) - 1 else value
    return value, at + length


def matroska(data, how):
    """The keyframe bit of SimpleBlocks."""
    places, at = [], 0
    while at + 2 < len(data) and data[at]:
        name, behind = vint(data, at, True)
        size, behind = vint(data, behind, False)
        if name in MASTERS or size is None:
            at = behind
            continue
        if name == 0xA3:
            places.append(vint(data, behind, False)[1] + 2)
        at = behind + size
    for place, key in zip(places, lie(how, [bool(data[place] & 0x80) for place in places])):
        data[place] = data[place] & 0x7F | (0x80 if key else 0)


def avi(data, how):
    """Entries of `idx1`."""
    at = data.rfind(b"idx1")
    places = range(at + 12, at + 8 + struct.unpack_from("<I", data, at + 4)[0], 16) if at > 0 else []
    for place, key in zip(places, lie(how, [bool(data[place] & 0x10) for place in places])):
        data[place] = data[place] & ~0x10 | (0x10 if key else 0)


def packets(data, how):
    """The random access indicator of transport packets."""
    size, first = (192, 4) if data[0] != 0x47 else (188, 0)
    starts = [at for at in range(first, len(data) - 187, size)
              if data[at + 1] & 0x40 and data[at + 3] & 0x20 and data[at + 4]]
    for at, key in zip(starts, lie(how, [bool(data[at + 5] & 0x40) for at in starts])):
        data[at + 5] = data[at + 5] & ~0x40 | (0x40 if key else 0)


def flash(data, how):
    """The frame type of video tags, but for configurations."""
    places, at = [], 13
    while at + 16 < len(data):
        size = int.from_bytes(data[at + 1:at + 4], "big")
        first = data[at + 11]
        coded = first & 0x0F in (1, 3) if first & 0x80 else data[at + 12] == 1
        if data[at] == 9 and coded:
            places.append(at + 11)
        at += 15 + size
    for place, key in zip(places, lie(how, [data[place] >> 4 & 7 == 1 for place in places])):
        data[place] = data[place] & 0x8F | (0x10 if key else 0x20)


def damage(data, case):
    """Cuts, overwrites or removes a part of the file."""
    kind, where, length, more = case["damage"]
    at = int(len(data) * where)
    if kind == "cut":
        return data[:max(at, 64)]
    if kind == "behead":
        return data[at * 6 // 10:]
    if kind == "hole":
        return data[:at] + data[at + int(len(data) * more * 0.2):]
    end = min(at + length, len(data))
    noise = random.Random(more)
    data[at:end] = bytes(end - at) if kind == "zeros" else noise.randbytes(end - at)
    return data
