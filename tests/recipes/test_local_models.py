"""The gateway in front of llama.cpp's Python server with a model of random weights, as anybody would put it in front of
a server of their own. `make recipes MODELS=1` installs it and runs this."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from afterlaunch.gateway.tests.house import KEY, House, house, snapshot_of, until
from tests.recipes.house import free_port
from tests.recipes.install import MODELS

pytestmark = pytest.mark.process
ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 6}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    if not MODELS.python.exists():
        pytest.skip(f"{MODELS.environment} is missing: `make recipes MODELS=1` compiles a server of models")
    folder, port = tmp_path_factory.mktemp("model"), free_port()
    file = folder / "tiny.gguf"
    subprocess.run([str(MODELS.python), str(Path(__file__).with_name("tiny_model.py")), str(file)], check=True)
    words = ("--model", file, "--port", port, "--n_ctx", 128, "--n_threads", 1, "--embedding", "true")
    with (folder / "log").open("wb") as log:
        command = [str(MODELS.python), "-m", "llama_cpp.server", *map(str, words)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or _alive(port), seconds=60)
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def gateway(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    with house(tmp_path) as made:
        made.server.publish(snapshot_of(f"{model}/v1", epoch=2))
        until(lambda: made.gateway.holder.epoch == 2)
        yield made


def client(gateway: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)


def attempt(gateway: House) -> dict[str, object]:
    until(lambda: gateway.server.attempts())
    return gateway.server.attempts()[-1]


def test_an_answer_is_metered_to_the_token(gateway: House) -> None:
    answer = client(gateway).chat.completions.create(**ASKED)
    told, usage = attempt(gateway), answer.usage
    assert usage is not None and answer.choices[0].finish_reason in ("length", "stop")
    counted = (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"])
    assert counted == (usage.prompt_tokens, usage.completion_tokens)
    assert (told["afterlaunch.usage_state"], told["afterlaunch.call_state"]) == ("exact", "complete")


def test_a_stream_without_usage_is_whole_and_estimated(gateway: House) -> None:
    chunks = list(client(gateway).chat.completions.create(**ASKED, stream=True))
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")
    told = attempt(gateway)
    assert (told["afterlaunch.usage_state"], told["afterlaunch.call_state"]) == ("estimated", "complete")


def test_embeddings_are_metered(gateway: House) -> None:
    answer = client(gateway).embeddings.create(model="tiny", input=["hello"], encoding_format="float")
    assert len(answer.data[0].embedding) > 0
    assert attempt(gateway)["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens


def test_a_prompt_that_is_too_long_is_told_in_the_servers_own_words(gateway: House) -> None:
    long: Any = {**ASKED, "messages": [{"role": "user", "content": "x " * 200}]}
    with pytest.raises(openai.APIStatusError) as caught:
        client(gateway).chat.completions.create(**long)
    assert caught.value.status_code in (400, 500) and "context" in caught.value.message
    assert attempt(gateway)["afterlaunch.call_state"] == "upstream-error"
