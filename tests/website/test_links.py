"""Links of a site that is made up: what leads nowhere is found, and nothing else."""

from links import faults_of


def test_each_link_that_leads_nowhere_is_named_once(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">a</h1><a href="sub/page.html">1</a><a href="sub/page.html#there">2</a><a href="#top">3</a>'
        '<a href="sub/">4</a><a href="https://example.org/x">5</a><a href="mailto:a@b.c">6</a>'
        '<a href="sub/page.html#nowhere">7</a><a href="#nowhere">8</a><img src="missing.png">'
        '<a href="sub/page.html#nowhere">9</a>'
    )
    (tmp_path / "sub/page.html").write_text(
        '<p id="there">b</p><a href="../index.html#top">1</a><a href="gone.html">2</a>'
    )
    (tmp_path / "sub/index.html").write_text(
        '<a name="old">c</a><a href="#old">1</a><a href="p%61ge.html#%74here">2</a>'
    )
    assert faults_of(tmp_path) == [
        "index.html: #nowhere: no such place on the page",
        "index.html: missing.png: no such file",
        "index.html: sub/page.html#nowhere: no such place on the page",
        "sub/page.html: gone.html: no such file",
    ]
