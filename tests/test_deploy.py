"""The files of `deploy/`, as far as they can be checked without the programs that read them."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from service_helpers import application

from fullconv.cli.serve import serve
from fullconv.cli.train import train

DEPLOY = Path(__file__).parents[1] / "deploy"


def options_of(words: list[str]) -> dict:
    """What `fullconv serve` makes of words; a wrong option is an error."""
    return serve.make_context("serve", words).params


def statuses(*paths: str) -> list[int]:
    async def main() -> list[int]:
        async with application() as (client, _):
            return [(await client.get(path)).status_code for path in paths]

    return asyncio.run(main())


@pytest.mark.parametrize("name", ["Containerfile", "Containerfile.cuda"])
def test_containers_start_the_service(name):
    text = (DEPLOY / name).read_text()
    command = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.M)[0])
    assert command[:2] == ["fullconv", "serve"]
    options = options_of(command[2:] + json.loads(re.findall(r"^CMD (.*)$", text, re.M)[-1]))
    assert (options["host"], options["port"], options["log"]) == ("0.0.0.0", 8000, "json")
    (probed,) = re.findall(r"http://127\.0\.0\.1:8000(/[\w/]+)", text)
    assert statuses(probed) == [200]
    for source in re.findall(r"^COPY (.*) /source", text, re.M):
        assert all((DEPLOY.parent / each).exists() for each in source.split())


def test_all_preload_the_same_allocator():
    texts = [
        (DEPLOY / name).read_text() for name in ("Containerfile", "Containerfile.cuda", "fullconv.service")
    ]
    texts.append((DEPLOY.parent / "docs/serving.md").read_text())
    settings = {tuple(re.findall(r"(?:LD_PRELOAD|MALLOC_CONF)=[^\s\\]+", text)) for text in texts}
    assert len(settings) == 1, settings
    assert all("libjemalloc2" in text for text in texts)


def test_kubernetes():
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert (
        service["spec"]["selector"]
        == deployment["spec"]["selector"]["matchLabels"]
        == pod["metadata"]["labels"]
    )
    assert options_of(["--host", "0.0.0.0", *container["args"]])["threads"] == int(
        container["resources"]["requests"]["cpu"]
    )
    probes = [container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")]
    assert statuses(*probes) == [200, 200]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_the_unit(tmp_path):
    text = (DEPLOY / "fullconv.service").read_text()
    words = re.findall(r"^ExecStart=(\S+) serve (.*)$", text, re.M)
    ((program, options),) = words
    assert options_of(options.split())["token_file"] == Path("${CREDENTIALS_DIRECTORY}/token")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "fullconv.service"
    unit.write_text(text.replace(program, "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_training_on_several_machines():
    service, job = yaml.safe_load_all((DEPLOY / "training.yaml").read_text())
    pod = job["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    (script,) = container["args"]
    launched, _, trained = script.partition(" -m fullconv train ")
    words = shlex.split(trained.partition(" $(")[0])
    options = train.make_context("train", words).params
    assert (
        options["batch_size"]
        % (int(job["spec"]["completions"]) * container["resources"]["limits"]["nvidia.com/gpu"])
        == 0
    )
    assert f"--nnodes {job['spec']['completions']} " in launched
    assert f"{job['metadata']['name']}-0.{service['metadata']['name']}:" in launched
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    assert pod["spec"]["subdomain"] == service["metadata"]["name"]
    assert str(options["data"]).startswith(container["volumeMounts"][0]["mountPath"])
