"""What a data set holds, as text for a terminal of 80 columns and as JSON."""

import textwrap
from pathlib import Path
from typing import Any

from fullconv.metrics.ceiling import STRIDES
from fullconv.reporting.data_advice import advice_on, train_command
from fullconv.reporting.data_facts import DataFacts, SplitFacts

WIDTH = 80
BAR, NAME = 20, 18
MOST_ROWS = 40
COMMON, RARE = 20, 10
FIRST = ("val", "test")
"""Of more than `MOST_ROWS` classes so many of the commonest and of the rarest are shown."""


def facts_text(facts: DataFacts, data: Path, blocks: str = " ▏▎▍▌▋▊▉█") -> str:
    """All of it.

    Args:
        facts: what was counted.
        data: the folder, for the command.
        blocks: what bars are drawn with, from empty to full.
    """
    parts = [
        *textwrap.wrap(f"{facts.name}: {facts.layout}", WIDTH),
        "",
        *split_lines(facts),
        "",
        *class_lines(facts, blocks),
        "",
        *balance_lines(facts),
        "",
        "to begin with",
        *advice_lines(facts),
        "",
        *command_lines(facts, data),
    ]
    if facts.unreadable:
        parts += ["", *unreadable_lines(facts)]
    return "\n".join(parts)


def split_lines(facts: DataFacts) -> list[str]:
    """The pictures of each split and their sizes."""
    width = max(5, *(len(name) for name in facts.splits))
    lines = [f"{'split':{width}}  pictures   height x width: smallest, median, largest    void"]
    for name, split in facts.splits.items():
        sizes = "".join(
            f"{hw[0]:>6}x{hw[1]:<6}" for hw in (split.smallest_hw, split.median_hw, split.largest_hw)
        )
        lines.append(f"{name:{width}}  {split.num_pictures:>8,}   {sizes}     {percent(split.void_share):>7}")
    main = facts.splits[facts.main]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in main.kinds.items())
    masks = ", ".join(f"{count:,} {kind}" for kind, count in main.mask_kinds.items())
    return [*lines, f"files of {facts.main}: pictures {kinds}; masks {masks}"]


def class_lines(facts: DataFacts, blocks: str) -> list[str]:
    """The share of each class with a bar, the commonest first, and its share in the other splits."""
    main = facts.splits[facts.main]
    others = other_splits(facts)[:2]
    head = f"{'class':>4} {'':{NAME - 1}} {'share of ' + facts.main:<{BAR}} {'':>7} {'pictures':>9}"
    lines = [head + "".join(f" {name[:8]:>8}" for name in others)]
    shares = main.shares
    order = sorted(range(len(shares)), key=lambda index: -shares[index])
    shown: list[int | None] = list(order)
    if len(order) > MOST_ROWS:
        shown = [*order[:COMMON], None, *order[-RARE:]]
    for index in shown:
        if index is None:
            lines.append(
                f"     ... {len(order) - COMMON - RARE} classes in between; --json and --html show all"
            )
            continue
        name = shorten(facts.labels.names[index], NAME)
        row = (
            f"{index:>4} {name:{NAME}} {bar(shares[index] / max(shares) if max(shares) else 0, BAR, blocks)}"
            f" {percent(shares[index]):>7} {main.pictures_per_class[index]:>8,}"
        )
        lines.append(row + "".join(f" {percent(facts.splits[name].shares[index]):>8}" for name in others))
    return lines


def other_splits(facts: DataFacts) -> list[str]:
    """The splits beside the main one; val and test come first."""
    return sorted(
        (name for name in facts.splits if name != facts.main),
        key=lambda name: (name not in FIRST, name != "val"),
    )


def balance_lines(facts: DataFacts) -> list[str]:
    """Imbalance, and the ceilings of the strides."""
    main = facts.splits[facts.main]
    shares = main.shares
    present = [index for index, share in enumerate(shares) if share]
    names = facts.labels.names
    lines = []
    if present:
        most, least = max(present, key=shares.__getitem__), min(present, key=shares.__getitem__)
        lines.append(
            f"{len(present)} classes of {facts.main} weigh like {facts.effective_classes:.1f} equal ones; {names[most]} has "
            f"{times(facts.ratio)} times the pixels of {names[least]}."
        )
    for name, split in facts.splits.items():
        absent = [names[index] for index, count in enumerate(split.pixels_per_class) if not count]
        if absent:
            lines.append(
                f"{name} has no pixel of {', '.join(absent[:8])}{', ...' if len(absent) > 8 else ''}."
            )
    ceilings = ", ".join(f"{percent(main.ceilings[stride])} at {stride}" for stride in STRIDES)
    lines.append(f"The highest mean IU that a stride admits: {ceilings}.")
    return [part for line in lines for part in textwrap.wrap(line, WIDTH)]


def advice_lines(facts: DataFacts) -> list[str]:
    lines = []
    for each in advice_on(facts):
        lead = f"  {each.what:14} {each.value:8} "
        lines += textwrap.wrap(
            each.reason, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
        )
    return lines


def command_lines(facts: DataFacts, data: Path) -> list[str]:
    """The command, broken as a shell allows it."""
    lines = [""]
    for part in train_command(facts, data).split(" --"):
        part = part if not lines[0] else f"--{part}"
        if lines[-1] and len(lines[-1]) + len(part) > WIDTH - 6:
            lines[-1] += " \\"
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}" if lines[-1] else ("  " if len(lines) == 1 else "    ") + part
    return lines


def unreadable_lines(facts: DataFacts) -> list[str]:
    number = len(facts.unreadable)
    lines = [f"{number} file{'s' if number > 1 else ''} could not be read; 'fullconv data check' tells more:"]
    return [*lines, *(f"  {line}" for line in facts.unreadable[:3]), *(["  ..."] if number > 3 else [])]


def facts_json(facts: DataFacts, data: Path) -> dict[str, Any]:
    """All of it, for --json."""
    names = facts.labels.names
    return {
        "name": facts.name,
        "data": str(data),
        "root": str(facts.root),
        "layout": facts.layout,
        "classes": list(names),
        "splits": {name: _split_json(split, names) for name, split in facts.splits.items()},
        "effective_classes": facts.effective_classes,
        "imbalance_ratio": facts.ratio,
        "advice": {
            each.what.replace(" ", "_"): {"value": each.value, "reason": each.reason}
            for each in advice_on(facts)
        },
        "command": train_command(facts, data),
        "unreadable": list(facts.unreadable),
    }


def _split_json(split: SplitFacts, names: tuple[str, ...]) -> dict[str, Any]:
    rows = zip(names, split.pixels_per_class, split.shares, split.pictures_per_class, strict=True)
    return {
        "pictures": split.num_pictures,
        "smallest_hw": split.smallest_hw,
        "median_hw": split.median_hw,
        "largest_hw": split.largest_hw,
        "picture_files": split.kinds,
        "mask_files": split.mask_kinds,
        "void_share": split.void_share,
        "per_class": {
            name: {"pixels": pixels, "share": share, "pictures": pictures}
            for name, pixels, share, pictures in rows
        },
        "stride_ceiling": {str(stride): ceiling for stride, ceiling in split.ceilings.items()},
    }


def bar(part: float, width: int, blocks: str) -> str:
    """A bar of `width` letters, of which `part` is full.

    >>> bar(0.5, 4, " ▏▎▍▌▋▊▉█"), bar(0.3, 4, " #"), bar(1e-9, 4, " ▏▎▍▌▋▊▉█")
    ('██  ', '#   ', '▏   ')
    """
    steps = len(blocks) - 1
    filled = min(width * steps, max(round(part * width * steps), 1 if part else 0))
    whole, rest = divmod(filled, steps)
    return (blocks[-1] * whole + (blocks[rest] if rest else "")).ljust(width)


def percent(part: float | None) -> str:
    """
    >>> percent(0.281), percent(0.00004), percent(0), percent(None)
    ('28.1 %', '<0.01 %', '0 %', 'n/a')
    """
    if part is None:
        return "n/a"
    if part == 0:
        return "0 %"
    if part < 0.0001:
        return "<0.01 %"
    return f"{100 * part:.2f} %" if part < 0.01 else f"{100 * part:.1f} %"


def times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def shorten(text: str, width: int) -> str:
    """
    >>> shorten("traffic light", 8), shorten("sky", 8)
    ('traffic…', 'sky')
    """
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
