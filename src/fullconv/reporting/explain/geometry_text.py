"""Where each layer of a network looks, as tables for people."""

from typing import Any


def geometry_text(facts: dict[str, Any]) -> str:
    """The facts as tables for people, along the rows of the picture."""
    height, width = facts["size_hw"]
    rows = [
        ("picture", "", f"{height}x{width}", "", "1", "0", "1"),
        *map(layer_row, condensed(facts["layers"])),
    ]
    head = ("layer", "window", "cells", "channels", "stride", "cell 0 at", "sees")
    lines = [
        f"{facts['model']} on a picture of {height} x {width} (height x width)",
        "",
        *table(head, rows),
        "",
    ]
    lines += [
        "stride: pixels from one cell to the next. cell 0 at: the pixel row in the middle of what the first cell sees; below 0",
        "it is in the padding. sees: the receptive field, pixels along one side. Layers that move nothing are left out, and",
        "shortcuts that see no more than the path they join.",
    ]
    if not facts["layers"]:
        lines.append("No layer slides a window over the picture: nothing can be followed.")
    return "\n".join([*lines, "", *maps_text(facts), *crops_text(facts), *output_text(facts)]).rstrip()


def condensed(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers a person wants to see: no 1x1 ones, no shortcuts, runs of equal layers as one with a `count`."""
    shown: list[dict[str, Any]] = []
    for layer in layers:
        if layer["kernel_hw"] == [1, 1] and layer["step_hw"] == [1, 1]:
            continue
        key = (layer["stride_hw"], layer["offset_hw"])
        sight = layer["receptive_field_hw"][0]
        if layer["kind"] == "conv" and any(
            key == (other["stride_hw"], other["offset_hw"]) and sight <= other["receptive_field_hw"][0]
            for other in shown
        ):
            continue
        alike = (
            "kind",
            "kernel_hw",
            "step_hw",
            "padding_hw",
            "dilation_hw",
            "cells_hw",
            "channels",
            "stride_hw",
        )
        if shown and layer["kernel_hw"] and all(shown[-1][each] == layer[each] for each in alike):
            first = shown.pop()
            shown.append({**layer, "first": first.get("first", first["name"]), "count": first["count"] + 1})
        else:
            shown.append({**layer, "count": 1})
    return shown


def layer_row(layer: dict[str, Any]) -> tuple[str, ...]:
    name = layer["name"] or "(the network)"
    return (
        f"{layer['first']} .. {without_shared(name, layer['first'])}" if "first" in layer else name,
        window_text(layer),
        "x".join(map(str, layer["cells_hw"])),
        str(layer["channels"]),
        f"{layer['stride_hw'][0]:g}",
        f"{layer['offset_hw'][0]:g}",
        f"{layer['receptive_field_hw'][0]:g}",
    )


def without_shared(name: str, other: str) -> str:
    """A dotted name without the leading parts that it shares with another.

    >>> without_shared("layer1.1.conv2", "layer1.0.conv1")
    '1.conv2'
    """
    parts, others = name.split("."), other.split(".")
    while len(parts) > 1 and others and parts[0] == others[0]:
        parts, others = parts[1:], others[1:]
    return ".".join(parts)


def window_text(layer: dict[str, Any]) -> str:
    """Kernel, step, padding and dilation: "2 conv 3x3 /2 pad 1"."""
    if layer["kernel_hw"] is None:
        return layer["kind"]
    text = f"{layer['kind']} {layer['kernel_hw'][0]}x{layer['kernel_hw'][1]}"
    if layer["count"] > 1:
        text = f"{layer['count']} {text}"
    if max(layer["step_hw"]) > 1:
        text += f" {'x' if layer['kind'] == 'up-conv' else '/'}{layer['step_hw'][0]}"
    if max(layer["padding_hw"]) > 0:
        text += f" pad {layer['padding_hw'][0]}"
    if max(layer["dilation_hw"]) > 1:
        text += f" dilated {layer['dilation_hw'][0]}"
    return text


def maps_text(facts: dict[str, Any]) -> list[str]:
    if not facts["maps"]:
        return []
    head = (
        "map",
        "cells",
        "cell i is at pixel",
        "half-pixel drawing",
        "off by",
        "cells lie at",
        "sees",
    )
    rows = []
    for scored in facts["maps"]:
        stride, offset, half = (scored[key][0] for key in ("stride_hw", "offset_hw", "half_pixel_hw"))
        last = offset + stride * (scored["cells_hw"][0] - 1)
        rows.append((
            scored["name"], "x".join(map(str, scored["cells_hw"])), line_text(stride, offset), line_text(stride, half),
            f"{scored['displacement_hw'][0]:g} px", f"{offset:g} .. {last:g}", f"{scored['receptive_field_hw'][0]:g}",
        ))  # fmt: skip
    return [*table(head, rows), "", *displacement_text(facts), ""]


def line_text(stride: float, offset: float) -> str:
    """
    >>> line_text(32, 15.5), line_text(16, -91.5), line_text(1, 0)
    ('32 i + 15.5', '16 i - 91.5', 'i')
    """
    return f"{stride:g} i".removeprefix("1 ") + (
        f" {'-' if offset < 0 else '+'} {abs(offset):g}" if offset else ""
    )


def displacement_text(facts: dict[str, Any]) -> list[str]:
    maps = facts["maps"]
    worst = max((scored["displacement_hw"][0] for scored in maps), key=abs)
    lines = [
        "Half-pixel drawing is what interpolate(align_corners=False) does, and the transposed convolution with kernel 2s and",
        "padding s/2: it takes the cells for tiles that start at the picture's corner.",
    ]
    if worst == 0:
        lines.append("For this network that is right: every score is drawn where it was seen.")
    else:
        side = "down and to the right" if worst > 0 else "up and to the left"
        lines.append(f"Here it would draw what was seen up to {abs(worst):g} pixels too far {side}.")
        if facts["placement"] == "exact":
            lines[-1] += " This network places scores by arithmetic."
        elif facts["placement"] == "half-pixel":
            lines[-1] += " This network was built that way."
    off = [scored["offset_hw"][0] - scored["placed_hw"][0] for scored in maps if "placed_hw" in scored]
    if any(off) and facts["placement"] == "exact":
        lines += [
            "Caution: this backbone pads by the size of the picture, and the network was placed for 128 x 128. At this size its",
            f"scores are drawn {max(map(abs, off)):g} pixels off.",
        ]
    return lines


def crops_text(facts: dict[str, Any]) -> list[str]:
    if not facts["crops"]:
        return []
    whose = {"score": "the upsampled scores"}
    lines = ["Crops, so that cell lies on cell (the first layer pads 100 pixels, which come off again):", ""]
    lines += [
        f"  {cut:>3} rows and columns from the top and left of {whose.get(name, 'score_' + name)}"
        for name, cut in facts["crops"].items()
    ]
    return [*lines, ""]


def output_text(facts: dict[str, Any]) -> list[str]:
    output = facts["output"]
    if output is None or output["stride_hw"] != [1, 1]:
        return []
    rows, columns = output["offset_hw"]
    if rows == columns == 0:
        return [
            "Output: a score vector per pixel; pixel i of the output is centred on pixel i of the picture."
        ]
    return [
        f"Output: a score vector per pixel, but pixel i of the output is centred on pixel i + {rows:g} of the picture: the",
        "network as published is out of register, and has to learn its way around that.",
    ]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Aligned columns: the first two to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    left = (0, 1) if head[0] == "layer" else (0,)
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
