"""The model card: complete, the same every time, and shown as it is meant whatever users call things."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.data.extra import ExtraFormat
from fullconv.labels import Head, LabelSet
from fullconv.metrics import Scores
from fullconv.model_card import escaped, model_card
from fullconv.preprocessing import Preprocessing

HOSTILE = ["a|b", "`rm -rf`", "<script>x()</script>", "[x](http://y) ![z](w)", "*_~#\\", "街 &amp; &lt;"]
ARCHITECTURE = Architecture(model="fcn16s", backbone="mobilenetv3_small_050", num_classes=6)


class Text(HTMLParser):
    """The tags of a page, and the texts of its cells, headings and list items."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.texts = [], [""]
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.texts.append("")

    def handle_endtag(self, tag):
        self.texts.append("")

    def handle_data(self, data):
        self.texts[-1] += data


def shown(card: str) -> Text:
    return Text(MarkdownIt("commonmark").enable("table").render(card))


def scores(num_classes: int) -> Scores:
    made = Scores(num_classes, stride=16)
    labels, truth = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8)
    made.update(labels, truth, np.array([[0.75]]))
    return made


def content(names, heads=(), trained=None, metrics=None, extra=None) -> dict:
    def entries(some):
        return [{"name": name, "color": [i, 2 * i, 255]} for i, name in enumerate(some)]

    return {
        "architecture": ARCHITECTURE.model_dump(mode="json"),
        "classes": entries(names),
        "heads": [{"name": name, "classes": entries(some)} for name, some in heads],
        "extra": extra,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "trained": trained or {},
        "metrics": metrics or {},
        "weights_sha256": "ab" * 32,
    }


def test_a_card_says_what_the_model_is():
    names = ["sky", "road", "unicorn"]
    trained = {
        "data": "streets", "epoch": 3, "recipe": {"lr": 0.001, "crop": [64, 80]}, "licence": "CC BY 4.0", "limits": "day only",
    }  # fmt: skip
    card = model_card(content(names, trained=trained, metrics=scores(3).summary(names, 7, "val")), 1234567)
    for line in (
        "# fcn16s over mobilenetv3_small_050",
        "gives each pixel of a picture one of 3 classes. It was trained on streets.",
        "| mean IU | 58.3 % |",
        "| expected calibration error | 25.0 % |",
        "| highest mean IU that stride 16 admits | 12.5 % |",
        "Measured on 7 pictures of split val.",
        "| 0 | sky | `#0000ff` | 66.7 % | 66.7 % | 3 |",
        "| 2 | unicorn | `#0204ff` | n/a | n/a | 0 |",
        "| values in the weights | 1,234,567, the statistics of normalisation included |",
        "| normalisation | minus 0.485, 0.456, 0.406, then divided by 0.229, 0.224, 0.225 |",
        "| epoch | 3 |",
        "| lr | 0.001 |",
        "| crop | \\[64, 80\\] |",
        "- Licence: CC BY 4.0",
        "- Limits: day only",
        "fullconv predict MODEL photo.jpg --out predictions",
    ):
        assert line in card
    assert card.endswith("measured on.\n")


def test_what_is_unknown_is_said():
    card = model_card(content(["a", "b"]), 10)
    assert "## Figures\n\nNot measured." in card
    assert "## Training\n\nNot stated." in card
    assert "- Licence: not stated\n- Limits: not stated\n" in card
    assert "| id | class | colour |\n" in card
    nothing = model_card(content(["a"], metrics=Scores(1).summary(["a"], 0, "val")), 10)
    assert "| mean IU | n/a |" in nothing
    assert "| 0 | a | `#0000ff` | n/a | n/a | 0 |" in nothing
    assert "and 1 more, from a file" in model_card(content(["a"], extra={"channels": 1}), 10)


def test_names_are_shown_as_they_are_and_nothing_more():
    figures = scores(6).summary(HOSTILE, 1, HOSTILE[2])
    figures["heads"] = {HOSTILE[0]: scores(6).summary(HOSTILE, 1, "val")}
    trained = {"data": HOSTILE[3], HOSTILE[1]: HOSTILE, "licence": HOSTILE[2], "limits": HOSTILE[0]}
    card = model_card(content(HOSTILE, [(HOSTILE[0], HOSTILE)], trained, figures), 10)
    page = shown(card)
    assert not {"script", "img", "a", "em", "strong", "del"} & set(page.tags)
    for name in HOSTILE:
        assert page.texts.count(name) >= 2
    assert f"Licence: {HOSTILE[2]}" in page.texts
    assert f"Classes of head {HOSTILE[0]}" in page.texts


@given(st.text(min_size=1, max_size=40) | st.text("_*`|\\<>[]()!&;:#~a1 \n", min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_shown_as_it_is(text):
    want = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    page = shown(f"| x |\n|---|\n| {escaped(text)} |\n\nEnd {escaped(text)}\n")
    assert page.tags == ["table", "thead", "tr", "th", "tbody", "tr", "td", "p"]
    texts = [each.strip() for each in page.texts if each.strip()]
    assert texts == [each for each in ("x", want, f"End {want}".strip()) if each]


def test_a_bundle_has_its_card_and_the_same_card_again(tmp_path):
    torch.manual_seed(0)
    state = ARCHITECTURE.build().state_dict()
    labels, heads = LabelSet.from_names(HOSTILE[:4]), (Head("level", LabelSet.from_names(["a", "b"])),)
    for name in ("one", "two"):
        save_bundle(
            tmp_path / name, state, ARCHITECTURE, labels, Preprocessing(), {"epoch": 1}, {}, heads, ExtraFormat()
        )  # fmt: skip
    card = (tmp_path / "one" / "README.md").read_bytes()
    assert card == (tmp_path / "two" / "README.md").read_bytes()
    assert f"{sum(tensor.numel() for tensor in state.values()):,}, the statistics" in card.decode()
    manifest = json.loads((tmp_path / "one" / "model.json").read_text())
    assert card.decode() == model_card(manifest, sum(tensor.numel() for tensor in state.values()))


def test_a_card_may_be_changed_or_lost(tmp_path):
    labels = LabelSet.from_names(HOSTILE)
    state = ARCHITECTURE.build().state_dict()
    save_bundle(tmp_path / "m", state, ARCHITECTURE, labels, Preprocessing(), {}, {})
    (tmp_path / "m" / "README.md").write_text("# My model\n")
    assert load_bundle(tmp_path / "m").labels == labels
    (tmp_path / "m" / "README.md").unlink()
    assert load_bundle(tmp_path / "m").labels == labels


@pytest.mark.parametrize("text", ["", "\n\t", "\u202e\x00"])
def test_what_cannot_be_seen_is_nothing(text):
    assert escaped(text) == ""
